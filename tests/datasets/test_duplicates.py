import time

import numpy as np
import pytest

from lockgate.datasets.duplicates import alike, groups
from lockgate.errors import InvalidInput

WORDS = [f"w{n}" for n in range(500)]


def text(seed: int, size: int = 60) -> list[str]:
    return list(np.random.default_rng(seed).choice(WORDS, size))


def shingles(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


def test_equal_texts_are_found_whatever_their_case_and_spaces() -> None:
    (pair,) = alike(["No space left", "other words here", "no  SPACE\nleft"])
    assert (pair.first, pair.second, pair.similarity) == (0, 2, 1.0)


def test_a_text_with_one_changed_word_is_found_and_its_similarity_is_exact() -> None:
    first, second = text(1), text(1)
    second[30] = "changed"
    (pair,) = alike([" ".join(text(2)), " ".join(first), " ".join(second)])
    left, right = shingles(first), shingles(second)
    assert (pair.first, pair.second) == (1, 2)
    assert pair.similarity == pytest.approx(len(left & right) / len(left | right))


def test_texts_that_are_not_alike_are_not_found() -> None:
    assert alike([" ".join(text(seed)) for seed in range(200)]) == []


def test_every_near_duplicate_of_a_thousand_texts_is_found() -> None:
    texts = [" ".join(text(seed)) for seed in range(500)]
    for seed in range(500):
        words = text(seed)
        words[seed % 60] = "changed"
        texts.append(" ".join(words))
    pairs = {(p.first, p.second) for p in alike(texts)}
    assert pairs == {(seed, 500 + seed) for seed in range(500)}


def test_short_and_empty_texts_make_no_groups_of_everything() -> None:
    assert alike(["", "  ", "!!", "one", "two"]) == []
    assert [p.similarity for p in alike(["one", "One!"])] == [1.0]


def test_groups_are_what_hangs_together() -> None:
    pairs = alike(["a b c d", "x y z w", "a b c d", "A B C D", "x y z w!"])
    assert groups(pairs, 5) == [[0, 2, 3], [1, 4]]


def test_time_is_linear_in_the_rows_even_if_all_are_alike() -> None:
    def taken(count: int) -> float:
        texts = [f"{' '.join(text(1))} number {n}" for n in range(count)]
        started = time.process_time()
        assert len(alike(texts)) == count - 1
        return time.process_time() - started

    taken(50)
    assert taken(2400) < 30 * taken(300)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_that_makes_no_sense_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidInput, match="the threshold is"):
        alike(["a"], threshold=threshold)
