import pytest

from lockgate.tasks.release_notes.clauses import by_rules, fault, shortened


@pytest.mark.parametrize(
    ("title", "clause"),
    [
        ("Add dark mode", "adds dark mode"),
        ("Fixes the crash", "fixes the crash"),
        ("Adding a plugin", "adds a plugin"),
        ("Added a plugin", "adds a plugin"),
        ("New formatter for SARIF", "brings new formatter for SARIF"),
        ("PEP-518 support", None),
        ("Searched params are kept", None),
        ("Handling of x", None),
        ("Add", None),
        ("`x` adds y", None),
    ],
)
def test_a_title_with_a_verb_becomes_a_clause(title: str, clause: str | None) -> None:
    assert by_rules(title) == clause


@pytest.mark.parametrize(
    ("clause", "title"),
    [
        ("adds dark mode", "Add dark mode"),
        ("fixes a crash on empty files", "Fix crash on empty files"),
        ("adds check for `requests` calls", 'Add check for "requests" calls'),
        ("adds support for Python 3.9", "Add Python 3.9 support"),
    ],
)
def test_a_clause_that_says_the_same_is_taken(clause: str, title: str) -> None:
    assert fault(clause, title) is None


@pytest.mark.parametrize(
    ("clause", "title"),
    [
        ("adds dark mode and light mode", "Add dark mode"),
        ("removes dark mode", "Add dark mode"),
        ("adds support for Python 3.8", "Add support for Python 3.9"),
        ("fixes #13", "Fix #12"),
        ("fixes the crash in `save`", "Fix the crash in `load`"),
        ("adds the Kubernetes operator", "Add the operator"),
        ("dark mode", "Add dark mode"),
        ("adds mode", "Add fast dark mode for editors"),
        ("adds dark mode, adds dark mode, adds dark mode", "Add dark mode"),
        ("adds [dark](http://x.y) mode", "Add dark mode"),
        ("adds <b>dark</b> mode", "Add dark mode"),
        ("adds <secret:aws:1>", "Add <secret:aws:1>"),
        ("adds dark\nmode", "Add dark mode"),
        ("", "Add dark mode"),
        ("2023-08-22 14:22:52", "Add dark mode"),
    ],
)
def test_a_clause_that_invents_swaps_loses_or_repeats_is_refused(clause: str, title: str) -> None:
    assert fault(clause, title) is not None


def test_the_title_of_the_request_may_lend_words() -> None:
    assert fault("fixes parser crash", "Fix crash") is not None
    assert fault("fixes parser crash", "Fix crash", ["Parser crash on start"]) is None


def test_a_long_title_is_cut_at_a_word() -> None:
    cut = shortened("word " * 60)
    assert (len(cut) <= 125, cut.endswith("word …")) == (True, True)
