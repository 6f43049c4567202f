"""Formulas of derived metrics: arithmetic over named scores, and nothing else.

sum     = product { ("+" | "-") product }
product = power { ("*" | "/" | "%") power }
power   = ["-" | "+"] atom [ "^" power ]
atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

MAX_LENGTH = 500
_DEEPEST = 50
_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)|([A-Za-z_]\w*)|(.))")
_CALLS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": math.ceil,
    "exp": math.exp,
    "floor": math.floor,
    "log": math.log,
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "mean": lambda *values: math.fsum(values) / len(values),
    "pow": math.pow,
    "round": lambda value, digits=0: math.floor(value * 10**digits + 0.5) / 10**digits,
    "sqrt": math.sqrt,
}
Node: TypeAlias = "tuple[str, Sequence[Node]] | tuple[str, float] | tuple[str, str]"


def problem(text: str) -> str:
    """Say why a formula is none; nothing if it is one."""
    try:
        _parsed(text)
    except ValueError as error:
        return str(error)
    return ""


def value(text: str, names: Mapping[str, float]) -> float | None:
    """Return what a formula gives; None if it divides by zero or names an unknown score."""
    try:
        found = float(_evaluated(_parsed(text), names))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


@lru_cache(maxsize=64)
def _parsed(text: str) -> Node:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    reader = _Reader([m.group(m.lastindex or 0) for m in _TOKEN.finditer(text.rstrip())])
    node = reader.sum()
    if reader.peek():
        raise ValueError(f"`{reader.peek()}` is unexpected")
    return node


def _evaluated(node: Node, names: Mapping[str, float]) -> float:  # noqa: PLR0911  one an operator
    kind, content = node
    if isinstance(content, float):
        return content
    if isinstance(content, str):
        return names[content]
    values = [_evaluated(part, names) for part in content]
    if kind in _CALLS:
        return _CALLS[kind](*values)
    left, right = values
    match kind:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "%":
            return math.fmod(left, right)
        case _:
            return math.pow(left, right)


class _Reader:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise ValueError(
                f"`{wanted or 'a value'}` is missing" + (f" before `{token}`" if token else "")
            )
        self._at += 1
        return token

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("nested too deeply")
        node = self.product()
        while self.peek() in {"+", "-"}:
            node = (self.take(), [node, self.product()])
        self._depth -= 1
        return node

    def product(self) -> Node:
        node = self.power()
        while self.peek() in {"*", "/", "%"}:
            node = (self.take(), [node, self.power()])
        return node

    def power(self) -> Node:
        if self.peek() in {"-", "+"}:
            sign = self.take()
            self._depth += 1
            if self._depth > _DEEPEST:
                raise ValueError("nested too deeply")
            inner = self.power()
            self._depth -= 1
            return inner if sign == "+" else ("-", [("number", 0.0), inner])
        node = self.atom()
        if self.peek() == "^":
            self.take()
            node = ("^", [node, self.power()])
        return node

    def atom(self) -> Node:
        token = self.take()
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return ("number", float(token))
        if token == "(":  # noqa: S105  a token of the formula
            node = self.sum()
            self.take(")")
            return node
        if not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(f"`{token}` is unexpected")
        if self.peek() != "(":
            return ("name", token)
        if token not in _CALLS:
            raise ValueError(f"there is no function `{token}`, only {', '.join(sorted(_CALLS))}")
        self.take("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.take(")")
        return (token, arguments)
