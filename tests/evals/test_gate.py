"""Gates of a suite over whole runs: what passes, what fails, and what is not sure."""

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lockgate.app.evals_gates import rule_on
from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig, UsageError
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.gate.evidence import gather, read_baseline
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.load import load_gate
from lockgate.evals.report.forms import write_report
from lockgate.evals.results import Result

from .bench import Answer, load, run

HEAD = "prompts: ['{{x}}']\nproviders: [echo]\ntests: c.jsonl\nx-gate: "


def cases(count: int, **members: Callable[[int], Json]) -> str:
    return "".join(
        json.dumps(
            {
                "vars": {"x": f"case {number}"},
                "assert": [{"type": "contains", "value": "case", "metric": "named"}],
                **{name: make(number) for name, make in members.items()},
            }
        )
        + "\n"
        for number in range(count)
    )


def wrong_on(numbers: set[int]) -> Answer:
    async def answer(case: Case) -> Response:
        number = int(str(case.variables["x"]).split()[-1])
        return Response(output="no" if number in numbers else case.sent, latency_ms=10 + number)

    return answer


def ruled(
    folder: Path,
    gate: Mapping[str, Json],
    respond: Answer,
    *,
    count: int = 100,
    baseline: Answer | None = None,
    text: str | None = None,
) -> tuple[Ruling, ...]:
    suite = load(folder, HEAD + json.dumps(gate), c_jsonl=text or cases(count))
    before = gather(run(suite, baseline)[1]) if baseline else None
    (folder / "results.jsonl").unlink(missing_ok=True)
    return rule_on(suite.gate, gather(run(suite, respond)[1]), before)


def verdicts(rulings: tuple[Ruling, ...]) -> list[str]:
    return [ruling.verdict for ruling in rulings]


@pytest.mark.parametrize(
    ("count", "failed", "limit", "verdict"),
    [
        (100, 0, 0.9, "pass"),
        (100, 30, 0.9, "fail"),
        (100, 8, 0.9, "inconclusive"),
        (20, 0, 0.5, "inconclusive"),  # fewer than `min_cases`, however clear it looks
        (100, 0, 1.0, "inconclusive"),  # no sample shows that all pass
    ],
)
def test_a_rate_passes_only_when_enough_cases_make_sure(
    tmp_path: Path, count: int, failed: int, limit: float, verdict: str
) -> None:
    gate: dict[str, Json] = {"quality": [{"at_least": limit}]}

    found = ruled(tmp_path, gate, wrong_on(set(range(failed))), count=count)

    assert verdicts(found) == [verdict]
    assert found[0].samples == count


def test_repetitions_of_a_case_are_no_new_cases(tmp_path: Path) -> None:
    text = HEAD + json.dumps({"quality": [{"at_least": 0.5}]})
    suite = load(tmp_path, f"evaluateOptions: {{repeat: 10}}\n{text}", c_jsonl=cases(20))

    (found,) = rule_on(suite.gate, gather(run(suite)[1]), None)

    assert (found.samples, found.verdict) == (20, "inconclusive")


def test_a_drop_against_the_baseline_fails_by_the_exact_test(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"quality": [{"baseline": True, "margin": 0.05}]}

    (worse,) = ruled(tmp_path, gate, wrong_on(set(range(12))), baseline=wrong_on({1}))
    (same,) = ruled(tmp_path, gate, wrong_on({1}), baseline=wrong_on({1}))

    assert (worse.verdict, same.verdict) == ("fail", "pass")
    numbers = worse.details["numbers"]
    assert isinstance(numbers, Mapping)
    assert (numbers["losses"], numbers["gains"]) == (11, 0)


def test_a_baseline_of_another_dataset_is_refused_with_both_digests(tmp_path: Path) -> None:
    gate = {"quality": [{"baseline": True}]}
    suite = load(tmp_path, HEAD + json.dumps(gate), c_jsonl=cases(40))
    now = gather(run(suite)[1])
    (tmp_path / "results.jsonl").unlink()
    other = gather(run(load(tmp_path, HEAD + json.dumps(gate), c_jsonl=cases(41)))[1])

    with pytest.raises(UsageError) as raised:
        rule_on(suite.gate, now, other)

    assert str(now.dataset) in raised.value.message
    assert str(other.dataset) in raised.value.message
    assert now.dataset != other.dataset


