"""Finds text that gives orders to a model: in what a user says, and in what was retrieved.

A window of one or two sentences has binary features, one a pattern; a linear classifier weighs
them. Each text is judged folded, and with one encoding undone. Most texts end after one pass: no
window can score more than the positive weights of all features of the whole text.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import re2

from lockgate.guards.compiled import quiet
from lockgate.guards.decoding import Decoder
from lockgate.guards.folding import Folder, foreign
from lockgate.guards.stream import encode

INSTRUCTIONS = "instructions"
HIDDEN_TEXT = "hidden-text"
BIDI_CONTROL = "bidi-control"
RULE_IDS = (INSTRUCTIONS, HIDDEN_TEXT, BIDI_CONTROL)

_WRAP = re.compile(r"\n(?=[ \t>#*/+|-]*[a-z])")
"""A line that goes on: prose that is wrapped, or commented out."""
_SENTENCE = re.compile(
    r"[^.!?\n\u3002\uff01\uff1f]{0,600}(?:[.!?\u3002\uff01\uff1f]+[\"')\]]{0,3}|\n|$)?"
)
_TAGS = re.compile("[\U000e0001-\U000e007f]{2,}")
_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0001-\U000e007f]")
_FLAG_END = "\U000e007f"
_MOST_FLAG_TAGS = 8
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]+")
_LOOKALIKES = re.compile("[\u0370-\u058f]")
_ENCODED = "encoded"
"""Feature of a text in which an encoding was undone: a reason for suspicion by itself."""
_SETS = 2
"""Half of the features have far fewer states than all: their gaps may be open in any combination.
In new text a state that was not there before costs more than to read it twice."""
_CLOSE = 1
_GROUP = 6
"""Sentences that are judged at once before each is."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A part of a text that gives orders, or hides something."""

    rule: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class _Promise:
    """Features with a positive weight."""

    features: "re2.Set"
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Model:
    bias: float
    weights: tuple[float, ...]
    encoded: float
    input: float
    """The least logit at which a user's text is a finding."""
    retrieved: float


class InjectionGuard:
    """Judges texts. Built once and shared."""

    def __init__(self) -> None:
        features = load_features()
        self._set = re2.Set.SearchSet(quiet(captures=False))
        for pattern in features.values():
            self._set.Add(pattern)
        self._set.Compile()
        self._model = _load_model(tuple(features))
        self._promises = _promises(features, self._model.weights)
        self._alike = Folder(alike=True)
        self._plain = Folder(alike=False)
        self._decoder = Decoder()

    def suspects(self, text: str, *, retrieved: bool) -> list[Suspect]:
        """Return what gives orders, in order of place, without overlaps."""
        least = self._model.retrieved if retrieved else self._model.input
        found: list[Suspect] = []
        if not text.isascii():
            others = "".join(foreign(text))
            if _UNSEEN.search(others):
                found += _hidden(text)
            if _LOOKALIKES.search(others):
                # Greek or Cyrillic may be just that.
                found += self._judged(text, self._plain, least)
        found += self._judged(text, self._alike, least)
        for decoded in self._decoder.decoded(text):
            for suspect in self._judged(decoded.text, self._alike, least, encoded=True):
                start, end = decoded.original(suspect.start, suspect.end)
                found.append(Suspect(INSTRUCTIONS, start, end, suspect.score))
        return apart(found)

    def features(self, text: str) -> tuple[int, ...]:
        """Return the numbers of the features that a folded text has."""
        return tuple(sorted(self._set.Match(text) or ()))

    def prepared(self, text: str) -> str:
        """Return the folded text with wrapped lines joined, in as many characters."""
        return joined(self._alike.folded(text))

    def _judged(
        self, text: str, folder: Folder, least: float, *, encoded: bool = False
    ) -> Iterator[Suspect]:
        folded = joined(folder.folded(text))
        model = self._model
        base = model.bias + (model.encoded if encoded else 0)
        if self._bound(folded, base) < least:
            return
        for start, end, logit in self._windows(folded, base, least):
            first, last = folder.original(text, start, end)
            yield Suspect(INSTRUCTIONS, first, last, 1 / (1 + math.exp(-logit)))

    def _windows(self, text: str, base: float, least: float) -> Iterator[tuple[int, int, float]]:
        """Yield the sentences, and the pairs of which no half suffices, that reach `least`."""
        sentences = [m.span() for m in _SENTENCE.finditer(text) if m[0] and not m[0].isspace()]
        for first in range(0, len(sentences), _GROUP):
            group = sentences[max(0, first - 1) : first + _GROUP]
            if self._bound(text[group[0][0] : group[-1][1]], base) >= least:
                yield from self._in_group(text, group, base, least)

    def _in_group(
        self, text: str, sentences: Sequence[tuple[int, int]], base: float, least: float
    ) -> Iterator[tuple[int, int, float]]:
        scores = [self._logit(text[start:end], base) for start, end in sentences]
        for index, (start, end) in enumerate(sentences):
            if scores[index] >= least:
                yield start, end, scores[index]
            if index == 0 or max(scores[index - 1], scores[index]) >= least:
                continue
            before = sentences[index - 1][0]
            together = self._logit(text[before:end], base)
            if together >= least:
                yield before, end, together

    def _bound(self, text: str, base: float) -> float:
        """Return a score that no window of the text can exceed."""
        data = encode(text)
        for promise in self._promises:
            hits = promise.features.Match(data)
            if hits:
                base += math.fsum(promise.weights[hit] for hit in hits)
        return base

    def _logit(self, window: str, base: float) -> float:
        return base + math.fsum(self._model.weights[hit] for hit in self._set.Match(window) or ())


