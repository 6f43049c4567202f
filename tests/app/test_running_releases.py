"""Which release answers: a process that serves follows what is promoted."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from cli.test_promote import Run, change_prompt, run, to_production, workplace
from ledgers import refused
from lockgate.app.engine import Engine, open_engine
from lockgate.app.models import release_store
from lockgate.app.running_releases import ServedTasks
from lockgate.app.state import open_store
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.engine.answer import Plan
from lockgate.errors import Denied, LockgateError, NotFound
from lockgate.ports import State

__all__ = ["run", "workplace"]


class Place:
    """A machine: its folders, and how it is configured for production."""

    def __init__(self, workplace: Path, name: str = "") -> None:
        self.workplace = workplace
        self.data = workplace / "data"
        if name:
            self.data = workplace / name
            shutil.copytree(workplace / "data", self.data)
        configuration = workplace / "production.toml"
        text = (workplace / "lockgate.toml").read_text().replace('"staging"', '"production"')
        configuration.write_text(text)
        self.loaded: Loaded = load(configuration, start=workplace)
        self.environment = Environment.read(
            {"LOCKGATE_DATA_DIR": str(self.data), "LOCKGATE_STATE_DIR": str(workplace / "state")}
        )

    def blob(self, digest: Digest) -> Path:
        return self.data / "models" / "blobs" / "sha256" / digest.hex

    def fetch(self) -> None:
        """Get what the first machine has."""
        shutil.copytree(self.workplace / "data", self.data, dirs_exist_ok=True)

    def serve(self, work: Callable[[Engine, State], Awaitable[None]]) -> None:
        """Open the engine as a gateway does."""

        async def main() -> None:
            async with (
                open_engine(self.loaded, self.environment, unpacks=True) as engine,
                open_store(self.loaded, self.environment) as state,
            ):
                await work(engine, state)

        asyncio.run(main())


def runs(run: Run) -> Digest:
    found = json.loads(run("release", "show", "triage@production", "--json")[1])["digest"]
    return Digest.parse(found)


def make_next(run: Run, workplace: Path) -> None:
    """Promote a release of another prompt."""
    change_prompt(workplace, "\nBe brief.\n")
    assert execute(["release", "build", "triage", "--tag", "next"]) == 0
    to_production(run, "triage:next")


def test_a_call_ends_on_the_release_it_began_with_and_the_next_one_begins_with_the_new(
    run: Run, workplace: Path
) -> None:
    to_production(run)
    first = runs(run)

    async def work(engine: Engine, state: State) -> None:
        plans, releases = engine.answering.plans, engine.releases
        begun: Plan = plans["triage"]
        await asyncio.to_thread(make_next, run, workplace)
        assert plans["triage"].release.digest == first
        await releases.renew(state, refused)
        assert begun.release.digest == first
        after = plans["triage"]
        assert after.release.digest == await asyncio.to_thread(runs, run) != first
        assert releases.behind == {}
        # What is served of the task is what its release pins, in whatever state the folder is.
        (workplace / "tasks" / "triage" / "prompt.j2").unlink()
        installed = begun.task
        served = ServedTasks({"triage": installed}, releases)
        assert served["triage"] is releases["triage"].task is not installed
        assert served["triage"].spec.version == "0.1.0"

    Place(workplace).serve(work)


def test_a_replica_that_cannot_run_a_release_goes_on_with_the_one_before_until_it_can(
    run: Run, workplace: Path
) -> None:
    to_production(run)
    first, elsewhere = runs(run), Place(workplace, "elsewhere")
    told: list[LockgateError] = []

    async def work(engine: Engine, state: State) -> None:
        plans, releases = engine.answering.plans, engine.releases

        async def still_runs(release: Digest) -> None:
            for _ in range(2):
                await releases.renew(state, told.append)
            assert plans["triage"].release.digest == release
            assert list(releases.behind) == ["triage"]

        await asyncio.to_thread(make_next, run, workplace)
        second = await asyncio.to_thread(runs, run)
        await still_runs(first)  # it is not here

        elsewhere.fetch()
        hidden = elsewhere.data / "hidden"
        pins = release_store(elsewhere.environment).get(second).release.pins
        (blob,) = [elsewhere.blob(pin.digest) for pin in pins if pin.kind is Kind.TASK]
        blob.rename(hidden)
        await still_runs(first)  # a part of it is not here
        hidden.rename(blob)
        (model,) = [elsewhere.blob(pin.digest) for pin in pins if pin.kind is Kind.MODEL]
        model.rename(hidden)  # the rules answer
        await releases.renew(state, refused)
        hidden.rename(model)
        assert plans["triage"].release.digest == second
        assert releases.behind == {}

        back = ["rollback", "triage", "--in", "production", "--reason", "x", "--sign", "gate"]
        assert await asyncio.to_thread(execute, back) == 0
        # The trust root of this replica does not know the gate any more.
        keys = json.loads((await asyncio.to_thread(run, "trust", "show", "--json"))[1])["keys"]
        (gate,) = [key["fingerprint"] for key in keys if key["holder"] == "gate"]
        revoke = ["trust", "revoke", gate, "--sign", "root"]
        assert await asyncio.to_thread(execute, revoke) == 0
        elsewhere.fetch()
        await still_runs(second)

    elsewhere.serve(work)
    assert [type(error) for error in told] == [NotFound, NotFound, Denied]
