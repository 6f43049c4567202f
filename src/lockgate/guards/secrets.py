"""Takes secrets out of values, in time linear in their size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import re2

from lockgate.domain.digest import Json
from lockgate.domain.redact import Redaction, Sanitised, map_strings, placeholder
from lockgate.guards.rules import Rule, entropy, load_rules

_PLACEHOLDER = r"<secret:[a-z0-9-]+:[0-9]+>"
_BOUNDARY = "\n\0\n"
_SURROGATES = {code: 0xFFFD for code in range(0xD800, 0xE000)}
_MAX_PASSES = 8


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    pattern: "re2._Regexp[str]"
    allowed: "re2._Regexp[str]"


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    rule: Rule


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
        self._compiled: dict[str, re2._Regexp[str]] = {}

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return load_rules()

    @cached_property
    def _placeholders(self) -> "re2._Regexp[str]":
        return re2.compile(_PLACEHOLDER)

    def sanitise(self, value: Json) -> Sanitised:
        """Return `value` with each secret replaced by its placeholder."""
        texts = list(dict.fromkeys(_strings(value)))
        joined = _BOUNDARY.join(texts)
        folded = joined.lower()
        # What a rule finds in one text it finds in all of them joined: most rules end here.
        rules = [
            rule
            for rule in self._rules
            if any(k in folded for k in rule.keywords) and self._pattern(rule).search(joined)
        ]
        if not rules:
            return Sanitised(value=value)
        found = _Found(taken=self._taken(joined))
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

    def _clean(self, text: str, rules: Sequence[Rule], found: _Found) -> str:
        # A placeholder ends a word, so that what stands beside it can match only now.
        for _ in range(_MAX_PASSES):
            clean = self._replace(text, rules, found)
            if clean == text:
                break
            text = clean
        return text

    def _replace(self, text: str, rules: Sequence[Rule], found: _Found) -> str:
        folded = text.lower()
        rules = [rule for rule in rules if any(keyword in folded for keyword in rule.keywords)]
        if not rules:
            return text
        # RE2 takes UTF-8, which has no lone surrogates; same length, so that the spans hold.
        legible = text if text.isascii() else text.translate(_SURROGATES)
        spans = [span for rule in rules for span in self._spans(legible, rule)]
        parts: list[str] = []
        at = 0
        for span in _merged(spans):
            parts += text[at : span.start], found.add(text[span.start : span.end], span.rule)
            at = span.end
        parts.append(text[at:])
        return "".join(parts)

    def _pattern(self, rule: Rule) -> "re2._Regexp[str]":
        found = self._compiled.get(rule.id)
        if found is None:
            found = re2.compile(rule.regex)
            self._compiled[rule.id] = found
        return found

    def _spans(self, text: str, rule: Rule) -> Iterator[_Span]:
        compiled = self._compiled.get(rule.id)
        if compiled is None:
            compiled = _Compiled(rule, re2.compile(rule.regex), re2.compile(rule.allowed))
            self._compiled[rule.id] = compiled
        for match in compiled.pattern.finditer(text):
            secret = match.group(rule.group)
            if compiled.allowed.search(secret) or self._placeholders.fullmatch(secret):
                continue
            if rule.entropy and entropy(secret) < rule.entropy:
                continue
            yield _Span(*match.span(rule.group), rule)

    def _taken(self, text: str) -> frozenset[str]:
        if "<secret:" not in text:
            return frozenset()
        return frozenset(self._placeholders.findall(text.translate(_SURROGATES)))


def _merged(spans: Sequence[_Span]) -> Iterator[_Span]:
    """Join spans that overlap: of two secrets in one another, no end may stay behind.

    The joined span has the rule of the earliest, then longest, then first-listed one.
    """
    current: _Span | None = None
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if current is None or span.start >= current.end:
            if current is not None:
                yield current
            current = span
        elif span.end > current.end:
            current = _Span(current.start, span.end, current.rule)
    if current is not None:
        yield current


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
