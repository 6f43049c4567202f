"""Reads one expression, or a few `const` and a `return`, into a tree.

program = { ("const" | "let") name "=" choice ";" } [ "return" ] choice [ ";" ]
choice  = either [ "?" choice ":" choice ]
either  = both { ("||" | "??") both }         both = equal { "&&" equal }
equal   = less { ("===" | "!==" | "==" | "!=") less }
less    = sum { ("<" | "<=" | ">" | ">=") sum }
sum     = product { ("+" | "-") product }     product = unary { ("*" | "/" | "%") unary }
unary   = [ "!" | "-" | "+" | "typeof" ] unary | postfix
postfix = atom { "." name | "?." name | "[" choice "]" | "(" arguments ")" }
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from lockgate.evals.script.tokens import NotTranslated, Token, tokens

_DEEPEST = 60
_LEVELS: Sequence[frozenset[str]] = (
    frozenset({"||", "??"}),
    frozenset({"&&"}),
    frozenset({"===", "!==", "==", "!="}),
    frozenset({"<", "<=", ">", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_WORDS = {"true": True, "false": False, "null": None}
_REFUSED = frozenset(
    {
        "async",
        "await",
        "class",
        "delete",
        "do",
        "else",
        "eval",
        "for",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "new",
        "of",
        "process",
        "require",
        "switch",
        "this",
        "throw",
        "try",
        "var",
        "void",
        "while",
        "with",
        "yield",
    }
)


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of a tree: its kind, its text, and what it is made of."""

    kind: str
    """`value name member call unary binary choice array object arrow regex`."""
    text: str = ""
    parts: "tuple[Node, ...]" = ()
    value: object = None
    optional: bool = False


Program: TypeAlias = "tuple[tuple[tuple[str, Node], ...], Node]"


@lru_cache(maxsize=256)
def parsed(code: str) -> Program:
    """Return the constants and the result of an expression.

    Raises:
        NotTranslated: it is more than what is translated, or no JavaScript.

    """
    reader = _Reader(tokens(code))
    constants = []
    while reader.peek().text in {"const", "let"} and reader.peek().kind == "name":
        reader.take()
        name = reader.name()
        reader.expect("=")
        constants.append((name, reader.choice()))
        reader.expect(";")
    if reader.peek().text == "return":
        reader.take()
    node = reader.choice()
    while reader.peek().text == ";":
        reader.take()
    if reader.peek().kind != "end":
        raise NotTranslated(f"`{reader.peek().text}` is unexpected")
    return tuple(constants), node


class _Reader:
    def __init__(self, found: Sequence[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0

    def peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self._at += 1
        return token

    def expect(self, text: str) -> None:
        token = self.take()
        if token.text != text or token.kind == "string":
            raise NotTranslated(f"`{text}` is missing before `{token.text or 'the end'}`")

    def is_sign(self, text: str) -> bool:
        token = self.peek()
        return token.kind == "sign" and token.text == text

    def name(self) -> str:
        token = self.take()
        if token.kind != "name" or token.text in _REFUSED:
            raise NotTranslated(f"`{token.text or 'the end'}` is no name")
        return token.text

    def choice(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotTranslated("nested too deeply")
        node = self._binary(0)
        if self.is_sign("?"):
            self.take()
            yes = self.choice()
            self.expect(":")
            node = Node("choice", parts=(node, yes, self.choice()))
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while self.peek().kind == "sign" and self.peek().text in _LEVELS[level]:
            sign = self.take().text
            node = Node("binary", sign, (node, self._binary(level + 1)))
        return node

    def _unary(self) -> Node:
        signs = []
        while (self.peek().kind == "sign" and self.peek().text in {"!", "-", "+"}) or (
            self.peek().text == "typeof" and self.peek().kind == "name"
        ):
            signs.append(self.take().text)
            if len(signs) > _DEEPEST:
                raise NotTranslated("nested too deeply")
        node = self._postfix()
        for sign in reversed(signs):
            node = Node("unary", sign, (node,))
        return node

    def _postfix(self) -> Node:
        node = self._atom()
        while self.peek().kind == "sign":
            match self.peek().text:
                case "." | "?." as sign:
                    self.take()
                    if sign == "?." and self.is_sign("["):
                        self.take()
                        node = Node("member", parts=(node, self.choice()), optional=True)
                        self.expect("]")
                        continue
                    named = Node("value", value=self._member())
                    node = Node("member", parts=(node, named), optional=sign == "?.")
                case "[":
                    self.take()
                    node = Node("member", parts=(node, self.choice()))
                    self.expect("]")
                case "(":
                    self.take()
                    node = Node("call", parts=(node, *self._items(")")))
                case _:
                    break
        return node

    def _member(self) -> str:
        token = self.take()
        if token.kind != "name":
            raise NotTranslated(f"`{token.text or 'the end'}` is no member")
        return token.text

    def _items(self, end: str) -> tuple[Node, ...]:
        found = []
        while not self.is_sign(end):
            found.append(self._argument())
            if not self.is_sign(end):
                self.expect(",")
        self.expect(end)
        return tuple(found)

    def _argument(self) -> Node:
        if self.peek().kind == "name" and self.peek(1).text == "=>":
            names: tuple[str, ...] = (self.name(),)
        elif self._parameters_ahead():
            self.take()
            listed = []
            while not self.is_sign(")"):
                listed.append(self.name())
                if self.is_sign(","):
                    self.take()
            self.take()
            names = tuple(listed)
        else:
            return self.choice()
        self.expect("=>")
        if self.is_sign("{"):
            raise NotTranslated("a function with a body is not read here")
        return Node("arrow", ",".join(names), (self.choice(),))

    def _parameters_ahead(self) -> bool:
        if not self.is_sign("("):
            return False
        ahead = 1
        while self.peek(ahead).kind == "name" or self.peek(ahead).text == ",":
            ahead += 1
        return self.peek(ahead).text == ")" and self.peek(ahead + 1).text == "=>"

    def _atom(self) -> Node:  # noqa: PLR0911  one a kind
        token = self.take()
        match token.kind:
            case "number":
                value = float(token.text)
                return Node("value", value=int(value) if value.is_integer() else value)
            case "string":
                return Node("value", value=token.text)
            case "regex":
                return Node("regex", token.text)
            case "name":
                if token.text in _WORDS:
                    return Node("value", value=_WORDS[token.text])
                if token.text in _REFUSED:
                    raise NotTranslated(f"`{token.text}` is not read here")
                return Node("name", token.text)
        if token.text == "(":
            node = self.choice()
            self.expect(")")
            return node
        if token.text == "[":
            return Node("array", parts=self._items("]"))
        if token.text == "{":
            return self._object()
        raise NotTranslated(f"`{token.text or 'the end'}` is unexpected")

    def _object(self) -> Node:
        names, values = [], []
        while not self.is_sign("}"):
            key = self.take()
            if key.kind not in {"name", "string"}:
                raise NotTranslated(f"`{key.text}` is no member")
            names.append(key.text)
            if self.is_sign(":"):
                self.take()
                values.append(self.choice())
            else:
                values.append(Node("name", key.text))
            if not self.is_sign("}"):
                self.expect(",")
        self.expect("}")
        return Node("object", parts=tuple(values), value=tuple(names))
