"""What is wrong with the rows of a dataset: schema, duplicates, leakage between splits, labels."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lockgate.datasets.duplicates import alike, groups
from lockgate.datasets.rows import Row, member, text_of
from lockgate.domain.digest import Digest, Json, canonical

MAX_LISTED: Final = 200
_RARE: Final = 5
_MAX_LABELS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row stands."""

    split: str
    line: int

    def __str__(self) -> str:
        return f"{self.split}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    kind: str
    """`schema`, `duplicate`, `near-duplicate`, `leakage`, `near-leakage`, `conflict`."""
    places: tuple[Place, ...]
    text: str

    @property
    def document(self) -> dict[str, Json]:
        return {"kind": self.kind, "places": [str(p) for p in self.places], "text": self.text}


@dataclass(slots=True, kw_only=True)
class Labels:
    """How labels are spread in a split."""

    counts: Counter[str] = field(default_factory=Counter)
    missing: int = 0

    @property
    def balance(self) -> float | None:
        """Entropy over its greatest value: 1 where all are as frequent; None for one label."""
        total = self.counts.total()
        if len(self.counts) < 2:  # noqa: PLR2004
            return None
        shares = [count / total for count in self.counts.values()]
        return -sum(share * math.log(share) for share in shares) / math.log(len(shares))

    @property
    def rare(self) -> list[str]:
        """Labels that few rows have."""
        return sorted(name for name, count in self.counts.items() if count < _RARE)

    @property
    def document(self) -> dict[str, Json]:
        return {
            "counts": dict(self.counts.most_common(_MAX_LABELS)),
            "different": len(self.counts),
            "missing": self.missing,
            "balance": self.balance,
            "rare": list(self.rare[:_MAX_LABELS]),
        }


@dataclass(slots=True, kw_only=True)
class Quality:
    """What a check found. Counts are whole, lists are bounded."""

    rows: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    labels: dict[str, Labels] = field(default_factory=dict)

    def note(self, kind: str, places: Sequence[Place], text: str) -> None:
        """Count a problem, and keep it while there is room."""
        self.counts[kind] += 1
        if len(self.problems) < MAX_LISTED:
            self.problems.append(Problem(kind=kind, places=tuple(places), text=text))

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong. Rare labels and imbalance are told, and wrong is neither."""
        return not self.counts

    @property
    def document(self) -> dict[str, Json]:
        return {
            "whole": self.whole,
            "rows": dict(self.rows),
            "counts": dict(sorted(self.counts.items())),
            "problems": [problem.document for problem in self.problems],
            "labels": {split: labels.document for split, labels in self.labels.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Where texts and labels are in a row, and what counts as alike."""

    text: str = "input"
    label: str = "expect"
    threshold: float = 0.8


def check(splits: Mapping[str, Sequence[Row]], looking: Looking) -> Quality:
    """Look for duplicates within and between splits, and for labels that contradict each other.

    Raises:
        InvalidInput: the threshold makes no sense.

    """
    found = Quality(rows={split: len(rows) for split, rows in splits.items()})
    places = [Place(split=s, line=row.line) for s, rows in splits.items() for row in rows]
    values = [row.value for rows in splits.values() for row in rows]
    inputs = [member(value, looking.text) for value in values]
    whole = [value if text is None else text for value, text in zip(values, inputs, strict=True)]
    labels = [_label(member(value, looking.label)) for value in values]
    exact = _equal(whole)
    for group in exact:
        _tell(found, [places[at] for at in group], near=False)
        _conflict(found, group, places, labels)
    together = {at: number for number, group in enumerate(exact) for at in group}
    pairs = alike([text_of(value) for value in whole], threshold=looking.threshold)
    for group in groups(pairs, len(whole)):
        if len({together.get(at, -1 - at) for at in group}) == 1:
            continue  # told above
        _tell(found, [places[at] for at in group], near=True)
        _conflict(found, group, places, labels)
    for place, label in zip(places, labels, strict=True):
        spread = found.labels.setdefault(place.split, Labels())
        if label is None:
            spread.missing += 1
        else:
            spread.counts[label] += 1
    return found


def _equal(values: Sequence[Json]) -> list[list[int]]:
    found: defaultdict[Digest, list[int]] = defaultdict(list)
    for at, value in enumerate(values):
        found[Digest.of_json(value)].append(at)
    return [group for group in found.values() if len(group) > 1]


def _tell(found: Quality, places: Sequence[Place], *, near: bool) -> None:
    splits = sorted({place.split for place in places})
    what = "nearly the same input" if near else "the same input"
    prefix = "near-" if near else ""
    if len(splits) > 1:
        told = f"{what} is in the splits {', '.join(splits)}"
        found.note(f"{prefix}leakage", places, told)
    else:
        found.note(f"{prefix}duplicate", places, f"{what} is {len(places)} times in {splits[0]}")


def _conflict(
    found: Quality, group: Sequence[int], places: Sequence[Place], labels: Sequence[str | None]
) -> None:
    different = sorted({label for at in group if (label := labels[at]) is not None})
    if len(different) > 1:
        shown = ", ".join(label[:60] for label in different[:3])
        found.note("conflict", [places[at] for at in group], f"alike, and labelled {shown}")


def _label(value: Json) -> str | None:
    """Return a label as a word: a text as it is, anything else by its canonical form."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    return canonical(value).decode()
