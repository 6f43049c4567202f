"""The cases that one verdict is about, and the values that a rule takes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.errors import InvalidInput
from lockgate.evals.gate.evidence import Seen
from lockgate.evals.gate.rule import Rule


@dataclass(frozen=True, slots=True)
class Part:
    """The cases that one verdict is about, and the same ones of the baseline."""

    column: str
    slice: str
    seen: Sequence[Seen]
    before: Sequence[Seen] | None


def every_value(rule: Rule, values: Sequence[float | None]) -> list[float]:
    """Return the values, if every case has one: those that lack are not missing at random.

    Raises:
        InvalidInput: some have none.

    """
    missing = sum(value is None for value in values)
    if missing:
        raise InvalidInput(f"`{rule.name}`: {missing} of {len(values)} case(s) have no value")
    return [value for value in values if value is not None]


def both_values(
    rule: Rule, new: Sequence[float | None], old: Sequence[float | None]
) -> tuple[list[float], list[float]]:
    """Return the values of both runs. Raises as `every_value`."""
    missing = sum(value is None for value in old)
    if missing:
        raise InvalidInput(
            f"`{rule.name}`: {missing} of {len(old)} case(s) have no value in the baseline",
            hint="evaluate the baseline with the same `x-gate`",
        )
    return every_value(rule, new), every_value(rule, old)
