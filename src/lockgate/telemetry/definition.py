"""What a metric is: its name, its kind, and how many series it can ever have."""

import re
from dataclasses import dataclass
from enum import StrEnum
from math import prod

OTHER = "other"
"""The value of a label whose own value is one too many."""
_NAME = re.compile("[a-z][a-z0-9_]*")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Kind(StrEnum):
    """The types of the Prometheus text format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Dimension:
    """Labels that are set together. Their values are a closed set, or the first `most` that come.

    Labels that hang together, such as a model and its release, count once: their combinations
    are bounded, not the product of their values.
    """

    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    """Closed set of a single label; empty: whatever comes."""
    most: int = 0
    """Combinations before `other`, for a dimension that is open."""

    def __post_init__(self) -> None:
        closed = bool(self.values)
        if not self.names or closed == bool(self.most) or (closed and len(self.names) != 1):
            raise ValueError(f"a dimension is closed or bounded: {self}")
        if not all(_NAME.fullmatch(name) for name in self.names):
            raise ValueError(f"not names of labels: {self.names}")

    @property
    def size(self) -> int:
        """The most combinations, `other` included."""
        return (len(self.values) or self.most) + 1


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    kind: Kind
    help: str
    dimensions: tuple[Dimension, ...] = ()
    buckets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not self.help:
            raise ValueError(f"a metric has a name and says what it is: {self}")
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"counters, and only they, end in `_total`: `{self.name}`")
        if (self.kind is Kind.HISTOGRAM) != bool(self.buckets):
            raise ValueError(f"histograms, and only they, have buckets: `{self.name}`")
        if list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"the buckets of `{self.name}` do not rise")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"`{self.name}` has a label twice")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its labels, in the order in which values are given."""
        return tuple(name for dimension in self.dimensions for name in dimension.names)

    @property
    def most_series(self) -> int:
        """How many series it can ever have."""
        lines = len(self.buckets) + 3 if self.kind is Kind.HISTOGRAM else 1
        return prod(dimension.size for dimension in self.dimensions) * lines
