"""The admin API over a real SQLite database, with a key for each role."""

import asyncio
import json
import sqlite3
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from ledgers import refused
from lockgate.app.gateway_checkpoints import Checkpointer, Place
from lockgate.app.gateway_controls import Controls
from lockgate.app.moves import Move
from lockgate.app.promotion import Outcome
from lockgate.domain.digest import Digest
from lockgate.domain.gate.decision import Decision, Finding, Rule
from lockgate.domain.gate.decision import Outcome as Verdict
from lockgate.server.openapi import document as document_of
from lockgate.signing.keys import PrivateKey
from lockgate.store.sqlite import open_sqlite
from server.serving import NOON, Served, serving
from server.test_access import KEYS, bearer


class Admin:
    """An API and its database."""

    def __init__(self, served: Served, database: Path) -> None:
        self.served = served
        self.database = database

    def ask(self, role: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        response, answer = self.served.ask(method, f"/admin/{path}", body, bearer(role))
        return response.status, answer

    def rows(self, table: str) -> int:
        with sqlite3.connect(self.database) as raw:
            count: int = raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        raw.close()
        return count

    def events(self) -> list[dict[str, Any]]:
        status, answer = self.ask("auditor", "GET", "audit")
        assert status == 200
        found: list[dict[str, Any]] = answer["data"]
        return found


@pytest.fixture
def admin(tmp_path: Path) -> Generator[Admin]:
    yield from served_at(tmp_path / "lockgate.db")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Generator[Admin]:
    """An API in which nothing is ever changed."""
    yield from served_at(tmp_path_factory.mktemp("admin") / "lockgate.db")


def served_at(database: Path) -> Generator[Admin]:
    controls = Controls(billing=object())  # type: ignore[arg-type]  # there are prices
    with serving(keys=KEYS, database=database, controls=controls) as served:
        yield Admin(served, database)


KEY = {"id": "ci", "team": "shop", "scopes": ["task:review", "model:*"]}


def test_a_key_is_made_listed_rotated_and_revoked(admin: Admin) -> None:
    status, made = admin.ask("admin", "POST", "keys", KEY)
    assert (status, made["id"], made["secret"][:4]) == (201, "ci", "lgk_")
    status, rotated = admin.ask("admin", "POST", "keys/ci/rotate", {"overlap_hours": 1})
    assert (status, rotated["id"]) == (201, "ci")
    assert rotated["secret"] != made["secret"]
    status, listed = admin.ask("auditor", "GET", "keys")
    (row,) = listed["data"]
    assert (row["team"], row["roles"], row["created_by"]) == ("shop", ["caller"], "core/admin")
    assert admin.ask("admin", "DELETE", "keys/ci")[0] == 200
    (row,) = admin.ask("auditor", "GET", "keys")[1]["data"]
    assert row["revoked_at"] is not None
    assert admin.ask("admin", "DELETE", "keys/ci")[0] == 404


def test_a_secret_is_shown_once_and_is_nowhere_else(admin: Admin) -> None:
    response, made = admin.served.ask("POST", "/admin/keys", KEY, bearer("admin"))
    assert response.headers["cache-control"] == "no-store"
    _, rotated = admin.ask("admin", "POST", "keys/ci/rotate", {})
    shown = [admin.ask("auditor", "GET", path)[1] for path in ("keys", "audit", "usage")]
    stored = b"".join(file.read_bytes() for file in admin.database.parent.iterdir())
    for secret in (made["secret"], rotated["secret"]):
        assert secret not in json.dumps(shown)
        assert secret.encode() not in stored


def test_each_change_is_in_the_audit_log_as_the_callers(admin: Admin) -> None:
    admin.ask("admin", "POST", "keys", KEY)
    admin.ask("admin", "POST", "keys/ci/rotate", {})
    admin.ask("admin", "DELETE", "keys/ci")
    budget = {"account": "team:shop", "limit_nanos": "5"}
    admin.ask("operator", "POST", "budgets", budget)
    admin.ask("operator", "DELETE", "budgets?account=team:shop")
    admin.ask("operator", "POST", "kills", {"what": "all", "reason": "incident-12"})
    admin.ask("operator", "DELETE", "kills?what=all&reason=over")
    events = admin.events()
    assert [(event["action"], event["actor"], event["subject"]) for event in events] == [
        ("kill.on", "core/operator", "all"),
        ("kill.off", "core/operator", "all"),
        ("budget.drop", "core/operator", "team:shop"),
        ("budget.set", "core/operator", "team:shop"),
        ("token.revoke", "core/admin", "ci"),
        ("token.rotate", "core/admin", "ci"),
        ("token.new", "core/admin", "ci"),
    ]


def test_what_fails_or_is_refused_changes_nothing_and_leaves_no_event(admin: Admin) -> None:
    for role, method, path, body in (
        ("operator", "POST", "keys", KEY),
        ("auditor", "POST", "keys", KEY),
        ("caller", "POST", "keys", KEY),
        ("admin", "POST", "budgets", {"account": "team:shop", "limit_nanos": "5"}),
        ("auditor", "POST", "kills", {"what": "all", "reason": "x"}),
        ("admin", "DELETE", "kills?what=all&reason=x", None),
    ):
        assert admin.ask(role, method, path, body)[0] == 403, (role, path)
    assert admin.ask("admin", "POST", "keys/ci/rotate", {})[0] == 404
    assert admin.ask("operator", "DELETE", "budgets?account=team:shop")[0] == 404
    assert admin.ask("operator", "DELETE", "kills?what=all&reason=x")[0] == 404
    assert admin.events() == []
    assert admin.rows("gateway_keys") == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("keys", {**KEY, "created_by": "root"}),
        ("keys", {**KEY, "secret": "lgk_mine"}),
        ("keys", {**KEY, "digest": "0" * 64}),
        ("keys", {**KEY, "created_at": "2020-01-01T00:00:00Z"}),
        ("keys", {**KEY, "revoked_at": None}),
        ("keys", {**KEY, "expires_at": None}),
        ("keys", {**KEY, "roles": ["root"]}),
        ("keys", {**KEY, "roles": "admin"}),
        ("keys", {**KEY, "scopes": ["*"]}),
        ("keys", {**KEY, "scopes": ["host:evil.example"]}),
        ("keys", {**KEY, "scopes": ["task:review\n"]}),
        ("keys", {**KEY, "expires_days": 3651}),
        ("keys", {**KEY, "expires_days": -1}),
        ("keys", {**KEY, "expires_days": 1.5}),
        ("keys", {**KEY, "id": "a/b"}),
        ("keys", {**KEY, "id": ""}),
        ("keys", {**KEY, "id": "x" * 65}),
        ("keys", {**KEY, "id": "ci\n"}),
        ("keys", {**KEY, "team": "shop/ci"}),
        ("keys", {"id": "ci"}),
        ("keys", []),
        ("keys", None),
    ],
)
def test_a_body_with_anything_but_its_members_makes_no_key(
    untouched: Admin, path: str, body: Any
) -> None:
    status, answer = untouched.ask("admin", "POST", path, body)
    assert (status, answer["error"]["code"]) in {(400, "invalid-input"), (400, "usage")}
    assert untouched.rows("gateway_keys") == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("budgets", {"account": "team:shop", "limit_nanos": 5}),
        ("budgets", {"account": "team:shop", "limit_nanos": "-5"}),
        ("budgets", {"account": "team:shop", "limit_nanos": "5e3"}),
        ("budgets", {"account": "team:shop", "limit_nanos": "9" * 19}),
        ("budgets", {"account": "team:shop", "limit_nanos": "5", "spent_nanos": "0"}),
        ("budgets", {"account": "shop", "limit_nanos": "5"}),
        ("budgets", {"account": "model:m", "limit_nanos": "5"}),
        ("budgets", {"account": "team:shop", "limit_nanos": "5", "period": "hour"}),
        ("kills", {"what": "all"}),
        ("kills", {"what": "all", "reason": ""}),
        ("kills", {"what": "all", "reason": "\x1b[2J"}),
        ("kills", {"what": "all", "reason": "a\nb"}),
        ("kills", {"what": "all:review", "reason": "x"}),
        ("kills", {"what": "task", "reason": "x"}),
        ("kills", {"what": "task:", "reason": "x"}),
        ("kills", {"what": "route:chat", "reason": "x"}),
        ("kills", {"what": "all", "reason": "x", "actor": "somebody"}),
        ("kills", {"what": "all", "reason": "x" * 501}),
        ("kills", {"what": "all", "reason": "x", "leaves": "all"}),
    ],
)
def test_a_body_that_does_not_fit_changes_nothing(untouched: Admin, path: str, body: Any) -> None:
    status, answer = untouched.ask("operator", "POST", path, body)
    assert (status, answer["error"]["code"]) == (400, "invalid-input")
    assert untouched.events() == []


