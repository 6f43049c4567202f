"""The guards around one call: what goes to a model, and what comes back, whole or in parts."""

import asyncio
import re
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar, assert_never

import msgspec
from msgspec import UNSET

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, GuardFinding
from lockgate.guards.arguments import Judged, clean_arguments
from lockgate.guards.injection import Suspect
from lockgate.guards.pipeline import PART_CHARS, Scanned
from lockgate.guards.vault import Vault
from lockgate.server.answer_guarding import AnswerGuard, blocked
from lockgate.server.requests import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    Image,
    Message,
    Part,
)

Asked: TypeAlias = ChatRequest | CompletionRequest | EmbeddingRequest
_T = TypeVar("_T")
Work: TypeAlias = Generator[None, None, _T]
"""Work with pauses, in which others may be served."""
LONG_BYTES = 32 << 10
"""A longer request is looked through with pauses."""
_encode = msgspec.json.Encoder().encode
_COUNTED = {
    Action.REDACT: "redacted",
    Action.BLOCK: "blocked",
    Action.SHADOW: "shadow",
    Action.FLAG: "flagged",
}
_PART = ("text", "refusal")
_MESSAGE = (
    *("name", "tool_calls", "tool_call_id", "function_call", "refusal", "reasoning_content"),
    *("reasoning", "annotations", "audio"),
)
_SAMPLED = ("stop", "user", "logit_bias")
_CHAT = (
    *("tools", "tool_choice", "response_format", "metadata", "reasoning_effort", "verbosity"),
    *("prediction", "prompt_cache_key", "safety_identifier", "service_tier"),
    *_SAMPLED,
)
_COMPLETION = ("prompt", "suffix", *_SAMPLED)
_EMBEDDING = ("input", "user")
"""Members that are text, or hold some. Pictures and sounds are data and not looked into."""
_TELLING = re.compile("key|secret|token|pass|pwd|credential|phone|birth|ssn|iban", re.IGNORECASE)
"""Names behind which a rule finds what is nothing by itself."""
_BASE64 = ";base64,"
_LONG_NUMBER = 10**7
_LONG_TEXT = 100_000


