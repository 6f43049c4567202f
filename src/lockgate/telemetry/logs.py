"""The log of a server: a line for each thing that a person may have to act on, as text or JSON."""

import json
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

FIELDS: Final = ("request", "route", "code", "hint")
"""What a record may say beside its message, by `extra`."""
_MOST: Final = 20
_EVERY_S: Final = 10.0
_KINDS: Final = 1000
_NOISY: Final = ("uvicorn", "aiohttp", "urllib3", "httpx2")
# Upstreams and models have a say in some messages, and a terminal obeys escape sequences.
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


class TextLines(logging.Formatter):
    """`2026-11-21T03:12:45.123Z WARNING lockgate.server message (code=..., request=...)`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; a traceback follows on lines of its own."""
        said = " ".join(record.getMessage().splitlines())
        fields = ", ".join(f"{name}={value}" for name, value in _fields(record))
        line = f"{_time(record)} {record.levelname} {record.name}: {said}"
        if fields:
            line = f"{line} ({fields})"
        line = line.translate(_CONTROLS)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and `FIELDS`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        found = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **dict(_fields(record)),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)


class Floodgate(logging.Filter):
    """Lets so many records of a kind through in ten seconds, and then says how many it left out.

    An upstream that is down fails every request: what is the same thousand times hides the rest.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        super().__init__()
        self._clock = clock
        self._most = most
        self._seen: dict[tuple[str, str, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is written."""
        kind = (record.name, str(record.msg), str(getattr(record, "code", "")))
        now = self._clock()
        if len(self._seen) > _KINDS:
            self._seen.clear()
        since, count = self._seen.get(kind, (now, 0.0))
        if now - since >= _EVERY_S:
            left_out = int(max(0.0, count - self._most))
            since, count = now, 0.0
            if left_out:
                record.msg = f"{record.msg} [{left_out} more like this were left out before]"
        self._seen[kind] = [since, count + 1]
        return count < self._most


@contextmanager
def log_to_stderr(form: str) -> Generator[None]:
    """Write the program's log to stderr, as `text` or as `json`; afterwards all is as it was."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    handler.addFilter(Floodgate())
    root = logging.getLogger()
    levels = {logging.getLogger(name): logging.WARNING for name in _NOISY} | {root: logging.INFO}
    before = {logger: logger.level for logger in levels}
    handlers = root.handlers[:]
    root.handlers[:] = [handler]
    for logger, level in levels.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for logger, level in before.items():
            logger.setLevel(level)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> list[tuple[str, str]]:
    found = ((name, getattr(record, name, None)) for name in FIELDS)
    return [(name, " ".join(str(value).split())) for name, value in found if value]
