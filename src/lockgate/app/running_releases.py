"""The releases that were promoted to this environment, as this process runs them.

A process that serves follows the promotions: it takes a new release up once it can run it, and the
one before goes on until then. Calls that run end on the release that they began with.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from lockgate.app.admission import OpenAdmission
from lockgate.app.background import Job, until
from lockgate.app.models import layout_of, model_store, release_store
from lockgate.app.release_names import running
from lockgate.app.releases import Promoted, require_installed
from lockgate.app.tasks import find_task, task_folders, task_names
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Kind
from lockgate.domain.call import EngineKind
from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Promotion
from lockgate.domain.release import Release
from lockgate.errors import Corrupt, LockgateError, NotFound
from lockgate.ports import Admission, GatewayState, State, Task

if TYPE_CHECKING:
    from lockgate.app.policy_admission import PolicyAdmission
    from lockgate.oci.releases import StoredRelease

_LOG = logging.getLogger("lockgate.gateway")
EVERY_S: Final = 0.5


class RunningReleases(Mapping[str, Promoted]):
    """By task. Replaced whole, so that any thread may read; none where any release may run.

    With `unpacks`, prompt-only tasks are made of what their releases pin, not of their folders.
    """

    def __init__(
        self, loaded: Loaded, place: Environment, admission: Admission, *, unpacks: bool
    ) -> None:
        self._loaded = loaded
        self._place = place
        self._admission = _policy(admission)
        self._unpacks = unpacks
        self._now: Mapping[str, Promoted] = {}
        self._newest: Promotion | None = None
        self._wanted: Mapping[str, Digest] = {}
        self.behind: Mapping[str, str] = {}
        """Why a promoted release cannot run here yet, by task."""

    def __getitem__(self, task: str) -> Promoted:
        return self._now[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    async def load(self, state: State) -> None:
        """Take up what was promoted, at the start.

        Raises:
            NotFound, Corrupt: a release is not here, or damaged.

        """
        if self._admission is None:
            return
        await self._look(state)
        found = {task: self._found(task, digest) for task, digest in self._wanted.items()}
        self._now = {task: self._promoted(stored.release) for task, stored in found.items()}

    async def renew(self, state: State, failed: Callable[[LockgateError], None]) -> None:
        """Take up what was promoted since, as far as it can run; each `failed` is told once.

        Raises:
            StorageFailed: the database does not answer.

        """
        if not await self._look(state) and not self.behind:
            return
        now, behind = dict(self._now), dict[str, str]()
        for task, digest in self._wanted.items():
            if task in now and now[task].release.digest == digest:
                continue
            try:
                now[task] = await asyncio.to_thread(self._ready, task, digest)
            except LockgateError as error:
                behind[task] = f"{digest}: {error.message}"
                if self.behind.get(task) != behind[task]:
                    failed(error)
            else:
                _LOG.info("the release %s of `%s` has taken over", digest, task)
        self._now, self.behind = now, behind

    def follow(self, failed: Callable[[LockgateError], None]) -> Job:
        """Return the job that keeps up with promotions."""

        async def work(state: GatewayState, stop: asyncio.Event) -> None:
            while self._admission is not None and not stop.is_set():
                try:
                    await self.renew(state, failed)
                except LockgateError as error:
                    failed(error)
                await until(stop, EVERY_S)

        return work

    async def _look(self, state: State) -> bool:
        """Read what is to run, if there was a promotion since the last time; say so."""
        assert self._admission is not None, "there is a policy"
        async with state.begin() as unit:
            newest = next(iter(await unit.promotions(limit=1)), None)
        if newest == self._newest:
            return False
        known, admission = set(task_names(self._loaded)), self._admission
        self._wanted = {
            promotion.task: promotion.release
            for promotion in await running(state)
            if promotion.environment == admission.environment
            and promotion.task in known
            and admission.runs_promoted(promotion.task)
        }
        self._newest = newest
        return True

    def _ready(self, task: str, digest: Digest) -> Promoted:
        """Return a release that can answer the next call."""
        assert self._admission is not None, "there is a policy"
        stored = self._found(task, digest)
        missing = [f"`{pin.name}`" for pin in stored.missing if pin.kind is not Kind.MODEL]
        if missing:
            raise NotFound(
                f"the release {digest} pins what is not here: {', '.join(missing)}",
                hint="fetch it with `lockgate release pull`",
            )
        found = self._promoted(stored.release)
        if found.task is None:
            require_installed(self._loaded, stored.release)
        # Where the rules answer, models may be elsewhere, as they may at the start.
        if self._engine(task, found) is EngineKind.MODEL:
            models = model_store(self._loaded, self._place)
            for pin in stored.release.pins:
                if pin.kind is Kind.MODEL:
                    models.files(pin.name, pin.digest)
        self._admission.admit(stored.release)
        return found

    def _engine(self, name: str, found: Promoted) -> EngineKind:
        task = found.task or find_task(self._loaded, name)
        assert task is not None, "it is one of `task_names`"
        return self._loaded.config.task(name).engine or task.spec.engine

    def _found(self, task: str, digest: Digest) -> "StoredRelease":
        stored = release_store(self._place).get(digest)
        if stored.release.task != task:
            raise Corrupt(f"the release {digest} is of `{stored.release.task}`, not of `{task}`")
        return stored

    def _promoted(self, release: Release) -> Promoted:
        if not self._unpacks or release.task not in task_folders(self._loaded):
            return Promoted(release=release)
        return Promoted(release=release, task=_pinned_task(self._place, release))


class ServedTasks(Mapping[str, Task]):
    """Tasks by name: those that are installed, or what a running release was made of."""

    def __init__(self, installed: Mapping[str, Task], promoted: Mapping[str, Promoted]) -> None:
        self._installed = installed
        self._promoted = promoted

    def __getitem__(self, name: str) -> Task:
        installed = self._installed[name]
        found = self._promoted.get(name)
        return installed if found is None or found.task is None else found.task

    def __iter__(self) -> Iterator[str]:
        return iter(self._installed)

    def __len__(self) -> int:
        return len(self._installed)


def _policy(admission: Admission) -> "PolicyAdmission | None":
    if isinstance(admission, OpenAdmission):
        return None
    from lockgate.app.policy_admission import PolicyAdmission

    assert isinstance(admission, PolicyAdmission), "there are these two"
    return admission


def _pinned_task(place: Environment, release: Release) -> Task | None:
    """Return the prompt-only task that a release pins; None if it pins none.

    Raises:
        Corrupt: it is not here, damaged, or not what the release was made of.

    """
    pins = [pin for pin in release.pins if pin.kind is Kind.TASK and pin.name == release.task]
    if not pins:
        return None
    from lockgate.oci.kinds.artifact import Artifact, title
    from lockgate.tasks.prompt.folder import unpacked
    from lockgate.tasks.prompt.task import PromptTask

    artifact = Artifact(layout_of(place), pins[0].digest)
    folder = unpacked({title(layer): artifact.text(layer) for layer in artifact.layers})
    if folder.name != release.task:
        raise Corrupt(
            f"the release {release.digest} is of `{release.task}`, and pins `{folder.name[:80]}`"
        )
    if str(folder.digest) != release.code.get("digest"):
        raise Corrupt(
            f"the release {release.digest} was made of {release.code.get('digest')}, "
            f"and pins the task {folder.digest}"
        )
    return PromptTask(folder)
