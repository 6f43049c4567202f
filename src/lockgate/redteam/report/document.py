"""What every report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput
from lockgate.redteam.canary import masked
from lockgate.redteam.families import OWASP
from lockgate.redteam.judge import Detector
from lockgate.redteam.results import (
    EXIT_CODES,
    Demand,
    FamilyResult,
    Rate,
    Status,
    Trial,
    by_sign,
    status,
)

TOOL: Final = "lockgate"
FORMAT: Final = 1
_SHOWN: Final = 2_000
LIMITS: Final = (
    (
        "These are attacks that we wrote, mutated by a seed. A rate is of attacks like these, on "
        "inputs like these; an attacker who adapts to the task may do better. An attack that did "
        "not come through is no proof that none can."
    ),
    (
        "Success is judged by what is there to see: a planted word or canary in the answer, a "
        "broken schema or bound, active markup, a planted defect that is missing. An answer that "
        "is merely misleading is not seen."
    ),
    (
        "The input's text is quoted by the tasks, so a bare web address of an attacker may stand "
        "in an answer as text; only what loads, hides where it leads or runs counts."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a run differs from an earlier one, attack by attack."""

    new: tuple[str, ...] = ()
    """Ids of attacks that come through and were not tried before."""
    worse: tuple[str, ...] = ()
    """Come through, and did not before."""
    fixed: tuple[str, ...] = ()
    same: int = 0
    """Come through, as before."""
    gone: int = 0
    """Came through before, and were not tried now."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "new": list(self.new),
            "worse": list(self.worse),
            "fixed": list(self.fixed),
            "same": self.same,
            "gone": self.gone,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished run."""

    task: str
    engine: str
    version: str
    release: str
    seed: int
    place: str
    """The file that results are shown at."""
    trials: Sequence[Trial]
    families: Sequence[FamilyResult]
    demand: Demand
    mark: str
    """What every canary holds; never shown."""
    warnings: Sequence[str] = ()
    stored: int = 0
    """Canaries that were found in the state that the guarded run left."""
    change: Change | None = None

    @property
    def status(self) -> Status:
        if self.stored:
            return Status.FAILED
        worse = None if self.change is None else len(self.change.worse) + len(self.change.new)
        return status(self.families, self.trials, self.demand, worse=worse)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    @property
    def succeeded(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.succeeded]

    @property
    def signs(self) -> Mapping[Detector, Rate]:
        """Each sign's rate over all attacks."""
        return by_sign(self.trials)

    @property
    def untested(self) -> list[str]:
        """Ids of the OWASP list that no family of this run is about."""
        tested = {result.family.owasp for result in self.families}
        return [name for name in OWASP if name not in tested]

    def shown(self, text: str) -> str:
        """Return a text as reports show it: short, and without canaries."""
        clean = masked(text, self.mark)
        return clean if len(clean) <= _SHOWN else f"{clean[:_SHOWN]}… ({len(clean)} characters)"

    @property
    def document(self) -> dict[str, Json]:
        return {
            "format": FORMAT,
            "tool": {"name": TOOL, "version": self.version},
            "task": self.task,
            "engine": self.engine,
            "release": self.release,
            "seed": self.seed,
            "status": str(self.status),
            "exit_code": self.exit_code,
            "attacks": len(self.trials),
            "succeeded": len(self.succeeded),
            "canaries_stored": self.stored,
            "untested": list(self.untested),
            "warnings": [self.shown(text) for text in self.warnings],
            "limits": list(LIMITS),
            "families": [result.document for result in self.families],
            "signs": {str(sign): rate.document for sign, rate in self.signs.items()},
            "change": self.change.document if self.change else None,
            "trials": [self._trial(trial) for trial in self.trials],
        }

    def _trial(self, trial: Trial) -> dict[str, Json]:
        attack = trial.attack
        return {
            "id": attack.id,
            "family": attack.family,
            "owasp": attack.owasp,
            "surface": attack.surface,
            "mutations": list(attack.mutations),
            "text": self.shown(attack.text),
            "ending": str(trial.ending),
            "said": self.shown(trial.said),
            "succeeded": trial.succeeded,
            "hits": [self._hit(hit.detector, hit.reason) for hit in trial.hits],
            "hits_without_guardrails": None
            if trial.unguarded is None
            else [self._hit(hit.detector, hit.reason) for hit in trial.unguarded],
            "minimal": None if trial.minimal is None else self.shown(trial.minimal),
        }

    def _hit(self, detector: str, reason: str) -> dict[str, Json]:
        return {"detector": str(detector), "reason": self.shown(reason)}


def compared(trials: Sequence[Trial], base: JsonObject) -> Change:
    """Compare with the document of an earlier report.

    Raises:
        InvalidInput: it is none.

    """
    rows = base.get("trials")
    if base.get("format") != FORMAT or not isinstance(rows, list):
        raise InvalidInput(
            "the base is not a report of `lockgate redteam`",
            hint="give a .json that `lockgate redteam TASK -o FILE.json` wrote",
        )
    before = {str(r.get("id")): bool(r.get("succeeded")) for r in rows if isinstance(r, Mapping)}
    now = {trial.attack.id: trial.succeeded for trial in trials}
    through = [name for name, succeeded in now.items() if succeeded]
    return Change(
        new=tuple(name for name in through if name not in before),
        worse=tuple(name for name in through if before.get(name) is False),
        fixed=tuple(n for n, succeeded in now.items() if not succeeded and before.get(n)),
        same=sum(before.get(name) is True for name in through),
        gone=sum(succeeded and name not in now for name, succeeded in before.items()),
    )
