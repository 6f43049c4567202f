"""Guards the texts of one answer, whole or streamed: each text of each choice by itself.

A stream's chunks stay one to one: what is held back of a text comes with its choice's last chunk.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from lockgate.domain.call import DataClass
from lockgate.domain.guard import GuardFinding
from lockgate.guards.arguments import ArgumentsGuard
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.stream import StreamGuard
from lockgate.guards.vault import Vault
from lockgate.server.answer_texts import (
    Kind,
    Path,
    PlainChoice,
    Text,
    document,
    plain,
    put,
    text_at,
    texts,
)
from lockgate.server.failures import HttpFailure

Guard: TypeAlias = StreamGuard | ArgumentsGuard
_encode = msgspec.json.Encoder().encode
_MOST_TEXTS = 1024
_CONTENT: Path = ("delta", "content")
_TEXT: Path = ("text",)
_HEAD = ("id", "object", "created", "model", "system_fingerprint")


class AnswerGuard:
    """Private to one call. Not for use by several tasks at a time."""

    def __init__(self, pipeline: Pipeline, data_class: DataClass, vault: Vault) -> None:
        """Guard the answer to an input, from whose scan the vault is."""
        self._pipeline = pipeline
        self._data_class = data_class
        self._vault = vault
        self._guards: dict[int, dict[Path, Guard]] = {}
        """By choice, and by the path in it."""
        self._count = 0
        self._done: list[GuardFinding] = []
        self._open: dict[int, bytes] = {}
        """The last chunk of each choice that has not ended."""

    @property
    def findings(self) -> Iterator[GuardFinding]:
        """What was found so far."""
        yield from self._done
        for guards in self._guards.values():
            for guard in guards.values():
                yield from guard.findings

    @cached_property
    def _scanned(self) -> Scanned:
        return Scanned(text="", data_class=self._data_class, vault=self._vault)

    def whole(self, body: bytes) -> bytes:
        """Return an answer as it may go out: the same bytes if nothing was found.

        Raises:
            HttpFailure: a rule blocks the answer; or it is not what the API says, so that nobody
                could look at it.

        """
        found = plain(body)
        if found is not None and all(map(self._stays, found.choices)):
            return body
        self._done.clear()
        answer = document(body)
        changed = [self._replaced_all(choice) for choice in answer.get("choices", ())]
        for choice, was_changed in zip(answer.get("choices", ()), changed, strict=True):
            if was_changed and choice.get("logprobs") is not None:
                # They hold the text once more, token by token.
                choice["logprobs"] = None
        beside = self._replaced_all(answer)
        return _encode(answer) if beside or any(changed) else body

    def chunk(self, data: bytes) -> bytes:
        """Return a chunk with what its texts may show now; the same bytes if that is all of them.

        Raises:
            HttpFailure: as `whole`.

        """
        found = plain(data)
        if found is None or any(map(_is_mixed, found.choices)):
            return self._odd_chunk(data)
        shown = [self._next(choice, data) for choice in found.choices]
        if not any(shown):
            return data
        answer = document(data)
        for choice, texts_ in zip(answer["choices"], shown, strict=True):
            for path, text in texts_.items():
                put(choice, path, text)
        return _encode(answer)

    def part(self, number: int, text: str, *, last: bool) -> str:
        """Return what of the next piece of a choice's content may go out now.

        Raises:
            HttpFailure: as `whole`.

        """
        guard = self._guard(number, _CONTENT, Kind.TEXT)
        clean = guard.feed(text) if text else ""
        if last:
            clean += guard.finish()
        _refuse(guard)
        return clean

    def rests(self) -> list[bytes]:
        """Return chunks with what was held back of choices that ended without saying so.

        Raises:
            HttpFailure: as `whole`.

        """
        found = []
        for number, data in tuple(self._open.items()):
            answer = document(data)
            choice = {"index": number, "finish_reason": None}
            if self._put_rests(number, choice):
                head = {name: answer[name] for name in _HEAD if name in answer}
                found.append(_encode({**head, "choices": [choice]}))
        return found

    def _stays(self, choice: PlainChoice) -> bool:
        part = choice.message or choice.delta
        for text in (choice.text, None if part is None else part.content):
            if not text or self._pipeline.passes(text, data_class=self._data_class, output=True):
                continue
            if self._judged(text, Kind.TEXT) != text:
                return False
        return True

    def _replaced_all(self, node: Any) -> bool:
        changed = False
        for text in texts(node):
            clean = self._judged(text.text, text.kind)
            if clean != text.text:
                text.holder[text.key] = clean
                changed = True
        return changed

    def _judged(self, text: str, kind: Kind) -> str:
        """Return what may be shown of a text that is here as a whole."""
        if kind is Kind.ARGUMENTS:
            guard: Guard = self._pipeline.output_arguments(self._scanned)
            clean = guard.feed(text) + guard.finish()
        else:
            guard = self._pipeline.output_stream(self._scanned)
            clean = guard.whole(text)
        self._done += guard.findings
        _refuse(guard)
        return clean

    def _next(self, choice: PlainChoice, data: bytes) -> dict[Path, str]:
        """Return by path the texts of the choice in this chunk that differ from what came."""
        number, part = choice.index, choice.delta
        path, came = (_TEXT, choice.text) if part is None else (_CONTENT, part.content)
        shown: dict[Path, str] = {}
        if came:
            guard = self._guard(number, path, Kind.TEXT)
            clean = guard.feed(came)
            _refuse(guard)
            if clean != came:
                shown[path] = clean
        if choice.finish_reason is None:
            self._open[number] = data
            return shown
        for path_, rest in self._rest(number):
            shown[path_] = shown.get(path_, (came or "") if path_ == path else "") + rest
        return shown

    def _odd_chunk(self, data: bytes) -> bytes:
        """Guard a chunk that has more than one text, or others than content."""
        answer = document(data)
        changed = False
        for choice in answer.get("choices", ()):
            number = choice.get("index", 0)
            if not isinstance(number, int):
                raise HttpFailure(502, "upstream-failed", "the index of a choice is no number")
            new = [self._replace(number, text) for text in texts(choice)]
            if choice.get("finish_reason") is None:
                self._open[number] = data
            else:
                new.append(self._put_rests(number, choice))
            if choice.get("logprobs") is not None:
                # They would tell, token by token, what is still held back.
                choice["logprobs"] = None
                changed = True
            changed |= any(new)
        for text in texts(answer):
            changed |= self._replace(0, text._replace(kind=Kind.PIECE))
        return _encode(answer) if changed else data

    def _replace(self, number: int, text: Text) -> bool:
        if text.kind is Kind.PIECE:
            clean = self._judged(text.text, text.kind)
        else:
            guard = self._guard(number, text.path, text.kind)
            clean = guard.feed(text.text)
            _refuse(guard)
        if clean == text.text:
            return False
        text.holder[text.key] = clean
        return True

    def _put_rests(self, number: int, choice: dict[str, Any]) -> bool:
        changed = False
        for path, rest in self._rest(number):
            put(choice, path, text_at(choice, path) + rest)
            changed = True
        return changed

    def _rest(self, number: int) -> Iterator[tuple[Path, str]]:
        """Yield what was held back of a choice that is complete, by path."""
        self._open.pop(number, None)
        for path, guard in self._guards.get(number, {}).items():
            rest = guard.finish()
            _refuse(guard)
            if rest:
                yield path, rest

    def _guard(self, number: int, path: Path, kind: Kind) -> Guard:
        guards = self._guards.setdefault(number, {})
        guard = guards.get(path)
        if guard is None:
            self._count += 1
            if self._count > _MOST_TEXTS:
                raise HttpFailure(502, "upstream-failed", "the answer has too many texts")
            make = (
                self._pipeline.output_arguments
                if kind is Kind.ARGUMENTS
                else self._pipeline.output_stream
            )
            guard = guards[path] = make(self._scanned)
        return guard


def _is_mixed(choice: PlainChoice) -> bool:
    """Say whether a chunk's choice has its text in two places, or where no chunk has it."""
    return choice.message is not None or (choice.delta is not None and choice.text is not None)


def _refuse(guard: Guard) -> None:
    if guard.blocked is not None:
        raise blocked("answer", guard.blocked, status=502)


def blocked(what: str, finding: GuardFinding, *, status: int) -> HttpFailure:
    """Return the error for a text that a rule stops."""
    return HttpFailure(
        status, "guard-blocked", f"the rule `{finding.rule}` blocks the {what}", param=finding.rule
    )
