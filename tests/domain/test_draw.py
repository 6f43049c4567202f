from collections import Counter

import pytest

from lockgate.domain.draw import Draw


def test_the_same_seed_and_names_draw_the_same_everywhere() -> None:
    draw = Draw(7, "a", "b")
    assert [draw.below(1000) for _ in range(6)] == [620, 362, 294, 923, 806, 238]


def test_another_seed_or_name_draws_something_else() -> None:
    drawn = {
        tuple(d.below(1000) for _ in range(4))
        for d in (Draw(7, "a"), Draw(8, "a"), Draw(7, "b"), Draw(7, "a", ""))
    }
    assert len(drawn) == 4


def test_each_value_is_drawn_about_as_often_as_the_others() -> None:
    draw = Draw(1)
    counts = Counter(draw.below(7) for _ in range(7000))
    assert set(counts) == set(range(7))
    assert max(counts.values()) < 1.15 * min(counts.values())


def test_a_shuffle_keeps_every_value_and_a_share_is_below_one() -> None:
    draw = Draw(3)
    assert sorted(draw.shuffled(range(50))) == list(range(50))
    assert draw.shuffled(range(50)) != list(range(50))
    assert all(0 <= draw.share() < 1 for _ in range(1000))


def test_nothing_is_drawn_below_one() -> None:
    with pytest.raises(ValueError, match="nothing is below 0"):
        Draw(1).below(0)
