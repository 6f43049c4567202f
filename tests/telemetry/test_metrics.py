import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from lockgate.telemetry.definition import SECONDS, Dimension, Kind, Metric
from lockgate.telemetry.metrics import Metrics
from lockgate.telemetry.process import watch_process
from lockgate.telemetry.table import ROUTE, TABLE, VARIANT

CODE = Dimension(("code",), ("200", "500"))
PAIR = Dimension(("model", "release"), most=2)
SMALL = (
    Metric("answers_total", Kind.COUNTER, "Answers.", (CODE, PAIR)),
    Metric("waiting", Kind.GAUGE, "Waiting."),
    Metric("time_seconds", Kind.HISTOGRAM, "Time.", (CODE,), (0.1, 1.0)),
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """As a reader that is not ours understands the exposition."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_counters_and_gauges_are_exposed_with_their_labels() -> None:
    metrics = Metrics(SMALL)
    metrics.counter("answers_total").labels("200", "m", "r").inc()
    metrics.counter("answers_total").labels("200", "m", "r").inc(2)
    metrics.gauge("waiting").labels().set(2.5)
    found = samples(metrics)
    assert found["answers_total", ("200", "m", "r")] == 3
    assert found["waiting", ()] == 2.5


def test_a_histogram_counts_cumulatively_and_an_edge_belongs_to_its_bucket() -> None:
    metrics = Metrics(SMALL)
    for value in (0.05, 0.1, 0.5, 7):
        metrics.histogram("time_seconds").labels("200").observe(value)
    found = samples(metrics)
    assert found["time_seconds_bucket", ("200", "0.1")] == 2
    assert found["time_seconds_bucket", ("200", "1")] == 3
    assert found["time_seconds_bucket", ("200", "+Inf")] == 4
    assert found["time_seconds_count", ("200",)] == 4
    assert found["time_seconds_sum", ("200",)] == pytest.approx(7.65)


def test_a_value_outside_a_closed_set_is_other() -> None:
    metrics = Metrics(SMALL)
    metrics.counter("answers_total").labels("418", "m", "r").inc()
    assert samples(metrics)["answers_total", ("other", "m", "r")] == 1


def test_combinations_beyond_the_bound_share_one_other() -> None:
    metrics = Metrics(SMALL)
    for n in range(100):
        metrics.counter("answers_total").labels("200", f"m{n}", f"r{n}").inc()
    found = samples(metrics)
    assert found["answers_total", ("200", "other", "other")] == 98
    assert found["answers_total", ("200", "m1", "r1")] == 1


def test_expected_values_have_their_place_whatever_comes_first() -> None:
    metrics = Metrics(SMALL)
    metrics.expect(PAIR, [("ours", "v1")])
    for n in range(100):
        metrics.counter("answers_total").labels("200", f"m{n}", "").inc()
    metrics.counter("answers_total").labels("200", "ours", "v1").inc()
    assert samples(metrics)["answers_total", ("200", "ours", "v1")] == 1


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=50))
def test_no_traffic_makes_more_series_than_the_table_says(
    traffic: list[tuple[str, str, str]],
) -> None:
    metrics = Metrics(SMALL)
    for code, model, release in traffic:
        metrics.counter("answers_total").labels(code, model, release).inc()
        metrics.histogram("time_seconds").labels(code).observe(1)
    found = samples(metrics)
    for metric in SMALL:
        series = [name for name, _ in found if name.startswith(metric.name.removesuffix("_total"))]
        assert len(series) <= metric.most_series


@pytest.mark.parametrize("value", ['a"b', "a\nb", "a\\b", "ü", "\ud800", "x" * 1000, ""])
def test_hostile_label_values_break_nothing(value: str) -> None:
    metrics = Metrics(SMALL)
    metrics.counter("answers_total").labels("200", value, "r").inc()
    ((_, labels),) = [key for key in samples(metrics) if key[0] == "answers_total"]
    assert labels[1] == value.encode("utf-8", "replace").decode()[:128]


@pytest.mark.parametrize(
    ("value", "shown"), [(float("inf"), "+Inf"), (-float("inf"), "-Inf"), (1e300, "1e+300")]
)
def test_extreme_numbers_are_written_as_prometheus_reads_them(value: float, shown: str) -> None:
    metrics = Metrics(SMALL)
    metrics.gauge("waiting").labels().set(value)
    assert f"waiting {shown}\n" in metrics.exposition().decode()


def test_the_whole_table_stays_below_ten_thousand_series() -> None:
    assert sum(metric.most_series for metric in TABLE) < 10_000
    assert len({metric.name for metric in TABLE}) == len(TABLE)


def test_a_name_that_the_table_does_not_have_is_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="the table has no counter `waiting`"):
        Metrics(SMALL).counter("waiting")
    with pytest.raises(ValueError, match="has the labels"):
        Metrics(SMALL).counter("answers_total").labels("200")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Metric("a", Kind.COUNTER, "x"),
        lambda: Metric("a_total", Kind.GAUGE, "x"),
        lambda: Metric("a", Kind.HISTOGRAM, "x"),
        lambda: Metric("a", Kind.HISTOGRAM, "x", (), (2.0, 1.0)),
        lambda: Metric("a", Kind.GAUGE, ""),
        lambda: Metric("A", Kind.GAUGE, "x"),
        lambda: Metric("a", Kind.GAUGE, "x", (ROUTE, ROUTE)),
        lambda: Dimension(("a",)),
        lambda: Dimension(("a", "b"), ("x",)),
        lambda: Dimension(("a",), ("x",), 3),
        lambda: Dimension(("a-b",), most=3),
    ],
)
def test_a_row_that_prometheus_would_not_take_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"."):
        wrong()


def test_the_five_updates_of_a_request_cost_less_than_fifteen_microseconds() -> None:
    metrics = Metrics()
    variant = ("smollm2", "3", "docs@1", "sha256:0", "shadow")

    def updates() -> None:
        metrics.counter("lockgate_requests_total").labels("chat", "200").inc()
        metrics.histogram("lockgate_request_seconds").labels("chat").observe(0.02)
        metrics.counter("lockgate_responses_total").labels("ok", *variant).inc()
        metrics.counter("lockgate_tokens_total").labels("input", *variant).inc(900)
        metrics.counter("lockgate_tokens_total").labels("output", *variant).inc(90)

    best = min(timeit.repeat(updates, number=2000, repeat=7, timer=time.process_time)) / 2000
    assert best < 15e-6


def test_gauges_may_be_read_when_they_are_asked_for() -> None:
    metrics = Metrics(SMALL)
    readings = iter((3.0, 4.0))
    metrics.on_scrape(lambda: metrics.gauge("waiting").labels().set(next(readings)))
    assert [samples(metrics)["waiting", ()] for _ in range(2)] == [3, 4]


def test_a_scrape_tells_what_the_process_uses() -> None:
    metrics = Metrics()
    watch_process(metrics)
    first = samples(metrics)
    sum(n * n for n in range(300_000))
    second = samples(metrics)
    assert 10e6 < first["process_resident_memory_bytes", ()] < 10e9
    assert first["process_open_fds", ()] >= 3
    assert second["process_cpu_seconds_total", ()] > first["process_cpu_seconds_total", ()]
    assert 0 < time.time() - first["process_start_time_seconds", ()] < 3600


def test_variants_are_told_apart_by_all_that_makes_an_answer() -> None:
    assert VARIANT.names == ("model", "prompt_version", "data_snapshot", "release", "flags")
    assert SECONDS[0] <= 0.001
