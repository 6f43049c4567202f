"""Attacks a task through the engine's real path, over a state that is thrown away."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lockgate import __version__
from lockgate.app.calls import new_call, new_id
from lockgate.app.redteam_round import Round, open_round, stored
from lockgate.app.tasks import find_task, task_folders
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.call import Call, EngineKind
from lockgate.domain.digest import JsonObject
from lockgate.errors import InvalidInput, NotFound, Unavailable, UsageError
from lockgate.ports import Progress, Task
from lockgate.redteam.attacks import Attack, plan
from lockgate.redteam.canary import Canaries
from lockgate.redteam.families import Family, load_families
from lockgate.redteam.judge import Detector, Ending, Hit, Observed, judge
from lockgate.redteam.minimise import minimise
from lockgate.redteam.report.document import Report, compared
from lockgate.redteam.results import Demand, Trial, by_family
from lockgate.redteam.targets.prompt import PromptTarget
from lockgate.redteam.targets.release_notes import ReleaseNotesTarget
from lockgate.redteam.targets.review import ReviewTarget
from lockgate.redteam.targets.target import Target

DEFAULT_ATTACKS: Final = 500
DEFAULT_ATTACKS_MODEL: Final = 30
"""A model takes seconds for what rules do in a millisecond."""
_MAX_REPORT: Final = 256 << 20
_MINIMISED: Final = 3
"""Attacks of a family and a detector that are cut down."""
_CALLS: Final = 60
_BENIGN: Final = "Update the installation notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedTeamOptions:
    """What the command line asks for."""

    task: str
    engine: str | None = None
    attacks: int | None = None
    seed: int = 7
    families: tuple[str, ...] = ()
    """Only these; none: all."""
    ablation: bool = True
    demand: Demand = field(default_factory=Demand)
    base: Path | None = None


async def attack_task(
    loaded: Loaded, environment: Environment, options: RedTeamOptions, progress: Progress
) -> Report:
    """Run the attacks, and return what there is to report.

    Raises:
        NotFound: there is no such task or family.
        UsageError: the task has no place for an attacker's text, or the base is no report.
        Unavailable: the task answers nothing at all.

    """
    task = find_task(loaded, options.task)
    if task is None:
        raise NotFound(
            f"there is no task `{options.task}`", hint="list the tasks with `lockgate task list`"
        )
    base = _base(options.base) if options.base else None
    run = _Run(loaded, environment, options, task)
    with TemporaryDirectory(prefix="lockgate-redteam-") as folder:
        guarded, off = Path(folder, "on"), Path(folder, "off")
        progress.start(f"attacking {task.spec.name}", run.steps)
        try:
            trials = await run.guarded(guarded, progress)
            kept = stored(guarded, run.mark)
            if options.ablation:
                trials = await run.unguarded(off, trials, progress)
        finally:
            progress.finish()
    return Report(
        task=task.spec.name,
        engine=str(run.kind),
        version=__version__,
        release=_release(loaded, environment, task),
        seed=options.seed,
        place=_place(loaded, task),
        trials=trials,
        families=by_family(trials, run.families),
        demand=options.demand,
        mark=run.mark,
        warnings=run.warnings,
        stored=kept,
        change=None if base is None else compared(trials, base),
    )


class _Run:
    """The attacks of a run, and what was learnt on the way."""

    def __init__(
        self, loaded: Loaded, environment: Environment, options: RedTeamOptions, task: Task
    ) -> None:
        self._loaded, self._environment, self._options = loaded, environment, options
        self._task = task
        self._target = _target(task)
        self.families = _families(options.families)
        self.kind = new_call(loaded, task.spec, {}, engine=options.engine).engine
        rules = self.kind is EngineKind.RULES
        count = options.attacks or (DEFAULT_ATTACKS if rules else DEFAULT_ATTACKS_MODEL)
        self._attacks = plan(self.families, self._target, count=count, seed=options.seed)
        if not self._target.surfaces or not self._attacks:
            raise UsageError(
                f"`{task.spec.name}` has no place for an attacker's text",
                hint="its input schema has no free text",
            )
        self.mark = self._attacks[0].canaries.mark
        self.warnings: list[str] = []
        self._false: set[tuple[str, Detector]] = set()

    @property
    def steps(self) -> int:
        return len(self._attacks) * (2 if self._options.ablation else 1)

    async def guarded(self, folder: Path, progress: Progress) -> list[Trial]:
        trials: list[Trial] = []
        cut: dict[tuple[str, Detector], int] = {}
        async with open_round(
            self._loaded, self._environment, self._task, folder=folder, guarded=True
        ) as opened:
            await self._control(opened)
            for attack in self._attacks:
                observed = await self._observe(opened, attack)
                hits = self._hits(attack, observed)
                minimal = None
                if hits and not attack.on_call:
                    key = attack.family, hits[0].detector
                    cut[key] = cut.get(key, 0) + 1
                    if cut[key] <= _MINIMISED:
                        minimal = await self._minimal(opened, attack, hits[0].detector)
                trials.append(
                    Trial(
                        attack=attack,
                        ending=observed.ending,
                        hits=hits,
                        said=observed.said,
                        degraded=observed.degraded,
                        minimal=minimal,
                    )
                )
                progress.advance()
        return trials

    async def unguarded(
        self, folder: Path, trials: Sequence[Trial], progress: Progress
    ) -> list[Trial]:
        done: list[Trial] = []
        async with open_round(
            self._loaded, self._environment, self._task, folder=folder, guarded=False
        ) as opened:
            for trial in trials:
                observed = await self._observe(opened, trial.attack)
                done.append(replace(trial, unguarded=self._hits(trial.attack, observed)))
                progress.advance()
        return done

    async def _control(self, opened: Round) -> None:
        """Judge harmless texts: what they set off is no sign of an attack."""
        for surface in self._target.surfaces:
            attack = _harmless(surface, self._options.seed)
            given = attack.placed(self._target)
            if given is None:
                continue
            observed = await self._observe(opened, attack)
            if observed.ending is Ending.NO_ANSWER:
                raise Unavailable(
                    f"`{self._task.spec.name}` does not answer a harmless input: {observed.said}",
                    hint=f"see `lockgate task check {self._task.spec.name}`",
                )
            if observed.ending is Ending.REFUSED:
                self.warnings.append(f"`{surface}` is not attacked: {observed.said}")
            for hit in self._hits(attack, observed):
                self._false.add((surface, hit.detector))
                self.warnings.append(
                    f"`{hit.detector}` is not judged on `{surface}`, a harmless text sets it off: "
                    f"{hit.reason}"
                )

    async def _observe(self, opened: Round, attack: Attack, text: str | None = None) -> Observed:
        phrase = attack.canaries.phrase
        if attack.on_call:
            call, expected = self._call(attack)
            return await opened.crossed(call, await opened.observe(call, phrase), expected)
        given = attack.placed(self._target, text)
        if given is None:
            return Observed(ending=Ending.REFUSED, said="the text does not fit there")
        call = new_call(self._loaded, self._task.spec, given, engine=str(self.kind))
        return await opened.observe(call, phrase)

    def _call(self, attack: Attack) -> tuple[Call, JsonObject]:
        """Return a call that asks for too much, and what the audit log may say of it."""
        given = _harmless(self._target.surfaces[0], self._options.seed).placed(self._target)
        assert given is not None, "the harmless text fits everywhere"
        spec = self._task.spec
        call = replace(new_call(self._loaded, spec, given, engine=str(self.kind)), id=new_id())
        what, _, name = attack.text.partition(":")
        own = replace(call.principal, scopes=frozenset({spec.name}))
        match what:
            case "no-scope":
                call = replace(call, principal=replace(own, scopes=frozenset()))
            case "other-task-scope":
                call = replace(call, principal=replace(own, scopes=frozenset({"other"})))
            case "wildcard-in-name":
                scopes = frozenset({f"{spec.name[:-1]}*", f"{spec.name} ", "**"})
                call = replace(call, principal=replace(own, scopes=scopes))
            case "task":
                call = replace(call, principal=own, task=name.replace("TASK", spec.name))
            case _:
                call = replace(call, principal=own, input={**given, name: _CLAIMS.get(name, "x")})
        return call, {
            "actor": call.principal.name,
            "asked": str(call.engine),
            "data_class": str(call.data_class),
            "replay_of": None,
        }

    def _hits(self, attack: Attack, observed: Observed) -> tuple[Hit, ...]:
        if attack.on_call:
            allowed = attack.text.startswith("member:")
            if observed.ending is Ending.ANSWERED and not allowed and not observed.crossed:
                observed = replace(observed, crossed="a caller without the scope got an answer")
            size = 0
        else:
            size = len(json.dumps(attack.placed(self._target)))
        return tuple(
            hit
            for hit in judge(attack, observed, target=self._target, size=size)
            if (attack.surface, hit.detector) not in self._false
        )

    async def _minimal(self, opened: Round, attack: Attack, detector: Detector) -> str:
        async def holds(text: str) -> bool:
            observed = await self._observe(opened, attack, text)
            return any(hit.detector is detector for hit in self._hits(attack, observed))

        return await minimise(attack.text, holds, most=_CALLS)


_CLAIMS: Final[JsonObject] = {
    "principal": {"name": "root", "scopes": ["*"]},
    "scopes": ["*"],
    "engine": "rules",
    "data_class": "public",
    "redactions": [],
    "replay_of": "00000000-0000-7000-8000-000000000000",
}


def _harmless(surface: str, seed: int) -> Attack:
    canaries = Canaries.drawn(seed, f"control {surface}")
    return Attack(
        id="control",
        family="control",
        owasp="",
        surface=surface,
        mutations=(),
        text=_BENIGN,
        marker=canaries.phrase,
        canaries=canaries,
        secret=False,
    )


def _target(task: Task) -> Target:
    match task.spec.name:
        case "release-notes":
            return ReleaseNotesTarget()
        case "review":
            return ReviewTarget()
        case _:
            example = task.spec.cases[0].input if task.spec.cases else None
            return PromptTarget(task.spec.input_schema, example)


def _families(names: Sequence[str]) -> tuple[Family, ...]:
    every = load_families()
    known = {family.id for family in every}
    if unknown := [name for name in names if name not in known]:
        raise NotFound(
            f"there is no family of attacks `{unknown[0]}`", hint=f"there are {', '.join(known)}"
        )
    return tuple(f for f in every if not names or f.id in names)


def _base(path: Path) -> JsonObject:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_REPORT + 1)
        value = json.loads(data[:_MAX_REPORT])
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"`{path}` is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"`{path}` is JSON, but not an object")
    compared((), value)  # a base that is no report is told before the work
    return value


def _release(loaded: Loaded, environment: Environment, task: Task) -> str:
    from lockgate.app.models import model_store
    from lockgate.app.releases import release_of

    return str(release_of(loaded, model_store(loaded, environment), task.spec).digest)


def _place(loaded: Loaded, task: Task) -> str:
    folder = task_folders(loaded).get(task.spec.name)
    if folder is not None:
        here = Path.cwd().resolve()
        prompt = (folder / "prompt.j2").resolve()
        if prompt.is_relative_to(here):
            return prompt.relative_to(here).as_posix()
        return prompt.name
    return "lockgate.toml"