@pytest.mark.parametrize(
    "path",
    [
        "keys?limit=0",
        "keys?limit=1001",
        "keys?limit=many",
        "keys?limit=1&limit=2",
        "keys?after=a%2Fb",
        "keys?nothing=1",
        "keys?limit",
        "keys?%FF=1",
        "keys?after=%FF",
        "keys?" + "&".join(f"a{i}=1" for i in range(40)),
        "budgets?account=x",
        "usage?by=secret",
        "usage?by=team;DROP TABLE keys".replace(" ", "%20"),
        "usage?start_time=-1",
        "usage?start_time=99999999999999999999",
        "usage?start_time=NaN",
        "usage?start_time=null",
        "usage?start_time=1.5",
        "usage?start_time=",
        "keys?after=",
        "audit?limit=201",
        "audit?subject=",
        "audit?id=",
        "audit?before=0",
        "audit?before=99999999999999999999",
        "releases?task=review",
        "promotions?task=%00",
        "audit/checkpoint?limit=1",
    ],
)
def test_a_query_that_does_not_fit_is_refused(untouched: Admin, path: str) -> None:
    status, answer = untouched.ask("auditor", "GET", path)
    assert (status, answer["error"]["code"]) == (400, "invalid-input")


SQL = ["ci' OR '1'='1", "ci'; DROP TABLE gateway_keys; --", 'ci" OR ""="', "ci%00", "' OR 1=1 --"]


