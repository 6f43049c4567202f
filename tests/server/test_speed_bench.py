"""What `bench/gateway/run.py` makes of its measurements, without measuring anything."""

from pathlib import Path

import pytest

from gateway.goals import ALL_ON, BARE, DIRECT, Goal, Start, speed_goals, stream_goals
from gateway.proof import Proof
from gateway.rates import Rate, Rates
from gateway.report import BEGIN, END, Run, markdown, put_into
from gateway.streaming import Disturbed, Streamed


def rate(target: str, number: int, per_s: float, *, cpu_us: float = 10.0) -> Rate:
    return Rate(
        target=target,
        body="short",
        connections=16,
        round=number,
        answered=int(per_s),
        per_s=per_s,
        p50_us=100,
        p99_us=200,
        failed=0,
        cpu_us=cpu_us,
        rss_mib=50,
        others=0.0,
    )


def test_a_ratio_is_the_median_of_what_it_is_within_each_round() -> None:
    rates = Rates()
    rates.rows = [
        *(rate("nginx", n, per_s) for n, per_s in ((1, 1000.0), (2, 2000.0), (3, 4000.0))),
        *(rate(BARE, n, per_s) for n, per_s in ((1, 500.0), (2, 500.0), (3, 400.0))),
    ]

    assert rates.ratio(BARE, "nginx", "short", 16, by="per_s") == 0.25


def test_how_much_faster_the_model_server_is_is_told() -> None:
    run = Run(rounds=1, seconds=2)
    run.rates.rows = [rate(DIRECT, 1, 5000.0), rate("nginx", 1, 2500.0), rate(BARE, 1, 500.0)]

    assert "2.0 times as fast as nginx and 10.0 times as fast as lockgate." in markdown(run)


def test_less_cpu_for_a_request_is_a_higher_ratio() -> None:
    rates = Rates()
    rates.rows = [rate("nginx", 1, 1.0, cpu_us=20.0), rate(BARE, 1, 1.0, cpu_us=80.0)]

    assert rates.ratio(BARE, "nginx", "short", 16, by="cpu_us") == 0.25


def test_there_is_no_goal_beside_a_peer_that_was_not_measured() -> None:
    run = Run(rounds=1, seconds=2)
    run.rates.rows = [rate("nginx", 1, 1000.0), rate(BARE, 1, 300.0)]
    run.left_out["LiteLLM"] = "no answer within 180 s"

    run.goals = list(speed_goals(run.rates, {}))

    assert [goal.what for goal in run.goals] == [f"{BARE}: requests a second, x nginx"]
    assert "LiteLLM is left out: no answer within 180 s." in markdown(run)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [(0.3, "met"), (0.25, "met"), (0.2, "missed, acceptable"), (0.1, "missed")],
)
def test_a_goal_is_met_acceptable_or_missed(found: float, verdict: str) -> None:
    goal = Goal(what="x nginx", found=found, wanted=0.25, accepted=0.12, at_least=True)

    assert goal.verdict == verdict


def test_a_goal_that_only_the_rate_reaches_says_what_the_cpu_does() -> None:
    goal = Goal(what="x nginx", found=0.3, wanted=0.25, accepted=0.12, at_least=True, by_cpu=0.19)

    assert (goal.verdict, goal.verdict_by_cpu) == ("met", "missed, acceptable")


def test_the_slowest_start_is_held_to_the_goal_of_memory_and_the_middle_one_to_that_of_time() -> (
    None
):
    starts = {ALL_ON: [Start(1.0, 0.9, 70.0), Start(3.0, 0.9, 130.0), Start(1.2, 0.9, 70.0)]}

    memory, ready = speed_goals(Rates(), starts)

    assert (memory.found, memory.verdict) == (130.0, "missed")
    assert (ready.found, ready.verdict) == (1.2, "met")


def stream(target: str, first_us: float, *, events: float = 51.0, broken: int = 0) -> Streamed:
    return Streamed(
        target=target,
        streams=200,
        round=1,
        per_s=10,
        first_p50_us=first_us,
        first_p99_us=first_us,
        events=events,
        alone=1.0,
        failed=0,
        broken=broken,
        cpu_us=30,
        others=0,
    )


def test_a_stream_with_another_text_than_the_upstream_has_sent_misses_its_goal() -> None:
    run = Run(rounds=1, seconds=2)
    run.streams.rows = [stream(BARE, 100.0, broken=1)]

    verdicts = {goal.what.partition(": ")[2]: goal.verdict for goal in stream_goals(run.streams)}

    assert verdicts == {
        "streams that failed or were not the upstream's": "missed",
        "events out for each that came in, 200 streams": "met",
    }


def test_events_that_were_put_together_miss_their_goal() -> None:
    run = Run(rounds=1, seconds=2)
    run.streams.rows = [stream(BARE, 100.0, events=50.0)]

    assert [goal.verdict for goal in stream_goals(run.streams)] == ["met", "missed"]


def test_what_a_large_request_adds_is_the_median_of_the_rounds() -> None:
    run = Run(rounds=3, seconds=2)
    run.streams.disturbed = [
        Disturbed(
            target=BARE, quiet_p99_ms=quiet, large_p99_ms=20.0, large_ms=9.0, large_requests=5
        )
        for quiet in (1.0, 4.0, 19.0)
    ]

    assert run.streams.rise_ms(BARE) == 16.0


def whole() -> Proof:
    return Proof(
        answered=10,
        prompts=3,
        requests=12,
        good=11,
        missed=12,
        redacted=6,
        audited=12,
        events=12,
        nanos=600,
        settled={"team:default": 600, "key:bench": 600},
        verified=True,
    )


def test_a_run_that_did_everything_has_no_faults() -> None:
    assert whole().faults == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events", 10),
        ("audited", 11),
        ("hit", 1),
        ("limited", 1),
        ("redacted", 5),
        ("settled", {"team:default": 600, "key:bench": 599}),
        ("settled", None),
        ("verified", False),
    ],
)
def test_a_run_that_left_something_out_says_so(name: str, value: object) -> None:
    proof = whole()
    setattr(proof, name, value)

    run = Run(rounds=1, seconds=2)
    run.proof = proof

    assert len(proof.faults) == 1
    assert f"was **not** done: {proof.faults[0]}." in markdown(run)


def test_figures_are_put_between_the_marks_of_a_page_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n\n{BEGIN}\n\nold\n{END}\n\nThe end.\n")

    put_into(page, "new\n")
    put_into(page, "newer\n")

    assert page.read_text() == f"# Speed\n\n{BEGIN}\n\nnewer\n\n{END}\n\nThe end.\n"
