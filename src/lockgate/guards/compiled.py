"""Rules made ready to run, and the test that each passes before it may."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import re2

from lockgate.errors import InvalidConfig
from lockgate.guards.landmarks import behind_classes, landmark
from lockgate.guards.pattern import Node, beginnings, is_one_group, loosened, parse, write
from lockgate.guards.prefixes import Token, beginnings_of, flat, gate_of, is_rare, tokens
from lockgate.guards.rules import Rule, expand, is_varied
from lockgate.guards.search import search_of
from lockgate.guards.validators import VALIDATORS, Validator

RESTORE = "placeholder"
"""Id of the rule that finds placeholders in an output."""
PLACEHOLDER = re.compile(
    rb"<(?:secret|personal|injection|links|profanity):[a-z0-9-]{1,64}:[0-9]{1,9}>"
)
_OPENING = ord("<")
_GATE_COUNTED = 8
"""Counts up to which the gate tells a match from what only begins like one."""
_MEMORY = 64 << 20
"""Bytes that RE2 may use for the states of one automaton."""
_FAR = 256
"""Bytes back to a beginning from which on it is worth to look closely."""


class Raw(NamedTuple):
    """A match of a rule's pattern, and the parts of it that the rule takes."""

    start: int
    end: int
    rule: Rule
    taken: tuple[tuple[int, int], ...]


def quiet(*, captures: bool = True) -> "re2.Options":
    """Return options for untrusted text: much room for states, nothing on stderr."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.never_capture = not captures
    return options


class CompiledRule:
    """One rule and its automata."""

    def __init__(
        self,
        rule: Rule,
        validators: Mapping[str, Validator] = VALIDATORS,
        tree: Node | None = None,
    ) -> None:
        """`tree` is what the rule's pattern was read as, where it was read already."""
        self.rule = rule
        tree = tree or parse(rule.regex)
        # Captures make RE2 run a slower machine over every match.
        plain = rule.group == 0 or is_one_group(rule.regex)
        self._group = 0 if plain else rule.group
        regex = write(tree) if plain else rule.regex
        self._pattern = re2.compile(regex, quiet(captures=not plain))
        self._search = search_of(self._pattern)
        self._landmark = landmark(tree)
        self._allowed = re2.compile(rule.allowed, quiet()) if rule.allowed else None
        self._is_allowed = search_of(self._allowed) if self._allowed is not None else None
        self._validate: Validator | None = validators[rule.validator] if rule.validator else None

    def matches(self, data: bytes, start: int) -> Iterator[Raw]:
        """Yield the matches from byte `start` on, taken or not, from left to right."""
        rule, group, search, mark = self.rule, self._group, self._search, self._landmark
        takes, size, at = self._taken, len(data), start
        while True:
            if mark is not None:
                # No match can end before what each of them holds.
                seen = data.find(mark.literal, at)
                if seen < 0:
                    return
                at = max(at, seen - mark.before)
            spans = search(data, at, size)
            begin, end = spans[0]
            if begin < 0:
                return
            first, last = spans[group]
            yield Raw(begin, end, rule, takes(data, first, last) if first >= 0 else ())
            if end <= at == size:
                return
            at = end if end > at else at + 1

    def _taken(self, data: bytes, start: int, end: int) -> tuple[tuple[int, int], ...]:
        rule = self.rule
        if start < end and data[start] == _OPENING and PLACEHOLDER.fullmatch(data, start, end):
            return () if rule.id != RESTORE else ((start, end),)
        if rule.entropy and not is_varied(data[start:end], rule.entropy):
            return ()
        if self._is_allowed is not None:
            value = data[start:end]
            shown = self._is_allowed(value, 0, end - start)[0][0] >= 0
            if shown and not self._whole_without_example(value):
                return ()
        if self._validate is None:
            return ((start, end),)
        return tuple(self._validate(data, start, end))

    def _whole_without_example(self, value: bytes) -> bool:
        """Say whether a word such as `example` only stands beside a whole secret.

        A token runs on into whatever stands behind it.
        """
        assert self._allowed is not None
        if not self.rule.entropy:
            return False
        rest = self._pattern.search(self._allowed.sub(b"", value))
        if rest is None:
            return False
        return is_varied(rest.group(self._group), self.rule.entropy)