@pytest.mark.parametrize("name", SQL)
def test_sql_in_a_name_is_a_name_that_nobody_has(admin: Admin, name: str) -> None:
    admin.ask("admin", "POST", "keys", KEY)
    for method, path in (("DELETE", "keys/{}"), ("POST", "keys/{}/rotate")):
        body: Any = {} if method == "POST" else None
        assert admin.ask("admin", method, path.format(quote(name)), body)[0] == 404
    assert admin.ask("admin", "POST", "keys", {**KEY, "id": name})[0] == 400
    _, found = admin.ask("auditor", "GET", f"audit?subject={quote(name)}")
    assert found["data"] == []
    assert admin.ask("operator", "DELETE", f"budgets?account=team:{quote(name)}")[0] == 400
    (row,) = admin.ask("auditor", "GET", "keys")[1]["data"]
    assert (row["id"], row["revoked_at"]) == ("ci", None)
    assert len(admin.events()) == 1


def test_what_is_turned_off_says_whether_there_is_such_a_thing(admin: Admin) -> None:
    known = {}
    for what in ("all", "task:review", "task:reviews", "model:review"):
        body = {"what": what, "reason": "incident"}
        status, answer = admin.ask("operator", "POST", "kills", body)
        assert status == 201
        known[what] = answer["known"]
    assert known == {"all": True, "task:review": True, "task:reviews": False, "model:review": False}
    listed = admin.ask("auditor", "GET", "kills")[1]["data"]
    assert {row["what"]: row["known"] for row in listed} == known


