"""Where calls come from that are compared over time: the audit log, or JSON Lines."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from lockgate.app.drift_features import Row, row_of
from lockgate.domain.audit import AuditEvent
from lockgate.domain.digest import Digest, Json
from lockgate.errors import InvalidInput, NotFound
from lockgate.ports import State, Unit

MAX_ROWS: Final = 20_000
_PAGE: Final = 500
_MAX_LINE: Final = 16 << 20
_MAX_TEXT: Final = 4_000
"""The model reads no more of a text."""
_PAYLOADS: Final = ("input", "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Calls of a time, oldest first."""

    rows: list[Row] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """What of each row is to be embedded; empty where nothing is."""
    at: list[datetime] = field(default_factory=list)
    """When each was; empty where that is not known."""
    last: int = 0
    """The number of the last event that was read."""
    release: str | None = None
    """Of the newest call."""
    broken: tuple[str, ...] = ()
    digest: str = ""
    """Of the file."""


async def read_calls(store: State, task: str, *, after: int, embed: str = "") -> Window:
    """Return the newest calls of a task after an event, at most `MAX_ROWS`.

    `embed` is the member whose text is to be embedded, such as `input.text`.
    """
    window = Window()
    last, release = after, None
    async with store.begin() as unit:
        while events := await unit.events(after=last, limit=_PAGE):
            for event in events:
                if event.entry.action != "call" or event.entry.subject != task:
                    continue
                value = await _value(unit, event)
                window.rows.append(row_of(value))
                window.texts.append(text_at(embed, value))
                window.at.append(event.entry.at)
                found = event.entry.detail.get("release")
                release = found if isinstance(found, str) else release
            last = events[-1].seq
    over = max(0, len(window.rows) - MAX_ROWS)
    return Window(
        rows=window.rows[over:],
        texts=window.texts[over:],
        at=window.at[over:],
        last=last,
        release=release,
    )


async def _value(unit: Unit, event: AuditEvent) -> dict[str, Json]:
    detail = event.entry.detail
    usage = detail.get("usage")
    spent = usage if isinstance(usage, Mapping) else {}
    degraded = detail.get("degraded")
    value: dict[str, Json] = {
        "outcome": detail.get("outcome"),
        "engine": detail.get("engine"),
        "degraded": bool(degraded),
        "input_tokens": spent.get("input_tokens"),
        "output_tokens": spent.get("output_tokens"),
        "duration_us": detail.get("duration_us"),
    }
    for name in _PAYLOADS:
        digest = detail.get(name)
        content = await unit.payload(Digest.parse(digest)) if isinstance(digest, str) else None
        if content is None:
            continue
        stored = json.loads(content)
        # An input is kept beside the secrets that were taken out of it.
        value[name] = stored.get("input") if name == "input" else stored
        if name == "input":
            value["redactions"] = stored.get("redactions")
    return value


def text_at(path: str, value: Mapping[str, Json]) -> str:
    """Return the text of a member, nested ones by their path; of a list its texts, a line each."""
    found: Json = value if path else None
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    listed = found if isinstance(found, list) else [found]
    return "\n".join(item for item in listed if isinstance(item, str))[:_MAX_TEXT]


def read_lines(path: Path, *, embed: str = "") -> Window:
    """Return the rows of a JSON Lines file; lines that are none are named, the others count.

    Raises:
        NotFound: it cannot be read.
        InvalidInput: a line is longer than any row.

    """
    rows: list[Row] = []
    texts: list[str] = []
    broken: list[str] = []
    content = Digest.of(b"")
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
                if len(line) >= _MAX_LINE:
                    raise InvalidInput(f"`{path}`, line {number} has {_MAX_LINE} bytes or more")
                content = Digest.of(content.hex.encode() + line)
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as error:
                    broken.append(f"`{path}`, line {number} is not JSON: {error}")
                    continue
                if not isinstance(value, dict):
                    broken.append(f"`{path}`, line {number} is not an object")
                    continue
                rows.append(row_of(value))
                texts.append(text_at(embed, value))
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror}") from error
    return Window(
        rows=rows[-MAX_ROWS:],
        texts=texts[-MAX_ROWS:],
        broken=tuple(broken),
        digest=str(content),
    )
