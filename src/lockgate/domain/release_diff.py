"""What differs between two releases, at the level of meaning."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from lockgate.domain.decimals import minus
from lockgate.domain.digest import Digest, Json
from lockgate.domain.release import Pin, Release

Texts: TypeAlias = Mapping[str, str]
"""Small text files of an artifact by title."""
_MAX_LINES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that changed. `before` or `after` is None where there was nothing."""

    what: str
    before: str | None
    after: str | None
    lines: tuple[str, ...] = ()
    """A unified diff, for texts."""

    @property
    def document(self) -> dict[str, Json]:
        """The difference as JSON."""
        found: dict[str, Json] = {"what": self.what, "before": self.before, "after": self.after}
        if self.lines:
            found["diff"] = list(self.lines)
        return found


def differences(before: Release, after: Release) -> Sequence[Difference]:
    """Compare everything but the texts of artifacts."""
    return [
        *_scalars(before, after),
        *_mapping("code", before.code, after.code),
        *_pins(before, after),
        *_mapping("decoding", before.decoding, after.decoding),
        *_mapping("runtime", before.runtime, after.runtime),
    ]


def text_differences(what: str, before: Texts, after: Texts) -> Sequence[Difference]:
    """Compare the texts of one artifact in two releases, line by line."""
    found = []
    for title in sorted({*before, *after}):
        old, new = before.get(title, ""), after.get(title, "")
        if old == new:
            continue
        lines = (old.splitlines(), new.splitlines())
        if sum(map(len, lines)) > _MAX_LINES:
            diff = [f"{len(lines[0]):,} lines became {len(lines[1]):,}"]
        else:
            diff = list(difflib.unified_diff(*lines, title, title, lineterm="", n=2))
        found.append(
            Difference(
                what=f"{what}/{title}",
                before=title if title in before else None,
                after=title if title in after else None,
                lines=tuple(diff),
            )
        )
    return found


def changed_pins(before: Release, after: Release) -> Sequence[tuple[Pin, Pin]]:
    """Return the pins of one role and name that have another digest."""
    old = {(pin.role, pin.name): pin for pin in before.pins}
    new = {(pin.role, pin.name): pin for pin in after.pins}
    return [(old[key], new[key]) for key in sorted(old.keys() & new.keys()) if old[key] != new[key]]


def _scalars(before: Release, after: Release) -> Iterator[Difference]:
    for name in ("task", "version"):
        old, new = str(getattr(before, name)), str(getattr(after, name))
        if old != new:
            yield Difference(what=name, before=old, after=new)


def _pins(before: Release, after: Release) -> Iterator[Difference]:
    several = {pin.role for pins in (before.pins, after.pins) for pin in _repeated(pins)}
    old, new = ({_key(pin, several): pin for pin in r.pins} for r in (before, after))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Difference(what=f"pin {key}", before=_pin(old.get(key)), after=_pin(new.get(key)))


def _repeated(pins: Sequence[Pin]) -> Iterator[Pin]:
    seen: set[str] = set()
    for pin in pins:
        if pin.role in seen:
            yield pin
        seen.add(pin.role)


def _key(pin: Pin, several: AbstractSet[str]) -> str:
    """Return the role, so that another model in it is one difference; the name too if needed."""
    return f"{pin.role}/{pin.name}" if pin.role in several else pin.role


def _pin(pin: Pin | None) -> str | None:
    if pin is None:
        return None
    return f"{pin.name}{f' on {pin.backend}' if pin.backend else ''}, {pin.digest}"


def _mapping(
    what: str, before: Mapping[str, Json], after: Mapping[str, Json]
) -> Iterator[Difference]:
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield Difference(
                what=f"{what}.{key}",
                before=None if key not in before else str(before[key]),
                after=None if key not in after else str(after[key]),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What trusted evaluators measured of a release, newest word."""

    value: Decimal
    interval: tuple[Decimal, Decimal] | None
    samples: int
    dataset: Digest

    @property
    def text(self) -> str:
        """For people."""
        low_high = "" if self.interval is None else f" [{', '.join(map(_short, self.interval))}]"
        return f"{_short(self.value)}{low_high} on {self.samples:,} case(s)"


Scores: TypeAlias = Mapping[str, Score]
"""By `SUITE METRIC`."""
Licences: TypeAlias = Mapping[str, str]
"""SPDX expressions by role."""


def score_differences(before: Scores, after: Scores) -> Iterator[Difference]:
    """Compare evaluations; those of different datasets are shown and not subtracted."""
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        what = f"evaluation {name}"
        if old is not None and new is not None:
            if old.dataset == new.dataset:
                what += f" ({_short(minus(new.value, old.value), sign=True)})"
            else:
                what += f" (datasets differ: {old.dataset.hex[:12]}, {new.dataset.hex[:12]})"
        yield Difference(what=what, before=_text(old), after=_text(new))


def licence_differences(before: Licences, after: Licences) -> Iterator[Difference]:
    """Compare the licences of what the releases pin."""
    for role in sorted({*before, *after}):
        if before.get(role) != after.get(role):
            yield Difference(what=f"licence {role}", before=before.get(role), after=after.get(role))


def _text(score: Score | None) -> str | None:
    return None if score is None else score.text


def _short(value: Decimal, *, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.4f}"
