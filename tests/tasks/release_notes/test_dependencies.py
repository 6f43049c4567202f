import pytest

from lockgate.tasks.release_notes.dependencies import fold, parse
from tasks.release_notes.fakes import change, sha


@pytest.mark.parametrize(
    ("text", "name", "old", "new"),
    [
        ("Bump x/y from 1.0 to 1.1", "x/y", "1.0", "1.1"),
        ("Update module a.b/c to v2.58.2", "a.b/c", None, "v2.58.2"),
        ("Update golang docker tag to v1.21", "golang docker tag", None, "v1.21"),
        ("Update dependency json5 to 2.2.2 [security]", "json5", None, "2.2.2"),
    ],
)
def test_the_words_of_bots_are_read(text: str, name: str, old: str | None, new: str) -> None:
    found = parse(text)
    assert found is not None
    assert (found.name, found.old, found.new) == (name, old, new)


@pytest.mark.parametrize("text", ["Update docs", "Bump it", "Update the way we go to school"])
def test_other_words_are_no_update(text: str) -> None:
    assert parse(text) is None


def test_the_steps_of_one_dependency_become_one_line_that_cites_all() -> None:
    steps = ["Bump x from 1.2 to 1.3", "Bump y from 1 to 2", "Bump x from 1.0 to 1.2"]
    first, second = fold([change(text, 3 - n) for n, text in enumerate(steps)])
    assert (first.text, first.commits) == ("Bump x from 1.0 to 1.3", (sha(3), sha(1)))
    assert second.text == "Bump y from 1 to 2"


def test_the_same_dependency_elsewhere_is_another() -> None:
    texts = ["Bump x from 1 to 2", "Bump x from 1 to 2 in /docs"]
    assert len(fold([change(text) for text in texts])) == 2
