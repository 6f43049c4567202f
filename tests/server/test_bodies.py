from hypothesis import given
from hypothesis import strategies as st

from lockgate.server.bodies import Room

TEAMS = ("blue", "red", "green")


def test_a_team_gets_half_of_the_room_and_the_others_the_rest() -> None:
    room = Room(100)
    assert room.take("blue", 50)
    assert not room.take("blue", 1)
    assert room.take("red", 30)
    assert room.take("green", 20)
    assert not room.take("red", 1)
    room.give("blue", 50)
    assert room.take("red", 20)


def test_the_longest_body_always_finds_room() -> None:
    assert Room(100, largest=1000).take("blue", 1000)


@given(st.lists(st.tuples(st.sampled_from(TEAMS), st.integers(1, 60)), max_size=60))
def test_what_was_given_back_is_there_again(steps: list[tuple[str, int]]) -> None:
    room = Room(100)
    taken = []
    for team, size in steps:
        if room.take(team, size):
            taken.append((team, size))
        elif taken:
            room.give(*taken.pop(0))
        assert room.held == sum(size for _, size in taken) <= 100
        assert all(sum(size for t, size in taken if t == team) <= 50 for team in TEAMS)
    for row in taken:
        room.give(*row)
    assert room.held == 0
