"""What a gate says: numbered findings, and the verdict that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.instants import instant_text


class Rule(IntEnum):
    """The steps of a decision. The numbers are stable: documents and scripts name them."""

    CLOSURE = 1
    TRUST = 2
    SIGNATURES = 3
    EVALUATION = 4
    DUTIES = 5
    SAFETY = 6
    COHERENCE = 7
    ENVIRONMENT = 8

    @property
    def title(self) -> str:
        """The rule's name in messages and documents."""
        return _TITLES[self - 1]


_TITLES = (
    "closure",
    "trust-root",
    "signatures",
    "evaluation",
    "separation-of-duties",
    "artifact-safety",
    "coherence",
    "environment",
)


class Outcome(StrEnum):
    """What one rule says."""

    ALLOW = "allow"
    DEFER = "defer"
    """Not now: time alone will change it."""
    DENY = "deny"


_SEVERITY = (Outcome.ALLOW, Outcome.DEFER, Outcome.DENY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found. A refusal names both values and the next step."""

    rule: Rule
    check: str
    """Stable name of the check within the rule."""
    outcome: Outcome
    message: str
    hint: str = ""
    """The next step; empty where nothing is to be done."""
    until: datetime | None = None
    """Of a DEFER: when to ask again."""

    @property
    def name(self) -> str:
        """Rule and check: `evaluation.threshold`."""
        return f"{self.rule.title}.{self.check}"

    @property
    def document(self) -> dict[str, Json]:
        """The finding as JSON."""
        found: dict[str, Json] = {
            "rule": int(self.rule),
            "name": self.name,
            "outcome": str(self.outcome),
            "message": self.message,
        }
        if self.hint:
            found["hint"] = self.hint
        if self.until is not None:
            found["until"] = instant_text(self.until)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """All findings on one release and one environment, in the order of the rules."""

    task: str
    environment: str
    release: Digest
    intent: str
    at: datetime
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """Attestations that did not count, each with its reason."""
    inputs: JsonObject
    """Digests of all that the decision rests on: with these it can be made again."""

    @property
    def verdict(self) -> Outcome:
        """The worst outcome of all findings: deny, else defer, else allow."""
        return max((f.outcome for f in self.findings), key=_SEVERITY.index, default=Outcome.DENY)

    @property
    def allowed(self) -> bool:
        return self.verdict is Outcome.ALLOW

    @property
    def refusals(self) -> Sequence[Finding]:
        """The findings that stand against the release, in the order of the rules."""
        return [f for f in self.findings if f.outcome is not Outcome.ALLOW]

    @property
    def retry_at(self) -> datetime | None:
        """When a deferred decision is worth asking for again; None if time alone will not help."""
        if self.verdict is not Outcome.DEFER:
            return None
        return max((f.until for f in self.findings if f.until is not None), default=None)

    @property
    def document(self) -> dict[str, Json]:
        """The decision as JSON: the same inputs give the same bytes."""
        return {
            "apiVersion": "lockgate/v1",
            "kind": "decision",
            "task": self.task,
            "environment": self.environment,
            "release": str(self.release),
            "intent": self.intent,
            "at": instant_text(self.at),
            "verdict": str(self.verdict),
            "findings": [finding.document for finding in self.findings],
            "notes": list(self.notes),
            "inputs": self.inputs,
        }

    @property
    def digest(self) -> Digest:
        return Digest.of_json(self.document)


def allow(rule: Rule, check: str, message: str) -> Finding:
    """Return a finding that nothing stands against."""
    return Finding(rule=rule, check=check, outcome=Outcome.ALLOW, message=message)


def deny(rule: Rule, check: str, message: str, *, hint: str) -> Finding:
    """Return a refusal: the message names both values, the hint the next step."""
    return Finding(rule=rule, check=check, outcome=Outcome.DENY, message=message, hint=hint)


def defer(rule: Rule, check: str, message: str, *, until: datetime) -> Finding:
    """Return a refusal that time alone will lift."""
    return Finding(
        rule=rule,
        check=check,
        outcome=Outcome.DEFER,
        message=message,
        hint=f"ask again after {instant_text(until)}",
        until=until,
    )
