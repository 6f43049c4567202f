"""Judge types: what a judge is asked, what its answers come to, and what happens without one."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lockgate.app.evals_judging import agreements
from lockgate.domain.digest import Json, JsonObject
from lockgate.evals.asking.services import Judge, JudgeFailed, Question
from lockgate.evals.results import Fault, Result
from lockgate.evals.summary import Status, Summary

from .bench import load, outcomes, run

Answer = Callable[[Question], JsonObject]


def judge(answer: Answer) -> Judge:
    async def asked(question: Question) -> JsonObject:
        return answer(question)

    return Judge(name=lambda: "fake@0", answer=asked)


def says(**members: Json) -> Judge:
    return judge(lambda _: members)


def judged(
    folder: Path,
    assertion: Mapping[str, Json],
    by: Judge | None,
    *,
    x: str = "an answer",
    variables: Mapping[str, Json] | None = None,
    embed: Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]] | None = None,
) -> tuple[Summary, Result]:
    test = {"vars": {"x": x, **(variables or {})}, "assert": [assertion]}
    suite = load(folder, f"prompts: ['{{{{x}}}}']\nproviders: [echo]\ntests: [{json.dumps(test)}]")
    (folder / "results.jsonl").unlink(missing_ok=True)
    summary, (result,), _ = run(suite, judge=by, embed=embed)
    return summary, result


RUBRIC: dict[str, Json] = {"type": "llm-rubric", "value": "is polite"}
POLITE: dict[str, Json] = {"pass": True, "score": 0.75, "reason": "it is"}


def test_a_rubric_passes_when_the_judge_says_so_and_names_its_method(tmp_path: Path) -> None:
    _, result = judged(tmp_path, RUBRIC, says(**POLITE))

    assert (result.outcome, result.score) == ("passed", 0.75)
    assert result.assertions[0]["method"] == "rubric by fake@0 under a grammar"


@pytest.mark.parametrize(
    ("more", "answer", "outcome"),
    [
        ({}, {"pass": False, "score": 0.9, "reason": "no"}, "failed"),
        ({"threshold": 0.8}, POLITE, "failed"),
        ({"threshold": 0.75}, POLITE, "passed"),
        ({"type": "not-llm-rubric"}, POLITE, "failed"),
        ({"type": "not-llm-rubric"}, {"pass": False, "score": 0, "reason": ""}, "passed"),
        ({"type": "model-graded-closedqa"}, POLITE, "passed"),
    ],
)
def test_thresholds_and_opposites_of_a_rubric(
    tmp_path: Path, more: Mapping[str, Json], answer: JsonObject, outcome: str
) -> None:
    assert judged(tmp_path, {**RUBRIC, **more}, says(**answer))[1].outcome == outcome


@pytest.mark.parametrize("answer", [{}, {"pass": True}, {"pass": True, "score": 7}])
def test_a_judge_that_answers_nonsense_is_no_verdict(tmp_path: Path, answer: JsonObject) -> None:
    summary, result = judged(tmp_path, RUBRIC, says(**answer))

    assert (result.outcome, result.fault) == ("error", Fault.JUDGE)
    assert (summary.status, summary.exit_code) == (Status.JUDGE_UNAVAILABLE, 104)


def test_without_a_judge_the_run_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    def down(_: Question) -> JsonObject:
        raise JudgeFailed("the judge is down")

    for by in (None, judge(down)):
        assert judged(tmp_path, RUBRIC, by)[0].exit_code == 104


@pytest.mark.parametrize(
    ("category", "passed"), [("A", True), ("B", True), ("C", True), ("D", False), ("E", True)]
)
def test_facts_pass_unless_they_contradict(tmp_path: Path, category: str, *, passed: bool) -> None:
    assertion = {"type": "factuality", "value": "the sky is blue"}

    _, result = judged(tmp_path, assertion, says(category=category, reason=""))

    assert (result.outcome == "passed") is passed


def test_weights_of_factuality_are_the_suites(tmp_path: Path) -> None:
    assertion: dict[str, Json] = {
        "type": "factuality",
        "value": "x",
        "factuality": {"subset": 0, "disagree": 0.5},
    }

    assert judged(tmp_path, assertion, says(category="A", reason=""))[1].outcome == "failed"
    assert judged(tmp_path, assertion, says(category="D", reason=""))[1].score == 0.5


@pytest.mark.parametrize("kind", ["context-recall", "context-relevance", "context-faithfulness"])
def test_statements_are_asked_one_by_one_and_counted(tmp_path: Path, kind: str) -> None:
    asked: list[str] = []

    def answer(question: Question) -> JsonObject:
        listed = question.text.partition("Statements:\n")[2].splitlines()
        statements = [line for line in listed if line[:1].isdigit()]
        asked.extend(statements)
        return {"answers": ["good" in line for line in statements]}

    text = " ".join(["A good one."] * 9 + ["A bad one."] * 3)
    assertion: dict[str, Json] = {"type": kind, "value": text, "threshold": 0.75}

    _, result = judged(
        tmp_path, assertion, judge(answer), x=text, variables={"context": text, "query": "q"}
    )

    assert (len(asked), result.score, result.outcome) == (12, 0.75, "passed")
    _, result = judged(
        tmp_path, {**assertion, "threshold": 0.8}, judge(answer), x=text,
        variables={"context": text},
    )  # fmt: skip
    assert result.outcome == "failed"


def test_a_judge_that_miscounts_gives_no_number(tmp_path: Path) -> None:
    assertion: dict[str, Json] = {"type": "context-faithfulness"}

    _, result = judged(tmp_path, assertion, says(answers=[True] * 5), variables={"context": "c"})

    assert result.fault is Fault.JUDGE


def test_a_context_that_is_missing_is_an_error_of_the_case(tmp_path: Path) -> None:
    _, result = judged(tmp_path, {"type": "context-faithfulness"}, says(answers=[True]))

    assert (result.fault, "variable `context`" in result.reason) == (Fault.CASE, True)


def test_relevance_is_the_likeness_of_the_questions(tmp_path: Path) -> None:
    async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [[1.0, 0.0] if "near" in text else [0.0, 1.0] for text in texts]

    near = says(questions=["near 1", "near 2", "near 3"])
    far = says(questions=["far 1", "far 2", "near 3"])
    assertion: dict[str, Json] = {"type": "answer-relevance", "threshold": 0.5}
    variables: dict[str, Json] = {"query": "near"}

    good = judged(tmp_path, assertion, near, variables=variables, embed=embed)[1]
    bad = judged(tmp_path, assertion, far, variables=variables, embed=embed)[1]

    assert (good.outcome, good.score, bad.outcome) == ("passed", 1.0, "failed")


def test_a_classifier_takes_one_of_the_labels(tmp_path: Path) -> None:
    assertion: dict[str, Json] = {
        "type": "classifier",
        "value": "bug",
        "config": {"labels": ["bug", "feature"]},
    }

    assert judged(tmp_path, assertion, says(label="bug"))[1].outcome == "passed"
    assert judged(tmp_path, assertion, says(label="feature"))[1].outcome == "failed"
    missing = judged(tmp_path, {"type": "classifier", "value": "bug"}, says(label="bug"))[1]
    assert missing.fault is Fault.CASE


def test_the_best_of_a_row_passes_and_all_others_fail(tmp_path: Path) -> None:
    asked = []

    def answer(question: Question) -> JsonObject:
        asked.append(question.text)
        listed = question.text.partition("\n\nWhich answer")[0].split("\n\n")
        return {"best": next(each[0] for each in listed if "two" in each)}

    suite = load(
        tmp_path,
        "prompts: ['one {{x}}', 'two {{x}}', 'three {{x}}']\nproviders: [echo]\n"
        "tests: [{vars: {x: [a, b]}, assert: [{type: select-best, value: the second}]}]",
    )

    for concurrency in (1, 5):
        (tmp_path / "results.jsonl").unlink(missing_ok=True)
        _, results, _ = run(suite, judge=judge(answer), concurrency=concurrency)
        assert outcomes(results) == ["failed", "passed", "failed"] * 2
        assert "chose answer 2 of 3, in both orders" in results[0].reason


def test_one_answer_is_no_choice(tmp_path: Path) -> None:
    _, result = judged(tmp_path, {"type": "select-best", "value": "x"}, says(best="A"))

    assert result.fault is Fault.CASE


def test_a_judge_inside_a_set_is_asked_too(tmp_path: Path) -> None:
    assertion: dict[str, Json] = {"type": "assert-set", "assert": [RUBRIC]}

    assert judged(tmp_path, assertion, says(**POLITE))[1].outcome == "passed"


def test_a_long_answer_is_shown_with_its_middle_left_out(tmp_path: Path) -> None:
    seen = []

    def answer(question: Question) -> JsonObject:
        seen.append(question.text)
        return POLITE

    judged(tmp_path, RUBRIC, judge(answer), x="a" * 50_000)

    assert len(seen[0]) < 3_000
    assert "characters left out" in seen[0]


def test_labelled_cases_show_how_far_the_judge_agrees(tmp_path: Path) -> None:
    tests = [
        {
            "vars": {"x": f"{number} {'good' if number % 2 else 'bad'}"},
            "assert": [{**RUBRIC, "x-label": "pass" if number % 2 or number < 10 else "fail"}],
        }
        for number in range(40)
    ]
    suite = load(tmp_path, f"prompts: ['{{{{x}}}}']\nproviders: [echo]\ntests: {json.dumps(tests)}")

    def answer(question: Question) -> JsonObject:
        return {**POLITE, "pass": "good" in question.text}

    summary = run(suite, judge=judge(answer))[0]

    stated = agreements(summary.labelled)["llm-rubric"]
    assert (stated["labelled"], stated["agreed"]) == (40, 35)
    assert stated["kappa"] == pytest.approx(0.75)


def test_a_judge_that_says_always_the_same_has_no_kappa() -> None:
    stated = agreements({"llm-rubric": {(True, True): 5}})["llm-rubric"]

    assert stated["kappa"] is None
    assert "chance would agree as well" in str(stated["problem"])
