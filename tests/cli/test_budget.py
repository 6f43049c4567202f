import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate.cli.main import execute
from lockgate.domain.budget import Lease, Period, UsageEvent, bucket
from lockgate.domain.money import TokenCounts
from lockgate.store.sqlite import open_sqlite

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lockgate.toml").write_text('[books]\nprices = "prices.toml"\n')
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def spend(folder: Path) -> None:
    """A replica that was last heard of a minute ago: 3 of 10 borrowed nanos are spent."""
    place = bucket("team:shop", Period.MONTH, NOW)
    past = NOW - timedelta(minutes=1)
    event = UsageEvent(
        id="e",
        at=past,
        key="ci",
        team="shop",
        model="smollm2",
        counts=TokenCounts(input_tokens=5, output_tokens=2, duration_us=1_500_000),
        nanos=3,
    )

    async def work() -> None:
        async with open_sqlite(folder / "state" / "lockgate.db") as store, store.begin() as unit:
            lease = Lease(replica="r", bucket=place, nanos=10, spent=0, expires_at=past)
            await unit.budgets.lend(lease, limit=10, need=1)
            await unit.budgets.spend("r", {place: 3}, expires_at=past)
            await unit.usage.add([event])

    asyncio.run(work())


def test_a_budget_shows_what_is_spent_held_and_without_an_owner(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    assert run(capsys, "budget", "set", "team:shop", "0.00000001")[0] == 0
    spend(workplace)

    (shown,) = json.loads(run(capsys, "budget", "list", "--json")[1])
    assert shown == {
        "account": "team:shop",
        "period": f"month:{NOW:%Y-%m}",
        "limit_nanos": "10",
        "spent_nanos": "3",
        "held_nanos": "7",
        "expired_nanos": "7",
    }
    line = run(capsys, "budget", "list")[1].splitlines()[1].split()
    assert line[2:] == ["0.00000001", "0.000000003", "0.000000007", "0.000000007"]


def test_a_budget_that_nothing_is_charged_to_is_set_with_a_warning(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    config = workplace / "lockgate.toml"
    key = f"[server.keys.nightly]\nsha256 = '{0:064}'\nteam = 'data'\n"
    config.write_text(config.read_text() + key)
    run(capsys, "token", "new", "ci", "--team", "shop")
    run(capsys, "token", "new", "old", "--team", "gone")
    run(capsys, "token", "revoke", "old")
    known = ("team:shop", "key:ci", "team:data", "key:nightly", "task:review", "team:local")
    for account in known:
        status, _, err = run(capsys, "budget", "set", account, "5", "--per", "total")
        assert (status, err) == (0, f"`{account}` may spend 5 in total\n")
    for account in ("team:shp", "key:c1", "task:reviews", "team:gone", "key:old"):
        status, _, err = run(capsys, "budget", "set", account, "5")
        assert (status, f"nothing here is charged to `{account}` yet" in err) == (0, True)


def test_a_budget_is_dropped_once(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "budget", "set", "key:ci", "5.50", "--per", "day")
    assert run(capsys, "budget", "drop", "key:ci", "--per", "day")[0] == 0
    status, _, err = run(capsys, "budget", "drop", "key:ci", "--per", "day")
    assert (status, "has no budget by day" in err) == (2, True)
    actions = [e["action"] for e in json.loads(run(capsys, "audit", "list", "--json")[1])]
    assert actions == ["budget.drop", "budget.set"]


def test_a_budget_that_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    for account, amount in (
        ("shop", "1"),
        ("user:ana", "1"),
        ("team:", "1"),
        ("team:shop", "lots"),
        ("team:shop", "1e9"),
        ("team:shop", "999999999999"),
    ):
        assert run(capsys, "budget", "set", account, amount)[0] == 2
    (workplace / "lockgate.toml").write_text("")
    status, _, err = run(capsys, "budget", "set", "team:shop", "1")
    assert (status, "nothing has a price" in err) == (2, True)


def test_usage_is_summed_by_what_was_asked_for(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    assert json.loads(run(capsys, "usage", "--json")[1]) == []
    spend(workplace)

    (shown,) = json.loads(run(capsys, "usage", "--by", "model", "--json")[1])
    assert shown == {
        "model": "smollm2",
        "calls": 1,
        "input_tokens": 5,
        "cached_tokens": 0,
        "output_tokens": 2,
        "seconds": 1.5,
        "nanos": "3",
        "cost": "0.000000003",
    }
    assert run(capsys, "usage", "--by", "task")[1].splitlines()[1].split()[0] == "-"


def test_usage_is_a_table_for_a_spreadsheet(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    spend(workplace)
    csv = run(capsys, "usage", "--by", "team", "--by", "day", "--csv")[1]
    day = f"{NOW - timedelta(minutes=1):%Y-%m-%d}"
    assert csv == (
        "team,day,calls,input_tokens,cached_tokens,output_tokens,seconds,nanos,cost\n"
        f"shop,{day},1,5,0,2,1.5,3,0.000000003\n"
    )
    table = run(capsys, "usage", "--by", "release", "--by", "key")[1].splitlines()
    assert table[0].split()[:3] == ["RELEASE", "KEY", "CALLS"]
    assert table[1].split()[:3] == ["-", "ci", "1"]


def test_events_are_printed_one_by_one(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    assert run(capsys, "usage", "--events")[1] == ""
    spend(workplace)
    (line,) = run(capsys, "usage", "--events", "--json")[1].splitlines()
    shown = json.loads(line)
    assert (shown["id"], shown["team"], shown["nanos"], shown["flags"]) == ("e", "shop", "3", [])
    header, row = run(capsys, "usage", "--events", "--csv")[1].splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["cost"] == "0.000000003"


def test_usage_is_limited_to_days(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    spend(workplace)
    at = NOW - timedelta(minutes=1)
    this, next_ = f"{at:%Y-%m-%d}", f"{at + timedelta(days=1):%Y-%m-%d}"

    def calls(*options: str) -> int:
        return len(json.loads(run(capsys, "usage", *options, "--json")[1]))

    assert calls("--since", this) == calls("--since", this, "--until", next_) == 1
    assert calls("--until", this) == 0
    assert calls("--until", next_, "--days", "1") == 1


def test_options_of_usage_that_contradict_each_other_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for options, said in (
        (("--csv", "--json"), "two ways to print"),
        (("--days", "1", "--since", "2026-01-01"), "two beginnings"),
        (("--since", "2026-01-02", "--until", "2026-01-02"), "`--until` is 2026-01-02"),
        (("--by", "team", "--by", "key", "--by", "day", "--by", "model"), "4 times"),
        (("--since", "yesterday"), "yesterday"),
    ):
        status, _, err = run(capsys, "usage", *options)
        assert (status, said in err) == (2, True), err


@pytest.mark.parametrize("free", [False, True])
def test_what_a_replica_held_that_does_not_come_back_is_written_off(
    capsys: pytest.CaptureFixture[str], workplace: Path, *, free: bool
) -> None:
    assert run(capsys, "budget", "set", "team:shop", "0.00000001")[0] == 0
    spend(workplace)
    (lease,) = json.loads(run(capsys, "budget", "leases", "--json")[1])
    assert (lease["replica"], lease["nanos"], lease["spent_nanos"]) == ("r", "10", "3")
    assert run(capsys, "budget", "leases")[1].splitlines()[1].split()[-1] == "expired"

    status, _, err = run(capsys, "budget", "write-off", "r", *(["--free"] if free else []))
    assert (status, "0.000000007" in err) == (0, True)

    (shown,) = json.loads(run(capsys, "budget", "list", "--json")[1])
    assert (shown["spent_nanos"], shown["held_nanos"]) == (("3", "0") if free else ("10", "0"))
    assert run(capsys, "budget", "write-off", "r")[0] == 2
    (event, *_) = json.loads(run(capsys, "audit", "list", "--json")[1])
    assert (event["action"], event["subject"]) == ("budget.write-off", "r")
    assert event["detail"]["free"] is free


def test_the_leases_of_a_replica_that_lives_are_not_written_off(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    spend(workplace)

    async def renew() -> None:
        async with open_sqlite(workplace / "state" / "lockgate.db") as store, store.begin() as unit:
            await unit.budgets.renew("r", datetime.now(UTC) + timedelta(minutes=2))

    asyncio.run(renew())
    status, _, err = run(capsys, "budget", "write-off", "r")
    assert (status, "`r` lives" in err) == (2, True)
