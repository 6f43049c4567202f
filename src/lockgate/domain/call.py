"""A request as the engine sees it, and its answer."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.redact import Redaction
from lockgate.domain.usage import Usage
from lockgate.domain.verdict import Verdict


class DataClass(StrEnum):
    """How sensitive an input is. Each backend says which classes may reach it."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"


class EngineKind(StrEnum):
    """What made an answer."""

    MODEL = "model"
    RULES = "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling, as established by the edge (OS user, token, socket peer)."""

    name: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one task."""

    id: str
    principal: Principal
    task: str
    input: JsonObject
    engine: EngineKind = EngineKind.MODEL
    """RULES asks for the deterministic path: not degraded, since it was asked for."""
    data_class: DataClass = DataClass.INTERNAL
    redactions: tuple[Redaction, ...] = ()
    """Secrets that were taken out of `input` before: a replay's input holds placeholders."""
    without_models: str = ""
    """Why no model is to be asked, as when the task is turned off: its rules answer, degraded."""
    replay_of: str | None = None
    """Id of the call that this one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a task made of an input, before the checks."""

    output: JsonObject
    evidence: tuple[str, ...] = ()
    """What the output rests on: commit ids, `path:line`, document ids."""
    confidence: float | None = None
    engine: EngineKind = EngineKind.MODEL
    degraded: tuple[str, ...] = ()
    """Why this is less than the release promises; empty if it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller gets: the output, and how it came to be."""

    call: str
    """The id of the call, and of its audit entry."""
    at: datetime
    task: str
    output: JsonObject
    engine: EngineKind
    degraded: tuple[str, ...]
    evidence: tuple[str, ...]
    confidence: float | None
    release: Digest
    verdicts: tuple[Verdict, ...] = ()
    usage: Usage = field(default_factory=Usage)
    failure: str = ""
    """Why it is not the model's: an error's code, or `check:NAME`; empty if it is, or was not
    asked."""

    @property
    def document(self) -> dict[str, Json]:
        """The answer as every task prints it: the output, and what made it.

        The call's id, its time and its usage are left out, so that equal inputs and releases
        give equal bytes; the audit event has them.
        """
        return {
            **self.output,
            "engine": str(self.engine),
            "degraded": bool(self.degraded),
            "degraded_reasons": list(self.degraded),
            "evidence": list(self.evidence),
            "confidence": self.confidence,
            "release": str(self.release),
        }
