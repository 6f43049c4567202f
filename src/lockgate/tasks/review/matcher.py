"""Finds which rules' patterns match which lines, with one pass over a file for all rules."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate

import re2

from lockgate.tasks.review.change import Line
from lockgate.tasks.review.rule import Rule

MAX_A_RULE = 20
"""Findings of one rule in one file, after which the rest says nothing new."""
_MEMORY = 64 << 20


class Matcher:
    """A set of rules for one kind of file. Compiles at the first use."""

    def __init__(self, rules: Sequence[Rule], *, comments: tuple[str, ...] = ()) -> None:
        self._rules = tuple(rules)
        self._comments = comments

    @cached_property
    def _any(self) -> "re2._Regexp[bytes]":
        joined = "|".join(f"(?:{rule.pattern})" for rule in self._rules)
        return _compile(f"(?m){joined}")

    @cached_property
    def _each(self) -> "tuple[re2._Regexp[bytes], ...]":
        return tuple(_compile(f"(?m){rule.pattern}") for rule in self._rules)

    def find(self, lines: Sequence[Line]) -> Iterator[tuple[Rule, Line]]:
        """Yield each rule with each line that it matches, by line and then by rule.

        Comment lines are passed over. Of one rule at most `MAX_A_RULE` are yielded.
        """
        if not lines:
            return
        # Bytes: with text, re2 would translate every offset back.
        encoded = [line.text.encode("utf-8", "replace") for line in lines]
        ends = list(accumulate(len(line) + 1 for line in encoded))
        whole = b"\n".join(encoded)
        left = dict.fromkeys(range(len(self._rules)), MAX_A_RULE)
        at = 0
        while left and (match := self._any.search(whole, at)):
            index = bisect_right(ends, match.start())
            at = ends[index]
            line = lines[index]
            if line.text.lstrip().startswith(self._comments or ("\n",)):
                continue
            for number in list(left):
                if not self._each[number].search(encoded[index]):
                    continue
                yield self._rules[number], line
                left[number] -= 1
                if not left[number]:
                    del left[number]


def _compile(pattern: str) -> "re2._Regexp[bytes]":
    options = re2.Options()
    options.max_mem = _MEMORY
    options.never_nl = True  # a class such as `[^)]` must not run on into the next line
    return re2.compile(pattern.encode(), options)