def test_a_body_without_its_type_is_told_what_to_send(admin: Admin) -> None:
    form = {**bearer("admin"), "Content-Type": "application/x-www-form-urlencoded"}
    response, answer = admin.served.ask("POST", "/admin/keys", json.dumps(KEY).encode(), form)
    assert response.status == 415
    assert answer["error"]["message"] == (
        "the body came as `application/x-www-form-urlencoded`: "
        "send `Content-Type: application/json`"
    )


def test_the_audit_log_is_read_by_request_and_page_by_page(admin: Admin) -> None:
    admin.ask("admin", "POST", "keys", KEY)
    for account in "abc":
        admin.ask("operator", "POST", "budgets", {"account": f"team:{account}", "limit_nanos": "5"})
    _, found = admin.ask("auditor", "GET", "audit?limit=3")
    assert [event["subject"] for event in found["data"]] == ["team:c", "team:b", "team:a"]
    _, older = admin.ask("auditor", "GET", f"audit?limit=3&before={found['data'][-1]['seq']}")
    (made,) = older["data"]
    assert (made["subject"], made["actor"]) == ("ci", "core/admin")
    assert admin.ask("auditor", "GET", f"audit?id={made['id']}")[1]["data"] == [made]
    assert admin.ask("auditor", "GET", "audit?id=nobody")[1]["data"] == []


def test_a_rotation_that_is_sent_again_prolongs_no_secret(admin: Admin) -> None:
    admin.ask("admin", "POST", "keys", KEY)
    first = admin.ask("admin", "POST", "keys/ci/rotate", {"overlap_hours": 1})[1]
    again = admin.ask("admin", "POST", "keys/ci/rotate", {"overlap_hours": 2000})[1]
    assert first["secret"] != again["secret"]
    with sqlite3.connect(admin.database) as raw:
        ends = [row[0] for row in raw.execute("SELECT expires_at FROM gateway_secrets")]
    raw.close()
    # The one that was made, and ended by the first rotation, still ends then.
    assert min(filter(None, ends)) <= first["old_until"].replace("Z", "+00:00")
    assert ends.count(None) == 1


def test_an_id_is_given_once_even_after_its_key_was_revoked(admin: Admin) -> None:
    admin.ask("admin", "POST", "keys", KEY)
    status, answer = admin.ask("admin", "POST", "keys", KEY)
    assert (status, answer["error"]["code"]) == (409, "taken")
    admin.ask("admin", "DELETE", "keys/ci")
    assert admin.ask("admin", "POST", "keys", {**KEY, "roles": ["admin"]})[0] == 409
    assert admin.ask("admin", "POST", "keys/ci/rotate", {})[0] == 404


def test_a_key_of_the_configuration_cannot_be_doubled(admin: Admin) -> None:
    status, answer = admin.ask("admin", "POST", "keys", {**KEY, "id": "caller", "team": "core"})
    assert (status, answer["error"]["code"]) == (409, "taken")


PROMOTE = {"release": "review:next", "environment": "production"}
ROLLBACK = {"task": "review", "environment": "production", "reason": "slower"}


def outcome(verdict: Verdict, **more: Any) -> Outcome:
    """What the gate says, with one finding."""
    finding = Finding(
        rule=Rule.EVALUATION, check="missing", outcome=verdict, message="m", hint="h", **more
    )
    decision = Decision(
        task="review",
        environment="production",
        release=Digest.of(b"new"),
        intent="promote",
        at=NOON,
        findings=(finding,),
        inputs={},
    )
    allowed = verdict is Verdict.ALLOW
    evidence: Any = None  # not looked at
    return Outcome(decision=decision, evidence=evidence, done=allowed, previous=Digest.of(b"old"))


