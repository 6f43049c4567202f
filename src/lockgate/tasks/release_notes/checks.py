"""Judges drafts of release notes. Each check holds one promise."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import cast

from lockgate.domain.call import Draft
from lockgate.domain.digest import JsonObject
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.tasks.release_notes import clauses, commits, sections, summary

_MAX_ENTRY = 600
_FEW = 3
_PLACEHOLDER = "<secret:"


class Sections:
    """Title, summary, known sections in order, breaking changes first, none empty."""

    name = "sections"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        output = draft.output
        if not commits.text(output, "title") or not commits.text(
            commits.member(output, "summary"), "text"
        ):
            return _fail(self.name, "the title or the summary is missing")
        order = list(sections.TITLES)
        found = [cast("str", s["id"]) for s in commits.rows(output, "sections")]
        if [name for name in order if name in found] != found:
            return _fail(self.name, f"the sections {', '.join(found)} are not in order")
        for section in commits.rows(output, "sections"):
            entries = commits.rows(section, "entries")
            if not entries:
                return _fail(self.name, f"the section `{section['id']}` is empty")
            if section["id"] != "breaking" and any(e["breaking"] for e in entries):
                return _fail(self.name, f"a breaking change stands under `{section['id']}`")
        return _pass(self.name)


class Citations:
    """Every entry cites a commit, and every cited commit is in the range."""

    name = "citations"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        known = {row["sha"] for row in commits.rows(given, "commits")}
        for entry in _entries(draft.output):
            cited = cast("Sequence[str]", entry["commits"])
            if not cited:
                return _fail(self.name, f"the entry `{entry['id']}` cites no commit")
            for sha in cited:
                if sha not in known:
                    return _fail(self.name, f"`{sha[:12]}` is not in the range")
        return _pass(self.name)


class Coverage:
    """Every commit of the range is in an entry or is counted as left out, and never both."""

    name = "coverage"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        known = [cast("str", row["sha"]) for row in commits.rows(given, "commits")]
        cited = {s for e in _entries(draft.output) for s in cast("Sequence[str]", e["commits"])}
        left_out: list[str] = []
        for row in commits.rows(draft.output, "omitted"):
            shas = cast("Sequence[str]", row["commits"])
            if row["count"] != len(shas):
                return _fail(self.name, f"`{row['reason']}` counts {row['count']}, has {len(shas)}")
            left_out += shas
        dropped = set(left_out)
        lost = [sha for sha in known if sha not in cited and sha not in dropped]
        if lost:
            some = ", ".join(sha[:12] for sha in lost[:_FEW])
            return _fail(self.name, f"{len(lost)} commits are nowhere: {some}")
        if len(left_out) != len(dropped) or cited.intersection(left_out):
            return _fail(self.name, "a commit is counted twice")
        if len(cited) + len(left_out) != len(set(known)):
            return _fail(self.name, "a commit that is left out is not in the range")
        return _pass(self.name)


class Grounding:
    """Generated text holds no name, number, version or reference that its evidence lacks."""

    name = "grounding"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        texts = {e["id"]: cast("str", e["text"]) for e in _entries(draft.output)}
        pulls = {e["id"]: cast("Sequence[int]", e["pull_requests"]) for e in _entries(draft.output)}
        titled = {p.number: p.title for p in commits.pulls_of(given) if p.title}
        for part in commits.rows(commits.member(draft.output, "summary"), "parts"):
            name = cast("str", part["entry"])
            if name not in texts:
                return _fail(self.name, f"the summary rests on `{name}`, which is no entry")
            if part["engine"] != "model":
                continue
            context = [titled[n] for n in pulls[name] if n in titled]
            title = clauses.shortened(texts[name])
            if problem := clauses.fault(cast("str", part["text"]), title, context):
                return _fail(self.name, f"`{part['text']}`: {problem}")
        return _pass(self.name)


class Secrets:
    """No placeholder of a secret is in generated text, and none anywhere that was not given."""

    name = "secrets"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        for part in commits.rows(commits.member(draft.output, "summary"), "parts"):
            if part["engine"] == "model" and _PLACEHOLDER in cast("str", part["text"]):
                return _fail(self.name, f"the text for `{part['entry']}` holds a placeholder")
        written = _placeholders(json.dumps(draft.output, ensure_ascii=False))
        if written and (strange := written - _placeholders(json.dumps(given, ensure_ascii=False))):
            return _fail(self.name, f"`{min(strange)}` is not in the input")
        return _pass(self.name)


class Length:
    """The summary is a paragraph and the entries are lines."""

    name = "length"

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        text = commits.text(commits.member(draft.output, "summary"), "text") or ""
        if len(text) > summary.MAX_CHARACTERS or "\n" in text:
            return _fail(self.name, f"the summary has {len(text)} characters in one paragraph")
        for entry in _entries(draft.output):
            line = cast("str", entry["text"])
            if not 0 < len(line) <= _MAX_ENTRY or "\n" in line:
                return _fail(self.name, f"the entry `{entry['id']}` has {len(line)} characters")
        return _pass(self.name)


ALL = (Sections(), Citations(), Coverage(), Grounding(), Secrets(), Length())


def _placeholders(text: str) -> set[str]:
    if _PLACEHOLDER not in text:
        return set()
    return set(re.findall(r"<secret:[\w.-]{1,80}:\d{1,9}>", text))


def _entries(output: JsonObject) -> Iterator[JsonObject]:
    for section in commits.rows(output, "sections"):
        yield from commits.rows(section, "entries")


def _pass(name: str, reason: str = "") -> Verdict:
    return Verdict(check=name, outcome=Outcome.PASS, reason=reason)


def _fail(name: str, reason: str) -> Verdict:
    return Verdict(check=name, outcome=Outcome.FAIL, reason=reason)
