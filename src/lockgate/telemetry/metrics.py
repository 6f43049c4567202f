"""Counts. An update is a few list and attribute operations; nothing is formatted before a scrape.

Used from one thread: the event loop's. The text format is Prometheus's 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite
from typing import Generic, TypeAlias, TypeVar

from lockgate.telemetry.definition import OTHER, Dimension, Kind, Metric
from lockgate.telemetry.table import TABLE

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MOST_CHARACTERS = 128
_EXACT = 2.0**53
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Counter:
    """A sum that only grows."""

    __slots__ = ("value",)

    def __init__(self, metric: Metric) -> None:
        self.value = 0.0

    def inc(self, by: float = 1) -> None:
        """Add `by`, which is not negative."""
        self.value += by

    def lines(self, name: str, labels: str) -> Iterator[str]:
        yield f"{name}{_braces(labels)} {_number(self.value)}"


class Gauge(Counter):
    """A value that comes and goes."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Replace the value."""
        self.value = value


class Histogram:
    """Counts values by size."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, metric: Metric) -> None:
        self._bounds = metric.buckets
        self._counts = [0] * (len(metric.buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        total = 0
        separator = "," if labels else ""
        for bound, count in zip((*self._bounds, inf), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels}{separator}le="{_number(bound)}"}} {total}'
        yield f"{name}_sum{_braces(labels)} {_number(self._sum)}"
        yield f"{name}_count{_braces(labels)} {total}"


Child = TypeVar("Child", bound=Counter | Histogram)


class Family(Generic[Child]):
    """A metric with its series. Keep what `labels` returns where the same labels come again."""

    def __init__(self, metric: Metric, child: type[Child], bounds: "Bounds") -> None:
        self.metric = metric
        self._new = child
        self._bounds = bounds
        self._children: dict[tuple[str, ...], Child] = {}
        if not metric.dimensions:
            self.labels()

    def labels(self, *values: str) -> Child:
        """Return the series of these values, in the order of the table; beyond the bound `other`.

        Raises:
            ValueError: there are more or fewer values than labels.

        """
        child = self._children.get(values)
        return child if child is not None else self._open(values)

    def _open(self, values: tuple[str, ...]) -> Child:
        if len(values) != len(self.metric.labels):
            raise ValueError(f"`{self.metric.name}` has the labels {self.metric.labels}: {values}")
        admitted = self._bounds.admit(self.metric.dimensions, values)
        child = self._children.get(admitted)
        if child is None:
            child = self._children[admitted] = self._new(self.metric)
        return child

    def lines(self) -> Iterator[str]:
        """Yield its part of a scrape."""
        metric = self.metric
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.kind}"
        for values, child in sorted(self._children.items()):
            pairs = zip(metric.labels, values, strict=True)
            labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs)
            yield from child.lines(metric.name, labels)


class Bounds:
    """Which values of each dimension have a series of their own; the same for all metrics."""

    def __init__(self) -> None:
        self._seen: dict[Dimension, set[tuple[str, ...]]] = {}

    def admit(self, dimensions: Sequence[Dimension], values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values, with `other` for what is one too many."""
        admitted: list[str] = []
        for dimension in dimensions:
            width = len(dimension.names)
            part = tuple(_clean(value) for value in values[len(admitted) : len(admitted) + width])
            admitted += part if self._has_place(dimension, part) else (OTHER,) * width
        return tuple(admitted)

    def _has_place(self, dimension: Dimension, part: tuple[str, ...]) -> bool:
        if dimension.values:
            return part[0] in dimension.values
        seen = self._seen.setdefault(dimension, set())
        if part not in seen and len(seen) < dimension.most:
            seen.add(part)
        return part in seen


_AnyFamily: TypeAlias = Family[Counter] | Family[Gauge] | Family[Histogram]


class Metrics:
    """All metrics of the table, by their names."""

    def __init__(
        self, table: Sequence[Metric] = TABLE, *, previous: "Metrics | None" = None
    ) -> None:
        """With a `previous` one of the same table, count on where it does; gauges begin anew."""
        self._bounds, known = (Bounds(), {}) if previous is None else previous.counting
        self._readings: list[Callable[[], None]] = []
        self._families: dict[str, _AnyFamily] = {}
        for metric in table:
            counted = None if metric.kind is Kind.GAUGE else known.get(metric.name)
            self._families[metric.name] = counted or self._family(metric)

    @property
    def counting(self) -> "tuple[Bounds, Mapping[str, _AnyFamily]]":
        """What others that take its place go on with."""
        return self._bounds, self._families

    def counter(self, name: str) -> Family[Counter]:
        """Return a counter of the table."""
        return self._find(name, Kind.COUNTER)  # type: ignore[return-value]

    def gauge(self, name: str) -> Family[Gauge]:
        """Return a gauge of the table."""
        return self._find(name, Kind.GAUGE)  # type: ignore[return-value]

    def histogram(self, name: str) -> Family[Histogram]:
        """Return a histogram of the table."""
        return self._find(name, Kind.HISTOGRAM)  # type: ignore[return-value]

    def expect(self, dimension: Dimension, values: Iterable[tuple[str, ...]]) -> None:
        """Give values a place before any other comes: the routes, upstreams, releases there are."""
        for value in values:
            self._bounds.admit((dimension,), value)

    def on_scrape(self, reading: Callable[[], None]) -> None:
        """Call `reading` before each scrape: it sets gauges that nobody need set in between."""
        self._readings.append(reading)

    def exposition(self) -> bytes:
        """Return the answer to a scrape, to be sent as CONTENT_TYPE."""
        for reading in self._readings:
            reading()
        lines = [line for family in self._families.values() for line in family.lines()]
        return ("\n".join(lines) + "\n").encode()

    def _family(self, metric: Metric) -> _AnyFamily:
        match metric.kind:
            case Kind.COUNTER:
                return Family(metric, Counter, self._bounds)
            case Kind.GAUGE:
                return Family(metric, Gauge, self._bounds)
            case Kind.HISTOGRAM:
                return Family(metric, Histogram, self._bounds)

    def _find(self, name: str, kind: Kind) -> _AnyFamily:
        family = self._families.get(name)
        if family is None or family.metric.kind is not kind:
            raise ValueError(f"the table has no {kind} `{name}`")
        return family


def _clean(value: str) -> str:
    short = value[:_MOST_CHARACTERS]
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    if not isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"  # noqa: PLR0124
    return str(int(value)) if value == int(value) and abs(value) < _EXACT else repr(value)