def test_a_release_is_moved_as_the_caller_with_what_was_asked_for_and_nothing_else(
    admin: Admin,
) -> None:
    engine = admin.served.engine
    engine.outcome = outcome(Verdict.ALLOW)
    assert admin.ask("operator", "POST", "releases/promote", PROMOTE)[0] == 200
    status, answer = admin.ask("operator", "POST", "releases/rollback", ROLLBACK)
    assert (status, answer["done"], answer["verdict"]) == (200, True, "allow")
    assert (answer["release"], answer["previous"]) == (
        str(Digest.of(b"new")),
        str(Digest.of(b"old")),
    )
    more = {**ROLLBACK, "release": "sha256:0123456789", "explain": True}
    assert admin.ask("operator", "POST", "releases/rollback", more)[0] == 200
    given: dict[str, Any] = {"environment": "production", "actor": "core/operator"}
    assert engine.moves == [
        Move(**given, release="review:next"),
        Move(**given, task="review", reason="slower"),
        Move(**given, task="review", reason="slower", release="sha256:0123456789", explain=True),
    ]


def test_a_refusal_of_the_gate_lists_why_and_one_that_time_heals_says_when(admin: Admin) -> None:
    engine = admin.served.engine
    engine.outcome = outcome(Verdict.DENY)
    status, answer = admin.ask("operator", "POST", "releases/promote", PROMOTE)
    assert (status, answer["error"]["code"]) == (409, "gate-refused")
    assert "deny: `review` sha256:" in answer["error"]["message"]
    assert "evaluation.missing: m: h" in answer["error"]["message"]
    explained = {**PROMOTE, "explain": True}
    status, answer = admin.ask("operator", "POST", "releases/promote", explained)
    assert (status, answer["done"], answer["findings"][0]["hint"]) == (200, False, "h")

    engine.outcome = outcome(Verdict.DEFER, until=datetime.now(UTC) + timedelta(hours=1))
    headers = bearer("operator")
    response, _ = admin.served.ask("POST", "/admin/releases/promote", PROMOTE, headers)
    assert response.status == 409
    assert 3500 < int(response.headers["retry-after"]) <= 3600
    engine.outcome = None
    assert admin.ask("operator", "POST", "releases/promote", PROMOTE)[0] == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("promote", {**PROMOTE, "actor": "somebody"}),
        ("promote", {**PROMOTE, "task": "review"}),
        ("promote", {"environment": "production"}),
        ("promote", {"release": "review:next"}),
        ("promote", {**PROMOTE, "release": "../../etc/passwd"}),
        ("promote", {**PROMOTE, "release": "oci://evil.example/x"}),
        ("promote", {**PROMOTE, "release": ""}),
        ("promote", {**PROMOTE, "release": "r" * 201}),
        ("promote", {**PROMOTE, "environment": "Production"}),
        ("promote", {**PROMOTE, "environment": "a" * 64}),
        ("promote", {**PROMOTE, "reason": "a\nb"}),
        ("promote", {**PROMOTE, "reason": ""}),
        ("promote", {**PROMOTE, "explain": "yes"}),
        ("promote", {**PROMOTE, "policy": "policy.toml"}),
        ("rollback", {**ROLLBACK, "reason": None}),
        ("rollback", {"task": "review", "environment": "production"}),
        ("rollback", {**ROLLBACK, "task": "a/b"}),
        ("rollback", {**ROLLBACK, "release": None}),
    ],
)
def test_a_move_that_does_not_fit_is_not_asked_of_the_gate(
    untouched: Admin, path: str, body: Any
) -> None:
    status, answer = untouched.ask("operator", "POST", f"releases/{path}", body)
    assert (status, answer["error"]["code"]) == (400, "invalid-input")
    assert untouched.served.engine.moves == []


