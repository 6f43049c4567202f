"""From commits to changes: what is left out and why, and what each remaining commit says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lockgate.tasks.release_notes import (
    branches,
    conventional,
    labels,
    reverts,
    squash,
    subjects,
)
from lockgate.tasks.release_notes.commits import Change, Commit, Pull

LEFT_OUT: Mapping[str, str] = {
    "bot": "by bots",
    "merge": "merges",
    "reverted": "reverted within the range",
    "release": "that only make a release",
}
"""Why a commit may be left out, and how the notes say it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a range holds."""

    changes: tuple[Change, ...]
    """Newest first."""
    omitted: Mapping[str, tuple[str, ...]]
    """Commits left out, by the reason in `LEFT_OUT`."""


@dataclass(slots=True)
class _Pulls:
    """Pull requests by number, and by the commit that merged them."""

    by_number: Mapping[int, Pull]
    by_commit: Mapping[str, Pull]

    @classmethod
    def of(cls, pulls: Sequence[Pull]) -> "_Pulls":
        return cls(
            {p.number: p for p in pulls}, {p.commit: p for p in pulls if p.commit is not None}
        )

    def title(self, number: int | None) -> str:
        pull = self.by_number.get(number) if number is not None else None
        return pull.title if pull else ""


@dataclass(slots=True)
class _Branch:
    """Where a commit of a branch came in."""

    number: int | None
    title: str


@dataclass(slots=True)
class _Work:
    pulls: _Pulls
    find: Callable[[str], Pull | None]
    include_bots: bool
    gone: frozenset[str]
    came_in: dict[str, _Branch] = field(default_factory=dict)
    omitted: dict[str, list[str]] = field(default_factory=dict)


def draw(
    commits: Sequence[Commit],
    pulls: Sequence[Pull],
    *,
    find: Callable[[str], Pull | None],
    include_bots: bool = False,
) -> Drawn:
    """Turn commits, newest first, into changes. Every commit ends in a change or in `omitted`.

    `find` looks for the pull request of a commit that names none, by what the commit says.
    """
    brought = branches.brought_in(commits)
    work = _Work(_Pulls.of(pulls), find, include_bots, reverts.cancelled(commits, brought))
    for commit in commits:
        if commit.sha in brought:
            found = subjects.merge(commit)
            number = found.number if found else None
            title = (found.title if found else "") or work.pulls.title(number)
            work.came_in |= dict.fromkeys(brought[commit.sha], _Branch(number, title))
    changes: list[Change] = []
    for commit in commits:
        found = subjects.merge(commit)
        reason = _left_out(commit, found, work)
        if reason is not None:
            work.omitted.setdefault(reason, []).append(commit.sha)
            continue
        changes += _read(commit, found, work)
    return Drawn(tuple(changes), {k: tuple(work.omitted[k]) for k in LEFT_OUT if k in work.omitted})


def _left_out(commit: Commit, found: subjects.Merge | None, work: _Work) -> str | None:
    if commit.merge or (found is not None and not found.title and found.number is None):
        return "merge"
    if commit.sha in work.gone:
        return "reverted"
    pull = work.pulls.by_commit.get(commit.sha)
    bot = commit.bot or (pull is not None and pull.bot)
    if bot or (found is not None and subjects.from_bot_branch(found)):
        header = conventional.header(found.title if found else commit.subject)
        breaking = (header is not None and header.breaking) or conventional.breaking_notes(
            commit.body
        )
        # A machine's breaking change breaks users all the same.
        if not work.include_bots and not breaking:
            return "bot"
    if subjects.is_release((found.title if found else "") or commit.subject):
        return "release"
    return None


def _read(commit: Commit, found: subjects.Merge | None, work: _Work) -> list[Change]:
    subject, body = commit.subject, commit.body
    numbers: tuple[int, ...] = ()
    if found is not None:
        subject = found.title or work.pulls.title(found.number)
        subject = subject or subjects.branch_title(found.branch) or commit.subject
        body = body.strip().partition("\n")[2].strip()
        numbers = (found.number,) if found.number is not None else ()
    fixed = subjects.fixup(subject)
    main = _change(fixed or subject, commit, body)
    numbers = tuple(dict.fromkeys((*numbers, *main.pulls)))
    merged = work.pulls.by_commit.get(commit.sha)
    if merged is not None and merged.number not in numbers:
        numbers = (*numbers, merged.number)
    came = work.came_in.get(commit.sha)
    if came is not None and came.number is not None and not numbers:
        main, numbers = _on_branch(main, commit, came.title), (came.number,)
    if not numbers and (said := work.find(main.text)) is not None:
        numbers = (said.number,)
    main = labels.apply(replace(main, pulls=numbers), _pull(numbers, work))
    return _with_parts(main, commit, body)


def _on_branch(main: Change, commit: Commit, title: str) -> Change:
    """Give a commit that says no type the title of its merge, which was written for readers."""
    if main.type is not None or not title:
        return replace(main, branch=True)
    titled = _change(title, commit, main.body)
    return replace(titled, branch=True, also=(main.text,))


def _pull(numbers: Sequence[int], work: _Work) -> Pull | None:
    return next((work.pulls.by_number[n] for n in numbers if n in work.pulls.by_number), None)


def _change(subject: str, commit: Commit, body: str) -> Change:
    header = conventional.header(subject)
    notes = conventional.breaking_notes(body)
    if header is None or header.kind is None:
        text, numbers = subjects.without_numbers(subject)
        scope = None
        if header is not None:
            # A noun of the project's own, as in `cmd/parser: text`: a place, not a type.
            text, numbers = subjects.without_numbers(header.description)
            scope = f"{header.type}({header.scope})" if header.scope else header.type
        else:
            scope, text = _place(text)
        return Change(
            text=subjects.polish(text) or subjects.polish(subject) or commit.sha[:12],
            commits=(commit.sha,),
            scope=scope,
            breaking=bool(notes) or (header is not None and header.breaking),
            notes=notes,
            pulls=numbers,
            body=body,
            files=commit.files,
        )
    text, numbers = subjects.without_numbers(header.description)
    return Change(
        text=subjects.polish(text) or subjects.polish(subject),
        commits=(commit.sha,),
        type=header.kind,
        scope=header.scope,
        breaking=header.breaking or bool(notes),
        notes=notes,
        pulls=numbers,
        body=body,
        files=commit.files,
        by="conventional",
    )


def _place(text: str) -> tuple[str | None, str]:
    """Split `[docs] text` and `parser/lexer: text`; a label that is a type stays in the text."""
    label, rest = conventional.strip_label(text)
    if label is None or text.startswith("[") or not rest[:1].strip():
        return None, text
    return (label, rest) if label.replace("/", "").isidentifier() else (None, text)


def _with_parts(main: Change, commit: Commit, body: str) -> list[Change]:
    """Add the parts of a squash that stand for themselves; the others are folded in."""
    own: list[Change] = []
    folded: list[str] = list(main.also)
    seen = [main.text]
    for header, line in squash.parts(body):
        part = _change(line, commit, "")
        if any(squash.alike(part.text, text) for text in seen):
            continue
        seen.append(part.text)
        if squash.stands_alone(header):
            own.append(replace(part, pulls=main.pulls, branch=True))
        else:
            folded.append(line)
    if folded:
        main = replace(main, also=tuple(folded))
    return [main, *own]
