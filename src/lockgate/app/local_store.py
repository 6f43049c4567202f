"""The store on this disk as a whole: what is in it, what refers to it, how to repair it."""

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.integrity import ATTACHED, UNNAMED, Damage
from lockgate.oci.layout import Layout
from lockgate.oci.models import ModelStore
from lockgate.oci.usage import kind_of_stored
from lockgate.ports import State

_PROMOTIONS = 1000


async def referred(state: State) -> frozenset[Digest]:
    """Return the releases that aliases, and promotions of the recent past, point to.

    A rollback promotes an earlier release, so those that were replaced stay too.
    """
    async with state.begin() as unit:
        aliases = await unit.aliases()
        promotions = await unit.promotions(limit=_PROMOTIONS)
    found = {alias.release for alias in aliases} | {made.release for made in promotions}
    return frozenset(found | {made.previous for made in promotions if made.previous is not None})


def repair_command(layout: Layout, models: ModelStore, damage: Damage) -> str:
    """Return what brings a damaged file back."""
    if not damage.names:
        return "lockgate store gc --older-than 0"
    for name in damage.names:
        if models.in_catalogue(name) or _kind(layout, name) == "model":
            return models.repair(name)
    name = damage.names[0].removesuffix(ATTACHED)
    what = "what it belongs to" if name == UNNAMED else f"`{name}`"
    return f"rm -f {damage.path}, then pull or import {what} again"


def _kind(layout: Layout, name: str) -> str:
    try:
        return kind_of_stored(layout, layout.manifests()[name].digest)
    except (Corrupt, KeyError):
        return ""
