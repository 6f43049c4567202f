"""Takes whole parts out of a text, and keeps the places of what is found in the rest."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lockgate.domain.guard import Action, Category, GuardFinding
from lockgate.guards.injection import Suspect
from lockgate.guards.vault import Vault


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A text without its suspects."""

    text: str
    findings: tuple[GuardFinding, ...] = ()
    blocked: GuardFinding | None = None
    _moved: tuple[tuple[int, int], ...] = field(default=((0, 0),))
    """(place in `text`, place in the given text) where each kept part begins."""

    def located(self, finding: GuardFinding) -> GuardFinding:
        """Return a finding of `text` with its place in the given text."""
        if len(self._moved) == 1:
            return finding
        start, end = self._given(finding.start), self._given(max(finding.start, finding.end - 1))
        return finding._replace(start=start, end=end + 1)

    def _given(self, place: int) -> int:
        made, given = self._moved[bisect_right(self._moved, (place, 1 << 62)) - 1]
        return given + place - made


def quarantine(
    text: str, suspects: Sequence[Suspect], action_of: Callable[[str], Action], vault: Vault
) -> Quarantined:
    """Act on suspects, which are in order of place and apart."""
    findings: list[GuardFinding] = []
    parts: list[str] = []
    moved = [(0, 0)]
    at = made = 0
    for suspect in suspects:
        action = action_of(suspect.rule)
        if action is Action.OFF:
            continue
        value = text[suspect.start : suspect.end]
        hidden = action is Action.REDACT
        finding = GuardFinding(
            rule=suspect.rule,
            category=Category.INJECTION,
            action=action,
            start=suspect.start,
            end=suspect.end,
            placeholder=vault.hide(value, Category.INJECTION, suspect.rule) if hidden else "",
            score=round(suspect.score, 3),
        )
        findings.append(finding)
        if action is Action.BLOCK:
            kept = "".join(parts) + text[at : suspect.start]
            return Quarantined(kept, tuple(findings), finding, tuple(moved))
        if not hidden:
            continue
        parts += text[at : suspect.start], finding.placeholder
        made += suspect.start - at + len(finding.placeholder)
        at = suspect.end
        moved.append((made, at))
    parts.append(text[at:])
    return Quarantined("".join(parts), tuple(findings), None, tuple(moved))
