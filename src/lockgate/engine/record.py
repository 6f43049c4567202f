"""Opens and closes the books on one call: whatever happens, one audit event is left.

The event holds digests, verdicts and usage; the content (sanitised input, output, inferences) is
kept beside it as payloads for the configured time, and their deletion leaves the chain whole.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from lockgate.domain import audit
from lockgate.domain.call import Answer, Call, Draft
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.domain.guard import GuardFinding
from lockgate.domain.inference import Completion, Dispatch, Result
from lockgate.domain.recording import dispatch_digest, result_digest
from lockgate.domain.redact import Redaction
from lockgate.domain.release import Pin, Release
from lockgate.domain.search import Passage
from lockgate.domain.usage import Usage
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.errors import LockgateError, OverBudget
from lockgate.ports import Clock, Payload, Stopwatch, Store

CANCELLED = "cancelled"
INTERNAL = "internal"


@dataclass(slots=True, kw_only=True)
class Entry:
    """What is known about a call so far. Mutable, and private to one call."""

    clock: Clock
    release: Release | None = None
    admission: JsonObject | None = None
    given: bytes = b""
    """Canonical JSON of the sanitised input and its redactions."""
    output: bytes = b""
    draft: Draft | None = None
    used: Usage = field(default_factory=Usage)
    verdicts: tuple[Verdict, ...] = ()
    attempts: list[Json] = field(default_factory=list[Json])
    inferences: list[Json] = field(default_factory=list[Json])
    failure: str = ""
    """Of the first attempt: an error's code, or `check:NAME`."""
    searches: list[Json] = field(default_factory=list[Json])
    outcome: str = INTERNAL
    error: LockgateError | None = None
    over_budget: OverBudget | None = None
    """What refused an inference that would have cost too much."""

    def received(
        self,
        given: JsonObject,
        redactions: Sequence[Redaction],
        findings: Sequence[GuardFinding] = (),
    ) -> None:
        """Note the input after the guards, and what they found beside secrets."""
        taken_out: list[Json] = [
            {"placeholder": r.placeholder, "rule": r.rule, "description": r.description}
            for r in redactions
        ]
        noted: dict[str, Json] = {"input": given, "redactions": taken_out}
        if findings:
            noted["findings"] = [
                {"rule": f.rule, "category": str(f.category), "action": str(f.action)}
                for f in findings
            ]
        self.given = canonical(noted)

    def chose(self, release: Release) -> None:
        """Note the release that is to answer."""
        self.release = release

    def admitted(self, admission: JsonObject) -> None:
        """Note by what policy the release may run here."""
        self.admission = admission

    def inferred(self, dispatch: Dispatch, outcome: Result | LockgateError) -> None:
        """Note one use of a model."""
        note: dict[str, Json] = {
            "role": dispatch.request.role,
            "model": dispatch.model,
            "dispatch": str(dispatch_digest(dispatch)),
        }
        if isinstance(outcome, LockgateError):
            note["error"] = {"code": outcome.code, "message": outcome.message}
            if isinstance(outcome, OverBudget):
                self.over_budget = outcome
        else:
            self.used += outcome.usage
            note["result"] = str(result_digest(outcome))
            note["usage"] = _usage(outcome.usage)
            if isinstance(outcome, Completion):
                note["text"] = outcome.text
        self.inferences.append(note)

    def retrieved(self, pin: Pin, query: str, found: Sequence[Passage]) -> None:
        """Note what of an index a task was given, by ids and digests."""
        self.searches.append(
            {
                "index": pin.name,
                "digest": str(pin.digest),
                "query": str(Digest.of(query.encode())),
                "passages": [
                    {"id": at.id, "digest": str(Digest.of(at.text.encode()))} for at in found
                ],
            }
        )

    def tried(self, engine: str, verdicts: tuple[Verdict, ...]) -> None:
        """Note an attempt that made a draft."""
        self.verdicts = verdicts
        failed = next((v.check for v in verdicts if v.outcome is not Outcome.PASS), None)
        self.failure = self.failure or ("" if failed is None else f"check:{failed}")
        self.attempts.append({"engine": engine, "verdicts": _verdicts(verdicts)})

    def failed(self, engine: str, error: LockgateError) -> None:
        """Note an attempt that made nothing."""
        self.failure = self.failure or error.code
        self.attempts.append({"engine": engine, "error": error.code, "reason": error.message})

    def answered(
        self, call: Call, draft: Draft, release: Release, verdicts: tuple[Verdict, ...]
    ) -> Answer:
        """Note success and return the answer."""
        self.outcome = "answered"
        self.draft = draft
        self.output = canonical(draft.output)
        return Answer(
            call=call.id,
            at=self.clock(),
            task=call.task,
            output=draft.output,
            engine=draft.engine,
            degraded=draft.degraded,
            evidence=draft.evidence,
            confidence=draft.confidence,
            release=release.digest,
            verdicts=verdicts,
            usage=self.used,
            failure=self.failure,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Audit and usage for every call."""

    store: Store
    clock: Clock
    stopwatch: Stopwatch
    retention: timedelta
    """How long payloads are kept; zero keeps none."""

    @asynccontextmanager
    async def record(self, call: Call) -> AsyncGenerator[Entry]:
        """Hand out an Entry; record however the block ends, cancellation included."""
        entry = Entry(clock=self.clock)
        started = self.stopwatch()
        try:
            yield entry
        except LockgateError as error:
            entry.outcome = error.code
            entry.error = error
            raise
        except asyncio.CancelledError:
            entry.outcome = CANCELLED
            raise
        finally:
            # Ctrl-C must not lose the event: the write runs to its end even if we are cancelled.
            closing = asyncio.ensure_future(self._close(call, entry, self.stopwatch() - started))
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                await closing
                raise

    async def _close(self, call: Call, entry: Entry, duration_us: int) -> None:
        now = self.clock()
        record = canonical(entry.inferences) if entry.inferences else b""
        contents = [c for c in (entry.given, entry.output, record) if c]
        expires_at = now + self.retention
        async with self.store.begin() as unit:
            if self.retention:
                for content in contents:
                    payload = Payload(data=content, expires_at=expires_at)
                    await unit.put_payload(Digest.of(content), payload)
            await unit.drop_expired(now)
            await unit.append(
                audit.Entry(
                    id=call.id,
                    at=now,
                    actor=call.principal.name,
                    action="replay" if call.replay_of else "call",
                    subject=call.task,
                    detail=_detail(call, entry, record, duration_us),
                )
            )


def _detail(call: Call, entry: Entry, record: bytes, duration_us: int) -> dict[str, Json]:
    draft = entry.draft
    searches: dict[str, Json] = {"searches": entry.searches} if entry.searches else {}
    return {
        "task": call.task,
        "outcome": entry.outcome,
        "release": str(entry.release.digest) if entry.release else None,
        "admission": entry.admission,
        "asked": str(call.engine),
        "engine": str(draft.engine) if draft else None,
        "degraded": list(draft.degraded) if draft else [],
        "data_class": str(call.data_class),
        "input": _digest(entry.given),
        "output": _digest(entry.output),
        "record": _digest(record),
        "verdicts": _verdicts(entry.verdicts),
        "attempts": entry.attempts,
        "usage": _usage(entry.used),
        "duration_us": duration_us,
        "replay_of": call.replay_of,
        **searches,
        "error": {"code": entry.error.code, "message": entry.error.message}
        if entry.error
        else None,
    }


def _digest(content: bytes) -> str | None:
    return str(Digest.of(content)) if content else None


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "inferences": usage.inferences,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_micros": usage.cost_micros,
        "duration_us": usage.duration_us,
    }


def _verdicts(verdicts: Sequence[Verdict]) -> list[Json]:
    return [
        {"check": v.check, "outcome": v.outcome.name.lower(), "reason": v.reason} for v in verdicts
    ]
