"""Gates on what answers claim: against a baseline, by people's labels, by features, by drift."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lockgate.app.evals_gates import rule_on
from lockgate.domain.digest import Json
from lockgate.errors import NotFound
from lockgate.evals.asking.services import Judge, Question
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.gate.evidence import gather
from lockgate.evals.gate.ruling import RELIABILITY, Ruling

from .bench import Answer, load, run
from .test_explain import WEIGHTS, rows
from .test_gate import HEAD, cases, classifier, labelled, ruled, verdicts

FIX: Mapping[str, Json] = {"label": "fix", "truth": "truth", "predicted": "output.label"}


def test_a_classifier_that_got_worse_fails_and_an_equal_one_passes(tmp_path: Path) -> None:
    gate: dict[str, Json] = {
        "pass_rate": 0,
        "fidelity": [
            {"metric": name, **FIX, "baseline": True, "margin": 0.05}
            for name in ("precision", "recall", "f1")
        ],
    }
    good, bad = classifier(0.95, 0.9), classifier(0.75, 0.9)

    worse = ruled(tmp_path, gate, bad, text=labelled(400), baseline=good)
    same = ruled(tmp_path, gate, good, text=labelled(400), baseline=good)

    assert verdicts(worse) == ["fail"] * 3
    assert verdicts(same) == ["pass"] * 3


def scored(*, sure: bool) -> Answer:
    async def answer(case: Case) -> Response:
        number = int(str(case.variables["x"]).split()[-1])
        said = 0.5 + (0.4 if number % 2 else -0.4) * (number % 7 / 7 if sure else number % 3 - 1)
        return Response(output={"label": "fix"}, confidence=min(1, max(0, said)))

    return answer


def test_the_area_under_the_curve_is_compared_with_the_baseline(tmp_path: Path) -> None:
    gate: dict[str, Json] = {
        "pass_rate": 0,
        "fidelity": [{"metric": "auc", **FIX, "baseline": True}],
    }
    text = labelled(300)

    (found,) = ruled(tmp_path, gate, scored(sure=False), text=text, baseline=scored(sure=True))

    assert (found.name, found.verdict) == ("fidelity/auc-fix by baseline", "fail")


def test_confidences_are_compared_with_the_baseline_and_have_a_table(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "calibration": [{"baseline": True, "margin": 0.05}]}
    honest, boastful = classifier(0.8, 0.8), classifier(0.8, 0.99)

    (worse,) = ruled(tmp_path, gate, boastful, text=labelled(300), baseline=honest)
    (better,) = ruled(tmp_path, gate, honest, text=labelled(300), baseline=boastful)

    assert (worse.name, worse.verdict) == ("calibration/ece by baseline", "fail")
    assert better.verdict == "pass"
    table = better.details[RELIABILITY]
    assert isinstance(table, list)
    assert [(row["cases"], row["confidence"]) for row in table] == [(300, pytest.approx(0.8))]


def test_a_baseline_that_noted_nothing_makes_fidelity_inconclusive(tmp_path: Path) -> None:
    gate = {"pass_rate": 0, "fidelity": [{"metric": "f1", **FIX, "baseline": True}]}
    before = run(load(tmp_path, HEAD + "{}", c_jsonl=labelled(100)), classifier(1, 1))[1]
    (tmp_path / "results.jsonl").unlink()
    suite = load(tmp_path, HEAD + json.dumps(gate), c_jsonl=labelled(100))

    (found,) = rule_on(suite.gate, gather(run(suite, classifier(1, 1))[1]), gather(before))

    assert found.verdict == "inconclusive"
    assert "evaluate the baseline with the same `x-gate`" in found.reason


def judged(
    folder: Path, gate: Mapping[str, Json], *, count: int, wrong: int, kind: str = "llm-rubric"
) -> tuple[Ruling, ...]:
    """Rule on labels of which the judge contradicts every so many."""

    async def asked(question: Question) -> Mapping[str, Json]:
        passed = "good" in question.text.split("Requirement")[0]
        return {"pass": passed, "score": 1 if passed else 0, "reason": "so"}

    tests: list[Json] = []
    for number in range(count):
        good = number % 2 == 0
        label = "pass" if good is (number >= wrong) else "fail"
        assertion: dict[str, Json] = {"type": kind, "value": "is good", "x-label": label}
        tests.append(
            {"vars": {"x": f"{'good' if good else 'poor'} {number}"}, "assert": [assertion]}
        )
    text = HEAD.replace("c.jsonl", json.dumps(tests)) + json.dumps(gate)
    suite = load(folder, text)
    results = run(suite, judge=Judge(name=lambda: "fake@0", answer=asked))[1]
    return rule_on(suite.gate, gather(results), None)


@pytest.mark.parametrize(
    ("count", "wrong", "verdict"),
    [
        (120, 5, "pass"),
        (120, 50, "fail"),
        (120, 20, "inconclusive"),
        (20, 0, "inconclusive"),
    ],
)
def test_a_judge_that_people_do_not_agree_with_does_not_pass(
    tmp_path: Path, count: int, wrong: int, verdict: str
) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "judges": [{"at_least": 0.6}]}

    (found,) = judged(tmp_path, gate, count=count, wrong=wrong)

    assert (found.name, found.verdict) == ("judges/kappa-llm-rubric", verdict)
    assert found.samples == count


def test_a_judge_without_labels_is_inconclusive(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "judges": [{"type": "factuality", "at_least": 0.6}]}

    (found,) = judged(tmp_path, gate, count=40, wrong=0)

    assert (found.verdict, found.samples) == ("inconclusive", 0)


def test_labels_of_a_repeated_case_count_once(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "judges": [{"at_least": 0.1}]}
    (once,) = judged(tmp_path, gate, count=40, wrong=0)
    text = (tmp_path / "promptfooconfig.yaml").read_text()
    (tmp_path / "results.jsonl").unlink()
    suite = load(tmp_path, f"evaluateOptions: {{repeat: 3}}\n{text}")

    async def asked(question: Question) -> Mapping[str, Json]:
        return {"pass": True, "score": 1, "reason": "so"}

    results = run(suite, judge=Judge(name=lambda: "fake@0", answer=asked))[1]
    (thrice,) = rule_on(suite.gate, gather(results), None)

    assert (once.samples, thrice.samples, len(results)) == (40, 40, 120)


def classified(*extra: str) -> Answer:
    given = rows(*extra, count=100)

    async def answer(case: Case) -> Response:
        number = int(str(case.variables["x"]).split()[-1])
        row: dict[str, Json] = {
            "model": "commit-type",
            "digest": "sha256:1",
            "tokens": list(given[number].tokens),
        }
        return Response(output=case.sent, features=(row,))

    return answer


def on_features(folder: Path, forbid: Sequence[Json], answer: Answer) -> Ruling:
    gate = {"pass_rate": 0, "features": [{"forbid": list(forbid), "margin": 0.05}]}
    suite = load(folder, HEAD + json.dumps(gate), c_jsonl=cases(100))
    (folder / "results.jsonl").unlink(missing_ok=True)
    evidence = gather(run(suite, answer)[1])
    (found,) = rule_on(suite.gate, evidence, None, weights=lambda _, __: WEIGHTS)
    return found


def test_a_forbidden_feature_that_counts_fails_the_suite(tmp_path: Path) -> None:
    fails = on_features(tmp_path, ["subject=*", "word=*", "rule=*"], classified())
    passes = on_features(tmp_path, ["author=*"], classified())

    assert (fails.verdict, passes.verdict) == ("fail", "pass")
    assert passes.name == "features/forbidden-author=*"
    assert passes.samples == 100


def test_where_no_classifier_was_asked_nothing_is_shown(tmp_path: Path) -> None:
    found = on_features(tmp_path, ["author=*"], _plain)

    assert (found.verdict, found.samples) == ("inconclusive", 0)
    assert "no linear classifier was asked" in found.reason


async def _plain(case: Case) -> Response:
    return Response(output=case.sent)


def test_a_classifier_whose_weights_are_not_here_is_named(tmp_path: Path) -> None:
    gate = {"pass_rate": 0, "features": [{"forbid": ["author=*"]}]}
    suite = load(tmp_path, HEAD + json.dumps(gate), c_jsonl=cases(100))

    with pytest.raises(NotFound, match="commit-type"):
        rule_on(suite.gate, gather(run(suite, classified())[1]), None)


def answering(values: Sequence[Json]) -> Answer:
    async def answer(case: Case) -> Response:
        number = int(str(case.variables["x"]).split()[-1])
        return Response(output={"label": values[number % len(values)]})

    return answer


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (answering(["fix", "fix", "feat"]), "pass"),
        (answering(["docs", "feat", "feat"]), "fail"),
        (answering([None, "fix", "feat"]), "fail"),
    ],
)
def test_answers_that_moved_from_those_of_the_baseline_fail(
    tmp_path: Path, now: Answer, verdict: str
) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "drift": [{"of": "output.label"}]}

    (found,) = ruled(tmp_path, gate, now, count=300, baseline=answering(["fix", "fix", "feat"]))

    assert (found.name, found.verdict) == ("drift/psi-output.label by baseline", verdict)


def test_numbers_that_moved_fail_and_one_label_alone_has_not_moved(tmp_path: Path) -> None:
    gate: dict[str, Json] = {"pass_rate": 0, "drift": [{"of": "output.label"}]}
    small, large = list(range(100)), [number + 60 for number in range(100)]

    (moved,) = ruled(tmp_path, gate, answering(large), count=400, baseline=answering(small))
    (still,) = ruled(tmp_path, gate, answering(small), count=400, baseline=answering(small))
    (alone,) = ruled(tmp_path, gate, answering(["a"]), count=400, baseline=answering(["a"]))

    assert verdicts((moved, still, alone)) == ["fail", "pass", "pass"]
