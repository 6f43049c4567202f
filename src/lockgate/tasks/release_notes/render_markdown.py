"""Writes the output as Markdown: what authors wrote stays text, whatever marks it holds."""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from lockgate.domain.digest import JsonObject
from lockgate.domain.report.commands import inert
from lockgate.tasks.release_notes import changes, commits, links

_SHORT = 7
_MOST = 5
_SPECIAL = re.compile(r"[\\*_\[\]<>#|~&@`!$+-]|^\d+[.)]")
# Controls, bidirectional marks, zero-width and tag characters: a reader sees none of them, and a
# model that reads the notes does. Joiners stay: scripts and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2060\ufeff\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_CODE = re.compile(r"(`[^`]+`)")
_ESCAPED = re.compile(r"([\\*\[\]<>|~`$])|&(?=#?\w{1,30};)|(?<![^\W_])_|_(?![^\W_])")
_MENTION = re.compile(r"(?<![\w`@/.])@([A-Za-z0-9][\w./-]*\w|[A-Za-z0-9])")
_BLOCK = re.compile(r"^(?:[#+=-]|\d{1,9}[.)](?=\s|$))")
_ADDRESS = re.compile(r"https?://[^\s<>)\]`]+")


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it as it is; code spans and addresses stay.

    A name after `@` becomes code: it must not call a person who happens to have that name.
    Characters that nobody sees are left out.
    """
    text = inert(_HIDDEN.sub("", text))
    if not _SPECIAL.search(text):
        return text
    parts = _CODE.split(text)
    parts[::2] = [_plain(part) for part in parts[::2]]
    joined = "".join(parts)
    found = _BLOCK.match(joined)
    return f"{joined[: found.end() - 1]}\\{joined[found.end() - 1 :]}" if found else joined


def _plain(text: str) -> str:
    done, at = [], 0
    for found in _ADDRESS.finditer(text):
        done += [_marks(text[at : found.start()]), found.group()]
        at = found.end()
    return "".join([*done, _marks(text[at:])])


def _marks(text: str) -> str:
    pieces = _MENTION.split(text)
    escaped = [_ESCAPED.sub(lambda m: f"\\{m.group()}", piece) for piece in pieces[::2]]
    mentions = [f"`@{name}`" for name in pieces[1::2]]
    return "".join(piece for pair in zip(escaped, [*mentions, ""], strict=True) for piece in pair)


def render(output: JsonObject) -> str:
    """Return the notes, without a final newline."""
    repository = commits.member(output, "repository")
    url, forge = commits.text(repository, "url"), commits.text(repository, "forge")
    web = links.Web(url, forge) if url and forge else None
    date = commits.text(output, "date")
    blocks = [
        f"## {escape(cast('str', output['title']))}{f' - {date}' if date else ''}",
        escape(cast("str", commits.member(output, "summary")["text"])),
    ]
    for section in commits.rows(output, "sections"):
        scoped = section["id"] != "dependencies"  # there every scope is `deps`
        lines = [_line(e, web, scoped=scoped) for e in commits.rows(section, "entries")]
        blocks.append(f"### {section['title']}\n\n" + "\n".join(lines))
    if left_out := _left_out(commits.rows(output, "omitted")):
        blocks.append(left_out)
    blocks += _footer(output)
    return "\n\n".join(blocks)


def _line(entry: JsonObject, web: links.Web | None, *, scoped: bool) -> str:
    scope = commits.text(entry, "scope") if scoped else None
    text = escape(cast("str", entry["text"]))
    head = f"- **{escape(scope)}:** {text}" if scope else f"- {text}"
    pulls = cast("Sequence[int]", entry["pull_requests"])
    shas = cast("Sequence[str]", entry["commits"])
    sources = [_pull(number, web) for number in pulls[:_MOST]]
    sources += [_commit(sha, web) for sha in shas[:_MOST]]
    if len(shas) > _MOST:
        sources.append(f"and {len(shas) - _MOST} more commits")
    notes = [n for n in cast("Sequence[str]", entry["notes"]) if n != entry["text"]]
    return "\n".join([f"{head} ({', '.join(sources)})", *(f"  - {escape(note)}" for note in notes)])


def _pull(number: int, web: links.Web | None) -> str:
    return f"[{web.mark}{number}]({web.pull(number)})" if web else f"#{number}"


def _commit(sha: str, web: links.Web | None) -> str:
    return f"[{sha[:_SHORT]}]({web.commit(sha)})" if web else sha[:_SHORT]


def _left_out(omitted: Sequence[JsonObject]) -> str:
    parts = [_count(row) for row in omitted]
    return f"_Left out: {', '.join(parts)}._" if parts else ""


def _count(row: JsonObject) -> str:
    number, how = cast("int", row["count"]), changes.LEFT_OUT[cast("str", row["reason"])]
    if how == "merges":
        return f"{number} {'merge' if number == 1 else 'merges'}"
    return f"{number} {'commit' if number == 1 else 'commits'} {how}"


def _footer(output: JsonObject) -> list[str]:
    version = commits.member(output, "version")
    span = commits.member(output, "range")
    lines = []
    if output["date"] is None and (proposed := commits.text(version, "proposed")):
        tag = commits.text(version, "tag") or proposed
        lines.append(f"Proposed version: **{escape(tag)}** ({_reason(version)})")
    if compare := commits.text(span, "compare"):
        ends = [commits.member(span, name) for name in ("start", "end")]
        shown = "...".join(escape(_name(end)) for end in ends if end)
        lines.append(f"Full changelog: [{shown}]({compare})")
    return lines


def _reason(version: Mapping[str, object]) -> str:
    reason = str(version["reason"])
    previous = version["previous"]
    return f"after {escape(str(previous))}: {reason}" if previous else reason


def _name(end: JsonObject) -> str:
    sha = cast("str", end["sha"])
    return commits.text(end, "tag") or sha[:_SHORT]
