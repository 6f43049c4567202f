"""A prompt as data: what is asked of a model, apart from the code that asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lockgate.domain.digest import JsonObject
from lockgate.domain.inference import Generate, Message

_BYTES_OF_CHARACTER: Final = 4
_TURN: Final = 16
"""Tokens around a message that a chat template adds, generously."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A text that the prompt's user gives."""

    name: str
    max_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Messages with variables. The same templates are packed into a release."""

    name: str
    messages: tuple[Message, ...]
    """`{{ name }}` in a content stands for a variable; nothing else of Jinja is used."""
    variables: tuple[Variable, ...] = ()
    schema: JsonObject | None = None
    """Of the answer; None if it depends on what is asked."""
    max_tokens: int = field(default=256)
    """Of the answer."""
    runs_on: str = "text"
    """The role of the model that takes it."""

    @property
    def budget_tokens(self) -> int:
        """The most tokens that messages and answer can take: no tokeniser makes two of a byte."""
        fixed = sum(len(message.content.encode()) + _TURN for message in self.messages)
        whole = "".join(message.content for message in self.messages)
        given = sum(at.max_chars * whole.count(_mark(at)) for at in self.variables)
        return fixed + _BYTES_OF_CHARACTER * given + self.max_tokens

    def request(self, values: Mapping[str, str], *, schema: JsonObject | None = None) -> Generate:
        """Return what to ask, with each value cut where its variable says.

        Values are put in as they are: what looks like a variable in one stays text.
        """
        return Generate(
            messages=tuple(
                Message(role=message.role, content=self._filled(message.content, values))
                for message in self.messages
            ),
            role=self.runs_on,
            max_tokens=self.max_tokens,
            schema=self.schema if schema is None else schema,
        )

    def _filled(self, template: str, values: Mapping[str, str]) -> str:
        parts = [template]
        for variable in self.variables:
            mark, value = _mark(variable), values[variable.name][: variable.max_chars]
            # Only the template's own parts are looked at, which stand at even places.
            split = [part.split(mark) if at % 2 == 0 else [part] for at, part in enumerate(parts)]
            parts = [
                text
                for pieces in split
                for number, piece in enumerate(pieces)
                for text in ((value, piece) if number else (piece,))
            ]
        return "".join(parts)


def _mark(variable: Variable) -> str:
    return f"{{{{ {variable.name} }}}}"
