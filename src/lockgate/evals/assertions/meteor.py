"""`meteor`: matched words with a penalty for their disorder.

S. Banerjee and A. Lavie, "METEOR", ACL workshop 2005, with words matched exactly and by stem. The
third stage of the paper, WordNet's synonyms, is left out: its 30 MB are not part of this program.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number
from lockgate.evals.assertions.overlap import graded, texts
from lockgate.evals.assertions.porter import stem
from lockgate.evals.javascript import split_spaces, text_output

MAX_WORDS = 20_000
_THRESHOLD = 0.5
_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5


def meteor(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for a METEOR score with the best of the references."""
    references = texts(assertion)
    text = text_output(output)
    if not text or not references:
        raise invalid(assertion, "needs an output and at least one reference")
    candidate = _words(text)
    if len(candidate) > MAX_WORDS:
        raise invalid(assertion, f"compares at most {MAX_WORDS} words")
    alpha = _option(assertion, "alpha", _ALPHA)
    beta = _option(assertion, "beta", _BETA)
    gamma = _option(assertion, "gamma", _GAMMA)
    score = max(_score(candidate, _words(r), alpha, beta, gamma) for r in references)
    return graded(assertion, "METEOR", score, number(assertion, _THRESHOLD))


def _words(text: str) -> list[str]:
    return [word.rstrip(".").lower() for word in split_spaces(text)]


def _option(assertion: Assertion, name: str, default: float) -> float:
    value = assertion.options.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(assertion, f"must have a number as `{name}`")
    return value


def _score(
    candidate: Sequence[str], reference: Sequence[str], alpha: float, beta: float, gamma: float
) -> float:
    ours, theirs = list(enumerate(candidate)), list(enumerate(reference))
    pairs, ours, theirs = _matched(ours, theirs)
    stems, _, _ = _matched(
        [(at, stem(word)) for at, word in ours], [(at, stem(word)) for at, word in theirs]
    )
    pairs = sorted([*pairs, *stems])
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(candidate), len(pairs) / len(reference)
    weighted = alpha * precision + (1 - alpha) * recall
    if weighted == 0:
        return 0.0
    chunks = 1 + sum((b[0] - a[0], b[1] - a[1]) != (1, 1) for a, b in pairwise(pairs))
    penalty: float = gamma * (chunks / len(pairs)) ** beta
    return (1 - penalty) * (precision * recall / weighted)


def _matched(
    ours: list[tuple[int, str]], theirs: list[tuple[int, str]]
) -> tuple[list[tuple[int, int]], list[tuple[int, str]], list[tuple[int, str]]]:
    """Pair equal words from the end on; return the pairs and what is left over."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at, word in theirs:
        places[word].append(at)
    pairs: list[tuple[int, int]] = []
    left: list[tuple[int, str]] = []
    for at, word in reversed(ours):
        if places.get(word):
            pairs.append((at, places[word].pop()))
        else:
            left.append((at, word))
    taken = Counter(other for _, other in pairs)
    return pairs, left[::-1], [(at, word) for at, word in theirs if at not in taken]
