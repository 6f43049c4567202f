"""PromQL over the table: an expression that names what is not there cannot be written."""

from lockgate.telemetry.definition import Kind
from lockgate.telemetry.table import TABLE

_BY_NAME = {metric.name: metric for metric in TABLE}
_WINDOW = "5m"


def rate(name: str, by: str = "", *, where: str = "") -> str:
    """Return PromQL for the rate of a counter of the table, summed by labels.

    Raises:
        ValueError: the table has no such counter, or it has no such label.

    """
    base = name.removesuffix("_sum").removesuffix("_count")
    metric = _BY_NAME.get(name) or _BY_NAME.get(base)
    if metric is None or (metric.kind is Kind.GAUGE):
        raise ValueError(f"the table has no counter `{name}`")
    _require(metric.labels, by, where, name)
    braces = f"{{{where}}}" if where else ""
    return f"sum{_by(by)} (rate({name}{braces}[{_WINDOW}]))"


def quantile(share: float, name: str, by: str = "") -> str:
    """Return PromQL for a quantile of a histogram of the table. Raises as `rate`."""
    metric = _BY_NAME[name]
    if metric.kind is not Kind.HISTOGRAM:
        raise ValueError(f"`{name}` is no histogram")
    _require(metric.labels, by, "", name)
    names = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum{_by(names)} (rate({name}_bucket[{_WINDOW}])))"


def gauge(name: str, by: str = "") -> str:
    """Return PromQL for a gauge of the table, summed by labels. Raises as `rate`."""
    metric = _BY_NAME[name]
    if metric.kind is not Kind.GAUGE:
        raise ValueError(f"`{name}` is no gauge")
    _require(metric.labels, by, "", name)
    return f"sum{_by(by)} ({name})"


def _by(names: str) -> str:
    return f" by ({names})" if names else ""


def _require(labels: tuple[str, ...], by: str, where: str, name: str) -> None:
    wanted = [label.strip() for label in by.split(",") if label.strip()]
    wanted += [condition.split("=")[0].strip("!~ ") for condition in where.split(",") if condition]
    if missing := set(wanted) - set(labels):
        raise ValueError(f"`{name}` has no labels {sorted(missing)}")


def ratio(over: str, under: str) -> str:
    """Return PromQL for a quotient of two sums by the same labels.

    What was never counted is no series yet, and stands for 0.
    """
    return f"({over} or 0 * {under}) / {under}"
