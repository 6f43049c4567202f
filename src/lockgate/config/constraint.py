"""Constraints that settings carry in their types, without the library that enforces them.

The settings are plain dataclasses, so that a run with no configuration file never pays for
pydantic. pydantic asks the metadata of an `Annotated` type for `__get_pydantic_core_schema__`, and
a core schema is a plain dict: these classes only edit that dict.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

CoreSchema = dict[str, Any]
Handler = Callable[[Any], CoreSchema]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number within bounds, both inclusive."""

    ge: float | None = None
    le: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        bounds = {"ge": self.ge, "le": self.le}
        return {**handler(source), **{k: v for k, v in bounds.items() if v is not None}}


@dataclass(frozen=True, slots=True)
class Matches:
    """A string that a regular expression describes from end to end."""

    pattern: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        return {**handler(source), "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """A string or a list with at least one element."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        return {**handler(source), "min_length": 1}


@dataclass(frozen=True, slots=True)
class Passes:
    """A value that a function accepts. The function raises ValueError with the reason if not."""

    judge: Callable[[Any], None]

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        def after(value: Any) -> Any:
            self.judge(value)
            return value

        function = {"type": "no-info", "function": after}
        return {"type": "function-after", "function": function, "schema": handler(source)}


@dataclass(frozen=True, slots=True)
class TaggedBy:
    """A union of dataclasses that one literal member tells apart."""

    member: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        choices = {
            get_args(get_type_hints(choice)[self.member])[0]: handler.generate_schema(choice)
            for choice in get_args(source)
        }
        return {"type": "tagged-union", "choices": choices, "discriminator": self.member}
