import asyncio
import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.config.gateway_settings import ServerKey
from lockgate.server import tasks
from lockgate.store.sqlite import open_sqlite
from lockgate.tasks.review.task import Review
from server.serving import Served, serving

EVAL = b"--- a/app.py\n+++ b/app.py\n@@ -1,0 +2 @@\n+value = eval(text)\n"
JSON = {"Content-Type": "application/json"}


def call(served: Served, **headers: str) -> tuple[Any, Any]:
    return served.ask("POST", "/v1/tasks/review", {"diff": "x"}, {**JSON, **headers})


def test_a_diff_as_plain_text_gives_its_risk() -> None:
    with serving() as served:
        response, body = served.ask("POST", "/review", EVAL, {"Content-Type": "text/plain"})
        assert (response.status, body["risk"]) == (200, "high")
        assert served.engine.calls[0].input == {"diff": EVAL.decode()}
        assert response.headers["x-lockgate-release"].startswith("sha256:")
        assert response.headers["x-lockgate-engine"] == Review().spec.engine


def test_the_engine_and_the_format_can_be_chosen() -> None:
    with serving() as served:
        response, _ = served.ask("POST", "/review?engine=rules", EVAL)
        assert response.headers["x-lockgate-engine"] == "rules"
        for query in ("engine=magic", "format=pdf", "file=/etc/passwd"):
            response, body = served.ask("POST", f"/review?{query}", EVAL)
            assert (response.status, body["error"]["code"]) == (400, "invalid-input"), query


def test_text_that_is_not_utf8_is_read_all_the_same() -> None:
    with serving() as served:
        assert served.ask("POST", "/review", b"\xff\xfe eval")[1]["risk"] == "high"


def test_json_has_to_be_json_and_an_object() -> None:
    with serving() as served:
        for body in (b"", b"{", b"[]", b'{"diff":"a","diff":"b"}', b"\xff"):
            response, answer = served.ask("POST", "/v1/tasks/review", body, JSON)
            assert (response.status, answer["error"]["code"]) == (400, "invalid-input"), body
        response, answer = served.ask("POST", "/v1/tasks/review", b"a", {"Content-Type": "x/y"})
        assert (response.status, answer["error"]["code"]) == (415, "unsupported-media-type")


def test_an_idempotency_key_makes_one_call_of_two_requests() -> None:
    with serving() as served:
        first, one = call(served, **{"Idempotency-Key": "a"})
        second, two = call(served, **{"Idempotency-Key": "a"})
        assert one == two
        assert (first.headers["x-lockgate-cache"], second.headers["x-lockgate-cache"]) == (
            "none",
            "replayed",
        )
        assert first.headers["x-lockgate-call"] == second.headers["x-lockgate-call"]
        call(served, **{"Idempotency-Key": "b"})
        assert len(served.engine.calls) == 2


def test_an_idempotency_key_with_another_input_is_a_mistake() -> None:
    with serving() as served:
        call(served, **{"Idempotency-Key": "a"})
        other = {**JSON, "Idempotency-Key": "a"}
        response, body = served.ask("POST", "/v1/tasks/review", {"diff": "y"}, other)
        assert (response.status, body["error"]["code"]) == (422, "idempotency-mismatch")


def test_a_failed_call_may_be_tried_again_with_its_key() -> None:
    with serving() as served:
        headers = {**JSON, "Idempotency-Key": "a"}
        response, _ = served.ask("POST", "/v1/tasks/review", {"nothing": 1}, headers)
        assert response.status == 400
        assert served.ask("POST", "/v1/tasks/review", {"diff": "y"}, headers)[0].status == 200


def test_an_accepted_call_runs_on_and_can_be_asked_for() -> None:
    with serving() as served:
        response, body = call(served, Prefer="respond-async")
        assert (response.status, body["status"]) == (202, "running")
        assert response.headers["location"] == body["url"]
        state = served.wait_for(body["url"])
        assert (state["status"], state["answer"]["risk"]) == ("done", "low")
        assert served.ask("GET", "/v1/tasks/review/calls/other")[0].status == 404


def test_a_failed_accepted_call_says_why() -> None:
    with serving() as served:
        headers = {**JSON, "Prefer": "respond-async"}
        _, body = served.ask("POST", "/v1/tasks/review", {"nothing": 1}, headers)
        state = served.wait_for(body["url"])
        assert (state["status"], state["error"]["code"]) == ("failed", "invalid-input")


def test_an_accepted_call_that_ended_by_a_mistake_of_ours_has_failed() -> None:
    with serving() as served:
        served.engine.broken = True
        _, body = call(served, Prefer="respond-async")
        state = served.wait_for(body["url"])
        assert (state["status"], state["error"]["code"]) == ("failed", "internal")
        assert "mistake" not in str(state)


def test_a_call_whose_process_was_killed_has_failed_and_can_be_sent_again(tmp_path: Path) -> None:
    file = tmp_path / "state.db"

    async def kill(name: str) -> None:
        """Leave the call as a process does that claimed it four minutes ago and was killed."""
        async with open_sqlite(file) as store, store.begin() as unit:
            found = await unit.calls.find(name)
            assert found is not None
            ended = datetime.now(UTC) - timedelta(minutes=1)
            await unit.calls.keep(replace(found, answer=None, until=ended))

    key = {"Idempotency-Key": "k", "Prefer": "respond-async"}
    with serving(database=file) as served:
        _, body = call(served, **key)
        assert served.wait_for(body["url"])["status"] == "done"
    asyncio.run(kill(body["id"]))
    with serving(database=file) as served:
        _, state = served.ask("GET", body["url"])
        assert (state["status"], state["error"]["code"]) == ("failed", "call-lost")
        assert call(served, **key)[1]["id"] == body["id"]
        state = served.wait_for(body["url"])
        assert (state["status"], state["answer"]["risk"]) == ("done", "low")


def test_a_client_that_leaves_cancels_its_call() -> None:
    import socket

    with serving() as served:
        served.engine.hold = True
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(
                b"POST /review HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"
            )
            while not served.engine.calls:
                time.sleep(0.005)
        assert served.engine.cancelled.wait(0.1)


def test_the_contract_of_a_task_is_shown() -> None:
    with serving() as served:
        _, shown = served.ask("GET", "/v1/tasks/review")
        assert json.dumps(shown["input_schema"]).count("diff") >= 1
        assert served.ask("GET", "/v1/tasks/nothing")[0].status == 404


def test_one_caller_drives_out_only_what_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_OF_ONE", 3)
    keys = {
        name: ServerKey(
            sha256=hashlib.sha256(name.encode()).hexdigest(), team=name, scopes=("task:*",)
        )
        for name in ("ana", "bo")
    }

    def ask(name: str, idempotency: str) -> str:
        with_key = {"Authorization": f"Bearer {name}", "Idempotency-Key": idempotency}
        response, _ = call(served, **with_key)
        assert response.status == 200
        return str(response.headers["x-lockgate-cache"])

    with serving(keys=keys) as served:
        assert ask("ana", "first") == "none"
        for number in range(5):
            assert ask("bo", str(number)) == "none"
        assert ask("ana", "first") == "replayed"
        assert ask("bo", "4") == "replayed"
        assert ask("bo", "0") == "none"  # its oldest one made room
