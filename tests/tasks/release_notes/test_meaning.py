import pytest

from lockgate.tasks.release_notes.meaning import candidates, cosine, fold
from tasks.release_notes.fakes import change, sha, vector

SAME = {"Speed up the parser": vector(1, 0.1), "Speed the parser up": vector(1, 0.2)}


def test_near_duplicates_become_the_oldest_which_cites_both() -> None:
    changes = [change("Speed the parser up", 2), change("Speed up the parser", 1)]
    (one,) = fold(changes, SAME)
    assert (one.text, one.commits) == ("Speed up the parser", (sha(1), sha(2)))
    assert one.also == ("Speed the parser up",)


def test_three_alike_become_one() -> None:
    texts = ["Speed the parser up now", "Speed the parser up", "Speed up the parser"]
    changes = [change(text, 3 - n) for n, text in enumerate(texts)]
    (one,) = fold(changes, dict.fromkeys(texts, vector(1, 0)))
    assert one.commits == (sha(1), sha(2), sha(3))


def test_texts_with_other_meanings_stay_apart() -> None:
    changes = [change("Speed the parser up", 2), change("Speed up the parser", 1)]
    assert len(fold(changes, {**SAME, "Speed the parser up": vector(0.2, 1)})) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bump x to 1.2", "Bump x to 1.3"),
        ("Add support for x", "Remove support for x"),
        ("Fix the crash in `load`", "Fix the crash in `save`"),
        ("Support Python 3.9 here", "Support Python 3.10 here"),
        ("Handle getUser errors", "Handle getGroup errors"),
    ],
)
def test_other_facts_or_verbs_are_never_folded_however_near(one: str, other: str) -> None:
    vectors = {one: vector(1, 0), other: vector(1, 0)}
    assert len(fold([change(one, 2), change(other, 1)], vectors)) == 2


def test_another_type_or_scope_is_never_folded() -> None:
    first, second = SAME
    typed = [change(first, 2, type="fix"), change(second, 1, type="feat")]
    scoped = [change(first, 2, scope="a"), change(second, 1, scope="b")]
    assert (len(fold(typed, SAME)), len(fold(scoped, SAME))) == (2, 2)


def test_only_texts_with_common_words_are_embedded() -> None:
    texts = ["Speed up the parser", "Add a logo", "Speed the parser up"]
    assert candidates([change(text) for text in texts]) == [texts[0], texts[2]]


def test_the_cosine_of_unit_vectors_is_their_product() -> None:
    assert cosine(vector(1, 0), vector(1, 1)) == pytest.approx(0.5**0.5)