@pytest.mark.parametrize(
    ("role", "method", "path", "request_"),
    [
        ("operator", "DELETE", "budgets?account=team:nobody", "GET /admin/budgets"),
        ("operator", "DELETE", "kills?what=all&reason=x", "GET /admin/kills"),
        ("admin", "DELETE", "keys/nobody", "GET /admin/keys"),
        ("admin", "POST", "keys/nobody/rotate", "GET /admin/keys"),
    ],
)
def test_what_to_do_is_said_as_a_request_and_not_as_a_command(
    untouched: Admin, role: str, method: str, path: str, request_: str
) -> None:
    status, answer = untouched.ask(role, method, path, {} if method == "POST" else None)
    assert (status, answer["error"]["message"].partition(": see ")[2]) == (404, f"`{request_}`")


def test_only_an_operator_moves_releases(untouched: Admin) -> None:
    for role in ("caller", "auditor", "admin"):
        assert untouched.ask(role, "POST", "releases/promote", PROMOTE)[0] == 403
        assert untouched.ask(role, "POST", "releases/rollback", ROLLBACK)[0] == 403
    assert untouched.served.engine.moves == []


def signed(database: Path) -> None:
    """Sign the audit log, as a gateway with a key does."""
    key = PrivateKey.new()
    place = Place(signer=key, keys={key.fingerprint: key.pem.decode()}, folder=database.parent)

    async def work() -> None:
        async with open_sqlite(database) as state:
            signer = Checkpointer(place=place, every_s=1, clock=lambda: NOON, failed=refused)
            await signer.end(state)

    asyncio.run(work())


def test_what_is_answered_is_what_the_document_says(admin: Admin) -> None:
    document = document_of(admin.served.routes)
    sent: dict[tuple[str, str], tuple[str, Any]] = {
        ("POST", "/admin/keys"): ("keys", KEY),
        ("POST", "/admin/keys/{key}/rotate"): ("keys/ci/rotate", {}),
        ("POST", "/admin/budgets"): ("budgets", {"account": "key:ci", "limit_nanos": "5"}),
        ("POST", "/admin/kills"): ("kills", {"what": "model:m", "reason": "x"}),
        ("POST", "/admin/releases/promote"): ("releases/promote", PROMOTE),
        ("POST", "/admin/releases/rollback"): ("releases/rollback", ROLLBACK),
        ("GET", "*"): ("", None),
        ("DELETE", "/admin/keys/{key}"): ("keys/ci", None),
        ("DELETE", "/admin/budgets"): ("budgets?account=key:ci", None),
        ("DELETE", "/admin/kills"): ("kills?what=model:m&reason=x", None),
    }
    assert admin.ask("auditor", "GET", "audit/checkpoint")[0] == 404
    admin.ask("admin", "POST", "keys", {**KEY, "id": "first"})
    signed(admin.database)
    admin.served.engine.outcome = outcome(Verdict.ALLOW)
    rows = [route for route in admin.served.routes if route.path.startswith("/admin/")]
    order = list(sent)
    rows.sort(key=lambda r: order.index((r.method, "*" if r.method == "GET" else r.path)))
    for route in rows:
        name = route.path.removeprefix("/admin/")
        path, body = sent.get((route.method, route.path), (name, None))
        status, answer = admin.ask(str(route.role), route.method, path, body)
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["x-role"] == route.role
        answers = operation["responses"][str(status)]["content"]["application/json"]
        schema = {**answers["schema"], "components": document["components"]}
        jsonschema_rs.validate(schema, answer)
        assert answer.get("data") != [] or name in {"usage", "releases", "promotions"}
    assert len(rows) == 18
    dropped = document["paths"]["/admin/budgets"]["delete"]["parameters"]
    assert {each["name"]: each["required"] for each in dropped} == {
        "account": True,
        "period": False,
    }


def test_a_body_that_is_huge_deep_twice_named_or_no_json_is_refused(admin: Admin) -> None:
    ask = admin.served.ask
    json_type = bearer("admin")
    huge = b'{"id": "' + b"a" * 70_000 + b'"}'
    assert ask("POST", "/admin/keys", huge, json_type)[0].status == 413
    deep = b'{"id":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    assert ask("POST", "/admin/keys", deep, json_type)[0].status == 400
    twice = b'{"id":"ci","team":"shop","roles":["caller"],"roles":["admin"]}'
    assert ask("POST", "/admin/keys", twice, json_type)[0].status == 400
    text = {**json_type, "Content-Type": "text/plain"}
    assert ask("POST", "/admin/keys", json.dumps(KEY).encode(), text)[0].status == 415
    assert ask("POST", "/admin/keys", b"id=ci&team=shop", json_type)[0].status == 400
    assert admin.rows("gateway_keys") == 0


