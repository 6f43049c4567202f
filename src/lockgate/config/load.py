"""Finds and reads `lockgate.toml`. With no file, everything has a default."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lockgate.config.lines import key_lines, nearest_line
from lockgate.config.settings import Config
from lockgate.errors import InvalidConfig

if TYPE_CHECKING:
    from lockgate.config.schema import Flaw

T = TypeVar("T")

FILE_NAME = "lockgate.toml"
MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The configuration and where it came from."""

    config: Config
    path: Path | None
    """None when there is no file."""
    folder: Path
    """What relative paths in the configuration are relative to."""

    def resolve(self, path: Path) -> Path:
        """Return a path of the configuration as an absolute one."""
        return self.folder / path


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to change in a configuration file."""

    line: int
    message: str


def load(path: Path | None, *, start: Path) -> Loaded:
    """Read `path`, or the `lockgate.toml` nearest to `start`, going up; or take the defaults.

    Raises:
        InvalidConfig: the named file is missing, a file cannot be read, is not TOML, or does
            not match the schema; the message lists every problem with its line.

    """
    found = find(start) if path is None else path
    if found is None:
        return Loaded(config=Config(), path=None, folder=start.absolute())
    checked = check(read(found))
    if isinstance(checked, Config):
        return Loaded(config=checked, path=found, folder=found.absolute().parent)
    raise listed(found, checked, hint="see every setting with `lockgate config schema`")


def listed(path: Path, problems: Sequence[Problem], *, hint: str) -> InvalidConfig:
    """Return the error that lists all problems of a file."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "\n".join(f"  {path}:{p.line}: {p.message}" for p in problems)
    return InvalidConfig(f"`{path}` has {count}:\n{lines}", hint=hint)


def find(start: Path) -> Path | None:
    """Return the `lockgate.toml` in `start` or the nearest folder above it."""
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        try:
            if (candidate / FILE_NAME).is_file():
                return candidate / FILE_NAME
        except OSError:  # a folder that we may not look into is not ours
            continue
    return None


_NAME_IT = "name the right file with `--config`, or leave it out to run with the defaults"


def read(path: Path, *, hint: str = _NAME_IT) -> str:
    """Return the text of a configuration file. `hint` is for a file that cannot be read.

    Raises:
        InvalidConfig: it is missing, unreadable, too long or not UTF-8.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidConfig(
            f"cannot read `{path}`: {error.strerror or error}",
            hint=hint,
        ) from error
    if len(data) > MAX_BYTES:
        raise InvalidConfig(f"`{path}` is longer than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidConfig(f"`{path}` is not UTF-8 on line {line}") from error


def check(text: str) -> Config | Sequence[Problem]:
    """Return the settings in a TOML text, or all its problems in the order of their lines."""

    def judge(document: Mapping[str, Any]) -> "Config | list[Flaw]":
        # Only now: a run with no file never imports the validation library.
        from lockgate.config.schema import validate  # noqa: PLC0415

        return validate(document)

    return check_with(text, judge)


def check_with(
    text: str, judge: "Callable[[Mapping[str, Any]], T | list[Flaw]]"
) -> T | Sequence[Problem]:
    """Return what `judge` makes of a TOML text, or all problems in the order of their lines."""
    try:
        document = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        return [_syntax_problem(str(error), text)]
    except RecursionError:
        return [Problem(line=1, message="nested too deeply")]
    found = judge(document)
    if not isinstance(found, list):
        return found
    problems = [Problem(line=nearest_line(lines, f.path), message=f.message) for f in found]
    return sorted(problems, key=lambda p: (p.line, p.message))


def _syntax_problem(message: str, text: str) -> Problem:
    where = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if where is None:
        return Problem(line=1, message=message[:1].lower() + message[1:])
    line = int(where[1]) if where[1] else text.count("\n") + 1
    reason = message[: where.start()]
    return Problem(line=line, message=f"not TOML: {reason[:1].lower()}{reason[1:]}")