def test_a_dataset_does_not_depend_on_the_order_or_on_who_answers(tmp_path: Path) -> None:
    lines = cases(5).splitlines(keepends=True)
    digests = set()
    for order, provider in ((lines, "echo"), (lines[::-1], "other")):
        text = HEAD.replace("echo", provider) + "{}"
        digests.add(gather(run(load(tmp_path, text, c_jsonl="".join(order)))[1]).dataset)
        (tmp_path / "results.jsonl").unlink()
    changed = cases(5).replace("contains", "icontains", 1)
    digests.add(gather(run(load(tmp_path, HEAD + "{}", c_jsonl=changed))[1]).dataset)

    assert len(digests) == 2


def test_slices_and_columns_are_judged_apart_as_one_family(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"quality": [{"at_least": 0.8, "slice": "language"}]}
    text = cases(100, metadata=lambda number: {"language": "go" if number < 50 else "rust"})

    found = ruled(tmp_path, gate, wrong_on(set(range(20))), text=text)

    assert [(r.slice, r.verdict, r.samples) for r in found] == [
        ("language=go", "fail", 50),
        ("language=rust", "pass", 50),
    ]
    stated = found[0].details["gate"]
    assert isinstance(stated, Mapping)
    assert stated["family"] == 2


def test_two_providers_are_not_mixed(tmp_path: Path) -> None:
    gate = {"quality": [{"at_least": 0.8}]}
    text = HEAD.replace("[echo]", "[echo, {id: echo, label: second}]") + json.dumps(gate)
    suite = load(tmp_path, text, c_jsonl=cases(50))

    found = rule_on(suite.gate, gather(run(suite)[1]), None)

    assert [r.samples for r in found] == [50, 50]
    assert "second" in found[1].column


def test_latency_is_judged_by_quantiles_and_too_few_are_too_few(tmp_path: Path) -> None:
    gate: dict[str, Json] = {
        "performance": [
            {"metric": "latency", "statistic": "p50", "at_most": 200},
            {"metric": "latency", "statistic": "p50", "at_most": 20},
            {"metric": "latency", "at_most": 1000},
            {"metric": "tokens-per-second", "at_least": 5},
        ]
    }

    found = ruled(tmp_path, gate, wrong_on(set()), count=58)

    assert verdicts(found) == ["pass", "fail", "inconclusive", "inconclusive"]
    assert "no value" in found[3].reason


def test_slower_than_the_baseline_fails(tmp_path: Path) -> None:
    async def slow(case: Case) -> Response:
        answer = await wrong_on(set())(case)
        return Response(output=answer.output, latency_ms=2 * (answer.latency_ms or 0))

    entry: Json = {"metric": "latency", "statistic": "p50", "baseline": True, "margin": 0.1}
    gate: dict[str, Json] = {"performance": [entry]}

    assert verdicts(ruled(tmp_path, gate, slow, baseline=wrong_on(set()))) == ["fail"]
    assert verdicts(ruled(tmp_path, gate, wrong_on(set()), baseline=slow)) == ["pass"]


def classifier(right: float, said: float) -> Answer:
    async def answer(case: Case) -> Response:
        number = int(str(case.variables["x"]).split()[-1])
        truth = "fix" if number % 2 else "feat"
        hit = random.Random(number).random() < right  # noqa: S311  a simulated classifier
        label = truth if hit else "feat" if truth == "fix" else "fix"
        return Response(output={"label": label, "text": "case"}, confidence=said)

    return answer


def labelled(count: int) -> str:
    return cases(
        count,
        metadata=lambda number: {"truth": "fix" if number % 2 else "feat"},
        **{
            "assert": lambda number: [
                {
                    "type": "contains",
                    "value": "fix" if number % 2 else "feat",
                }
            ]
        },
    )


def test_fidelity_reads_labels_from_the_output(tmp_path: Path) -> None:
    entry: dict[str, Json] = {
        "label": "fix",
        "truth": "truth",
        "predicted": "output.label",
        "at_least": 0.8,
    }
    gate: dict[str, Json] = {
        "pass_rate": 0,
        "fidelity": [{"metric": name, **entry} for name in ("precision", "recall", "f1")],
    }

    good = ruled(tmp_path, gate, classifier(0.95, 0.9), text=labelled(300))
    bad = ruled(tmp_path, gate, classifier(0.6, 0.9), text=labelled(300))

    assert verdicts(good) == ["pass"] * 3
    assert verdicts(bad) == ["fail"] * 3


def test_a_case_without_its_true_label_makes_fidelity_inconclusive(tmp_path: Path) -> None:
    entry: Json = {"metric": "f1", "label": "fix", "truth": "truth", "at_least": 0.1}

    (found,) = ruled(tmp_path, {"fidelity": [entry]}, classifier(1, 1))

    assert found.verdict == "inconclusive"
    assert "100 of 100 case(s) have no `truth`" in found.reason


