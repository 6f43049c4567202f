"""Many large bodies at once: what is held of them is bounded, and they stop nobody else."""

import hashlib
import json
import select
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from lockgate.config.gateway_settings import ServerKey, ServerSettings
from lockgate.server.strict import MAX_VALUES
from security.talking import CHAT, post, status, to
from server.serving import Served, serving
from upstream.mock_model import MockModel
from waiting import wait_until

LARGEST = 1 << 20
ROOM = 4 << 20
TEAMS = ("blue", "red")


def settings() -> ServerSettings:
    keys = {
        team: ServerKey(
            sha256=hashlib.sha256(team.encode()).hexdigest(),
            team=team,
            scopes=("model:*", "task:*"),
        )
        for team in TEAMS
    }
    return ServerSettings(
        keys=keys, max_body_bytes=LARGEST, max_task_bytes=LARGEST, max_held_bytes=ROOM
    )


@contextmanager
def gated(mock: MockModel) -> Generator[Served]:
    chosen = settings()
    with serving(to(mock), keys=chosen.keys, settings=chosen) as served:
        yield served


def chat(size: int) -> bytes:
    return json.dumps({**CHAT, "messages": [{"role": "user", "content": "x" * size}]}).encode()


def ask(served: Served, team: str, size: int) -> tuple[int, str | None]:
    headers = {"Authorization": f"Bearer {team}"}
    response, _ = served.ask("POST", "/v1/chat/completions", chat(size), headers)
    return response.status, response.headers["retry-after"]


def held(served: Served) -> int:
    app: Any = served.edge.app
    found: int = app.room.held
    return found


def answered(clients: list[socket.socket]) -> list[socket.socket]:
    return select.select(clients, [], [], 0)[0]


def test_half_sent_large_bodies_are_bounded_in_sum_and_stop_no_other_team(mock: MockModel) -> None:
    with gated(mock) as served, ExitStack() as stack:
        sent = post(b"/v1/chat/completions", chat(LARGEST - 1000), b"Authorization: Bearer blue")
        most = 0
        clients = []
        for number in range(40):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), 10))
            client.sendall(sent[: LARGEST // 2])
            clients.append(client)
            if number == 20:
                wait_until(lambda: held(served) > ROOM // 2 - LARGEST)
            most = max(most, held(served))
        # Which of them find room is chance, and four halves fill it.
        wait_until(lambda: len(answered(clients)) >= len(clients) - 4)
        answers = [client.recv(4096) for client in answered(clients)]
        assert {status(answer) for answer in answers} == {503}
        assert all(b"retry-after: 1\r\n" in answer for answer in answers)
        assert LARGEST < most <= ROOM // 2
        assert ask(served, "blue", LARGEST - 1000) == (503, "1")
        assert ask(served, "red", LARGEST - 1000) == (200, None)
        assert ask(served, "blue", 30_000) == (200, None)
        for client in clients:
            client.close()
        wait_until(lambda: held(served) == 0)
        assert ask(served, "blue", LARGEST - 1000) == (200, None)
        wait_until(lambda: held(served) == 0)


def test_a_body_counts_until_its_request_has_ended_also_where_the_answer_came_first() -> None:
    chosen = settings()
    with serving(keys=chosen.keys, settings=chosen) as served:
        served.engine.hold = True
        body = {"diff": "x" * (LARGEST // 2)}
        headers = {"Authorization": "Bearer blue", "Prefer": "respond-async"}
        statuses = [
            served.ask("POST", "/v1/tasks/review", body, headers)[0].status for _ in range(5)
        ]
        assert statuses == [202, 202, 202, 503, 503]
        assert ROOM // 2 - LARGEST < held(served) <= ROOM // 2
        theirs = {**headers, "Authorization": "Bearer red"}
        assert served.ask("POST", "/v1/tasks/review", body, theirs)[0].status == 202


@pytest.mark.parametrize("path", ["/v1/tasks/review", "/v1/chat/completions", "/v1/embeddings"])
@pytest.mark.parametrize("value", [b"[]", b"{}", b'""', b"0"])
def test_a_body_of_many_small_values_is_refused_before_it_is_made_into_objects(
    path: str, value: bytes
) -> None:
    """Each takes fifty bytes and more, and two of them in the body."""
    many = b",".join([value] * (MAX_VALUES + 1))
    bodies = {
        "/v1/tasks/review": b'{"diff":"x","a":[%b]}',
        "/v1/chat/completions": b'{"model":"m","messages":[],"tools":[{"a":[%b]}]}',
        "/v1/embeddings": b'{"model":"m","input":[%b]}',
    }
    with serving() as served:
        response, error = served.ask("POST", path, bodies[path] % many)
        assert response.status == 400
        assert f"more than {MAX_VALUES} values" in error["error"]["message"]


def test_brackets_and_commas_in_a_text_are_not_counted(mock: MockModel) -> None:
    text = '[{,"\\' * (MAX_VALUES // 2)
    with serving(to(mock)) as served:
        response, answer = served.ask("POST", "/v1/tasks/review", {"diff": text})
        assert (response.status, answer["risk"]) == (200, "low")
        body = {**CHAT, "messages": [{"role": "user", "content": text}]}
        assert served.ask("POST", "/v1/chat/completions", body)[0].status == 200
