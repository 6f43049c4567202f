"""The assertion types by name. A family is imported when a suite first names one of its types."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any, cast

from lockgate.evals.assertion import Grade

ASSERT_SET = "assert-set"
HOLDING = frozenset({ASSERT_SET, "property"})
"""Types with assertions of their own in `assert`."""
NEGATION = "not-"
SIMILAR = frozenset({"similar", "similar:cosine", "similar:dot", "similar:euclidean"})

_FAMILIES: Mapping[str, str] = {
    "text": "equals contains icontains contains-any contains-all icontains-any icontains-all "
    "starts-with",
    "pattern": "regex",
    "json_text": "is-json contains-json",
    "xml_text": "is-xml contains-xml",
    "html_text": "is-html contains-html",
    "sql_text": "is-sql contains-sql",
    "refusal": "is-refusal",
    "measures": "word-count levenshtein latency cost finish-reason perplexity perplexity-score",
    "overlap": "rouge-n bleu gleu",
    "meteor": "meteor",
    "script": "javascript",
    "leaks": "no-secrets no-pii no-injection egress-allowed",
    "ranking": "retrieval",
    "grounding": "grounded",
    "comparison": "matches-baseline calibrated",
    "tools": "is-valid-openai-tools-call is-valid-function-call tool-call-f1 guardrails",
}
_ASKED: Mapping[str, str] = {
    "rubric": "llm-rubric factuality answer-relevance classifier",
    "retrieved": "context-recall context-relevance context-faithfulness",
    "choice": "select-best",
    "program": "python",
    "properties": "property metamorphic",
    "again": "deterministic permission semantic-coverage",
}
"""Types that wait for a judge or a program, by their module in `asking`."""
_JUDGES = frozenset({"rubric", "retrieved", "choice"})
_ALIASES: Mapping[str, str] = {
    "is-valid-openai-function-call": "is-valid-function-call",
    "model-graded-closedqa": "llm-rubric",
    "model-graded-factuality": "factuality",
}
_OTHERS: Mapping[str, str] = {
    "ruby": "code; write it as a task's check",
    "webhook": "a request to a server",
    **dict.fromkeys(
        "g-eval conversation-relevance moderation pi agent-rubric search-rubric max-score "
        "human".split(),
        "a judge of its own; write it as `llm-rubric`",
    ),
    **dict.fromkeys(
        "trace-error-spans trace-span-count trace-span-duration skill-used "
        "trajectory:goal-success trajectory:tool-args-match trajectory:step-count "
        "trajectory:tool-sequence trajectory:tool-used".split(),
        "a trace",
    ),
}


def names() -> frozenset[str]:
    """Return the types that are graded here, without `not-`."""
    return frozenset({*_where(), *_asked(), *_ALIASES, *SIMILAR, ASSERT_SET})


def is_asked(name: str) -> bool:
    """Say whether a type waits for somebody: its grade comes from `asked_grade`."""
    return _ALIASES.get(name, name) in _asked()


def is_judged(name: str) -> bool:
    """Say whether a model judges a type, so that people's labels say how well."""
    return _asked().get(_ALIASES.get(name, name), "") in _JUDGES


def unsupported(name: str) -> str | None:
    """Say what a type of promptfoo's that is not graded here would need; None for other names."""
    return _OTHERS.get(name)


def nearest(name: str) -> str | None:
    """Return the known type that `name` most looks like."""
    known = [*names(), *(f"{NEGATION}{each}" for each in names()), *_OTHERS]
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


@cache
def grade(name: str) -> Grade:
    """Return the function of a type.

    Raises:
        KeyError: there is no such type; the loader of suites has looked before.

    """
    if name in SIMILAR:
        module, function = "similarity", "similar"
    else:
        name = _ALIASES.get(name, name)
        module, function = _where()[name], name.replace("-", "_")
    # Each name comes from the table above.
    found = getattr(import_module(f"lockgate.evals.assertions.{module}"), function)
    return cast("Grade", found)


@cache
def asked_grade(name: str) -> Any:
    """Return the function of a type that waits, an `AskedGrade`.

    Raises:
        KeyError: there is no such type; the loader of suites has looked before.

    """
    name = _ALIASES.get(name, name)
    module = import_module(f"lockgate.evals.asking.{_asked()[name]}")
    return getattr(module, name.replace("-", "_"))


@cache
def _asked() -> Mapping[str, str]:
    return {name: module for module, names in _ASKED.items() for name in names.split()}


@cache
def _where() -> Mapping[str, str]:
    return {name: module for module, names in _FAMILIES.items() for name in names.split()}
