"""Puts classified changes together into the task's output."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lockgate.domain.digest import Json, JsonObject
from lockgate.tasks.release_notes import commits, links, propose, sections, summary
from lockgate.tasks.release_notes.commits import Change

UNRELEASED = "Unreleased"
_SHA_LENGTHS = (40, 64)
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A highlight in the summary, and who phrased it."""

    entry: str
    title: str
    clause: str | None
    """None: the title makes no clause and is listed as it is."""
    by_model: bool = False
    replaced: str | None = None
    """Why the model's text was not taken."""

    def rewritten(self, clause: str) -> "Part":
        """Return the part with the model's words."""
        return replace(self, clause=clause, by_model=True)

    def kept(self, problem: str) -> "Part":
        """Return the part with the rules' words, and why."""
        return replace(self, replaced=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything of the notes but the summary."""

    given: JsonObject
    sections: Mapping[str, Sequence[Change]]
    highlights: tuple[Change, ...]
    omitted: Mapping[str, tuple[str, ...]]
    ids: Mapping[int, str]
    """The entry id of each change, by `id()` of the change."""

    def id_of(self, change: Change) -> str:
        return self.ids[id(change)]


def plan(
    given: JsonObject,
    grouped: Mapping[str, Sequence[Change]],
    highlights: tuple[Change, ...],
    omitted: Mapping[str, tuple[str, ...]],
) -> Plan:
    """Give each entry an id: the first commit's digits, and a count where a commit has several."""
    ids: dict[int, str] = {}
    taken: dict[str, int] = {}
    for listed in grouped.values():
        for change in listed:
            short = change.commits[0][:_SHORT]
            taken[short] = taken.get(short, 0) + 1
            ids[id(change)] = short if taken[short] == 1 else f"{short}-{taken[short]}"
    return Plan(given=given, sections=grouped, highlights=highlights, omitted=omitted, ids=ids)


def title(given: JsonObject) -> str:
    """Return the release's name: as asked for, or the tag at the range's end."""
    end = commits.member(commits.member(given, "range"), "end")
    return commits.text(given, "version") or commits.text(end, "tag") or UNRELEASED


def paragraph(plan: Plan, parts: Sequence[Part]) -> str:
    """Return the summary's text. Highlights that would make it too long are left off its end."""
    given = plan.given
    name = commits.text(commits.member(given, "repository"), "name") or "this repository"
    release = title(given)
    start = commits.member(commits.member(given, "range"), "start")
    since = commits.text(start, "tag") or commits.text(start, "name")
    if since is not None and len(since) in _SHA_LENGTHS:
        since = since[:_SHORT]
    who = f"The next release of {name}" if release == UNRELEASED else f"{name} {release}"
    if release.startswith(name):
        who = release
    sizes = {key: len(listed) for key, listed in plan.sections.items()}
    counted = summary.counts(who, since, sizes)
    for most in range(len(parts), 0, -1):
        text = summary.compose(
            counted,
            [p.clause for p in parts[:most] if p.clause is not None],
            [p.title for p in parts[:most] if p.clause is None],
        )
        if len(text) <= summary.MAX_CHARACTERS:
            return text
    return counted


def output(plan: Plan, parts: Sequence[Part]) -> dict[str, Json]:
    """Return the task's output."""
    given = plan.given
    span = commits.member(given, "range")
    repository = commits.member(given, "repository")
    release = title(given)
    cited = {sha for c in _all(plan.sections) for sha in c.commits}
    left_out = [sha for shas in plan.omitted.values() for sha in shas]
    return {
        "title": release,
        "date": None if release == UNRELEASED else span["date"],
        "repository": dict(repository),
        "range": {
            "expression": span["expression"],
            "start": span["start"],
            "end": span["end"],
            "paths": span["paths"],
            "compare": compare(given),
        },
        "version": _version(propose.propose(commits.text(span, "previous_tag"), plan.sections)),
        "summary": {
            "text": paragraph(plan, parts),
            "engine": "model" if any(part.by_model for part in parts) else "rules",
            "parts": [_part(part) for part in parts],
        },
        "highlights": [plan.id_of(change) for change in plan.highlights],
        "sections": [
            {
                "id": name,
                "title": sections.TITLES[name],
                "entries": [_entry(plan.id_of(change), change) for change in listed],
            }
            for name, listed in plan.sections.items()
        ],
        "omitted": [
            {"reason": reason, "count": len(shas), "commits": list(shas)}
            for reason, shas in plan.omitted.items()
        ],
        "coverage": {
            "commits": len(commits.rows(given, "commits")),
            "represented": len(cited),
            "omitted": len(left_out),
        },
    }


def confidence(plan: Plan) -> float:
    """Return the mean confidence of the entries' types; 1 if there are none."""
    found = [change.confidence for change in _all(plan.sections)]
    return round(sum(found) / len(found), 4) if found else 1.0


def evidence(plan: Plan) -> tuple[str, ...]:
    """Return every commit that an entry cites, in the notes' order."""
    return tuple(dict.fromkeys(sha for c in _all(plan.sections) for sha in c.commits))


def compare(given: JsonObject) -> str | None:
    """Return the web page of the range's difference, if the repository has web pages."""
    repository = commits.member(given, "repository")
    url, forge = commits.text(repository, "url"), commits.text(repository, "forge")
    if url is None or forge is None:
        return None
    span = commits.member(given, "range")
    start, end = commits.member(span, "start"), commits.member(span, "end")
    # Where there is no tag the commit is named: `HEAD` would be another one tomorrow.
    before = (commits.text(start, "tag") or commits.text(start, "sha")) if start else None
    after = commits.text(end, "tag") or commits.text(end, "sha") or ""
    return links.Web(url, forge).compare(before, after)


def _all(grouped: Mapping[str, Sequence[Change]]) -> Iterable[Change]:
    return (change for listed in grouped.values() for change in listed)


def _part(part: Part) -> dict[str, Json]:
    return {
        "entry": part.entry,
        "text": part.title if part.clause is None else part.clause,
        "engine": "model" if part.by_model else "rules",
        "replaced": part.replaced,
    }


def _entry(name: str, change: Change) -> dict[str, Json]:
    return {
        "id": name,
        "text": change.text,
        "type": change.type,
        "scope": change.scope,
        "breaking": change.breaking,
        "notes": list(change.notes),
        "commits": list(change.commits),
        "pull_requests": list(change.pulls),
        "also": list(change.also),
        "by": change.by,
        "confidence": change.confidence,
    }


def _version(found: propose.Proposal) -> dict[str, Json]:
    return {
        "previous": found.previous,
        "bump": found.bump,
        "proposed": found.version,
        "tag": found.tag,
        "reason": found.reason,
        "commits": list(found.because),
    }