class Guarding:
    """Private to one call: it holds what the placeholders stand for."""

    def __init__(self, controls: Controls, meter: GatewayMeter, data_class: DataClass) -> None:
        self._guards = controls.guards
        self._meter = meter
        self._data_class = data_class
        self._vault = Vault() if controls.guards is not None else None
        self._answer: AnswerGuard | None = None
        self._since_pause = 0
        """Characters that were looked at since then."""
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
            return _finished(self._clean(asked))
        finally:
            self._meter.guarded(time.perf_counter() - began)

    async def clean_long(self, asked: Asked) -> bool:
        """As `clean`, for a long request: others are served while it is looked through.

        One such request at a time, so that many of them hold up the others no more than one does.
        """
        if self._guards is None or self._data_class not in self._guards.inputs:
            return False
        async with self._guards.turn:
            work, took, began = self._clean(asked), 0.0, time.perf_counter()
            try:
                while True:
                    next(work)
                    took += time.perf_counter() - began
                    await asyncio.sleep(0)
                    began = time.perf_counter()
            except StopIteration as done:
                return bool(done.value)
            finally:
                self._meter.guarded(took + time.perf_counter() - began)

    @property
    def judges_orders(self) -> bool:
        """Whether orders to a model are looked for in inputs."""
        guards = self._guards
        if guards is None:
            return False
        action = guards.pipeline.input_action(self._data_class, Category.INJECTION)
        return action is not Action.OFF

    def reviewed(self, text: str, given: Sequence[Suspect] | None) -> str:
        """Return a clean text with what a second pass found; None: it could not judge it.

        Raises:
            HttpFailure: that blocks the request.

        """
        assert self._guards is not None, "asked before"
        assert self._vault is not None, "there are guards"
        before = Scanned(text=text, data_class=self._data_class, vault=self._vault)
        found = self._guards.pipeline.reviewed(before, given)
        for finding in found.findings:
            self._found(finding)
        if found.blocked is not None:
            raise blocked("request", found.blocked, status=400)
        return found.text

    def whole(self, body: bytes) -> bytes:
        """Return an answer as it may go out: the same bytes if nothing was found.

        Raises:
            HttpFailure: a rule blocks the answer.

        """
        if not self.guards_outputs:
            return body
        began = time.perf_counter()
        try:
            return self._answered.whole(body)
        finally:
            self._count()
            self._meter.guarded(time.perf_counter() - began)

    def chunk(self, data: bytes) -> bytes:
        """Return a chunk of a stream with what its texts may show now.

        Raises:
            HttpFailure: a rule blocks the answer.

        """
        return self._answered.chunk(data) if self.guards_outputs else data

    def rests(self) -> list[bytes]:
        """Return chunks with what was held back of a stream that ended without saying so.

        Raises:
            HttpFailure: a rule blocks the answer.

        """
        return self._answered.rests() if self.guards_outputs else []

    def part(self, number: int, text: str, *, last: bool) -> str:
        """Return what of a stream's text may go out now; `last`: and all that was held back.

        Raises:
            HttpFailure: a rule blocks the answer.

        """
        return self._answered.part(number, text, last=last) if self.guards_outputs else text

    def finish(self) -> None:
        """Count what streams found."""
        self._count()

    def _clean(self, asked: Asked) -> Work[bool]:
        changed = False
        match asked:
            case ChatRequest():
                for message in asked.messages:
                    changed |= yield from self._clean_message(message)
                return (yield from self._members(asked, _CHAT)) or changed
            case CompletionRequest():
                return (yield from self._members(asked, _COMPLETION))
            case EmbeddingRequest():
                return (yield from self._members(asked, _EMBEDDING))
            case _:
                assert_never(asked)

    def _clean_message(self, message: Message) -> Work[bool]:
        changed = False
        retrieved = message.role in {"tool", "function"}
        content = message.content
        if isinstance(content, str):
            clean = yield from self._scan(content, retrieved=retrieved)
            changed = clean != content
            message.content = clean
        elif isinstance(content, list):
            for part in content:
                changed |= yield from self._members(part, _PART, retrieved=retrieved)
                changed |= yield from self._clean_data(part)
        return (yield from self._members(message, _MESSAGE)) or changed

    def _clean_data(self, part: Part) -> Work[bool]:
        """Scan what stands around a picture or a sound, and one that is written as text."""
        changed = False
        image, sound = part.image_url, part.input_audio
        if isinstance(image, Image):
            written = () if _BASE64 in image.url[:100] else ("url",)
            changed = yield from self._members(image, ("detail", *written))
        if isinstance(sound, dict):
            around = {name: text for name, text in sound.items() if name != "data"}
            clean = yield from self._texts(around)
            if clean != around:
                part.input_audio = {**clean, "data": sound.get("data", "")}
                changed = True
        return changed

    def _members(self, value: Any, names: Sequence[str], *, retrieved: bool = False) -> Work[bool]:
        """Scan what else of a request is text, and may come from anywhere."""
        changed = False
        for name in names:
            before = getattr(value, name)
            if before is None or before is UNSET:
                continue
            clean = yield from self._texts(before, retrieved=retrieved)
            if clean is not before and clean != before:
                setattr(value, name, clean)
                changed = True
        return changed

    def _texts(self, value: Any, *, retrieved: bool = False) -> Work[Any]:
        if isinstance(value, str):
            return (yield from self._scan(value, retrieved=retrieved))
        if not isinstance(value, dict | list) or (yield from self._is_clean(value)):
            return value
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            items = list(value)
            for place, item in enumerate(value):
                items[place] = yield from self._scan(item)
            return items
        return (yield from self._json(value))

    def _is_clean(self, value: Any) -> Work[bool]:
        """Say whether there is nothing in any of the texts: one look at all of them together."""
        assert self._guards is not None, "asked before"
        text = "\n".join(_strings(value))
        found = yield from self._guards.pipeline.scanning(text, data_class=self._data_class)
        return not found.findings and found.blocked is None

    def _json(self, value: Any) -> Work[Any]:
        """Scan the values of a JSON value; a text that is JSON itself stays JSON."""
        match value:
            case str():
                return (yield from self._scan(value))
            case list():
                items = list(value)
                for place, item in enumerate(value):
                    items[place] = yield from self._json(item)
                return items
            case dict():
                clean: dict[str, Any] = {}
                for name, item in value.items():
                    clean |= yield from self._member(name, item)
                return clean
            case _:
                return msgspec.json.decode(self._arguments(_encode(value).decode()))

    def _member(self, name: str, item: Any) -> Work[dict[str, Any]]:
        if isinstance(item, dict | list):
            return {(yield from self._scan(name)): (yield from self._json(item))}
        if isinstance(item, str) and name == "arguments":
            return {name: self._arguments(item)}
        if isinstance(item, str) and len(item) > _LONG_TEXT:
            return {(yield from self._scan(name)): (yield from self._scan(item))}
        self._since_pause += len(name) + (len(item) if isinstance(item, str) else 0)
        if self._since_pause > PART_CHARS:
            self._since_pause = 0
            yield
        # With its name: some values are only known by that.
        found: dict[str, Any] = msgspec.json.decode(self._arguments(_encode({name: item}).decode()))
        return found

    def _arguments(self, text: str) -> str:
        return self._taken(clean_arguments(text, self._judge))

    def _judge(self, text: str, *, retrieved: bool = False) -> Scanned:
        assert self._guards is not None, "asked before"
        return self._guards.pipeline.scan_input(
            text, data_class=self._data_class, vault=self._vault, retrieved=retrieved
        )

    def _scan(self, text: str, *, retrieved: bool = False) -> Work[str]:
        assert self._guards is not None, "asked before"
        pipeline, data_class = self._guards.pipeline, self._data_class
        self._since_pause += len(text)
        if self._since_pause > PART_CHARS:
            self._since_pause = 0
            yield
        if pipeline.passes(text, data_class=data_class):
            return text
        if len(text) <= PART_CHARS:
            return self._taken(self._judge(text, retrieved=retrieved))
        judged = yield from pipeline.scanning(
            text, data_class=data_class, vault=self._vault, retrieved=retrieved
        )
        return self._taken(judged)

    def _taken(self, judged: Judged) -> str:
        """Count what was found, and return the text.

        Raises:
            HttpFailure: a rule blocks it.

        """
        for finding in judged.findings:
            self._found(finding)
        if judged.blocked is not None:
            raise blocked("request", judged.blocked, status=400)
        return judged.text

    @property
    def _answered(self) -> AnswerGuard:
        if self._answer is None:
            assert self._guards is not None, "asked before"
            assert self._vault is not None, "there are guards"
            self._answer = AnswerGuard(self._guards.pipeline, self._data_class, self._vault)
        return self._answer

    def _count(self) -> None:
        if self._answer is not None:
            for finding in self._answer.findings:
                self._found(finding)
            self._answer = None

    def _found(self, finding: GuardFinding) -> None:
        self.findings[finding.rule] = self.findings.get(finding.rule, 0) + 1
        done = _COUNTED.get(finding.action, "shadow")
        if done == "redacted" and finding.category is Category.INJECTION:
            done = "quarantined"
        self._meter.found(finding.rule, done)


def _finished(work: Work[_T]) -> _T:
    try:
        while True:
            next(work)
    except StopIteration as done:
        result: _T = done.value
        return result


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
                if isinstance(item, str | int) and _TELLING.search(name):
                    yield f'{name}: "{item}"'
                yield from _strings(item)
        case int() if abs(value) >= _LONG_NUMBER:
            yield str(value)
        case _:
            return
