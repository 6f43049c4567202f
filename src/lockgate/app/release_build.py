"""Makes the release of a task, and finds releases by what people call them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate.app.models import layout_of, model_store, release_store
from lockgate.app.releases import artifacts_of, release_of
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.domain.release import Release
from lockgate.domain.task import TaskSpec
from lockgate.errors import NotFound
from lockgate.ports import State

if TYPE_CHECKING:
    from lockgate.oci.releases import ReleaseStore


def build(
    loaded: Loaded, environment: Environment, spec: TaskSpec, *, parents: Sequence[Digest] = ()
) -> tuple[Digest, Release]:
    """Store the release of a task as it is configured here.

    Raises:
        ModelMissing: a pinned model is not here; the hint has the command.
        StorageFailed: the disk is full or read-only.

    """
    models = model_store(loaded, environment)
    release = replace(release_of(loaded, models, spec), parents=tuple(parents))
    for pin in release.pins:
        if pin.kind is Kind.MODEL:
            models.keep(pin.name)
    layout = layout_of(environment)
    for _, kind, packed in artifacts_of(loaded, spec):
        packed.put(layout, f"{kind}/{spec.name}/{packed.digest.hex}")
    return release_store(environment).put(release), release


async def find_release(reference: str, releases: "ReleaseStore", state: State) -> Digest:
    """Return what `sha256:…`, a prefix of it, `TASK:ALIAS` or `TASK@ENVIRONMENT` stands for.

    Raises:
        NotFound: nothing is called that.

    """
    if not reference.startswith("sha256:"):
        task, at, environment = reference.partition("@")
        if at:
            return await _promoted(state, task, environment)
        task, colon, alias = reference.partition(":")
        if colon:
            return await _aliased(state, task, alias)
    return releases.find(reference)


async def _promoted(state: State, task: str, environment: str) -> Digest:
    async with state.begin() as unit:
        for promotion in await unit.promotions(environment=environment, task=task):
            return promotion.release
    raise NotFound(
        f"nothing was promoted to `{environment[:80]}` for the task `{task[:80]}`",
        hint="see `lockgate release list`",
        request_hint="see `GET /admin/releases`",
    )


async def _aliased(state: State, task: str, alias: str) -> Digest:
    async with state.begin() as unit:
        for found in await unit.aliases(task):
            if found.name == alias:
                return found.release
    raise NotFound(
        f"the task `{task[:80]}` has no alias `{alias[:80]}`", hint="see `lockgate release list`"
    )