def _promises(features: Mapping[str, str], weights: Sequence[float]) -> list[_Promise]:
    """Return the features that speak for an order, in sets of few states."""
    given = [(p, w) for p, w in zip(features.values(), weights, strict=True) if w > 0]
    made = []
    for first in range(_SETS):
        found = re2.Set.SearchSet(quiet(captures=False))
        for pattern, _ in given[first::_SETS]:
            found.Add(pattern)
        found.Compile()
        made.append(_Promise(found, tuple(weight for _, weight in given[first::_SETS])))
    return made


def load_features() -> dict[str, str]:
    """Return the patterns of the features by name, in the order of the weights."""
    text = Path(__file__).with_name("injection.toml").read_text("utf-8")
    features: dict[str, str] = tomllib.loads(text)["features"]
    return features


def joined(text: str) -> str:
    """Return the text with spaces where a line is wrapped, in as many characters."""
    return _WRAP.sub(" ", text)


def _load_model(names: Sequence[str]) -> _Model:
    given = json.loads(Path(__file__).with_name("injection.json").read_text("utf-8"))
    return _Model(
        bias=given["bias"],
        weights=tuple(given["weights"][name] for name in names),
        encoded=given["weights"][_ENCODED],
        input=given["least"]["input"],
        retrieved=given["least"]["retrieved"],
    )


def _hidden(text: str) -> Iterator[Suspect]:
    for match in _TAGS.finditer(text):
        start, end = match.span()
        # A flag such as that of Wales is a black flag and a few tags (UTS 51, annex C).
        flag = text[start - 1 : start] == "\U0001f3f4" and end - start <= _MOST_FLAG_TAGS
        if not (flag and text[end - 1] == _FLAG_END):
            yield Suspect(HIDDEN_TEXT, start, end, 1.0)
    for match in _BIDI.finditer(text):
        yield Suspect(BIDI_CONTROL, *match.span(), 1.0)


def apart(found: list[Suspect]) -> list[Suspect]:
    """Join what overlaps or touches; the surer one gives its name."""
    apart: list[Suspect] = []
    for suspect in sorted(found, key=lambda s: (s.start, -s.end)):
        last = apart[-1] if apart else None
        near = _CLOSE if last is not None and last.rule == suspect.rule else -1
        if last is None or suspect.start > last.end + near:
            apart.append(suspect)
            continue
        rule = last.rule if last.score >= suspect.score else suspect.rule
        end, score = max(last.end, suspect.end), max(last.score, suspect.score)
        apart[-1] = Suspect(rule, last.start, end, score)
    return apart
