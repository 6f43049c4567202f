"""Takes secrets out of values, in time linear in their size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import re2

from lockgate.domain.digest import Json
from lockgate.domain.redact import Redaction, Sanitised, map_strings, placeholder
from lockgate.guards.rules import ALLOWED, Rule, entropy, load_rules

_PLACEHOLDER = "<secret:"
_BOUNDARY = "\n\0\n"


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    pattern: "re2._Regexp[str]"


@dataclass(slots=True)
class _Found:
    """The distinct secrets of one call."""

    taken: frozenset[str]
    """Placeholders that the input holds already."""
    secrets: dict[str, Redaction] = field(default_factory=dict)
    number: int = 0

    def add(self, secret: str, rule: Rule) -> str:
        """Return the placeholder of a secret, a new one if it was not seen before."""
        known = self.secrets.get(secret)
        if known is None:
            self.number += 1
            while placeholder(rule.id, self.number) in self.taken:
                self.number += 1
            known = Redaction(
                placeholder=placeholder(rule.id, self.number),
                rule=rule.id,
                description=rule.description,
            )
            self.secrets[secret] = known
        return known.placeholder


class SecretGuard:
    """Implements `ports.Guard` with the package's rules. Rules are compiled when first needed."""

    def __init__(self) -> None:
        self._compiled: dict[str, _Compiled] = {}

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return load_rules()

    @cached_property
    def _allowed(self) -> "re2._Regexp[str]":
        return re2.compile(ALLOWED)

    def sanitise(self, value: Json) -> Sanitised:
        """Return `value` with each secret replaced by its placeholder."""
        texts = list(dict.fromkeys(_strings(value)))
        joined = _BOUNDARY.join(texts)
        folded = joined.lower()
        rules = [rule for rule in self._rules if any(k in folded for k in rule.keywords)]
        if not rules:
            return Sanitised(value=value)
        found = _Found(taken=_placeholders(joined))
        replaced: dict[str, str] = {}
        for text in texts:
            clean = self._clean(text, rules, found)
            if clean != text:
                replaced[text] = clean
        if not replaced:
            return Sanitised(value=value)
        return Sanitised(
            value=map_strings(value, replaced), redactions=tuple(found.secrets.values())
        )

    def _clean(self, text: str, rules: list[Rule], found: _Found) -> str:
        folded = text.lower()
        spans: list[tuple[int, int, Rule]] = []
        for rule in rules:
            if any(keyword in folded for keyword in rule.keywords):
                spans.extend(self._spans(text, rule))
        if not spans:
            return text
        # The earliest match wins, then the longest, then the rule that is listed first.
        spans.sort(key=lambda span: (span[0], -span[1]))
        parts: list[str] = []
        at = 0
        for start, end, rule in spans:
            if start < at:
                continue
            parts += text[at:start], found.add(text[start:end], rule)
            at = end
        parts.append(text[at:])
        return "".join(parts)

    def _spans(self, text: str, rule: Rule) -> Iterator[tuple[int, int, Rule]]:
        compiled = self._compiled.get(rule.id)
        if compiled is None:
            compiled = _Compiled(rule, re2.compile(rule.regex))
            self._compiled[rule.id] = compiled
        for match in compiled.pattern.finditer(text):
            secret = match.group(rule.group)
            if _PLACEHOLDER in secret or self._allowed.search(secret):
                continue
            if rule.entropy and entropy(secret) < rule.entropy:
                continue
            yield (*match.span(rule.group), rule)


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _placeholders(text: str) -> frozenset[str]:
    if _PLACEHOLDER not in text:
        return frozenset()
    return frozenset(re2.findall(r"<secret:[a-z0-9-]+:[0-9]+>", text))
