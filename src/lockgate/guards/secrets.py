"""Takes secrets out of values, in time linear in their size."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import re2

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Json
from lockgate.domain.redact import Redaction, Sanitised, map_strings, placeholder
from lockgate.guards.rules import Rule, entropy, load_rules
from lockgate.guards.validators import BEFORE, VALIDATORS

_PLACEHOLDER = r"<secret:[a-z0-9-]+:[0-9]+>"
_BOUNDARY = "\n\0\n"
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_PASSES = 8


@dataclass(frozen=True, slots=True)
class _Compiled:
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
        self._compiled: dict[str, _Compiled] = {}

    @cached_property
    def _keywords(self) -> "_Keywords":
        return _Keywords(load_rules())

    @cached_property
    def _placeholders(self) -> "re2._Regexp[str]":
        return _compile(_PLACEHOLDER)

    def sanitise(self, value: Json, *, data_class: DataClass = DataClass.INTERNAL) -> Sanitised:
        """Return `value` with each secret replaced by its placeholder."""
        texts: dict[str, None] = {}
        collect(value, texts)
        joined = _legible(_BOUNDARY.join(texts))
        # Two filters, since most inputs hold no secret: a rule needs one of its keywords, and what
        # it finds in one text it finds in all of them joined.
        candidates = self._keywords.rules_of(joined)
        rules = [rule for rule in candidates if self._compile(rule).pattern.search(joined)]
        if not rules:
            return Sanitised(value=value)
        found = _Found(taken=self._taken(joined))
        replaced: dict[str, str] = {}
        for text in texts:
            clean = self._replace(text, rules, found)
            if clean != text:
                replaced[text] = self._settle(clean, candidates, found)
        if not replaced:
            return Sanitised(value=value)
        return Sanitised(
            value=map_strings(value, replaced), redactions=tuple(found.secrets.values())
        )

    def _settle(self, text: str, rules: Sequence[Rule], found: _Found) -> str:
        """Repeat until nothing changes.

        A placeholder begins and ends a word, so that what stands beside it may match only now.
        """
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
        legible = _legible(text)
        spans = [span for rule in rules for span in self._spans(legible, rule)]
        parts: list[str] = []
        at = 0
        for span in _merged(spans):
            parts += text[at : span.start], found.add(text[span.start : span.end], span.rule)
            at = span.end
        parts.append(text[at:])
        return "".join(parts)

    def _compile(self, rule: Rule) -> _Compiled:
        found = self._compiled.get(rule.id)
        if found is None:
            found = _Compiled(_compile(rule.regex), _compile(rule.allowed))
            self._compiled[rule.id] = found
        return found

    def _spans(self, text: str, rule: Rule) -> Iterator[_Span]:
        compiled = self._compile(rule)
        for match in compiled.pattern.finditer(text):
            secret = match.group(rule.group)
            if self._placeholders.fullmatch(secret) or _is_example(compiled, rule, secret):
                continue
            if rule.entropy and entropy(secret) < rule.entropy:
                continue
            start, end = match.span(rule.group)
            if rule.validator and not _is_valid(text, start, end, rule.validator):
                continue
            yield _Span(start, end, rule)

    def _taken(self, text: str) -> frozenset[str]:
        if "<secret:" not in text:
            return frozenset()
        return frozenset(self._placeholders.findall(text))


def _legible(text: str) -> str:
    """Return `text` without lone surrogates, which UTF-8 and so RE2 lack; offsets stay."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _is_valid(text: str, start: int, end: int, validator: str) -> bool:
    before = text[max(0, start - BEFORE) : start].encode()
    data = before + text[start : end + 1].encode()
    return any(
        VALIDATORS[validator](data, len(before), len(before) + len(text[start:end].encode()))
    )


def _is_example(compiled: _Compiled, rule: Rule, secret: str) -> bool:
    """Say whether a word such as `example` shows that a secret is none.

    Not if the rest is a whole secret without it: a token runs on into whatever stands behind it.
    """
    if not compiled.allowed.search(secret):
        return False
    rest = compiled.pattern.search(compiled.allowed.sub("", secret))
    return rest is None or entropy(rest.group(rule.group)) < rule.entropy


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


def collect(value: Json, into: dict[str, None]) -> None:
    """Add every string of a value, keys too, in order of appearance."""
    if isinstance(value, str):
        into[value] = None
    elif isinstance(value, Mapping):
        for key, item in value.items():
            into[key] = None
            collect(item, into)
    elif isinstance(value, list | tuple):
        for item in value:
            collect(item, into)


def _quiet() -> "re2.Options":
    # A pattern that outgrows RE2's automaton is matched in a slower way; no news for stderr.
    options = re2.Options()
    options.log_errors = False
    return options


def _compile(pattern: str) -> "re2._Regexp[str]":
    return re2.compile(pattern, _quiet())


class _Keywords:
    """All keywords of all rules, looked for in one pass."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._owners: list[Rule] = []
        self._set = re2.Set.SearchSet(_quiet())
        for rule in rules:
            for keyword in rule.keywords:
                self._set.Add(f"(?i){re2.escape(keyword)}")
                self._owners.append(rule)
        self._set.Compile()

    def rules_of(self, text: str) -> list[Rule]:
        """Return the rules with a keyword in `text`, in the order in which they are listed."""
        hits = self._set.Match(text) or ()  # None, not an empty list, if there are none
        ids = {self._owners[hit].id for hit in hits}
        return [rule for rule in self._rules if rule.id in ids]
