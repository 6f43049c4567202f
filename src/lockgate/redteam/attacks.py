"""The attacks of a run: texts of the families, mutated and placed, as a seed decides."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.domain.digest import JsonObject
from lockgate.domain.draw import Draw
from lockgate.errors import UsageError
from lockgate.redteam.canary import Canaries
from lockgate.redteam.families import CALL, Family
from lockgate.redteam.mutations import mutate
from lockgate.redteam.targets.target import Target

HOST: Final = "attacker.example"
"""RFC 2606, section 3: a name that nobody can own."""
MAX_ATTACKS: Final = 100_000
_MAX_CHAIN: Final = 2
_TRIES: Final = 40
_HALF: Final = 6
# Letters that no mutation writes otherwise: a marker is looked for as it is.
_MARKER: Final = "DFGJLNQRUVWZ"
_FILL: Final = 8_000
_FILLINGS: Final = ("a", "(", "[", "<!--", "*_", "`", "\t", "{{", "\\", "![](", "ab ", "\ufdfa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack. The same seed gives the same one, byte for byte."""

    id: str
    family: str
    owasp: str
    surface: str
    mutations: tuple[str, ...]
    text: str
    """What is placed, mutated."""
    marker: str
    """What an answer holds that follows the order. No input holds it."""
    canaries: Canaries
    secret: bool
    """Whether the secret canary is planted in the input."""

    @property
    def on_call(self) -> bool:
        return self.surface == CALL

    def placed(self, target: Target, text: str | None = None) -> JsonObject | None:
        """Return the input with the attack, or with another text in its place."""
        secret = self.canaries.secret if self.secret else None
        return target.place(self.surface, self.text if text is None else text, secret=secret)


def plan(families: Sequence[Family], target: Target, *, count: int, seed: int) -> list[Attack]:
    """Return at most `count` different attacks, about as many of each family.

    Fewer only where families have no more to try.

    Raises:
        UsageError: the count is no such number.

    """
    if not 1 <= count <= MAX_ATTACKS:
        raise UsageError(f"`{count}` attacks are not between 1 and {MAX_ATTACKS}")
    streams = [_stream(family, target, seed) for family in families]
    found: list[Attack] = []
    while streams and len(found) < count:
        for stream in list(streams):
            attack = next(stream, None)
            if attack is None:
                streams.remove(stream)
            elif len(found) < count:
                found.append(attack)
    return found


def _stream(family: Family, target: Target, seed: int) -> Iterator[Attack]:
    """Yield different attacks of a family until none is found for a while."""
    texts = [text for text in family.texts if target.planted or "@PLANTED@" not in text]
    surfaces = (CALL,) if family.on_call else tuple(target.surfaces)
    if not texts or not surfaces:
        return
    draw = Draw(seed, "attacks", family.id)
    order = draw.shuffled([(text, surface) for text in texts for surface in surfaces])
    seen: set[str] = set()
    tries, at = 0, 0
    while tries < _TRIES:
        text, surface = order[at % len(order)]
        attack = _attack(family, text, surface, _Making(target, seed, at))
        at += 1
        fits = attack.on_call or attack.placed(target) is not None
        if attack.id in seen or not fits:
            tries += 1
            continue
        seen.add(attack.id)
        tries = 0
        yield attack


@dataclass(frozen=True, slots=True)
class _Making:
    target: Target
    seed: int
    number: int


def _attack(family: Family, text: str, surface: str, making: _Making) -> Attack:
    name = f"{family.id}\0{surface}\0{text}\0{making.number}"
    draw = Draw(making.seed, "attack", name)
    left, right = (draw.text(_MARKER, _HALF) for _ in range(2))
    chain = _chain(family, draw)
    written = (
        text.replace("@LEFT@", left)
        .replace("@RIGHT@", right)
        .replace("@HOST@", HOST)
        .replace("@PLANTED@", making.target.planted)
    )
    if "@FILL@" in written:
        unit = draw.pick(_FILLINGS)
        written = written.replace("@FILL@", unit * (_FILL // len(unit)))
    placed = mutate(written, chain, draw)
    # Attacks without a mutation or a marker are told apart by text and surface alone.
    shown = written if family.on_call else placed
    told = "\0".join([family.id, surface, *chain, shown])
    digest = hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()
    return Attack(
        id=digest[:16],
        family=family.id,
        owasp=family.owasp,
        surface=surface,
        mutations=chain,
        text=shown,
        marker=left + right,
        canaries=Canaries.drawn(making.seed, digest),
        secret=family.secret,
    )


def _chain(family: Family, draw: Draw) -> tuple[str, ...]:
    if not family.mutations:
        return ()
    length = family.least + draw.below(_MAX_CHAIN - family.least + 1)
    return tuple(draw.shuffled(family.mutations)[:length])
