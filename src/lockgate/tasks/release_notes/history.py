r"""Reads `git log` as it streams: NUL-separated, bounded in every direction.

Git writes, for each commit, the fields of `FORMAT`, then `\n` and the changed files if there are
any. A NUL can occur in none of them, so nothing that an author writes can forge a field.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

FORMAT = "%H%x00%P%x00%an%x00%ae%x00%ct%x00%s%x00%b"
ARGUMENTS = (
    "log",
    "-z",
    f"--format={FORMAT}",
    "--date-order",  # parents after children, whatever the clocks said
    "--encoding=UTF-8",
    "--no-color",
    "--no-show-signature",
    "--no-ext-diff",
    "--no-textconv",
    "--diff-merges=off",
    "--find-renames=100%",  # exact renames only: found by digest, no file is read
    "--name-status",
)
MAX_SUBJECT = 500
MAX_FILES = 50
MAX_PATH = 400
_HEAD, _TAIL = 3_000, 1_000
_MAX_FIELD = 256 * 1024
_CHUNK = 1 << 20
_FIELDS = 7

# Control and bidirectional characters: they would act on a terminal or hide text in the notes.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_TRAILER = re.compile(
    r"^(?:[A-Za-z]{2,20}(?:-[A-Za-z]{2,20}){0,3}-by|Change-Id|Cc|Co-developed-by):[^\n]*\n?",
    re.MULTILINE | re.IGNORECASE,
)
_BLANKS = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One commit of `git log`."""

    sha: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: int
    """Committer date in Unix seconds."""
    subject: str
    body: str
    files: tuple[str, ...]
    """`M path`: the status letter, a blank, the path."""
    more_files: int
    """How many files are not in `files`."""


def fields(stream: IO[bytes]) -> Iterator[str]:
    """Split at NULs, reading piece by piece; a field is cut at 256 KiB."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        parts = (rest + chunk).split(b"\0")
        rest = parts.pop()[:_MAX_FIELD]
        for part in parts:
            yield part[:_MAX_FIELD].decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def records(stream: IO[bytes]) -> Iterator[Record]:
    """Parse the output of `ARGUMENTS`, newest commit first."""
    source = fields(stream)
    first = next(source, None)
    while first is not None:
        head = [first, *(next(source, "") for _ in range(_FIELDS - 1))]
        files: list[str] = []
        more = 0
        first = next(source, None)
        if first is not None and first.startswith("\n"):
            status: str | None = first[1:]
            # A status is a letter with digits; an object name has 40 digits or more.
            while status is not None and len(status) < 8:  # noqa: PLR2004
                path = next(source, "")
                if status[:1] in {"R", "C"}:
                    path = next(source, "")
                if len(files) < MAX_FILES:
                    files.append(f"{status[:1]} {clean_line(path, MAX_PATH)}")
                else:
                    more += 1
                status = next(source, None)
            first = status
        yield _record(head, tuple(files), more)


def _record(head: Sequence[str], files: tuple[str, ...], more: int) -> Record:
    sha, parents, author, email, time, subject, body = head
    return Record(
        sha=sha,
        parents=tuple(parents.split()),
        author=author,
        email=email,
        time=int(time),
        subject=clean_line(subject, MAX_SUBJECT),
        body=clean_body(body) if body else "",
        files=files,
        more_files=more,
    )


def clean_line(line: str, limit: int) -> str:
    """Return `line` without control characters, at most `limit` characters long."""
    if not line.isprintable():
        line = " ".join(_CONTROL.sub(" ", line).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean_body(body: str) -> str:
    """Return `body` without control characters and people's trailers, bounded.

    The end is kept as well as the beginning: footers such as `BREAKING CHANGE` stand there.
    Trailers name people and their addresses, which no step needs.
    """
    body = _CONTROL.sub("", body)
    if ":" in body:
        body = _TRAILER.sub("", body)
    body = _BLANKS.sub("\n\n", body).strip()
    if len(body) > _HEAD + _TAIL:
        body = f"{body[:_HEAD]}\n[…]\n{body[-_TAIL:]}"
    return body
