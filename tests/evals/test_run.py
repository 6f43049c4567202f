import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lockgate.errors import StorageFailed, Unavailable
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case, Expansion
from lockgate.evals.files import Files
from lockgate.evals.results import Journal, read_results
from lockgate.evals.run import Runner
from lockgate.evals.suite import Suite
from lockgate.evals.summary import Summary

from .bench import Counting, echo, load, outcomes, run

SUITE = "prompts: ['{{x}}']\nproviders: [echo]\ntests: cases.jsonl\n"


def many(folder: Path, count: int = 100) -> Suite:
    lines = [
        json.dumps({"vars": {"x": f"n{n}"}, "assert": [{"type": "contains", "value": "n"}]})
        for n in range(count)
    ]
    return load(folder, SUITE, cases_jsonl="\n".join(lines))


def test_results_come_in_the_suites_order_whoever_answers_first(tmp_path: Path) -> None:
    suite = many(tmp_path)
    running = most = 0

    async def backwards(case: Case) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20 - int(case.sent[1:]) % 20):
            await asyncio.sleep(0)
        running -= 1
        return Response(output=case.sent)

    _, results, _ = run(suite, backwards, concurrency=7)

    assert [r.output for r in results] == [f"n{n}" for n in range(100)]
    assert most == 7


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, concurrency in ((first, 1), (second, 16)):
        folder.mkdir()
        run(many(folder), concurrency=concurrency)

    assert (first / "results.jsonl").read_bytes() == (second / "results.jsonl").read_bytes()


def test_a_cancelled_run_keeps_every_finished_case_and_the_next_asks_only_for_the_others(
    tmp_path: Path,
) -> None:
    suite = many(tmp_path, 40)
    asked: list[str] = []
    enough = asyncio.Event()

    async def until_thirty(case: Case) -> Response:
        number = int(case.sent[1:])
        if number in {3, 30}:  # the third case holds up the order while others finish
            await asyncio.Event().wait()
        asked.append(case.sent)
        if len(asked) == 29:
            enough.set()
        return Response(output=case.sent)

    async def cancelled() -> None:
        files = Files(suite.folder, suite.folder)
        runner = Runner(respond=until_thirty, files=files, concurrency=2)
        with Journal(tmp_path / "results.jsonl") as journal:
            work = asyncio.ensure_future(
                runner.run(Expansion(suite, files), journal, Summary(), Counting())
            )
            await enough.wait()
            work.cancel()
            await work

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert not (tmp_path / "results.jsonl").exists()

    later: list[str] = []

    async def noting(case: Case) -> Response:
        later.append(case.sent)
        return Response(output=case.sent)

    summary, results, _ = run(suite, noting)

    assert summary.resumed == 29
    assert sorted([*asked, *later]) == sorted(f"n{n}" for n in range(40))
    assert [r.output for r in results] == [f"n{n}" for n in range(40)]
    assert [p.name for p in tmp_path.glob("results*")] == ["results.jsonl"]


def test_a_results_file_that_was_cut_off_is_taken_up_where_it_is_whole(tmp_path: Path) -> None:
    suite = many(tmp_path, 10)
    run(suite)
    whole = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").unlink()
    (tmp_path / "results.jsonl.old").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "results.jsonl.part").write_bytes(whole[len(whole) // 2 :])

    summary, _, _ = run(suite)

    assert (tmp_path / "results.jsonl").read_bytes() == whole
    assert 6 <= summary.resumed <= 9


def test_a_changed_case_or_release_is_asked_again(tmp_path: Path) -> None:
    suite = many(tmp_path, 10)
    run(suite)
    (tmp_path / "results.jsonl").rename(tmp_path / "results.jsonl.part")

    summary, _, _ = run(suite, release="another model")

    assert summary.resumed == 0


def test_an_answer_that_failed_is_asked_for_again(tmp_path: Path) -> None:
    suite = many(tmp_path, 3)

    async def down(case: Case) -> Response:
        raise Unavailable("connection refused", hint="start it")

    summary, results, _ = run(suite, down)
    (tmp_path / "results.jsonl").rename(tmp_path / "results.jsonl.part")
    again, _, _ = run(suite)

    assert outcomes(results) == ["error"] * 3
    assert results[0].reason == "unavailable: connection refused: start it"
    assert (summary.status, again.status, again.resumed) == ("provider-down", "passed", 0)


def test_two_runs_do_not_share_a_results_file(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "r.jsonl"),
        pytest.raises(StorageFailed, match="another run"),
        Journal(tmp_path / "r.jsonl"),
    ):
        pass


def test_a_results_file_of_a_folder_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StorageFailed, match=r"`.*r\.jsonl` cannot be written"),
        Journal(tmp_path / "file" / "r.jsonl"),
    ):
        pass


def test_embeddings_are_fetched_once_a_case_and_never_without_need(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """
prompts: ['{{x}}']
providers: [echo]
tests:
  - vars: {x: a, y: a}
    assert: [{type: similar, value: '{{y}}'}, {type: similar:dot, value: [b, a]}]
  - vars: {x: b}
    assert: [{type: contains, value: b}]
  - vars: {x: a}
    assert: [{type: assert-set, assert: [{type: not-similar:euclidean, value: b}]}]
""",
    )
    calls: list[list[str]] = []

    async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        calls.append(list(texts))
        return [[1.0, 0.0] if text == "a" else [0.0, 1.0] for text in texts]

    _, results, _ = run(suite, embed=embed)

    assert calls == [["a", "b"], ["a", "b"]]
    assert outcomes(results) == ["passed"] * 3
    assert [a["score"] for a in results[0].assertions] == [1.0, 1.0]


def test_results_are_read_back_as_they_were(tmp_path: Path) -> None:
    _, results, _ = run(many(tmp_path, 5))

    assert list(read_results(tmp_path / "results.jsonl")) == results


def test_a_recorded_answer_needs_no_provider(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        "prompts: [p]\nproviders: [echo]\ntests: "
        "[{providerOutput: hello, assert: [{type: equals, value: hello}]}]",
    )

    async def never(case: Case) -> Response:
        raise AssertionError(case)

    assert outcomes(run(suite, never)[1]) == ["passed"]


def test_echo_is_the_prompt(tmp_path: Path) -> None:
    suite = load(
        tmp_path, 'prompts: [\'{"a": "{{x}}"}\']\nproviders: [echo]\ntests: [{vars: {x: b}}]'
    )

    assert run(suite, echo)[1][0].output == '{\n  "a": "b"\n}'


@pytest.mark.parametrize(
    ("type_", "vector"),
    [
        *((t, [float("nan"), 1.0]) for t in ("similar", "not-similar", "not-similar:euclidean")),
        *((t, [1.0]) for t in ("similar", "not-similar", "similar:dot", "similar:euclidean")),
        *((t, [0.0, 0.0]) for t in ("similar", "not-similar:cosine")),
    ],
)
def test_a_judge_that_answers_nonsense_makes_the_case_an_error(
    tmp_path: Path, type_: str, vector: list[float]
) -> None:
    suite = load(
        tmp_path,
        f"prompts: [p]\nproviders: [echo]\ntests: [{{assert: [{{type: '{type_}', value: q}}]}}]",
    )

    async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [vector if text == "p" else [1.0, 0.0] for text in texts]

    assert outcomes(run(suite, embed=embed)[1]) == ["error"]
