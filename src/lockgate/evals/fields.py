"""Reading members of a suite: every problem is listed with its line, rather than the first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig
from lockgate.evals.yaml_document import Lines

_SHOWN = 30


@dataclass(slots=True)
class Problems:
    """What is wrong with one file."""

    name: str
    lines: Lines = field(default_factory=Lines)
    base: int = 0
    """The line of a value that the file's own lines do not have, such as a row's."""
    found: list[str] = field(default_factory=list)
    hint: str = ""

    def line(self, value: object) -> int:
        """Return the line of a mapping or a list."""
        return self.lines.of(value) or self.base

    def add(self, value: object, problem: str) -> None:
        """Note a problem of the mapping or list `value`."""
        line = self.line(value)
        self.found.append(f"line {line}: {problem}" if line else problem)

    def check(self) -> None:
        """Go on only if nothing was found.

        Raises:
            InvalidConfig: with all problems.

        """
        if not self.found:
            return
        listed = "\n".join(f"  {problem}" for problem in self.found[:_SHOWN])
        raise InvalidConfig(
            f"`{self.name}` has {len(self.found)} problem(s):\n{listed}", hint=self.hint or None
        )


def mapping(holder: Mapping[str, Json], name: str, problems: Problems) -> Mapping[str, Json]:
    """Return an object; an empty one if there is none."""
    found = holder.get(name)
    if found is None:
        return {}
    if isinstance(found, Mapping):
        return found
    problems.add(holder, f"`{name}` is not an object")
    return {}


def items(holder: Mapping[str, Json], name: str, problems: Problems) -> Sequence[Json]:
    """Return a list; an empty one if there is none."""
    found = holder.get(name)
    if found is None:
        return ()
    if isinstance(found, Sequence) and not isinstance(found, str):
        return found
    problems.add(holder, f"`{name}` is not a list")
    return ()


def text(holder: Mapping[str, Json], name: str, problems: Problems) -> str:
    """Return a text; an empty one if there is none."""
    found = holder.get(name)
    if found is None:
        return ""
    if isinstance(found, str):
        return found
    problems.add(holder, f"`{name}` is not a text")
    return ""


def number(holder: Mapping[str, Json], name: str, problems: Problems) -> float | None:
    """Return a number that is one: NaN and infinities compare with nothing."""
    found = holder.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        problems.add(holder, f"`{name}` is not a number")
        return None
    if found != found or found in {float("inf"), float("-inf")}:  # noqa: PLR0124  NaN
        problems.add(holder, f"`{name}` is {found}, which is not a finite number")
        return None
    return found


def whole(holder: Mapping[str, Json], name: str, problems: Problems, *, most: int) -> int | None:
    """Return a whole number from 1 to `most`."""
    found = holder.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= most:
        problems.add(holder, f"`{name}` is not a whole number from 1 to {most}")
        return None
    return found


def texts(holder: Mapping[str, Json], name: str, problems: Problems) -> tuple[str, ...] | None:
    """Return a list of texts, or one text as a list; None if there is none."""
    found = holder.get(name)
    if found is None:
        return None
    if isinstance(found, str):
        return (found,)
    listed = items(holder, name, problems)
    if not all(isinstance(item, str) for item in listed):
        problems.add(holder, f"`{name}` is not a list of texts")
    return tuple(item for item in listed if isinstance(item, str))
