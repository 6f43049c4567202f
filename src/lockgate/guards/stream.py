"""Scans a text as it arrives. For every way to cut the text into chunks the output is the same.

How: `RuleSet.open_from` says where the first match may begin that later text could complete. What
stands before it is final, unless a match reaches across; so a cut there changes nothing. A match
that stays open for more than `MAX_MATCH` bytes is decided by force, but only at fixed distances
from the start of the text, `GRID` bytes apart, so that the decision does not depend on the chunks.

Each match takes time, and a hostile text is made of nothing else: after `MOST_MATCHES`, and one
more for each `BYTES_PER_MATCH`, the text counts as one that cannot be judged.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lockgate.domain.guard import Action, Category, GuardFinding
from lockgate.guards.compiled import RESTORE, Raw, RuleSet
from lockgate.guards.rules import Rule
from lockgate.guards.validators import BEFORE
from lockgate.guards.vault import Vault

GRID = 4096
MAX_MATCH = 8192
"""Bytes. A longer match is taken in full up to the decision, and then up to the next delimiter."""

MOST_MATCHES = 4096
BYTES_PER_MATCH = 160
TOO_MANY = "too-many"

_PATIENCE = 16
_FLOOD = Rule(
    id=TOO_MANY,
    description="more matches than can be judged",
    regex="",
    keywords=(),
    entropy=0,
    group=0,
    allowed="",
    positives=(),
    negatives=(),
    category=Category.FAILURE,
)
_DELIMITER = re.compile(rb"[\s\"'<>`]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Handling(NamedTuple):
    """What is done about the findings of one text."""

    action_of: Callable[[Rule], Action]
    vault: Vault
    restored: frozenset[Category] = frozenset()
    """Categories whose placeholders are replaced by what they stand for."""
    closed: bool = True
    """Whether a text that cannot be judged ends there; else the rest of it passes."""


@dataclass(slots=True)
class _Span:
    start: int
    end: int
    rule: Rule
    action: Action


class StreamGuard:
    """One text on its way through. Not for use by several tasks at a time."""

    __slots__ = (
        "_begin", "_chars", "_cursor", "_data", "_findings", "_handling", "_left", "_matches",
        "_rules", "_spent", "_swallowing", "_wake", "blocked",
    )  # fmt: skip

    def __init__(self, rules: RuleSet, handling: Handling) -> None:
        self._rules = rules
        self._handling = handling
        self._data = b""
        self._cursor = 0
        """Where in `_data` the undecided text begins; what is before it is context."""
        self._begin = 0
        """Bytes of the text before `_data`."""
        self._matches = 0
        self._spent = False
        """Whether the rest of the text is not judged."""
        self._chars = 0
        self._left = GRID
        self._wake = 0
        """Bytes in `_data` at which it is worth another look."""
        self._swallowing = False
        self._findings: list[GuardFinding] = []
        self.blocked: GuardFinding | None = None
        """The finding that ended the text; nothing comes out after it."""

    @property
    def findings(self) -> tuple[GuardFinding, ...]:
        """What was found so far, in order of place."""
        if not self._findings:
            return ()
        return tuple(sorted(self._findings, key=lambda f: (f.start, f.end, f.rule)))

    @property
    def held(self) -> int:
        """Bytes that are held back: below MAX_MATCH + GRID, and the chunk."""
        return len(self._data) - self._cursor

    def feed(self, chunk: str) -> str:
        """Take the next piece of the text, and return what may be let through now."""
        data = encode(chunk)
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return self._step(data, forced=False)
        parts: list[str] = []
        at = 0
        while at < len(data):
            end = at + self._left
            if end > len(data):
                self._left -= len(data) - at
                parts.append(self._step(data[at:], forced=False))
                break
            while end < len(data) and data[end] & 0xC0 == 0x80:  # the inside of a character
                end += 1
            self._left = GRID
            parts.append(self._step(data[at:end], forced=True))
            at = end
        return "".join(parts)

    def whole(self, text: str) -> str:
        """Return what `feed` and `finish` would for a text that is here as a whole, in one pass."""
        data = encode(text)
        if len(data) > MAX_MATCH or self._data:
            return self.feed(text) + self.finish()
        # Nothing of it would have been decided by force.
        self._data = data
        return self.finish()

    def finish(self) -> str:
        """Say that the text is complete, and return the rest of it."""
        if self.blocked is not None:
            return ""
        raws = () if self._spent else self._rules.matches(self._data, self._cursor)
        return self._let_through(len(self._data), raws)

    def _step(self, piece: bytes, *, forced: bool) -> str:
        if self.blocked is not None:
            return ""
        if self._swallowing:
            piece = self._swallow(piece)
        if not piece:
            return ""
        self._data = data = self._data + piece
        if self._spent:
            return self._let_through(len(data), ())
        if len(data) < self._wake and not forced:
            return ""
        raws = self._rules.matches(data, self._cursor)
        cut = _before(raws, self._rules.open_from(data, self._cursor))
        if forced and len(data) - cut > MAX_MATCH:
            return self._force(raws)
        out = self._let_through(cut, raws) if cut > self._cursor else ""
        # A long text that is held back is not looked at again for every character that comes.
        self._wake = len(self._data) + self.held // _PATIENCE
        return out

    def _force(self, raws: Sequence[Raw]) -> str:
        """Give up the matches that have been open for too long; keep the younger ones."""
        data = self._data
        cut = self._rules.open_from(data, max(self._cursor, len(data) - MAX_MATCH))
        for raw in raws:
            if raw.taken and raw.start < cut < raw.end:
                cut = raw.end
        # The end of a secret that goes on must not follow its placeholder.
        self._swallowing = any(raw.taken and raw.end == len(data) == cut for raw in raws)
        return self._let_through(cut, raws)

    def _swallow(self, piece: bytes) -> bytes:
        found = _DELIMITER.search(piece)
        end = found.start() if found else len(piece)
        self._swallowing = found is None
        self._chars += len(piece[:end].decode())
        self._begin += end
        return piece[end:]

    def _let_through(self, cut: int, raws: Sequence[Raw]) -> str:
        """Act on what was found before byte `cut`, and move the cursor there."""
        data, start = self._data, self._cursor
        acted, seen = self._spans(raws, cut) if raws else ((), ())
        if not acted and not seen:
            text = data[start:cut].decode()
            self._chars += len(text)
            self._move(cut)
            return text
        ruler = _Ruler(data, start, self._chars)
        parts: list[str] = []
        at = start
        for span in acted:
            parts.append(data[at : span.start].decode())
            parts.append(self._replaced(span, ruler))
            at = span.end
            if self.blocked is not None:
                break
        self._observe(seen, ruler)
        if self.blocked is not None:
            self._data, self._cursor = b"", 0
            return "".join(parts)
        parts.append(data[at:cut].decode())
        self._chars = ruler.at(cut)
        self._move(cut)
        return "".join(parts)

    def _move(self, cut: int) -> None:
        keep = max(0, cut - BEFORE)
        self._begin += keep
        self._data = self._data[keep:]
        self._cursor = cut - keep

    def _spans(self, raws: Sequence[Raw], cut: int) -> tuple[list[_Span], list[_Span]]:
        """Return what is acted on, merged, and what is only recorded; both in order of place."""
        acted: list[_Span] = []
        seen: list[_Span] = []
        few = self._matches + len(raws) <= MOST_MATCHES
        for raw in raws:
            if raw.start >= cut:
                break
            self._matches += 1
            if not few and self._is_flood(raw):
                self._spent = True
                closed = self._handling.closed
                action = Action.BLOCK if closed else Action.FLAG
                (acted if closed else seen).append(_Span(raw.start, raw.start, _FLOOD, action))
                break
            action = self._handling.action_of(raw.rule) if raw.taken else Action.OFF
            for start, end in raw.taken:
                acts = action is Action.REDACT or action is Action.BLOCK
                (acted if acts else seen).append(_Span(start, end, raw.rule, action))
        if seen:
            seen.sort(key=lambda span: span.start)
        return _merged(acted), seen

    def _is_flood(self, raw: Raw) -> bool:
        place = self._begin + raw.start
        return self._matches > MOST_MATCHES + place // BYTES_PER_MATCH

    def _replaced(self, span: _Span, ruler: "_Ruler") -> str:
        rule, vault = span.rule, self._handling.vault
        value = self._data[span.start : span.end].decode()
        if rule.id == RESTORE:
            revealed = vault.reveal(value, self._handling.restored)
            return value if revealed is None else revealed
        start = ruler.at(span.start)
        blocks = span.action is Action.BLOCK
        placeholder = "" if blocks else vault.hide(value, rule.category, rule.id)
        finding = GuardFinding(
            rule.id, rule.category, span.action, start, start + len(value), placeholder
        )
        self._findings.append(finding)
        if blocks:
            self.blocked = finding
        return finding.placeholder

    def _observe(self, spans: Sequence[_Span], ruler: "_Ruler") -> None:
        if not spans:
            return
        ruler.rewind()
        for span in spans:
            start = ruler.at(span.start)
            if self.blocked is not None and start >= self.blocked.start:
                break
            length = len(self._data[span.start : span.end].decode())
            self._findings.append(
                GuardFinding(
                    rule=span.rule.id,
                    category=span.rule.category,
                    action=span.action,
                    start=start,
                    end=start + length,
                )
            )


class _Ruler:
    """Tells characters from bytes, for places that only grow."""

    __slots__ = ("_bytes", "_chars", "_data", "_first", "_plain")

    def __init__(self, data: bytes, start: int, chars: int) -> None:
        self._data = data
        self._plain = data.isascii()
        self._first = (start, chars)
        self._bytes, self._chars = start, chars

    def at(self, place: int) -> int:
        within = place - self._bytes
        self._chars += within if self._plain else len(self._data[self._bytes : place].decode())
        self._bytes = place
        return self._chars

    def rewind(self) -> None:
        self._bytes, self._chars = self._first


def encode(text: str) -> bytes:
    """Return the text as UTF-8; lone surrogates, which UTF-8 lacks, become U+FFFD."""
    if text.isascii():
        return text.encode()
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def _before(raws: Sequence[Raw], cut: int) -> int:
    """Move a cut back until no match reaches across it."""
    for raw in reversed(raws):
        if raw.start < cut < raw.end:
            cut = raw.start
    return cut


def _merged(spans: list[_Span]) -> list[_Span]:
    """Join spans that overlap: of two secrets in one another, no end may stay behind.

    The joined span has the rule of the earliest, then longest, then first-listed one, and the
    strongest action. A placeholder inside something else is not given back.
    """
    spans.sort(key=lambda span: (span.start, -span.end, span.rule.place))
    merged: list[_Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last is None or span.start >= last.end:
            merged.append(span)
            continue
        last.end = max(last.end, span.end)
        if last.rule.id == RESTORE:
            last.rule = span.rule
        if span.action is Action.BLOCK:
            last.action = Action.BLOCK
            last.rule = span.rule
    return merged
