"""The guards around one call: what goes to a model, and what comes back, whole or in parts."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, GuardFinding
from lockgate.guards.pipeline import Scanned
from lockgate.guards.stream import StreamGuard
from lockgate.guards.vault import Vault
from lockgate.server.failures import HttpFailure
from lockgate.server.replies import TEXTS, Texts
from lockgate.server.requests import ChatRequest, CompletionRequest, EmbeddingRequest

Asked: TypeAlias = ChatRequest | CompletionRequest | EmbeddingRequest
_encode = msgspec.json.Encoder().encode
_COUNTED = {
    Action.REDACT: "redacted",
    Action.BLOCK: "blocked",
    Action.SHADOW: "shadow",
    Action.FLAG: "flagged",
}
_MOST_CHOICES = 128
_PART = ("text", "refusal")
_MESSAGE = ("name", "tool_calls", "function_call", "refusal", "reasoning_content")
_REQUEST = (
    *("prompt", "input", "suffix", "stop", "tools", "tool_choice", "response_format"),
    *("metadata", "user"),
)
"""Members that are text, or hold some. Pictures and sounds are data and not looked into."""


class Guarding:
    """Private to one call: it holds what the placeholders stand for."""

    def __init__(self, controls: Controls, meter: GatewayMeter, data_class: DataClass) -> None:
        self._guards = controls.guards
        self._meter = meter
        self._data_class = data_class
        self._vault = Vault() if controls.guards is not None else None
        self._streams: dict[int, StreamGuard] = {}
        self.findings: dict[str, int] = {}
        """How often each rule found something, for the audit log."""

    @property
    def guards_outputs(self) -> bool:
        """Whether there is anything to look for in answers."""
        return self._guards is not None and self._data_class in self._guards.outputs

    def clean(self, asked: Asked) -> bool:
        """Take out of a request what may not reach a model; return whether it changed.

        Raises:
            HttpFailure: a rule blocks the request.

        """
        if self._guards is None or self._data_class not in self._guards.inputs:
            return False
        began = time.perf_counter()
        try:
            return self._clean(asked)
        finally:
            self._meter.guarded(time.perf_counter() - began)

    def whole(self, body: bytes) -> bytes:
        """Return an answer as it may go out: the same bytes if nothing was found.

        Raises:
            HttpFailure: a rule blocks the answer.

        """
        if not self.guards_outputs:
            return body
        began = time.perf_counter()
        texts = decoded(body)
        document: Any = None
        for number, choice in enumerate(texts.choices):
            text = choice.text if choice.message is None else choice.message.content
            if not text:
                continue
            clean = self._pass(self._stream(number), text)
            if clean != text:
                document = document or msgspec.json.decode(body)
                found = document["choices"][number]
                if choice.message is None:
                    found["text"] = clean
                else:
                    found["message"]["content"] = clean
        self._count()
        self._meter.guarded(time.perf_counter() - began)
        return body if document is None else _encode(document)

    def part(self, number: int, text: str, *, last: bool) -> str:
        """Return what of a stream's text may go out now; `last`: and all that was held back.

        Raises:
            HttpFailure: a rule blocks the answer.

        """
        if not self.guards_outputs:
            return text
        stream = self._stream(number)
        clean = stream.feed(text) if text else ""
        if last:
            clean += stream.finish()
        if stream.blocked is not None:
            self._count()
            raise _blocked("answer", stream.blocked, status=502)
        return clean

    def rest(self, number: int) -> str:
        """Return what was held back of a stream that ended without saying so."""
        return self.part(number, "", last=True)

    def finish(self) -> None:
        """Count what streams found."""
        self._count()

    def _clean(self, asked: Asked) -> bool:
        changed = False
        if isinstance(asked, ChatRequest):
            for message in asked.messages:
                retrieved = message.role in {"tool", "function"}
                if isinstance(message.content, str):
                    clean = self._scan(message.content, retrieved=retrieved)
                    changed |= clean != message.content
                    message.content = clean
                elif isinstance(message.content, list):
                    for part in message.content:
                        changed |= self._members(part, _PART, retrieved=retrieved)
                changed |= self._members(message, _MESSAGE)
        return self._members(asked, _REQUEST) or changed

    def _members(self, value: Any, names: Sequence[str], *, retrieved: bool = False) -> bool:
        """Scan what else of a request is text, and may come from anywhere."""
        changed = False
        for name in names:
            before = getattr(value, name, None)
            if before is None or before is UNSET or (self._is_clean(before) and not retrieved):
                continue
            clean = self._texts(before, retrieved=retrieved)
            if clean != before:
                setattr(value, name, clean)
                changed = True
        return changed

    def _is_clean(self, value: Any) -> bool:
        """Say whether there is nothing in any of the texts: one look at all of them together."""
        if isinstance(value, str):
            return False
        assert self._guards is not None, "asked before"
        found = self._guards.pipeline.scan_input(
            "\n".join(_strings(value)), data_class=self._data_class
        )
        return not found.findings and found.blocked is None

    def _texts(self, value: Any, *, retrieved: bool = False) -> Any:
        match value:
            case str():
                return self._scan(value, retrieved=retrieved)
            case list():
                return [self._texts(item) for item in value]
            case dict():
                return {self._scan(name): self._texts(item) for name, item in value.items()}
            case _:
                return value

    def _scan(self, text: str, *, retrieved: bool = False) -> str:
        assert self._guards is not None, "asked before"
        scanned = self._guards.pipeline.scan_input(
            text, data_class=self._data_class, vault=self._vault, retrieved=retrieved
        )
        for finding in scanned.findings:
            self._found(finding)
        if scanned.blocked is not None:
            raise _blocked("request", scanned.blocked, status=400)
        return scanned.text

    def _stream(self, number: int) -> StreamGuard:
        stream = self._streams.get(number)
        if stream is None:
            if len(self._streams) >= _MOST_CHOICES:
                raise HttpFailure(502, "upstream-failed", "the answer has too many choices")
            assert self._guards is not None, "asked before"
            assert self._vault is not None, "there are guards"
            scanned = Scanned(text="", data_class=self._data_class, vault=self._vault)
            stream = self._streams[number] = self._guards.pipeline.output_stream(scanned)
        return stream

    def _pass(self, stream: StreamGuard, text: str) -> str:
        clean = stream.whole(text)
        if stream.blocked is not None:
            self._count()
            raise _blocked("answer", stream.blocked, status=502)
        return clean

    def _count(self) -> None:
        for stream in self._streams.values():
            for finding in stream.findings:
                self._found(finding)
        self._streams.clear()

    def _found(self, finding: GuardFinding) -> None:
        self.findings[finding.rule] = self.findings.get(finding.rule, 0) + 1
        done = _COUNTED.get(finding.action, "shadow")
        if done == "redacted" and finding.category is Category.INJECTION:
            done = "quarantined"
        self._meter.found(finding.rule, done)


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for name, item in value.items():
                yield name
                yield from _strings(item)
        case _:
            return


def decoded(body: bytes) -> Texts:
    """Return the texts of a whole answer.

    Raises:
        HttpFailure: they are not where the API has them, so that nobody could look at them.

    """
    try:
        return TEXTS.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise HttpFailure(502, "upstream-failed", "the answer's texts are not texts") from None


def _blocked(what: str, finding: GuardFinding, *, status: int) -> HttpFailure:
    return HttpFailure(
        status, "guard-blocked", f"the rule `{finding.rule}` blocks the {what}", param=finding.rule
    )
