"""How replicas share one limit: each holds a lease, and exchanges it a few times a second.

The tokens of a shared bucket are in the common pot or in one lease, never in two, so in the long
run no more passes than the limit allows. Only a replica that sees a subject for the first time,
or uses its part of the pot ahead of the exchange, takes tokens that are not there; that is a debt
which the pot repays before it grants anything.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.errors import Corrupt

GONE_S = 10.0
"""A replica that was not heard of for so long has spent what it held."""
_HEADROOM = 2.0
"""A lease holds what was wanted between two exchanges, so many times."""
_SMOOTHING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one replica did with one bucket since its last exchange."""

    bucket: str
    rate: float
    burst: float
    spent: float
    wanted: float
    """Refused requests included."""
    largest: float
    """The largest single cost that was wanted."""
    leaving: bool = False
    """Nobody asks here any more: the lease is given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the exchange decided for one bucket of one replica."""

    bucket: str
    held: float
    """What the lease holds now."""
    spare: float
    """What may be taken from the pot before the next exchange."""
    elsewhere: float
    """What the pot and the other replicas hold."""


@dataclass(slots=True)
class _Lease:
    held: float = 0.0
    want: float = 0.0
    largest: float = 0.0
    seen: float = 0.0


@dataclass(slots=True)
class _Pot:
    """One shared bucket: what nobody holds, and the leases."""

    level: float
    at: float
    full_at: float = 0.0
    """When it is as good as new, and can be forgotten."""
    leases: dict[str, _Lease] = field(default_factory=dict)

    @property
    def held(self) -> float:
        return sum(lease.held for lease in self.leases.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one exchange."""

    document: str
    """The state that the replicas share."""
    now: float
    """When it happened, in the time that they share."""
    replicas: int
    grants: Sequence[Grant]


def exchange(document: str | None, replica: str, reports: Sequence[Report], now: float) -> Outcome:
    """Account what a replica spent, and lease it what it needs until the next time.

    `now` is in seconds, as this replica knows the time that all share. That never goes back:
    what another has seen already has been.

    Raises:
        Corrupt: the document is malformed.

    """
    seen, pots = _read(document)
    now = max((now, *seen.values()))
    seen[replica] = now
    seen = {name: at for name, at in seen.items() if now - at < GONE_S}
    grants = [_serve(pots, report, replica, now=now, replicas=len(seen)) for report in reports]
    for name in [name for name, pot in pots.items() if now > pot.full_at]:
        del pots[name]
    return Outcome(document=_write(seen, pots), now=now, replicas=len(seen), grants=grants)


def _serve(pots: dict[str, _Pot], report: Report, replica: str, now: float, replicas: int) -> Grant:
    pot = pots.setdefault(report.bucket, _Pot(level=report.burst, at=now))
    _refill(pot, report, now)
    lease = pot.leases.pop(replica, _Lease())
    pot.level += lease.held - report.spent
    elsewhere = pot.held
    if report.leaving:
        pot.full_at = now + max(GONE_S, (report.burst - pot.level) / report.rate)
        return Grant(bucket=report.bucket, held=0.0, spare=0.0, elsewhere=0.0)
    lease.want = max(_HEADROOM * report.wanted, _SMOOTHING * lease.want)
    lease.largest = report.largest or lease.largest
    lease.held = _part(pot, lease, asked=report.wanted > 0)
    lease.seen = now
    pot.level -= lease.held
    pot.leases[replica] = lease
    pot.full_at = now + max(GONE_S, (report.burst - pot.level) / report.rate)
    return Grant(
        bucket=report.bucket,
        held=lease.held,
        spare=max(0.0, pot.level) / replicas,
        elsewhere=pot.level + elsewhere,
    )


def _part(pot: _Pot, lease: _Lease, *, asked: bool) -> float:
    """Return what to lease: what is wanted, or a fair part of it when not all can have it.

    A part too small for one request serves nobody: then all of it goes to one replica that asked,
    or it is left to grow.
    """
    free = max(0.0, pot.level)
    wanted = lease.want + sum(other.want for other in pot.leases.values())
    there = free + pot.held
    part = min(free, lease.want if wanted <= there else there * lease.want / wanted)
    if part >= lease.largest:
        return part
    return lease.largest if asked and free >= lease.largest else 0.0


def _refill(pot: _Pot, report: Report, now: float) -> None:
    for name in [n for n, lease in pot.leases.items() if now - lease.seen >= GONE_S]:
        del pot.leases[name]
    passed = now - pot.at
    if passed > 0:
        room = report.burst - pot.held - pot.level
        pot.level += max(min(passed * report.rate, room), 0.0)
        pot.at = now


def _read(document: str | None) -> tuple[dict[str, float], dict[str, _Pot]]:
    if document is None:
        return {}, {}
    try:
        stored = json.loads(document)
        pots = {
            name: _Pot(level, at, full_at, {who: _Lease(*lease) for who, lease in leases.items()})
            for name, (level, at, full_at, leases) in stored["pots"].items()
        }
        return dict(stored["replicas"]), pots
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Corrupt(f"the shared rate limits are malformed: {error!r}") from error


def _write(seen: Mapping[str, float], pots: Mapping[str, _Pot]) -> str:
    return json.dumps(
        {
            "replicas": seen,
            "pots": {
                name: (pot.level, pot.at, pot.full_at, _leases(pot.leases.items()))
                for name, pot in pots.items()
            },
        },
        separators=(",", ":"),
    )


def _leases(leases: Iterable[tuple[str, _Lease]]) -> dict[str, tuple[float, ...]]:
    found: dict[str, tuple[float, ...]] = {
        who: (lease.held, lease.want, lease.largest, lease.seen) for who, lease in leases
    }
    assert all(math.isfinite(value) for lease in found.values() for value in lease)
    return found
