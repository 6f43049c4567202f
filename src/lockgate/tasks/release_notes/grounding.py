"""Holds generated text to its evidence: nothing in it that the evidence does not say."""

import re
from collections.abc import Iterable

from lockgate.tasks.release_notes import path_rules, subjects

_TOKEN = re.compile(r"[^\s,;!?()\[\]\"“”]+")
_CODE = re.compile(r"[\d_@#/\\<>=$`{}|~^*&%+]|\.\w|::|--|\w[A-Z]")
_NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][A-Za-z]+")
_WORD = re.compile(r"[a-z][a-z'-]+")
_SUPPORTED = 0.7
_STEM = 5
_FILLER = frozenset(
    {
        "also",
        "adds",
        "bring",
        "brings",
        "change",
        "changes",
        "changed",
        "fixed",
        "have",
        "has",
        "includes",
        "include",
        "including",
        "introduces",
        "improves",
        "improved",
        "into",
        "made",
        "makes",
        "more",
        "new",
        "now",
        "release",
        "several",
        "some",
        "such",
        "support",
        "these",
        "this",
        "updates",
        "updated",
        "various",
        "version",
        "was",
        "were",
        "which",
        "while",
        "will",
    }
)
_POLARITY = frozenset(
    {"remove", "drop", "delete", "deprecate", "disable", "revert", "break", "allow", "deny",
     "enable", "stop", "prevent", "fix", "add"}
)  # fmt: skip


def problem(text: str, evidence: Iterable[str]) -> str | None:
    """Say what in `text` the evidence lacks; None if nothing.

    Held to the letter: numbers, versions, references, identifiers, names and words that turn a
    sentence's meaning. Of the other words most must occur, in some form.
    """
    said = "\n".join(evidence)
    known = {_bare(token) for token in _TOKEN.findall(said)}
    for token in _TOKEN.findall(text):
        bare = _bare(token)
        if bare and _CODE.search(bare) and bare not in known:
            return f"`{bare[:60]}` is not in the evidence"
    lower = said.lower()
    vocabulary = set(re.findall(r"[a-z0-9]+", lower))
    for name in _NAME.findall(text):
        if name.lower() not in vocabulary:
            return f"the name `{name[:60]}` is not in the evidence"
    return _unsupported(text, vocabulary)


def _unsupported(text: str, vocabulary: set[str]) -> str | None:
    verbs = {path_rules.verb(word) or word for word in vocabulary}
    stems = {word[:_STEM] for word in vocabulary | verbs}
    words = [w for w in subjects.words(text) if _WORD.fullmatch(w) and w not in _FILLER]
    for word in words:
        base = path_rules.verb(word)
        if base in _POLARITY and base not in verbs:
            return f"`{word}` is not in the evidence"
    lacking = [w for w in words if (path_rules.verb(w) or w)[:_STEM] not in stems]
    if len(words) - len(lacking) < _SUPPORTED * len(words):
        return f"`{'`, `'.join(lacking[:3])}`: not in the evidence"
    return None


def _bare(token: str) -> str:
    return token.strip(".:'*_`").lower()
