"""`grounded`: whether each part of an answer stands in the case's sources.

By words, not by meaning, so that it is the same everywhere and anyone can check it: a sentence is
grounded if every number, name in code and quotation of it stands in the sources, and of its other
content words at least a share stands in one passage. What invents a version, a path or a figure is
found; a paraphrase with all other words is not recognised, and a judge is for that.
"""

import re
from collections.abc import Sequence

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number
from lockgate.evals.assertions.porter import stem
from lockgate.evals.javascript import text_of, text_output
from lockgate.evals.sentences import spans

# Letters and joints share no character, so there is one way to match: linear.
_WORD = re.compile(r"[^\W_]+(?:[-_./:#@][^\W_]+)*")
_QUOTED = re.compile(r"`([^`\n]{1,200})`|\"([^\"\n]{3,200})\"|“([^”\n]{3,200})”")
_SHARE = 0.6
_SHOWN = 3
_MOST = 200_000
_PLAIN = frozenset(
    "a an and are as at be been but by can could did do does for from had has have he her his i if "
    "in into is it its may more no not of on or our she should so such than that the their them "
    "then there these they this those to was we were what when which while who will with would "
    "you your".split()
)


def grounded(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Pass if the share of grounded sentences reaches the threshold, which is 1 without one."""
    text = text_output(output)
    sources = _sources(assertion, context)
    if len(text) + sum(map(len, sources)) > _MOST:
        raise invalid(assertion, f"reads at most {_MOST} characters of answer and sources")
    said = [span for span in spans(text) if _WORD.search(span.text)]
    if not said:
        raise invalid(assertion, "needs an answer with words in it")
    passages = [_words(part.text) for source in sources for part in spans(source)]
    everything = _folded("\n".join(sources))
    known = frozenset(word for passage in passages for word in passage)
    wrong = [
        (span, why) for span in said if (why := _problem(span.text, passages, known, everything))
    ]
    score = 1 - len(wrong) / len(said)
    passed = (score >= number(assertion, 1.0)) is not assertion.inverse
    shown = "; ".join(f"{s.start} to {s.end}: {why}" for s, why in wrong[:_SHOWN])
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    reason = f"{len(said) - len(wrong)} of {len(said)} sentences are grounded"
    return Graded(
        passed,
        1 - score if assertion.inverse else score,
        f"{reason} ({shown}{more})" if wrong else reason,
        "words of the sources, by sentence",
    )


def _problem(
    sentence: str, passages: Sequence[frozenset[str]], known: frozenset[str], everything: str
) -> str:
    for match in _QUOTED.finditer(sentence):
        quoted = next(group for group in match.groups() if group)
        if _folded(quoted) not in everything:
            return f"`{quoted[:60]}` is not in the sources"
    for match in _WORD.finditer(sentence):
        word = match[0]
        if _is_exact(word) and _folded(word) not in everything:
            return f"`{word[:60]}` is not in the sources"
    words = _words(sentence)
    if not words:
        return ""
    best = max((len(words & passage) for passage in passages), default=0)
    if best >= _SHARE * len(words):
        return ""
    if len(words & known) == len(words) and best >= _SHARE / 2 * len(words):
        return ""  # all words are there, over several passages
    return f"{best} of {len(words)} words in one passage"


def _is_exact(word: str) -> bool:
    """Say whether a word is a figure or a name, which is either there or made up."""
    return any(c.isdecimal() for c in word) or any(c in "_./:#@" for c in word)


def _words(text: str) -> frozenset[str]:
    found = (match[0].lower() for match in _WORD.finditer(text))
    return frozenset(stem(word) for word in found if word not in _PLAIN and len(word) > 1)


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _sources(assertion: Assertion, context: Context) -> Sequence[str]:
    value: Json = assertion.value
    if value is None:
        names = ("sources", "context", "documents")
        value = next((context.variables[n] for n in names if context.variables.get(n)), None)
    listed = value if isinstance(value, list) else [value]
    found = [text_of(each.get("text") if isinstance(each, dict) else each) for each in listed]
    if not any(text.strip() for text in found):
        raise invalid(assertion, "needs sources: a value, or a variable `sources` or `context`")
    return found
