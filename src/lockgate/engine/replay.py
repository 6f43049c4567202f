"""Runs a past call again from its audit record, and compares the bytes."""

import json
from dataclasses import dataclass

from lockgate.domain.audit import AuditEvent
from lockgate.domain.call import Answer, Call, DataClass, EngineKind, Principal
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.domain.redact import Redaction
from lockgate.engine.answer import Answering
from lockgate.errors import NotFound, UsageError
from lockgate.ports import Progress, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a repeated call showed."""

    call: str
    repeat: str
    """Id of the call that repeated it."""
    recorded: Digest
    """Of the output, then."""
    replayed: Digest
    """Of the output, now."""
    release_then: Digest
    release_now: Digest
    answer: Answer

    @property
    def same(self) -> bool:
        """Whether the outputs are the same bytes."""
        return self.recorded == self.replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """Repeats calls. Reads from the store; what it runs is recorded like any call."""

    store: Store
    answering: Answering

    async def replay(
        self, call_id: str, *, repeat_id: str, principal: Principal, progress: Progress
    ) -> Replay:
        """Answer a recorded call again.

        Raises:
            NotFound: no such call, or its content was not kept.
            UsageError: the call ended without an answer, so there is nothing to compare.

        """
        event, given = await self._load(call_id)
        detail = event.entry.detail
        call = Call(
            id=repeat_id,
            principal=principal,
            task=event.entry.subject,
            input=_object(given["input"]),
            engine=EngineKind(str(detail["asked"])),
            data_class=DataClass(str(detail["data_class"])),
            redactions=_redactions(given["redactions"]),
            replay_of=event.entry.id,
        )
        answer = await self.answering.answer(call, progress)
        return Replay(
            call=event.entry.id,
            repeat=repeat_id,
            recorded=Digest.parse(str(detail["output"])),
            replayed=Digest.of(canonical(answer.output)),
            release_then=Digest.parse(str(detail["release"])),
            release_now=answer.release,
            answer=answer,
        )

    async def _load(self, call_id: str) -> tuple[AuditEvent, JsonObject]:
        async with self.store.begin() as unit:
            event = await unit.event(call_id)
            if event is None or event.entry.action not in {"call", "replay"}:
                raise NotFound(
                    f"no call `{call_id}` is in the audit log",
                    hint="list calls with `lockgate audit list`",
                )
            detail = event.entry.detail
            if detail.get("outcome") != "answered":
                raise UsageError(
                    f"the call `{event.entry.id}` ended as `{detail.get('outcome')}`, "
                    "without an answer to compare with",
                    hint=f"see `lockgate audit show {event.entry.id}`",
                )
            content = await unit.payload(Digest.parse(str(detail["input"])))
        if content is None:
            raise NotFound(
                f"the input of the call `{event.entry.id}` is no longer kept",
                hint="keep inputs longer with `audit.payload_retention_days` in lockgate.toml",
            )
        return event, _object(json.loads(content))


def _object(value: Json) -> JsonObject:
    assert isinstance(value, dict), "the engine stored an object"
    return value


def _redactions(value: Json) -> tuple[Redaction, ...]:
    assert isinstance(value, list), "the engine stored a list"
    items = [_object(item) for item in value]
    return tuple(
        Redaction(
            placeholder=str(i["placeholder"]),
            rule=str(i["rule"]),
            description=str(i["description"]),
        )
        for i in items
    )
