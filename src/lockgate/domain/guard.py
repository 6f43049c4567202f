"""What guards find in a text, and what is done about it.

A placeholder is `<CATEGORY:RULE:N>`. N counts the distinct values of a call in order of
appearance; the same value has the same placeholder everywhere in the call.
"""

from enum import StrEnum
from typing import NamedTuple


class Category(StrEnum):
    """What a rule looks for."""

    SECRETS = "secrets"
    PERSONAL = "personal"
    INJECTION = "injection"
    LINKS = "links"
    PROFANITY = "profanity"
    CANARY = "canary"
    FAILURE = "failure"
    """A guard could not judge the text."""


class Action(StrEnum):
    """What is done about a finding."""

    OFF = "off"
    """The rule is not run."""
    SHADOW = "shadow"
    """The finding is recorded as one that would have been acted on; the text stays."""
    FLAG = "flag"
    """The finding is recorded; the text stays."""
    REDACT = "redact"
    """A placeholder takes the text's place."""
    BLOCK = "block"
    """Nothing from the found text on is let through."""


class OnFailure(StrEnum):
    """What happens to a text that a guard could not judge."""

    OPEN = "open"
    """It passes, with a finding that says so."""
    CLOSED = "closed"
    """It is blocked."""


class GuardFinding(NamedTuple):
    """One place of a text that a rule found. It never holds the text itself.

    A tuple, since a page of log lines has dozens: a frozen dataclass takes 2 us more to make.
    """

    rule: str
    category: Category
    action: Action
    start: int
    """Characters before it in the text as it was given."""
    end: int
    placeholder: str = ""
    """What took its place; empty if the text stayed."""
    score: float = 1.0
    """From 0 to 1: how sure the rule is. Deterministic rules say 1."""


_SINGULAR = {Category.SECRETS: "secret"}


def placeholder(category: Category, rule: str, number: int) -> str:
    """Return the text that stands for the value `number` found by `rule`."""
    return f"<{_SINGULAR.get(category, category)}:{rule}:{number}>"