def test_confidences_that_mean_what_they_say_pass(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "calibration": [{"at_most": 0.15}]}

    honest = ruled(tmp_path, gate, classifier(0.8, 0.8), text=labelled(400))
    boastful = ruled(tmp_path, gate, classifier(0.6, 0.99), text=labelled(400))

    assert verdicts(honest) == ["pass"]
    assert verdicts(boastful) == ["fail"]


def test_a_mean_of_a_named_metric_is_judged(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"quality": [{"metric": "named", "at_least": 0.9}]}

    assert verdicts(ruled(tmp_path, gate, wrong_on(set()))) == ["pass"]
    assert verdicts(ruled(tmp_path, gate, wrong_on(set(range(40))))) == ["fail"]
    gate = {"quality": [{"metric": "nobody", "at_least": 0.9}]}
    assert verdicts(ruled(tmp_path, gate, wrong_on(set()))) == ["inconclusive"]


def test_a_baseline_is_a_json_report_or_json_lines(tmp_path: Path) -> None:
    _, results, report = run(load(tmp_path, HEAD + "{}", c_jsonl=cases(3)))
    write_report(tmp_path / "r.json", report)

    def ids(found: list[Result]) -> list[str]:
        return [result.id for result in found]

    assert ids(list(read_baseline(tmp_path / "r.json"))) == ids(results)
    assert ids(list(read_baseline(tmp_path / "results.jsonl"))) == ids(results)


@pytest.mark.parametrize("content", ["{", "[]", '{"results": 3}', '{"results": [{}]}'])
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)

    with pytest.raises(InvalidConfig, match=r"b\.json"):
        list(read_baseline(path))


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"qualty": []}, "did you mean `quality`?"),
        ({"quality": [{"at_lest": 1}]}, "did you mean `at_least`?"),
        ({"quality": [{}]}, "neither a limit"),
        ({"quality": [{"at_least": 0.5, "baseline": True}]}, "write two entries"),
        ({"quality": [{"at_least": 2}]}, "not from 0 to 1"),
        ({"quality": [{"at_least": 1, "confidence": 1}]}, "between 0.5 and 1"),
        ({"quality": [{"at_least": 1, "margin": -1}]}, "not 0 or more"),
        ({"quality": [{"at_least": 1, "min_cases": 0}]}, "whole number"),
        ({"quality": [7]}, "not an object"),
        ({"quality": [{"baseline": [1]}]}, "neither true nor false"),
        ({"performance": [{"metric": "speed", "at_most": 1}]}, "not one of"),
        ({"performance": [{"metric": "latency", "at_least": 1}]}, "takes `at_most`"),
        ({"performance": [{"metric": "cost", "statistic": "total", "at_most": 1}]}, "a total"),
        ({"fidelity": [{"metric": "f1", "at_least": 1}]}, "`truth` is missing"),
        ({"calibration": [{"at_most": 0.1, "confidences": "f(x)"}]}, "is code"),
        ({"judges": [{}]}, "the least kappa"),
        ({"judges": [{"type": "contains", "at_least": 0.5}]}, "which no model judges"),
        ({"judges": [{"at_least": 2}]}, "not from 0 to 1"),
        ({"features": [{"at_most": 0}]}, "`forbid` is missing"),
        ({"features": [{"forbid": [1]}]}, "not a list of texts"),
        ({"drift": [{"at_most": 0.1}]}, "`of` is missing"),
        ({"drift": [{"of": "f(x)"}]}, "is code"),
    ],
)
def test_a_mistake_in_a_gate_is_told_with_its_line(
    tmp_path: Path, gate: Mapping[str, Json], says: str
) -> None:
    with pytest.raises(InvalidConfig, match=r"line \d+: ") as raised:
        load(tmp_path, HEAD + json.dumps(gate), c_jsonl=cases(1))

    assert says in raised.value.message


def test_a_policy_file_holds_gates_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("x-gate: {min_cases: 9, quality: [{at_least: 0.9}]}")
    assert load_gate(path).min_cases == 9

    path.write_text("x-gate: {}\nproviders: [echo]")
    with pytest.raises(InvalidConfig, match="nothing else"):
        load_gate(path)
    path.write_text("gates: {}")
    with pytest.raises(InvalidConfig, match="has no `x-gate`"):
        load_gate(path)
