"""Holds streamed answers against the schema that the client asked for, at the end of each.

What was sent cannot be taken back. So the chunk that would tell the client that an answer is
complete waits until it was judged, and an error stands in its place where it does not match.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lockgate.errors import UpstreamFailed
from lockgate.server.answer_checks import Checker, is_match, mismatch
from lockgate.server.replies import Choice

MOST_CHARACTERS: Final = 1 << 20
"""Of all choices together: an answer that is longer is refused, as nobody could judge it."""
_MOST_CHOICES: Final = 128


@dataclass(slots=True)
class _Text:
    parts: list[str] = field(default_factory=list[str])
    beside: bool = False
    """Whether it calls tools, or refuses."""
    ended: bool = False


@dataclass(slots=True)
class StreamedAnswers:
    """The texts of one stream's choices so far. Mutable, and private to one call."""

    checker: Checker
    upstream: str
    _texts: dict[int, _Text] = field(default_factory=dict[int, _Text])
    _size: int = 0
    _failed: bool = False

    def goes_on(self, choices: Sequence[Choice]) -> bool:
        """Take what a chunk adds; return whether the chunk may be sent.

        After an answer that does not match nothing goes on, though the stream is read to its end:
        what it took comes last.

        Raises:
            UpstreamFailed: the answers are longer than what is kept.

        """
        if self._failed:
            return False
        for choice in choices:
            self._add(choice)
            if choice.finish_reason is not None:
                self._judge(self._texts.get(choice.index), choice.finish_reason)
        return not self._failed

    def end(self) -> None:
        """Judge what ended without saying so.

        Raises:
            UpstreamFailed: an answer does not match.

        """
        for text in self._texts.values():
            self._judge(text, "stop")
        if self._failed:
            raise mismatch(self.upstream)

    def _add(self, choice: Choice) -> None:
        delta = choice.delta or choice.message
        if delta is None:
            return
        text = self._texts.get(choice.index)
        if text is None:
            if len(self._texts) == _MOST_CHOICES:
                raise self._too_much(f"has more than {_MOST_CHOICES} answers")
            text = self._texts[choice.index] = _Text()
        text.beside = text.beside or delta.odd
        if delta.content is not None:
            # Judged once: some servers end a choice twice, and one that goes on then is wrong.
            self._failed = self._failed or (text.ended and bool(delta.content))
            text.parts.append(delta.content)
            self._size += len(delta.content) + 1
            if self._size > MOST_CHARACTERS:
                raise self._too_much(f"is longer than {MOST_CHARACTERS} characters")

    def _too_much(self, problem: str) -> UpstreamFailed:
        return UpstreamFailed(
            f"the stream of the upstream `{self.upstream}` {problem}: "
            "it cannot be held against the schema of `response_format`",
            why="schema",
        )

    def _judge(self, text: _Text | None, finish_reason: str) -> None:
        if text is None or text.ended or not text.parts:
            return
        text.ended = True
        whole = "".join(text.parts)
        if not whole and text.beside:
            return
        self._failed = self._failed or not is_match(self.checker, whole, finish_reason)