class RuleSet:
    """Rules that run together: one pass says which to try, and where a stream may be cut."""

    def __init__(
        self, rules: Sequence[Rule], validators: Mapping[str, Validator] = VALIDATORS
    ) -> None:
        trees = [parse(rule.regex) for rule in rules]
        self.rules = [
            CompiledRule(rule, validators, tree) for rule, tree in zip(rules, trees, strict=True)
        ]
        forms = [tokens(tree) for tree in trees]
        self._gate, self._numbers = _gate(trees, [not all(map(is_rare, form)) for form in forms])
        self._tokens, self._token_numbers = _gate(trees, [all(map(is_rare, f)) for f in forms])
        rare = [t for form in forms if all(map(is_rare, form)) for t in form]
        self._may_hold_token = len(self._numbers)
        """Number of the pattern of all tokens in the first gate."""
        if rare:
            self._gate.Add(gate_of(t for t in rare if isinstance(t, Token)))
        if rules:
            self._gate.Compile()
            self._tokens.Compile()
        every = [t for form in forms for t in form]
        opened = [f"(?:{beginnings(loosened(t))})" for t in every if not isinstance(t, Token)]
        self._open = _open([*opened, beginnings_of(t for t in every if isinstance(t, Token))])
        self._open_of_each = _open(beginnings(loosened(tree)) for tree in trees)

    def is_clear(self, data: bytes) -> bool:
        """Say whether surely no rule matches anywhere."""
        return not self._hits(data)

    def _hits(self, data: bytes) -> list[int]:
        """Return the numbers of the rules to try."""
        if not self.rules:
            return []
        hits = self._gate.Match(data)  # None, not an empty list, if there are none
        if not hits:
            return []
        found = [self._numbers[hit] for hit in hits if hit != self._may_hold_token]
        if len(found) < len(hits):
            found += [self._token_numbers[hit] for hit in self._tokens.Match(data) or ()]
        return sorted(found)

    def matches(self, data: bytes, start: int) -> list[Raw]:
        """Return the matches of all rules from byte `start` on, in order of place, then of rule."""
        hits = self._hits(data)
        if not hits:
            return []
        found = [raw for hit in hits for raw in self.rules[hit].matches(data, start)]
        found.sort(key=lambda raw: (raw.start, -raw.end))
        return found

    def open_from(self, data: bytes, start: int) -> int:
        """Return where the first match may begin that the text after `data` could complete."""
        if not self.rules:
            return len(data)
        at = int(self._open.search(data, start).start())
        if len(data) - at <= _FAR:
            return at
        # Tokens share one run of characters there: what follows may be no part of that token.
        return int(self._open_of_each.search(data, at).start())


def _gate(trees: Sequence[Node], chosen: Sequence[bool]) -> tuple["re2.Set", list[int]]:
    """Return the automaton of the chosen trees, and the number of each."""
    gate = re2.Set.SearchSet(quiet(captures=False))
    numbers = [number for number, is_chosen in enumerate(chosen) if is_chosen]
    for number in numbers:
        tree = behind_classes(flat(trees[number]))
        gate.Add(write(loosened(tree, _GATE_COUNTED, keep_least=True)))
    return gate, numbers


def _open(patterns: Iterable[str]) -> "re2._Regexp[str]":
    opened = "|".join(f"(?:{pattern})" for pattern in patterns if pattern)
    return re2.compile(f"(?:{opened})\\z", quiet(captures=False))


def self_test(rules: Sequence[Rule], validators: Mapping[str, Validator] = VALIDATORS) -> None:
    """Try every rule on its own examples.

    Raises:
        InvalidConfig: a rule misses one of its positives or takes one of its negatives; all are
            named.

    """
    wrong = [problem for rule in rules for problem in _problems(rule, validators)]
    if wrong:
        listed = "\n".join(f"  {problem}" for problem in wrong)
        raise InvalidConfig(
            f"{len(wrong)} example(s) of the guards' rules fail:\n{listed}",
            hint="the package is damaged: install it again",
        )


def _problems(rule: Rule, validators: Mapping[str, Validator]) -> Iterator[str]:
    compiled = CompiledRule(rule, validators)
    for number, example in enumerate(rule.positives, 1):
        if not _finds(compiled, expand(example)):
            yield f"`{rule.id}` does not find its positive {number}"
    for number, example in enumerate(rule.negatives, 1):
        if _finds(compiled, example):
            yield f"`{rule.id}` finds its negative {number}"


def _finds(compiled: CompiledRule, text: str) -> bool:
    return any(raw.taken for raw in compiled.matches(text.encode(), 0))
