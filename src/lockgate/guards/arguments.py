"""Guards the arguments of a tool call: JSON goes in, and JSON comes out.

A placeholder takes the place of a part of a string, in escaped form, or of a whole number, as a
string. What is found only across the structure, such as a value behind a telling name, takes all
values that it touches. Arguments that are no JSON are guarded as the text that they are.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from lockgate.domain.guard import GuardFinding
from lockgate.guards.stream import StreamGuard

MOST_PARSED = 1 << 20
"""Characters. Longer arguments are guarded as text."""

_VALUE = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|-?[0-9][0-9.eE+-]*')
"""A string or a number. Of valid JSON it finds each, and nothing else."""


class Judged(Protocol):
    """What a guard makes of one text."""

    @property
    def text(self) -> str:
        """The text as it may go on."""
        ...

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """What was found, in order of place."""
        ...

    @property
    def blocked(self) -> GuardFinding | None:
        """The finding that stops the text."""
        ...


@dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments after the guards."""

    text: str
    findings: tuple[GuardFinding, ...] = ()
    blocked: GuardFinding | None = None


@dataclass(slots=True)
class _Value:
    """A name, a string or a number."""

    start: int
    end: int
    """Behind the closing quote."""
    text: str
    """Without quotes and escapes."""
    written: str = ""
    """The JSON that takes its place; empty while it stays."""


def clean_arguments(text: str, judge: Callable[[str], Judged]) -> Judged:
    """Return the arguments as they may go on: the same text if nothing was found.

    `judge` is asked about the whole and about single values; it has to judge equal texts alike. A
    finding has the place of the value that it is in.
    """
    whole = judge(text)
    values = _values(text) if whole.blocked is None else None
    if not values:
        return whole
    plain = "\n".join(value.text for value in values)
    together = judge(plain)
    if together.findings or together.text != plain:
        found, blocked = _judge_each(values, judge)
        if blocked is not None:
            return Arguments("", tuple(found), blocked)
    elif not whole.findings and whole.text == text:
        return whole
    else:
        found = []
    found += _take_across(values, whole.findings, {(f.start, f.rule) for f in found})
    found.sort(key=lambda finding: finding.start)
    return Arguments(_joined(text, values), tuple(found))


class ArgumentsGuard:
    """Arguments that arrive in pieces: all of them come out at the end, when they can be read.

    Not for use by several tasks at a time.
    """

    __slots__ = ("_judge", "_parts", "_size", "_text", "blocked", "findings")

    def __init__(self, guard: Callable[[], StreamGuard]) -> None:
        """`guard` makes the guard of one text; all of them have to share a vault."""
        self._judge = guard
        self._parts: list[str] = []
        self._size = 0
        self._text: StreamGuard | None = None
        """Takes over from the place on where the arguments are too long."""
        self.findings: tuple[GuardFinding, ...] = ()
        self.blocked: GuardFinding | None = None

    def feed(self, chunk: str) -> str:
        """Take the next piece, and return what may be let through now."""
        if self._text is not None:
            return self._told(self._text.feed(chunk))
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size <= MOST_PARSED:
            return ""
        self._text = self._judge()
        return self._told(self._text.feed("".join(self._parts)))

    def finish(self) -> str:
        """Say that the arguments are complete, and return the rest of them."""
        if self._text is not None:
            return self._told(self._text.finish())
        text = "".join(self._parts)
        self._parts.clear()
        self._size = 0
        clean = clean_arguments(text, self._judged)
        self.findings += clean.findings
        self.blocked = clean.blocked
        return clean.text

    def _told(self, out: str) -> str:
        assert self._text is not None, "made before anything was fed to it"
        self.findings, self.blocked = self._text.findings, self._text.blocked
        return out

    def _judged(self, text: str) -> Judged:
        guard = self._judge()
        return Arguments(guard.whole(text), guard.findings, guard.blocked)


def _values(text: str) -> list[_Value] | None:
    """Return the values of a JSON text in order of place; None if it is none."""
    if len(text) > MOST_PARSED:
        return None
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return None
    found = []
    for match in _VALUE.finditer(text):
        inside = match[1]
        value = match[0] if inside is None else inside
        if inside is not None and "\\" in inside:
            value = json.loads(match[0])
        found.append(_Value(*match.span(), value))
    return found


def _judge_each(
    values: Sequence[_Value], judge: Callable[[str], Judged]
) -> tuple[list[GuardFinding], GuardFinding | None]:
    found: list[GuardFinding] = []
    for value in values:
        clean = judge(value.text)
        found += [f._replace(start=value.start, end=value.end) for f in clean.findings]
        if clean.blocked is not None:
            return found, clean.blocked._replace(start=value.start, end=value.end)
        if clean.text != value.text:
            value.written = json.dumps(clean.text, ensure_ascii=False)
    return found, None


def _take_across(
    values: Sequence[_Value], findings: Sequence[GuardFinding], known: set[tuple[int, str]]
) -> list[GuardFinding]:
    """Act on findings of the whole text that no value has by itself; return them."""
    ends = [value.end for value in values]
    found = []
    for finding in findings:
        touched = []
        for index in range(bisect_right(ends, finding.start), len(values)):
            if values[index].start >= finding.end:
                break
            touched.append(values[index])
        if any(value.written or (value.start, finding.rule) in known for value in touched):
            continue
        found.append(finding)
        if finding.placeholder:
            for value in touched:
                value.written = json.dumps(finding.placeholder)
    return found


def _joined(text: str, values: Sequence[_Value]) -> str:
    parts: list[str] = []
    at = 0
    for value in values:
        if value.written:
            parts += text[at : value.start], value.written
            at = value.end
    parts.append(text[at:])
    return "".join(parts)


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"`{constant}` is no JSON")
