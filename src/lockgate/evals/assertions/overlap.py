"""Overlap of word sequences with a reference: `rouge-n`, `bleu`, `gleu`.

ROUGE: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. BLEU: Papineni et
al., ACL 2002. GLEU: Wu et al., "Google's neural machine translation system", 2016, section 4.3.
Thresholds, weights and tokens are promptfoo's.
"""

import math
from collections import Counter
from collections.abc import Sequence

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number
from lockgate.evals.assertions.treebank import treebank_words
from lockgate.evals.javascript import number_text, split_spaces, text_output, trim

_ROUGE = 0.75
_BLEU = _GLEU = 0.5
_LONGEST = 4
_WEIGHT = 0.25
_ZERO_PRECISION = 1e-7
"""What stands for a precision of 0, whose logarithm would make every score 0."""


def rouge_n(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for the F1 of single words with the reference, lower case."""
    if not isinstance(assertion.value, str):
        raise invalid(assertion, "must have a text as its value")
    score = rouge_share(assertion.value, text_output(output))
    return graded(assertion, "ROUGE-N", score, number(assertion, _ROUGE))


def rouge_share(reference: str, candidate: str) -> float:
    """Return the F1 of single words, lower case."""
    ours, theirs = treebank_words(candidate.lower()), treebank_words(reference.lower())
    shared = (Counter(ours) & Counter(theirs)).total()
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return precision if precision == recall else _f1(precision, recall)


def bleu(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for the geometric mean of the precisions of 1 to 4 words, with a brevity penalty."""
    references = texts(assertion)
    if not references:
        raise invalid(assertion, "must have at least one reference")
    text = text_output(output)
    score = _bleu(_words(text), [_words(r) for r in references]) if trim(text) else 0.0
    return graded(assertion, "BLEU", score, number(assertion, _BLEU))


def gleu(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for the smaller of precision and recall over all sequences of 1 to 4 words."""
    references = texts(assertion)
    text = text_output(output)
    if not references or not text:
        raise invalid(assertion, "needs an output and at least one reference")
    candidate = _without_stops(_words(text))
    score = max(_gleu(candidate, _without_stops(_words(r))) for r in references)
    return graded(assertion, "GLEU", score, number(assertion, _GLEU))


def texts(assertion: Assertion) -> Sequence[str]:
    """Return the references: a text, or a list of texts."""
    value = assertion.value
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return [item for item in value if isinstance(item, str)]
    raise invalid(assertion, "must have a text or a list of texts as its value")


def graded(assertion: Assertion, name: str, score: float, limit: float) -> Graded:
    """Compare a score with its threshold; an inverse assertion's score is the complement."""
    passed = (score >= limit) is not assertion.inverse
    return Graded(
        passed,
        1 - score if assertion.inverse else score,
        f"{name} score {score:.4f}, threshold {number_text(limit)}",
    )


def _f1(precision: float, recall: float) -> float:
    # Scaled by the smaller of the two and bounded, which keeps promptfoo's last digit.
    low, high = sorted((precision, recall))
    return min(high, low * (2 / (1 + low / high)))


def _words(text: str) -> list[str]:
    return split_spaces(trim(text.lower()))


def _without_stops(words: Sequence[str]) -> list[str]:
    return [word.rstrip(".") for word in words]


def _sequences(words: Sequence[str], length: int) -> Counter[str]:
    if length == 1:
        return Counter(words)
    return Counter(" ".join(words[at : at + length]) for at in range(len(words) - length + 1))


def _bleu(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    nearest = min((abs(len(r) - len(candidate)), len(r)) for r in references)[1]
    precisions: list[float] = []
    for length in range(1, min(_LONGEST, len(candidate)) + 1):
        wanted = _sequences(candidate, length)
        shared = max((wanted & _sequences(r, length)).total() for r in references)
        precisions.append(shared / wanted.total())
    share = _WEIGHT * len(precisions)
    total = 0.0
    for precision in precisions:
        total += _WEIGHT / share * math.log(precision or _ZERO_PRECISION)
    penalty = 1.0 if len(candidate) > nearest else math.exp(1 - nearest / len(candidate))
    return penalty * math.exp(total)


def _gleu(candidate: Sequence[str], reference: Sequence[str]) -> float:
    if candidate == reference:
        return 1.0
    shared = ours = theirs = 0
    for length in range(1, _LONGEST + 1):
        mine, other = _sequences(candidate, length), _sequences(reference, length)
        shared += (mine & other).total()
        ours += mine.total()
        theirs += other.total()
    return min(shared / ours, shared / theirs) if ours and theirs else 0.0
