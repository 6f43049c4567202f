"""Holds a generated sentence to the findings: nothing in it that they do not say."""

import re
from collections.abc import Iterable

MAX_CHARACTERS = 280
MIN_CHARACTERS = 20
_TOKEN = re.compile(r"[^\s,;!?()\[\]\"“”]+")
_IDENTIFIER = re.compile(r"[\d_@#/\\<>=$`{}|~^*&%+]|\.\w|::|--|\w[A-Z]")
_WORD = re.compile(r"[a-z]+")
_MARKUP = re.compile(r"[<>`*_#|\[\]]|\n|https?:")
_NUMBERS = frozenset({
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "dozen", "several", "many", "most", "all", "every", "no", "none", "never",
    "only", "both",
})  # fmt: skip
_REASSURING = frozenset({
    "safe", "safely", "secure", "harmless", "fine", "ok", "okay", "good", "benign", "clean",
    "correct", "approved", "approve", "merge", "ready", "trusted", "low", "minor", "fixed",
    "fixes", "resolved",
})  # fmt: skip
_FILLER = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "change", "changes", "code", "could",
    "diff", "file", "files", "finding", "findings", "for", "from", "has", "have", "in", "include",
    "includes", "including", "introduces", "is", "it", "its", "may", "might", "new", "of", "on",
    "or", "review", "reviewed", "should", "that", "the", "there", "these", "this", "those", "to",
    "uses", "was", "were", "which", "with",
})  # fmt: skip
_NEGATION = re.compile(r"\b(?:not|no|nobody|nothing|never|neither|without|cannot)\b|n't\b")
_STEM = 5
_SUPPORTED = 0.7


def fault(text: str, evidence: Iterable[str]) -> str | None:
    """Say why a generated text may not be published; None if it may.

    Numbers, paths, identifiers and words that reassure are held to the letter; of the other words
    most must occur in the evidence, in some form.
    """
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
        return f"it has {len(text)} characters"
    if _MARKUP.search(text) or not text.isprintable():
        return "it holds markup or a placeholder"
    if not text.endswith("."):
        return "it is not a whole sentence"
    listed = list(evidence)
    said = "\n".join(listed)
    known = {_bare(token) for token in _TOKEN.findall(said)}
    for token in _TOKEN.findall(text):
        bare = _bare(token)
        if _IDENTIFIER.search(token.strip(".:'")) and bare not in known:
            return f"`{bare[:60]}` is not in the findings"
    lower = text.lower()
    return _unsupported(lower, set(_WORD.findall(said.lower()))) or _turned(lower, listed)


def _unsupported(text: str, vocabulary: set[str]) -> str | None:
    words = [word for word in _WORD.findall(text) if len(word) > 1]
    for word in words:
        if word in _NUMBERS | _REASSURING and word not in vocabulary:
            return f"`{word}` is not in the findings"
    telling = [word for word in words if word not in _FILLER]
    stems = {word[:_STEM] for word in vocabulary}
    supported = [word for word in telling if word[:_STEM] in stems]
    if not supported:
        return "it says nothing of the findings"
    if len(supported) < _SUPPORTED * len(telling):
        lacking = next(word for word in telling if word[:_STEM] not in stems)
        return f"`{lacking}` and other words are not in the findings"
    return None


def _turned(text: str, evidence: list[str]) -> str | None:
    """Compare each sentence with the finding that it is nearest to: `not` must not get lost."""
    for sentence in text.split(". "):
        words = _stems(sentence)
        nearest = max(evidence, key=lambda said: len(words & _stems(said.lower())))
        if bool(_NEGATION.search(sentence)) != bool(_NEGATION.search(nearest.lower())):
            return "it turns a finding into its opposite"
    return None


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(text) if word not in _FILLER}


def _bare(token: str) -> str:
    return token.strip(".:'`*").lower()
