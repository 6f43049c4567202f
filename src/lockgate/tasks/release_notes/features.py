"""What the commit-type classifier sees of a commit: tokens of its subject, paths and shape.

A token is `namespace=value`. The classifier hashes tokens and knows nothing of their meaning, so
a change here needs new weights: `VERSION` goes into their file, and the classifier's tests compare.
Line counts are optional, since a history may come without them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from lockgate.domain.inference import Row, Vector
from lockgate.tasks.release_notes import path_rules

VERSION = 1

_MAX_BODY = 400
_WORDS = 40
_GRAMS = (3, 4, 5)
_GRAM_WORDS = 24
_PIECES_PER_PATH = 8
_PATHS = 40
_TERM = re.compile(r"[a-z][a-z'\u2019]*|[0-9]+(?:\.[0-9a-z*]+)*|[^\sa-z0-9]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CODE = re.compile(r"`|[a-z]\(\)|--[a-z]|[a-z]_[a-z]|[a-z][A-Z]|[a-z]\.[a-z]")
_ISSUE = re.compile(
    r"\b(?:fix(?:es|ed)?|close[sd]?|resolve[sd]?)\s{0,2}:?\s{0,2}#[0-9]|#[0-9]{1,9}"
)
_STEPS = (0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 1025)


def row(
    subject: str,
    files: Sequence[tuple[str, str]],
    *,
    body: str = "",
    counts: Sequence[tuple[int, int]] | None = None,
    vector: Vector | None = None,
) -> Row:
    """Return the classifier's view of one commit.

    `subject` is without its Conventional Commits prefix. `files` are (status letter, path);
    `counts`, if known, are the (added, deleted) lines of each, in the same order. `vector` is the
    embedding of the subject.
    """
    text = path_rules.normalise(subject)
    label, rest = path_rules.lead(text)
    kept = files[: path_rules.MAX_FILES]
    roles = path_rules.roles(path for _, path in kept)
    guess = path_rules.classify_parts(label, rest.lower(), roles)
    tokens = [*_subject(rest, label), *_files(kept, roles), *_shape(text, subject, body)]
    mix = "+".join(sorted(roles))
    first = _first(rest.lower())
    tokens += [
        f"rule={guess.type}",
        f"rule={guess.type}:{guess.reason}",
        f"mix={mix}",
        f"cross={first}|{mix}",
        f"cross={first}|{_main(roles)}",
    ]
    if counts is not None:
        tokens += _sizes(kept, counts)
    return Row(tokens=tuple(dict.fromkeys(tokens)), vector=vector)


def _first(text: str) -> str:
    found = _TERM.search(text)
    word = found.group() if found else ""
    return path_rules.verb(word) or word


def _main(roles: Mapping[str, int]) -> str:
    return max(roles, key=lambda name: (roles[name], name)) if roles else "none"


def _subject(rest: str, label: str | None) -> Iterator[str]:
    """Words, pairs of words, and pieces of words; the label apart, since it names a place."""
    if label is not None:
        yield f"label={label}"
    words = _TERM.findall(_CAMEL.sub(" ", rest).lower().replace("\u2019", "'"))[:_WORDS]
    bases = [path_rules.verb(word) or word for word in words]
    yield f"first={bases[0] if bases else ''}"
    yield f"first={' '.join(bases[:2])}"
    yield f"form={words[0] if words else ''}"
    yield f"last={words[-1] if words else ''}"
    for word in words:
        yield f"w={word}"
    for base in bases:
        yield f"v={base}"
    for left, right in pairwise(words):
        yield f"b={left} {right}"
    for word in words[:_GRAM_WORDS]:
        padded = f"<{word[:24]}>"
        for size in _GRAMS:
            for at in range(len(padded) - size + 1):
                yield f"c={padded[at : at + size]}"


def _files(files: Sequence[tuple[str, str]], roles: Mapping[str, int]) -> Iterator[str]:
    for name in roles:
        yield f"role={name}"
    yield f"n={_step(len(files))}"
    statuses = {status[:1] for status, _ in files}
    yield f"st={''.join(sorted(statuses))}"
    for status, path in files[:_PATHS]:
        name = path_rules.role(path)
        kind = status[:1]
        if kind != "M":
            yield f"st={kind}:{name}"
        *folders, last = path[-400:].lower().split("/")
        stem, _, end = last.rpartition(".")
        yield f"ext={end}"
        yield f"ext={name}:{end}"
        yield f"name={last}"
        yield f"stem={stem or last}"
        for folder in folders[-_PIECES_PER_PATH:]:
            yield f"dir={folder}"
        yield f"top={'/'.join(folders[:2])}"


def _shape(text: str, subject: str, body: str) -> Iterator[str]:
    yield f"len={_step(len(text.split()))}"
    if _CODE.search(text):
        yield "has=code"
    if "#" in subject and (found := _ISSUE.search(subject[: path_rules.MAX_SUBJECT].lower())):
        yield "has=closes" if found.group()[0] != "#" else "has=issue"
    if "->" in text or "→" in text:
        yield "has=arrow"
    if text[:1].isupper():
        yield "has=capital"
    if body and (found := _ISSUE.search(body[:_MAX_BODY].lower())):
        yield "has=closes" if found.group()[0] != "#" else "has=issue"


def _sizes(files: Sequence[tuple[str, str]], counts: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Sizes in steps, in all and by role; which side the change leans to."""
    totals: dict[str, list[int]] = {}
    for (_, path), (added, deleted) in zip(files, counts, strict=False):
        for name in (path_rules.role(path), "all"):
            total = totals.setdefault(name, [0, 0])
            total[0] += added
            total[1] += deleted
    for name, (added, deleted) in totals.items():
        yield f"add={name}:{_step(added)}"
        yield f"del={name}:{_step(deleted)}"
        lean = round(4 * added / (added + deleted)) if added + deleted else -1
        yield f"lean={name}:{lean}"


def _step(value: int) -> int:
    """Return the largest step that is not above `value`."""
    return next(step for step in reversed(_STEPS) if step <= max(value, 0))
