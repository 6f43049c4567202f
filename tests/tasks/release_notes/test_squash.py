import pytest

from lockgate.tasks.release_notes.squash import alike, parts, stands_alone


def test_items_and_paragraphs_of_a_squash_are_its_parts() -> None:
    body = "* feat: one\n\n* fix(a): two\n  detail\n- docs: three\n\nperf!: four\n\n---------"
    assert [(h.kind, h.description) for h, _ in parts(body)] == [
        ("feat", "one"),
        ("fix", "two"),
        ("docs", "three"),
        ("perf", "four"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "* Update x\n* Apply suggestions",
        "Fixes: #12",
        "some prose that says\nfix: in its middle",
        "  * fix: nested detail",
        "note: this is no type",
        "docs: https://example.org",
        "* fix: #12",
    ],
)
def test_other_lines_are_no_parts(body: str) -> None:
    assert parts(body) == []


def test_only_what_users_see_stands_alone() -> None:
    body = "* feat: a\n* test: b\n* chore!: c\n* style: d"
    assert [stands_alone(h) for h, _ in parts(body)] == [True, False, True, False]


def test_likeness_counts_words_not_their_order() -> None:
    assert alike("Add the dark mode", "add dark mode to UI")
    assert not alike("Add dark mode", "Fix the parser")
