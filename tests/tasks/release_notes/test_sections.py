import pytest

from lockgate.tasks.release_notes.sections import TITLES, group, section
from tasks.release_notes.fakes import change


@pytest.mark.parametrize(
    ("kind", "text", "place"),
    [
        ("feat", "Add x", "added"),
        ("fix", "Stop y", "fixed"),
        ("perf", "Run faster", "changed"),
        ("refactor", "Split x", "changed"),
        ("docs", "Explain x", "documentation"),
        ("test", "Test x", "internal"),
        ("ci", "Run x", "internal"),
        ("chore", "Tidy", "internal"),
        ("chore", "Bump x from 1.0 to 1.1", "dependencies"),
        ("build", "Update dependency x to v2", "dependencies"),
        ("security", "Close the hole", "security"),
        ("fix", "Avoid CVE-2024-12345", "security"),
        ("feat", "Deprecate the old API", "deprecated"),
        ("feat", "Remove the old API", "removed"),
        ("feat", "Remove the chunk if it is unused", "added"),
        ("fix", "Remove the extra slash", "fixed"),
        ("refactor", "Remove unused code", "changed"),
        ("build", "Drop support for Python 3.7", "removed"),
        ("feat", "Removal of Python 3.8 support", "removed"),
        ("docs", "Remove old examples", "documentation"),
        ("frobnicate", "Do it", "other"),
        (None, "Do it", "other"),
    ],
)
def test_a_type_and_its_words_choose_the_section(kind: str | None, text: str, place: str) -> None:
    assert section(change(text, type=kind)) == place


def test_breaking_comes_before_everything() -> None:
    assert section(change("Explain", type="docs", breaking=True)) == "breaking"


@pytest.mark.parametrize(("scope", "place"), [("deps", "dependencies"), ("security", "security")])
def test_some_scopes_are_sections(scope: str, place: str) -> None:
    assert section(change("Do it", type="fix", scope=scope)) == place


@pytest.mark.parametrize(("kind", "place"), [("test", "internal"), ("docs", "documentation")])
def test_a_test_or_a_page_about_security_is_no_security_fix(kind: str, place: str) -> None:
    assert section(change("Hostile bytes", type=kind, scope="security")) == place


def test_sections_stand_in_order_and_empty_ones_do_not() -> None:
    changes = [change("z"), change("b", type="fix"), change("a", type="feat", breaking=True)]
    assert list(group(changes)) == ["breaking", "fixed", "other"]
    assert next(iter(TITLES)) == "breaking"


def test_scopes_stand_together_after_what_has_none() -> None:
    texts = [("a", "cli"), ("b", None), ("c", "api"), ("d", "cli"), ("e", None)]
    found = group([change(text, type="feat", scope=scope) for text, scope in texts])
    assert [c.text for c in found["added"]] == ["b", "e", "c", "a", "d"]
