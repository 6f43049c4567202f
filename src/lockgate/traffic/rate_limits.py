"""Rate limits in requests and in tokens, per key, team and route. No I/O, no waiting."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lockgate.traffic.bucket import Bucket, Limit

MAX_SUBJECTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one subject may do. None: as much as it likes."""

    requests: Limit | None = None
    tokens: Limit | None = None


LimitsOf = Callable[[str], Limits | None]
"""Returns the limits of a subject, such as `key:k1`, `team:core` or `route:chat`."""


class Taken:
    """What one request got, or why not, and what `x-ratelimit-*` says of it.

    The figures are those of the tightest limit at the moment they are read; -1 without a limit.
    """

    __slots__ = ("_buckets", "allowed", "by_tokens", "charged", "retry_after_s")

    def __init__(
        self,
        buckets: Sequence[Bucket],
        charged: int,
        retry_after_s: float,
        *,
        by_tokens: bool = False,
    ) -> None:
        self._buckets = buckets
        self.by_tokens = by_tokens
        """The limit to wait longest for counts tokens, and not requests."""
        self.charged = charged
        """Tokens."""
        self.allowed = retry_after_s == 0.0
        self.retry_after_s = retry_after_s
        """Seconds until the same request may pass; inf: it is larger than a limit."""

    @property
    def limit(self) -> int:
        """Requests in the limit's period."""
        found = self._tightest(counts_tokens=False)
        return found.limit.amount if found else -1

    @property
    def remaining(self) -> int:
        """Requests that may pass now."""
        found = self._tightest(counts_tokens=False)
        return found.remaining if found else -1

    @property
    def reset_s(self) -> float:
        """Seconds until the whole limit is there again."""
        found = self._tightest(counts_tokens=False)
        return found.reset_s if found else 0.0

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the `x-ratelimit-*` headers, and `retry-after` if refused for now.

        `retry-after` is in whole seconds (RFC 9110, 10.2.3), rounded up: earlier would be in vain.
        """
        found: list[tuple[bytes, bytes]] = []
        requests = tokens = None
        fewest_requests = fewest_tokens = math.inf
        for bucket in self._buckets:
            left = bucket.level + bucket.elsewhere
            if bucket.counts_tokens:
                if left < fewest_tokens:
                    tokens, fewest_tokens = bucket, left
            elif left < fewest_requests:
                requests, fewest_requests = bucket, left
        if requests is not None:
            found += _headers(_REQUESTS, requests)
        if tokens is not None:
            found += _headers(_TOKENS, tokens)
        if not self.allowed and math.isfinite(self.retry_after_s):
            found.append((b"retry-after", b"%d" % max(1, math.ceil(self.retry_after_s))))
        return found

    @property
    def of_tokens(self) -> list[Bucket]:
        """The buckets that count tokens."""
        return [bucket for bucket in self._buckets if bucket.counts_tokens]

    def _tightest(self, *, counts_tokens: bool) -> Bucket | None:
        tightest, least = None, math.inf
        for bucket in self._buckets:
            if bucket.counts_tokens is counts_tokens:
                left = bucket.level + bucket.elsewhere
                if left < least:
                    tightest, least = bucket, left
        return tightest


_REQUESTS = (
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-reset-requests",
)
_TOKENS = (
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-tokens",
)


def _headers(names: tuple[bytes, bytes, bytes], bucket: Bucket) -> list[tuple[bytes, bytes]]:
    return [
        (names[0], b"%d" % bucket.limit.amount),
        (names[1], b"%d" % bucket.remaining),
        (names[2], b"%.3fs" % bucket.reset_s),
    ]


class RateLimits:
    """The limits of every subject that was seen. Used from one thread."""

    def __init__(
        self,
        limits_of: LimitsOf,
        *,
        clock: Callable[[], float],
        max_subjects: int = MAX_SUBJECTS,
    ) -> None:
        self._limits_of = limits_of
        self._clock = clock
        self._max_subjects = max_subjects
        self._buckets: dict[str, tuple[Bucket, ...]] = {}
        self._replicas = 1
        self._due: float | None = None
        self.touched: set[str] = set()
        """Subjects since it was emptied last, for the exchange with other replicas."""

    def take(self, subjects: Sequence[str], *, requests: int = 1, tokens: int) -> Taken:
        """Take from every limit of every subject, or from none if one of them has too little.

        Raises:
            ValueError: a negative amount.

        """
        if requests < 0 or tokens < 0:
            raise ValueError(f"negative: {requests} requests, {tokens} tokens")
        now = self._clock()
        found: list[Bucket] = []
        wait = 0.0
        by_tokens = False
        for subject in subjects:
            buckets = self._buckets.get(subject)
            if buckets is None:
                buckets = self._open(subject, now)
            self.touched.add(subject)
            for bucket in buckets:
                found.append(bucket)
                needs = bucket.wait_s(tokens if bucket.counts_tokens else requests, now)
                if needs > wait:
                    wait = needs
                    by_tokens = bucket.counts_tokens
        if wait == 0.0:
            for bucket in found:
                bucket.charge(tokens if bucket.counts_tokens else requests)
        return Taken(found, tokens, wait, by_tokens=by_tokens)

    def settle(self, taken: Taken, tokens: int) -> None:
        """Replace the tokens that were taken by those that were used. Repeating it changes nothing.

        More than was taken puts the limits in debt: later requests wait for it.
        """
        more = tokens - taken.charged
        if not taken.allowed or more == 0:
            return
        for bucket in taken.of_tokens:
            # A request may last longer than its subject is kept in mind.
            charged = self._successor(bucket) if bucket.forgotten else bucket
            if charged is not None:
                charged.charge(more)
                self.touched.add(charged.subject)
        taken.charged = tokens

    def reload(self, limits_of: LimitsOf) -> None:
        """Use other limits from now on. A subject whose limits stay keeps what it has used."""
        self._limits_of = limits_of
        self.forget(
            subject
            for subject, buckets in list(self._buckets.items())
            if [(b.limit, b.counts_tokens) for b in buckets] != _wanted(limits_of(subject))
        )

    def share(self, replicas: int, *, due: float) -> None:
        """From now on a subject that is new here starts with one part of `replicas`.

        `due` is when the next exchange between replicas is expected, on this object's clock.
        """
        self._replicas, self._due = replicas, due

    def part(self) -> None:
        """Stop to share, since the store is away: each replica keeps to its part of the rate."""
        now = self._clock()
        self._due = None
        for buckets in self._buckets.values():
            for bucket in buckets:
                bucket.part(self._replicas, now)

    @property
    def buckets(self) -> Mapping[str, tuple[Bucket, ...]]:
        """Every bucket by subject, for the exchange with other replicas."""
        return self._buckets

    def forget(self, subjects: Iterable[str]) -> None:
        """Drop subjects; seen again, they start anew."""
        for subject in subjects:
            self.touched.discard(subject)
            for bucket in self._buckets.pop(subject, ()):
                bucket.forgotten = True

    def _successor(self, bucket: Bucket) -> Bucket | None:
        """Return what counts now where `bucket` did; None if the limit has changed since."""
        buckets = self._buckets.get(bucket.subject) or self._open(bucket.subject, self._clock())
        same = (b for b in buckets if b.counts_tokens and b.limit == bucket.limit)
        return next(same, None)

    def _open(self, subject: str, now: float) -> tuple[Bucket, ...]:
        if len(self._buckets) >= self._max_subjects:
            self._evict(now)
        found = tuple(
            Bucket(subject, limit, counts_tokens=counts_tokens, now=now)
            for limit, counts_tokens in _wanted(self._limits_of(subject))
        )
        for bucket in found:
            bucket.join(self._replicas, due=self._due or now)
            if self._due is None:
                bucket.part(self._replicas, now)
        self._buckets[subject] = found
        return found

    def _evict(self, now: float) -> None:
        """Make room: full buckets say nothing that a new one would not; else the oldest go."""
        for buckets in self._buckets.values():
            for bucket in buckets:
                bucket.refill(now)
        full = [s for s, bs in self._buckets.items() if all(b.level >= b.burst for b in bs)]
        self.forget(full or list(self._buckets)[: max(1, self._max_subjects // 10)])


def _wanted(limits: Limits | None) -> list[tuple[Limit, bool]]:
    if limits is None:
        return []
    pairs = ((limits.requests, False), (limits.tokens, True))
    return [(limit, counts_tokens) for limit, counts_tokens in pairs if limit is not None]
