import random
from collections.abc import Sequence

import pytest

from lockgate.domain.guard import Action
from lockgate.guards.compiled import Raw, RuleSet
from lockgate.guards.policy import validators
from lockgate.guards.rules import CATALOGUES, Rule, expand, load_rules
from lockgate.guards.stream import GRID, MAX_MATCH, Handling, StreamGuard
from lockgate.guards.vault import Vault

RULES = [rule for category in CATALOGUES for rule in load_rules(category)]
HOSTS = validators(("allowed.example",))
SIZE = 60_000


class Counting(RuleSet):
    """Rules that count the bytes they are asked to look at, and the matches they give."""

    work = 0

    def matches(self, data: bytes, start: int) -> list[Raw]:
        found = super().matches(data, start)
        self.work += len(data) - start + sum(raw.end - raw.start for raw in found)
        return found

    def open_from(self, data: bytes, start: int) -> int:
        place = super().open_from(data, start)
        # The automaton runs backwards from the end, and no further than where it is open.
        self.work += len(data) - place
        return place


def hostile(rule: Rule) -> list[str]:
    examples = [expand(p) for p in rule.positives]
    dice = random.Random(7)  # noqa: S311
    letters = sorted({c for e in examples for c in e})
    return [
        "\n".join(examples),
        "".join(examples),
        "".join(e[: max(1, len(e) - 1)] for e in examples),
        examples[0][0],
        "".join(dice.choices(letters, k=5000)),
    ]


def work(rules: Sequence[Rule], text: str, chunk: int) -> int:
    counting = Counting(rules, HOSTS)
    stream = StreamGuard(counting, Handling(lambda _: Action.REDACT, Vault()))
    for at in range(0, len(text), chunk):
        stream.feed(text[at : at + chunk])
        assert stream.held <= MAX_MATCH + GRID + chunk * 4
    stream.finish()
    return counting.work


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_twice_the_text_is_at_most_twice_the_work(rule: Rule) -> None:
    for unit in hostile(rule):
        text = (unit * (2 * SIZE // len(unit) + 1))[: 2 * SIZE]

        half, whole = work([rule], text[:SIZE], SIZE), work([rule], text, 2 * SIZE)

        # The last match may end anywhere in what is held back, hence the second term.
        assert whole <= 2.2 * half + 3 * (MAX_MATCH + GRID)
        assert whole <= 12 * len(text.encode())


def test_a_long_match_in_small_chunks_is_not_looked_at_for_each_of_them() -> None:
    text = ("://" + "aB3" * 20_000)[:40_000]

    assert work(RULES, text, 2) <= 80 * len(text)
