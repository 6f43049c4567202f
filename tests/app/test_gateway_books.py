import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledgers import refused
from lockgate.app.billing import BilledCall
from lockgate.app.gateway_books import open_gateway_books
from lockgate.app.identity import Wanted, make_key
from lockgate.app.state import open_store
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.domain.identity import Role
from lockgate.domain.money import TokenCounts
from lockgate.errors import InvalidConfig, NotFound, OverBudget
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
