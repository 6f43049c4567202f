"""Runs of a part of a suite: which part, when they end, and what they may conclude."""

from pathlib import Path

import pytest

from lockgate.app.evals_gates import rule_on
from lockgate.app.evals_sequential import Watch, watch
from lockgate.errors import UsageError
from lockgate.evals.expand import Case, Expansion
from lockgate.evals.files import Files
from lockgate.evals.gate.evidence import Evidence, gather
from lockgate.evals.order import Order, shuffled
from lockgate.evals.suite import Suite

from .bench import load, run
from .test_gate import HEAD, cases, wrong_on


def suite_of(folder: Path, gate: str, count: int, head: str = HEAD) -> Suite:
    return load(folder, head + gate, c_jsonl=cases(count))


def order_of(suite: Suite, seed: int = 7) -> Order:
    return shuffled(Expansion(suite, Files(suite.folder, suite.folder)), seed=seed)


def asked(order: Order) -> list[str]:
    return [item.asked for item in order.items if isinstance(item, Case)]


def watched(suite: Suite, baseline: Evidence | None = None) -> tuple[Order, Watch]:
    order = order_of(suite)
    return order, watch(suite.gate, order, baseline)


def test_the_order_is_the_seeds_and_not_the_files(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{}", 50)
    order = asked(order_of(suite))
    lines = cases(50).splitlines(keepends=True)
    turned = load(tmp_path, HEAD + "{}", c_jsonl="".join(reversed(lines)))

    assert asked(order_of(turned)) == order
    assert asked(order_of(suite, seed=8)) != order
    assert order != [
        c.asked for c in Expansion(suite, Files(tmp_path, tmp_path)) if isinstance(c, Case)
    ]


def test_rows_of_one_case_stay_together_and_broken_lines_come_first(tmp_path: Path) -> None:
    text = "evaluateOptions: {repeat: 3}\n" + HEAD + "{}"
    suite = load(tmp_path, text, c_jsonl=cases(5) + "{\n")

    order = order_of(suite)

    assert not isinstance(order.items[0], Case)
    rows = asked(order)
    assert [rows[at] for at in range(0, 15, 3) for _ in range(3)] == rows
    assert set(order.rows.values()) == {3}


@pytest.mark.parametrize(("wrong", "verdict"), [(set(), "pass"), (set(range(300)), "fail")])
def test_a_clear_run_ends_early(tmp_path: Path, wrong: set[int], verdict: str) -> None:
    suite = suite_of(tmp_path, "{quality: [{at_least: 0.8}]}", 300)
    order, looking = watched(suite)

    summary, results, _ = run(suite, wrong_on(wrong), order=order, settled=looking.settled)

    (ruling,) = looking.rulings()
    assert (ruling.verdict, ruling.sampled) == (verdict, True)
    assert ruling.samples == len(results) < 150
    assert summary.skipped == 300 - len(results)


def test_an_early_end_is_at_the_same_case_whatever_the_concurrency(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{quality: [{at_least: 0.8}]}", 300)
    ends = []
    for concurrency in (1, 7):
        (tmp_path / "results.jsonl").unlink(missing_ok=True)
        order, looking = watched(suite)
        _, results, _ = run(suite, order=order, settled=looking.settled, concurrency=concurrency)
        ends.append([result.id for result in results])

    assert ends[0] == ends[1]


def test_a_run_without_a_clear_end_runs_to_the_end(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{quality: [{at_least: 0.9}]}", 60)
    order, looking = watched(suite)

    summary, results, _ = run(suite, wrong_on(set(range(6))), order=order, settled=looking.settled)

    assert (len(results), summary.skipped) == (60, 0)
    assert looking.rulings()[0].verdict == "inconclusive"


def test_a_baseline_is_compared_case_by_case_while_it_runs(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{quality: [{baseline: true, margin: 0.05}]}", 400)
    before = gather(run(suite)[1])
    (tmp_path / "results.jsonl").unlink()
    order, looking = watched(suite, before)

    run(suite, wrong_on(set(range(0, 400, 3))), order=order, settled=looking.settled)

    (ruling,) = looking.rulings()
    assert ruling.verdict == "fail"
    assert ruling.samples < 200


def test_repetitions_are_one_look(tmp_path: Path) -> None:
    head = "evaluateOptions: {repeat: 5}\n" + HEAD
    suite = suite_of(tmp_path, "{quality: [{at_least: 0.5}]}", 20, head)
    order, looking = watched(suite)

    run(suite, order=order, settled=looking.settled)

    assert (looking.rulings()[0].samples, looking.rulings()[0].verdict) == (20, "inconclusive")


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("{}", "no gate to stop early for"),
        ("{performance: [{metric: latency, at_most: 9}]}", "needs all cases"),
    ],
)
def test_gates_that_cannot_end_early_are_refused(tmp_path: Path, gate: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        watched(suite_of(tmp_path, gate, 3))


def test_a_budget_runs_a_sample_that_is_marked_so(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{quality: [{at_least: 0.8}]}", 100)
    left = iter([True] * 45 + [False] * 100)

    summary, results, _ = run(suite, order=order_of(suite), may_start=lambda: next(left))

    assert len(results) + summary.skipped == 100
    assert 40 <= len(results) <= 50
    (ruling,) = rule_on(suite.gate, gather(results), None, sampled=True)
    assert (ruling.verdict, ruling.sampled) == ("pass", True)


def test_a_sample_compares_with_the_same_cases_of_a_whole_baseline(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{quality: [{baseline: true, margin: 0.1}]}", 100)
    whole = gather(run(suite)[1])
    (tmp_path / "results.jsonl").unlink()
    left = iter([True] * 60 + [False] * 100)

    _, results, _ = run(suite, order=order_of(suite), may_start=lambda: next(left))

    (ruling,) = rule_on(suite.gate, gather(results), whole, sampled=True)
    assert ruling.samples == len(results)
    with pytest.raises(UsageError, match="only in the baseline"):
        rule_on(suite.gate, gather(results), whole, sampled=False)
