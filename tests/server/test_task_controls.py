"""The kill switch and the limits on the routes of tasks."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from lockgate.app.gateway_controls import Controls, Switch
from lockgate.app.gateway_limits import rate_limits
from lockgate.app.gateway_switch import SwitchedBackends
from lockgate.config.gateway_settings import RateLimit, ServerKey
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Completion, Dispatch, Generate, Message
from lockgate.domain.usage import Usage
from lockgate.errors import Unavailable
from lockgate.ports import Backend
from lockgate.traffic.kill_switch import Kill, Kills, Leaves, Scope
from server.serving import Served, serving
from server.test_access import KEYS, bearer

PATHS = ("/v1/tasks/review", "/review")


def switch(*kills: Kill) -> Switch:
    made = Switch()
    made.now = Kills(kills)
    return made


def kill(scope: Scope, name: str = "", leaves: Leaves = Leaves.RULES) -> Kill:
    return Kill(
        scope=scope,
        name=name,
        leaves=leaves,
        reason="leaks names",
        actor="ana",
        at="2026-11-21T12:00:00+00:00",
    )


def review(served: Served, path: str = PATHS[0], **headers: str) -> tuple[Any, Any]:
    return served.ask(
        "POST", path, {"diff": "+eval(x)"}, {"Content-Type": "application/json", **headers}
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("off", [kill(Scope.TASK, "review"), kill(Scope.ALL)])
def test_a_task_that_is_off_answers_by_its_rules_and_says_why(off: Kill, path: str) -> None:
    with serving(controls=Controls(switch=switch(off))) as served:
        response, answer = review(served, path)
        assert (response.status, answer["engine"], answer["degraded"]) == (200, "rules", True)
        assert answer["degraded_reasons"] == [
            "`review` is turned off since 2026-11-21T12:00:00+00:00: leaks names"
        ]
        assert response.headers["x-lockgate-degraded"] == "true"
        assert response.headers["x-lockgate-engine"] == "rules"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scope", [Scope.TASK, Scope.ALL])
def test_a_task_that_is_off_and_leaves_nothing_is_refused(scope: Scope, path: str) -> None:
    name = "review" if scope is Scope.TASK else ""
    # The stricter one counts, whichever was made first.
    off = switch(kill(Scope.TASK, "review"), kill(scope, name, Leaves.NOTHING))
    with serving(controls=Controls(switch=off)) as served:
        for more in ({}, {"Idempotency-Key": "a"}, {"Prefer": "respond-async"}):
            response, body = review(served, path, **more)
            assert (response.status, body["error"]["code"]) == (503, "turned-off")
            assert "leaks names" in body["error"]["message"]
        assert served.engine.calls == []


def test_what_is_off_is_only_what_was_named() -> None:
    off = switch(kill(Scope.TASK, "other", Leaves.NOTHING), kill(Scope.MODEL, "review"))
    with serving(controls=Controls(switch=off)) as served:
        response, answer = review(served)
        assert (response.status, answer["degraded"]) == (200, False)


def test_whoever_may_not_call_a_task_does_not_learn_that_it_is_off() -> None:
    off = switch(kill(Scope.TASK, "review", Leaves.NOTHING))
    with serving(keys=KEYS, controls=Controls(switch=off)) as served:
        response, body = review(served, **bearer("narrow"))
        assert (response.status, body["error"]["code"]) == (403, "denied")


@pytest.mark.parametrize("subject", ["key:caller", "team:core", "team:*", "route:call"])
def test_a_limit_in_requests_holds_for_tasks_too(subject: str) -> None:
    controls = Controls(limits=rate_limits({subject: RateLimit(requests_per_minute=2)}))
    with serving(keys=KEYS, controls=controls) as served:
        first, _ = review(served, **bearer("caller"))
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert review(served, **bearer("caller"))[0].status == 200
        third, body = review(served, **bearer("caller"))
        assert (third.status, body["error"]["code"]) == (429, "rate-limited")
        assert 1 <= int(third.headers["retry-after"]) <= 60
        assert third.headers["x-ratelimit-remaining-requests"] == "0"
        assert len(served.engine.calls) == 2
        assert served.ask("GET", "/v1/tasks", None, bearer("caller"))[0].status == 200


def test_the_tokens_that_a_task_used_count_afterwards() -> None:
    limits = rate_limits({"team:local": RateLimit(tokens_per_minute=40)})
    with serving(controls=Controls(limits=limits)) as served:
        assert review(served)[0].status == 200  # it used 40
        response, _ = review(served)
        assert response.headers["x-ratelimit-remaining-tokens"] == "0"
        assert review(served)[0].status == 429


def test_a_call_of_another_team_cannot_be_read() -> None:
    theirs = ServerKey(sha256=KEYS["auditor"].sha256, team="other", scopes=("task:*",))
    keys: Mapping[str, ServerKey] = {"caller": KEYS["caller"], "theirs": theirs}
    with serving(keys=keys) as served:
        _, accepted = review(served, **bearer("caller"), Prefer="respond-async")
        response, body = served.ask("GET", accepted["url"], None, bearer("auditor"))
        assert (response.status, body["error"]["code"]) == (404, "not-found")
        assert served.ask("GET", accepted["url"], None, bearer("caller"))[0].status == 200
        # Nor is an idempotency key theirs: it is another call.
        review(served, **bearer("caller"), **{"Idempotency-Key": "k"})
        again, _ = review(served, **bearer("auditor"), **{"Idempotency-Key": "k"})
        assert again.headers["x-lockgate-cache"] == "none"


class Echo:
    """Implements `ports.Backend`."""

    data_classes = frozenset(DataClass)

    async def infer(self, dispatch: Dispatch) -> Completion:
        return Completion(text=dispatch.model, usage=Usage())


def test_a_task_gets_no_inference_of_a_model_that_is_off() -> None:
    echo: Backend = Echo()
    off = switch()
    backends = SwitchedBackends({"here": echo}, off)
    message = Message(role="user", content="hi")

    def ask(model: str) -> str:
        request = Generate(messages=(message,), max_tokens=1)
        dispatch = Dispatch(model=model, digest=Digest.of(b""), request=request)
        result = asyncio.run(backends["here"].infer(dispatch))
        assert isinstance(result, Completion)
        return result.text

    assert (ask("a"), ask("b")) == ("a", "b")
    off.now = Kills((kill(Scope.MODEL, "a"),))
    with pytest.raises(Unavailable, match=r"`a` is turned off since .*: leaks names"):
        ask("a")
    assert ask("b") == "b"
    assert (list(backends), len(backends)) == (["here"], 1)
    assert backends["here"].data_classes == echo.data_classes