def test_a_number_is_whole_however_it_is_written(admin: Admin) -> None:
    assert admin.ask("admin", "POST", "keys", {**KEY, "expires_days": 3.0})[0] == 201
    assert admin.ask("admin", "POST", "keys", {**KEY, "id": "b", "expires_days": 3e400})[0] == 400


def test_the_list_of_keys_comes_in_pages(admin: Admin) -> None:
    for name in ("c", "a", "b"):
        admin.ask("admin", "POST", "keys", {**KEY, "id": name})
    _, page = admin.ask("auditor", "GET", "keys?limit=2")
    assert ([row["id"] for row in page["data"]], page["has_more"]) == (["a", "b"], True)
    _, page = admin.ask("auditor", "GET", "keys?limit=2&after=b")
    assert ([row["id"] for row in page["data"]], page["has_more"]) == (["c"], False)


def test_a_budget_is_set_listed_and_dropped(admin: Admin) -> None:
    budget = {"account": "team:shop", "period": "day", "limit_nanos": "5000000000"}
    assert admin.ask("operator", "POST", "budgets", budget)[0] == 200
    (row,) = admin.ask("auditor", "GET", "budgets")[1]["data"]
    assert (row["account"], row["period"][:4]) == ("team:shop", "day:")
    assert (row["limit_nanos"], row["spent_nanos"]) == ("5000000000", "0")
    assert admin.ask("operator", "DELETE", "budgets?account=team:shop")[0] == 404  # by month
    assert admin.ask("operator", "DELETE", "budgets?account=team:shop&period=day")[0] == 200
    assert admin.ask("auditor", "GET", "budgets")[1]["data"] == []


def test_without_prices_there_are_no_budgets(tmp_path: Path) -> None:
    with serving(keys=KEYS, database=tmp_path / "lockgate.db") as served:
        body = {"account": "team:shop", "limit_nanos": "5"}
        response, answer = served.ask("POST", "/admin/budgets", body, bearer("operator"))
        assert (response.status, answer["error"]["code"]) == (409, "no-prices")


def test_what_is_turned_off_is_listed_until_it_is_turned_on(admin: Admin) -> None:
    wanted = {"what": "task:review", "leaves": "nothing", "reason": "leaks names"}
    assert admin.ask("operator", "POST", "kills", wanted)[0] == 201
    (row,) = admin.ask("auditor", "GET", "kills")[1]["data"]
    assert (row["what"], row["leaves"], row["reason"]) == ("task:review", "nothing", "leaks names")
    assert row["actor"] == "core/operator"
    assert admin.ask("operator", "DELETE", "kills?what=task:review&reason=fixed")[0] == 200
    assert admin.ask("auditor", "GET", "kills")[1]["data"] == []


def test_the_route_table_is_shown_as_it_is(admin: Admin) -> None:
    _, answer = admin.ask("auditor", "GET", "routes")
    shown = {(row["method"], row["path"]): row["role"] for row in answer["data"]}
    assert shown == {(route.method, route.path): route.role for route in admin.served.routes}
    assert shown["POST", "/admin/keys"] == "admin"
    assert shown["POST", "/admin/kills"] == "operator"


def test_nothing_ran_yet(admin: Admin) -> None:
    assert admin.ask("auditor", "GET", "releases")[1]["data"] == []
    assert admin.ask("auditor", "GET", "promotions?environment=prod&task=review")[1]["data"] == []
    assert admin.ask("auditor", "GET", "usage?by=model&start_time=5&end_time=1")[1]["data"] == []
