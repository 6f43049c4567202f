"""Evaluates a tree: bounded in steps, with no way to anything but its own values."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lockgate.errors import InvalidInput
from lockgate.evals.script.methods import (
    MAX_LENGTH,
    global_function,
    length,
    list_method,
    pattern_of,
    text_method,
)
from lockgate.evals.script.parse import Node, parsed
from lockgate.evals.script.tokens import NotTranslated
from lockgate.evals.script.values import (
    UNDEFINED,
    is_number,
    kind,
    loosely_equal,
    number_of,
    strictly_equal,
    text,
    truthy,
)

MAX_STEPS = 500_000


def problem(code: object) -> str:
    """Say why a code is not an expression of ours; nothing if it is."""
    if not isinstance(code, str) or not code.strip():
        return "there is no expression"
    try:
        constants, node = parsed(code)
    except NotTranslated as error:
        return str(error)
    known = {"output", "context", "undefined", "NaN", "Infinity"} | {name for name, _ in constants}
    unknown = sorted(_names(node, known) | {n for _, c in constants for n in _names(c, known)})
    return f"`{unknown[0]}` is not known here" if unknown else ""


def value_of(code: str, names: Mapping[str, Any]) -> Any:
    """Return what an expression gives.

    Raises:
        InvalidInput: it fails on these values, as it would throw in JavaScript.

    """
    try:
        constants, node = parsed(code)
    except NotTranslated as error:
        raise InvalidInput(f"`{code[:80]}` is not translated: {error}") from None
    scope = {"undefined": UNDEFINED, "NaN": math.nan, "Infinity": math.inf, **names}
    run = _Run()
    try:
        for name, each in constants:
            scope[name] = run.value(each, scope)
        return run.value(node, scope)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InvalidInput(f"`{code[:80]}` fails: {error}") from None


def _names(node: Node, known: frozenset[str] | set[str]) -> set[str]:
    """Return the names that nobody gives a value; those of called functions are theirs."""
    if node.kind == "name":
        return set() if node.text in known else {node.text}
    if node.kind == "call" and global_function(_dotted(node.parts[0])):
        return {n for part in node.parts[1:] for n in _names(part, known)}
    inner = known | set(node.text.split(",")) if node.kind == "arrow" else known
    return {name for part in node.parts for name in _names(part, inner)}


def _dotted(node: Node) -> str:
    if node.kind == "name":
        return node.text
    if node.kind == "member" and node.parts[0].kind == "name":
        return f"{node.parts[0].text}.{node.parts[1].value}"
    return ""


class _Run:
    def __init__(self) -> None:
        self._steps = 0

    def value(self, node: Node, scope: Mapping[str, Any]) -> Any:  # noqa: C901, PLR0911, PLR0912  one a kind
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise ValueError(f"more than {MAX_STEPS} steps")
        match node.kind:
            case "value":
                return node.value
            case "name":
                if node.text not in scope:
                    raise LookupError(f"`{node.text}` is not defined")
                return scope[node.text]
            case "regex":
                return pattern_of(node.text)
            case "array":
                return [self.value(part, scope) for part in node.parts]
            case "object":
                names: Any = node.value
                values = (self.value(part, scope) for part in node.parts)
                return dict(zip(names, values, strict=True))
            case "choice":
                test, yes, no = node.parts
                return self.value(yes if truthy(self.value(test, scope)) else no, scope)
            case "unary":
                return self._unary(node.text, self.value(node.parts[0], scope))
            case "binary":
                return self._binary(node, scope)
            case "member":
                return self._member(node, scope)
            case "arrow":
                return self._arrow(node, scope)
            case _:
                return self._call(node, scope)

    def _unary(self, sign: str, value: Any) -> Any:
        match sign:
            case "!":
                return not truthy(value)
            case "typeof":
                return kind(value)
            case "-":
                return -number_of(value)
            case _:
                return number_of(value)

    def _binary(self, node: Node, scope: Mapping[str, Any]) -> Any:
        left = self.value(node.parts[0], scope)
        match node.text:
            case "&&":
                return self.value(node.parts[1], scope) if truthy(left) else left
            case "||":
                return left if truthy(left) else self.value(node.parts[1], scope)
            case "??":
                missing = left is None or left is UNDEFINED
                return self.value(node.parts[1], scope) if missing else left
        return _combined(node.text, left, self.value(node.parts[1], scope))

    def _member(self, node: Node, scope: Mapping[str, Any]) -> Any:
        holder = self.value(node.parts[0], scope)
        if holder is None or holder is UNDEFINED:
            # A chain behind `?.` ends at the first that is missing.
            if node.optional or _is_optional(node.parts[0]):
                return UNDEFINED
            raise TypeError(f"{text(holder)} has no members")
        name = self.value(node.parts[1], scope)
        if name == "length" and isinstance(holder, str | list | tuple):
            return length(holder)
        if isinstance(holder, Mapping):
            return holder.get(text(name), UNDEFINED)
        if isinstance(holder, str | list) and is_number(name):
            at = int(name)
            return holder[at] if at == name and 0 <= at < len(holder) else UNDEFINED
        return UNDEFINED

    def _arrow(self, node: Node, scope: Mapping[str, Any]) -> Callable[..., Any]:
        names = [name for name in node.text.split(",") if name]

        def function(*given: Any) -> Any:
            values = [*given, *[UNDEFINED] * len(names)]
            return self.value(node.parts[0], {**scope, **dict(zip(names, values, strict=False))})

        return function

    def _call(self, node: Node, scope: Mapping[str, Any]) -> Any:
        called, *given = node.parts
        function = global_function(_dotted(called))
        if function is None and called.kind == "member":
            holder = self.value(called.parts[0], scope)
            if called.optional and (holder is None or holder is UNDEFINED):
                return UNDEFINED
            name = text(self.value(called.parts[1], scope))
            function = _method(holder, name)
            if function is None:
                raise TypeError(f"{kind(holder)} has no method `{name}` here")
        if function is None:
            function = self.value(called, scope)
            if not callable(function):
                raise TypeError("what is called is no function")
        return function(*[self.value(each, scope) for each in given])


def _method(holder: Any, name: str) -> Callable[..., Any] | None:
    if isinstance(holder, str):
        return text_method(holder, name)
    if isinstance(holder, list):
        return list_method(holder, name)
    if isinstance(holder, tuple) and name == "test":
        return lambda given: holder[0].search(text(given)) is not None
    if is_number(holder) and name == "toString":
        return lambda: text(holder)
    if is_number(holder) and name == "toFixed":
        return lambda digits=0: f"{holder:.{min(20, max(0, int(digits)))}f}"
    return None


def _combined(sign: str, left: Any, right: Any) -> Any:  # noqa: PLR0911  one a sign
    match sign:
        case "===":
            return strictly_equal(left, right)
        case "!==":
            return not strictly_equal(left, right)
        case "==":
            return loosely_equal(left, right)
        case "!=":
            return not loosely_equal(left, right)
        case "+":
            return _sum(left, right)
        case "<" | "<=" | ">" | ">=":
            return _ordered(sign, left, right)
    return _calculated(sign, number_of(left), number_of(right))


def _sum(left: Any, right: Any) -> Any:
    if any(isinstance(each, str | Mapping | Sequence) for each in (left, right)):
        found = text(left) + text(right)
        if len(found) > MAX_LENGTH:
            raise ValueError("a text grows too long")
        return found
    return number_of(left) + number_of(right)


def _ordered(sign: str, left: Any, right: Any) -> bool:
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = number_of(left), number_of(right)
    match sign:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _calculated(sign: str, left: float, right: float) -> float:
    match sign:
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            if right == 0:
                return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
            return left / right
        case _:
            return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def _is_optional(node: Node) -> bool:
    return node.kind in {"member", "call"} and (
        node.optional or (bool(node.parts) and _is_optional(node.parts[0]))
    )
