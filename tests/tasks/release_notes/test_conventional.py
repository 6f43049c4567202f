import pytest

from lockgate.tasks.release_notes.conventional import breaking_notes, header


@pytest.mark.parametrize(
    ("subject", "kind", "scope", "breaking", "description"),
    [
        ("feat: add x", "feat", None, False, "add x"),
        ("fix(parser): stop", "fix", "parser", False, "stop"),
        ("FEAT(api)!: drop v1", "feat", "api", True, "drop v1"),
        ("chore!: drop", "chore", None, True, "drop"),
        ("feat(a, b/c): two places", "feat", "a, b/c", False, "two places"),
        ("fix : loose", "fix", None, False, "loose"),
        ("Fix(scope) : loose", "fix", "scope", False, "loose"),
        ("docs:no blank", "docs", None, False, "no blank"),
        ("[docs] mention it", "docs", None, False, "mention it"),
        ("DOC: add it", "docs", None, False, "add it"),
        ("bugfix: stop", "fix", None, False, "stop"),
    ],
)
def test_a_header_is_split_into_its_parts(
    subject: str,
    kind: str,
    scope: str | None,
    *,
    breaking: bool,
    description: str,
) -> None:
    found = header(subject)
    assert found is not None
    assert (found.kind, found.scope, found.breaking) == (kind, scope, breaking)
    assert found.description == description


@pytest.mark.parametrize("subject", ["parser: text", "README: text", "cmd-x(y): text"])
def test_any_noun_is_a_type_but_not_a_known_one(subject: str) -> None:
    found = header(subject)
    assert found is not None
    assert found.kind is None


@pytest.mark.parametrize(
    "subject",
    [
        "Add x", "feat", "feat:", "feat: ", ": text", "feat(: text", "feat() x", "see https://x.y",
        "docs://x", "a b: text", "parser:text", "[B605] add", "", "feat(a)(b): text",
    ],
)  # fmt: skip
def test_what_has_no_prefix_has_no_header(subject: str) -> None:
    assert header(subject) is None


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ("BREAKING CHANGE: use y", ("use y",)),
        ("Why.\n\nBREAKING-CHANGE: use y\nand z\nRefs: #1", ("use y and z",)),
        ("BREAKING CHANGE: a\nBREAKING CHANGE: b", ("a", "b")),
        ("BREAKING CHANGE #12 is gone", ("#12 is gone",)),
        ("breaking change: lower case is no token", ()),
        ("This is a BREAKING CHANGE: in the middle", ()),
        ("BREAKING CHANGES: many", ()),
        ("BREAKING CHANGE: a\n\nparagraph", ("a",)),
    ],
)
def test_breaking_footers_are_read_as_the_specification_says(
    body: str, notes: tuple[str, ...]
) -> None:
    assert breaking_notes(body) == notes
