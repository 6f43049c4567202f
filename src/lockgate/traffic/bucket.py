"""One token bucket: of a limit that is ours alone, or of the part of a shared one that we hold."""

import math
from dataclasses import dataclass

_EPSILON = 1e-9
"""A wait that was promised is long enough, whatever the clock's floats add up to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `amount` in `per_s` seconds in the long run.

    In any window of `t` seconds at most `burst + amount * t / per_s` pass.
    """

    amount: int
    per_s: float = 60.0
    burst: int
    """What a bucket that was left alone holds. No single cost above it can ever pass."""

    def __post_init__(self) -> None:
        if self.amount < 1 or self.per_s <= 0 or self.burst < 1:
            raise ValueError(f"not a limit: {self}")

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.amount / self.per_s


_SOON_S = 0.001


class Bucket:
    """Fills at a steady rate up to the burst. May be in debt after `charge`.

    Shared, it does not fill by itself: `grant` fills it, and `elsewhere` says what the other
    replicas and the common pot hold, for headers and waits.
    """

    __slots__ = (
        "at",
        "burst",
        "counts_tokens",
        "elsewhere",
        "forgotten",
        "granted_at",
        "largest",
        "level",
        "limit",
        "rate",
        "shared",
        "spare",
        "spent",
        "subject",
        "wanted",
    )

    def __init__(self, subject: str, limit: Limit, *, counts_tokens: bool, now: float) -> None:
        self.subject = subject
        self.forgotten = False
        """Whether another one counts in its place now."""
        self.limit = limit
        self.counts_tokens = counts_tokens
        self.rate = limit.rate
        self.level = self.burst = float(limit.burst)
        self.at = now
        self.shared = False
        self.elsewhere = 0.0
        self.spare = 0.0
        """What may be taken beyond the level: our part of the common pot; later grants repay it."""
        self.granted_at = now
        """When the next grant is due."""
        self.spent = 0.0
        self.wanted = 0.0
        """While shared, and since the last grant, like `largest`; refused ones too."""
        self.largest = 0.0

    def wait_s(self, cost: float, now: float) -> float:
        """Return 0 if `cost` may pass now, else the seconds until it may; inf: never.

        Exact for a bucket of our own. For a shared one the earliest moment, if others stand still.
        """
        if self.shared:
            self.wanted += cost
            if cost > self.largest:  # noqa: PLR1730  a call to `max` takes as long as the rest
                self.largest = cost
        elif now > self.at:
            self.refill(now)
        missing = cost - self.level - self.spare
        if missing <= _EPSILON:
            return 0.0
        if cost > self.limit.burst:
            return math.inf
        if self.shared:
            # The store, not this process, lets the common pot fill.
            return max(self.granted_at - now, (missing - self.elsewhere) / self.rate, _SOON_S)
        return missing / self.rate

    def refill(self, now: float) -> None:
        """Bring the level up to date."""
        if not self.shared:
            level = self.level + (now - self.at) * self.rate
            self.level = level if level < self.burst else self.burst  # noqa: FURB136  as above
        self.at = now

    def charge(self, cost: float) -> None:
        """Take `cost`, or give it back if negative, whatever the level."""
        level = self.level - cost
        self.level = level if level < self.burst else self.burst  # noqa: FURB136  as above
        self.spent += cost

    def join(self, replicas: int, *, due: float) -> None:
        """Begin to share, before the first grant: take our part, leave the others theirs."""
        self.shared = True
        self.rate = self.limit.rate
        self.elsewhere = self.level * (1 - 1 / replicas)
        self.level /= replicas
        self.granted_at = due

    def grant(self, held: float, *, spare: float, elsewhere: float, due: float) -> None:
        """Take over the lease of the last exchange; `spent` is what it has not heard of."""
        self.shared = True
        self.rate = self.limit.rate
        self.level = held - self.spent
        self.spare, self.elsewhere, self.granted_at = spare, elsewhere, due

    def part(self, replicas: int, now: float) -> None:
        """Stop to share: keep our part of the pot, and fill at our part of the rate."""
        self.shared = False
        self.rate = self.limit.rate / replicas
        self.level += self.spare  # what was taken beyond the level was taken from this
        self.spare = self.elsewhere = self.spent = 0.0
        self.at = now

    @property
    def remaining(self) -> int:
        """What is left of the whole limit, as far as is known here."""
        return max(0, int(self.level + self.elsewhere + _EPSILON))

    @property
    def reset_s(self) -> float:
        """Seconds until the whole limit is there again if nothing else passes."""
        return max(0.0, (self.limit.burst - self.level - self.elsewhere) / self.rate)
