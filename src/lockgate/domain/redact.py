"""Placeholders that stand for secrets, so that nothing downstream ever sees one.

A placeholder is `<secret:RULE:N>`: RULE is the id of the rule that matched and N counts the
distinct secrets of a call in order of appearance. The same secret has the same placeholder
everywhere in the call. No hash of the secret is kept: a short secret could be found from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.domain.digest import Json
from lockgate.domain.guard import GuardFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """One distinct secret that was replaced."""

    placeholder: str
    rule: str
    description: str
    """What kind of secret the rule finds, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitised:
    """A value without its secrets, and what was taken out."""

    value: Json
    redactions: tuple[Redaction, ...] = ()
    findings: tuple[GuardFinding, ...] = ()
    """What guards found beside secrets, acted on or not. Places are in single strings."""


def placeholder(rule: str, number: int) -> str:
    """Return the text that stands for the secret `number` found by `rule`."""
    return f"<secret:{rule}:{number}>"


def map_strings(value: Json, replace: Mapping[str, str]) -> Json:
    """Return `value` with every string, key or item, looked up in `replace`."""
    if isinstance(value, str):
        return replace.get(value, value)
    if isinstance(value, Mapping):
        return {replace.get(k, k): map_strings(v, replace) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [map_strings(item, replace) for item in value]
    return value
