"""Takes subjects apart: pull request numbers, merge titles, words."""

import re
from dataclasses import dataclass

from lockgate.tasks.release_notes import bots
from lockgate.tasks.release_notes.commits import Commit

MAX_TEXT = 500
_REFERENCE = re.compile(
    r"\s*(?:\((?:(?:pr|pull request|see|fixes|closes|resolves)\s)?(?:#|!|GH-)(\d{1,9})\)"
    r"|\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\])\s*$",
    re.IGNORECASE,
)
_GITHUB = re.compile(r"Merge pull request #(\d{1,9}) from (\S{1,250})")
_BITBUCKET = re.compile(r"Merged in (\S{1,250}) \(pull request #(\d{1,9})\)")
_GERRIT = re.compile(r'Merge "(.+)"(?: into \S{1,200})?')
_FORK = "Merge commit from fork"
_AZURE = re.compile(r"Merged PR (\d{1,9}): (.+)")
_BRANCH = re.compile(
    r"Merge (?:remote-tracking )?(?:branch(?:es)?|tag|commit) '[^']{1,250}'.{0,300}"
)
_GITLAB_BRANCH = re.compile(r"Merge branch '([^']{1,250})' into .{1,200}")
_GITLAB_NUMBER = re.compile(r"^See merge request \S{0,200}!(\d{1,9})\s*$", re.MULTILINE)
_FIXUP = re.compile(r"(?:(?:fixup|squash|amend)! )+(.+)")
_RELEASE = re.compile(
    r"(?:(?:chore|build|release|bump|ci|docs)(?:\([^)]{1,60}\))?!?: )?"
    r"(?:(?:releas(?:e|es|ed|ing)|publish|tag|cut|version|bump|prepare|update|set|new|up)\b[\s:,-]*"
    r"|(?:the|a|for|to|from|of|new|next|package|project|changelog|change ?log|changelog\.md|notes"
    r"|releasing|and|in)"
    r"\b[\s:,-]*){0,8}"
    r"v?\d{1,6}\.\d{1,6}(?:\.\d{1,6})?[\w.+-]{0,40}(?:\s*(?:->|→|to)\s*v?\d[\w.+-]{0,40})?"
    r"(?:\s+(?:release|changelog|\[skip ci\]))?\.?",
    re.IGNORECASE,
)
_SAYS_RELEASE = re.compile(
    r"\b(?:releas|version|bump|change ?log|publish|tag|cut|prepar)", re.IGNORECASE
)
_MAX_RELEASE = 120
_HAS_NUMBER = re.compile(r"\d\.\d")
_WORD = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*")
_CODE_LIKE = re.compile(r"[`@_./\\(){}\[\]<>=$#:*-]|\d|[a-z][A-Z]")
_STOP = frozenset(
    {
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "with",
        "when",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a merge commit's message says of the branch that came in."""

    title: str
    """Empty if the message has none."""
    number: int | None = None
    branch: str = ""


def merge(commit: Commit) -> Merge | None:
    """Read the message that a forge or git writes for a merge; None for any other message."""
    subject = commit.subject
    if not subject.startswith("Merge"):
        return None
    if found := _GITHUB.match(subject):
        branch = found[2].partition("/")[2] or found[2]
        return Merge(title=_first_line(commit.body), number=int(found[1]), branch=branch)
    if found := _GERRIT.fullmatch(subject):
        return Merge(title=found[1])
    if subject == _FORK:  # GitHub's for a fix that was made in secret
        return Merge(title=_first_line(commit.body) or subject)
    return _elsewhere(subject, commit.body)


def _elsewhere(subject: str, body: str) -> Merge | None:
    """Read the messages of Bitbucket, Azure DevOps, GitLab, and of git itself."""
    if found := _BITBUCKET.match(subject):
        return Merge(title=_first_line(body), number=int(found[2]), branch=found[1])
    if found := _AZURE.fullmatch(subject):
        return Merge(title=found[2], number=int(found[1]))
    request = _GITLAB_NUMBER.search(body)
    if request and (found := _GITLAB_BRANCH.match(subject)):
        title = _first_line(body)
        return Merge(
            title="" if title.startswith("See merge request") else title,
            number=int(request[1]),
            branch=found[1],
        )
    return Merge(title="") if _BRANCH.fullmatch(subject) else None


def from_bot_branch(found: Merge) -> bool:
    """Say whether a person merged what a machine had written."""
    return bots.is_bot_branch(found.branch)


def branch_title(branch: str) -> str:
    """Make a title of a branch's name: `fix/some-thing` becomes `some thing`."""
    return " ".join(re.split(r"[-_\s]+", branch.rpartition("/")[2])).strip()


def _first_line(body: str) -> str:
    return body.strip().partition("\n")[0].strip()


def without_numbers(subject: str) -> tuple[str, tuple[int, ...]]:
    """Cut the pull request numbers off the end of a subject; the last one written comes first."""
    numbers: list[int] = []
    while found := _REFERENCE.search(subject[-80:]):
        if found[1]:
            numbers.append(int(found[1]))
        subject = subject[: len(subject) - (len(subject[-80:]) - found.start())]
    return subject.strip(), tuple(dict.fromkeys(numbers))


def fixup(subject: str) -> str | None:
    """Return the subject that a `fixup!`, `squash!` or `amend!` commit belongs to."""
    found = _FIXUP.fullmatch(subject)
    return found[1] if found else None


def is_release(subject: str) -> bool:
    """Say whether a commit only makes a release, as `chore(release): v1.2.3` does."""
    if len(subject) > _MAX_RELEASE or not _HAS_NUMBER.search(subject):
        return False
    text = without_numbers(subject)[0]
    if _RELEASE.fullmatch(text) is None:
        return False
    return text.lstrip("vV")[:1].isdigit() or _SAYS_RELEASE.search(text) is not None


def polish(text: str) -> str:
    """Return a subject as a line: no final period; a capital, unless it begins with code.

    What is past `MAX_TEXT` characters is cut: an entry is a line, whatever its author pasted.
    """
    text = text.strip().rstrip(":;,").strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    first = text.partition(" ")[0]
    if first[:1].islower() and not _CODE_LIKE.search(first):
        text = text[:1].upper() + text[1:]
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case, without the commonest."""
    return tuple(w for w in _WORD.findall(text.lower()) if w not in _STOP)


def plain(text: str) -> str:
    """Return what is left of a text when case, marks and spaces do not count."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text.strip()
