import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledgers import refused
from lockgate.app import price_watch
from lockgate.app.billing import Bill, BilledCall
from lockgate.app.gateway_books import open_gateway_books
from lockgate.app.identity import Wanted, make_key
from lockgate.app.price_watch import PriceWatch
from lockgate.app.state import open_store
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.domain.identity import Role
from lockgate.domain.money import TokenCounts
from lockgate.errors import InvalidConfig, LockgateError, NotFound, OverBudget
from price_files import price_file
from waiting import wait_until


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lockgate.toml").write_text('[books]\nprices = "prices.toml"\n')
    (tmp_path / "prices.toml").write_text(price_file(m=("1", "1")))
    return Environment.read({"LOCKGATE_STATE_DIR": str(tmp_path / "state")})


@pytest.fixture
def loaded(environment: Environment, tmp_path: Path) -> Loaded:
    return load(None, start=tmp_path)


async def new_key(loaded: Loaded, environment: Environment) -> str:
    wanted = Wanted(
        id="ci", team="shop", roles=frozenset({Role.CALLER}), scopes=frozenset({"model:m"})
    )
    async with open_store(loaded, environment) as state:
        return await make_key(state, wanted, actor="ana", now=datetime.now(UTC))


def test_a_caller_spends_the_budget_of_its_team_and_the_command_line_shows_it(
    loaded: Loaded, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = asyncio.run(new_key(loaded, environment))
    assert execute(["budget", "set", "team:shop", "0.0001"]) == 0
    counts = TokenCounts(input_tokens=50, output_tokens=10)

    with open_gateway_books(loaded, environment, failed=refused) as gateway:
        wait_until(lambda: gateway.is_ready)
        caller = gateway.authenticator.authenticate(None, secret.encode())
        assert caller.may("model", "m")
        call = BilledCall(id="c1", key=caller.key, team=caller.team, model="m")
        asyncio.run(gateway.billing.open(call, counts)).settle(counts)
        call = BilledCall(id="c2", key=caller.key, team=caller.team, model="m")
        with pytest.raises(OverBudget):
            asyncio.run(gateway.billing.open(call, counts))

    capsys.readouterr()
    assert execute(["usage", "--by", "key", "--json"]) == 0
    (used,) = json.loads(capsys.readouterr().out)
    assert (used["key"], used["calls"], used["nanos"]) == ("ci", 1, "60000")
    assert execute(["budget", "list", "--json"]) == 0
    (budget,) = json.loads(capsys.readouterr().out)
    assert (budget["spent_nanos"], budget["held_nanos"]) == ("60000", "0")


def test_a_price_file_that_changes_holds_for_the_bills_that_are_opened_then(
    loaded: Loaded, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_watch, "EVERY_S", 0.01)
    counts = TokenCounts(input_tokens=50, output_tokens=10)
    told: list[LockgateError] = []

    def bill(name: str) -> Bill:
        call = BilledCall(id=name, key="ci", team="shop", model="m")
        return asyncio.run(gateway.billing.open(call, counts))

    with open_gateway_books(loaded, environment, failed=told.append) as gateway:
        wait_until(lambda: gateway.is_ready)
        before = bill("before")
        (tmp_path / "prices.toml").write_text("[[price]]\nmodel = 7\n")
        wait_until(lambda: len(told) == 1)
        assert bill("between").settle(counts) == 60_000
        (tmp_path / "prices.toml").write_text(price_file(m=("2", "2")))
        wait_until(lambda: bill(uuid.uuid4().hex).settle(counts) == 120_000)
        assert before.settle(counts) == 60_000
    assert [type(error) for error in told] == [InvalidConfig]


def test_a_price_file_is_read_when_it_is_the_same_at_two_looks(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(price_file(m=("1", "1")))
    watch = PriceWatch(path)
    assert [watch.look() for _ in range(3)] == [None] * 3
    path.write_text(price_file(m=("2", "2")))
    assert watch.look() is None
    path.write_text(price_file(m=("3", "3"), n=("1", "1")))  # it was not done
    assert watch.look() is None
    found = watch.look()
    assert found is not None
    assert found.models == ("m", "n")
    assert watch.look() is None
    path.unlink()
    assert watch.look() is None
    with pytest.raises(NotFound):
        watch.look()
    assert watch.look() is None


def test_a_price_file_that_is_missing_or_wrong_is_said_at_the_start(
    loaded: Loaded, environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "prices.toml").write_text("[[price]]\nmodel = 7\n")
    with (
        pytest.raises(InvalidConfig, match=r"prices\.toml.*`model` is missing"),
        open_gateway_books(loaded, environment, failed=refused),
    ):
        pass
    (tmp_path / "prices.toml").unlink()
    with (
        pytest.raises(NotFound, match="cannot be read"),
        open_gateway_books(loaded, environment, failed=refused),
    ):
        pass
