"""The order of cases where not all of them may run: one that says nothing of their scores.

Cases are sorted by a keyed hash of what they ask, so the first of them are a random sample that a
seed fixes: the same on every machine, and nearly the same when cases come or go.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lockgate.errors import UsageError
from lockgate.evals.case_files import Broken
from lockgate.evals.expand import Case

MAX_CASES = 100_000
"""They are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Order:
    """Cases in random order; all rows of one case stand together."""

    items: Sequence[Case | Broken]
    rows: Mapping[str, int]
    """How many rows each case has: its repetitions, providers and prompts."""


def shuffled(cases: Iterable[Case | Broken], *, seed: int) -> Order:
    """Return the cases in the order of the seed, broken entries first: they are told always.

    Raises:
        UsageError: there are more than 100,000.

    """
    found: list[Case] = []
    broken: list[Case | Broken] = []
    for item in cases:
        if isinstance(item, Broken):
            broken.append(item)
            continue
        found.append(item)
        if len(found) > MAX_CASES:
            raise UsageError(
                f"a suite of more than {MAX_CASES} cases cannot be shuffled",
                hint="split it, or run it without --stop-early and --max-seconds",
            )
    key = seed.to_bytes(8, "big", signed=True)
    keys = {case.asked: _hash(key, case.asked) for case in found}
    found.sort(key=lambda case: keys[case.asked])
    return Order([*broken, *found], Counter(case.asked for case in found))


def _hash(key: bytes, asked: str) -> bytes:
    return hashlib.blake2b(asked.encode(), key=key, digest_size=16).digest()
