"""Finds and reads `lockgate.toml`. With no file, everything has a default."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.config.lines import key_lines, nearest_line
from lockgate.config.settings import Config
from lockgate.errors import InvalidConfig

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
    count = "1 problem" if len(checked) == 1 else f"{len(checked)} problems"
    listed = "\n".join(f"  {found}:{p.line}: {p.message}" for p in checked)
    raise InvalidConfig(
        f"`{found}` has {count}:\n{listed}",
        hint="see every setting with `lockgate config schema`",
    )


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


def read(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        InvalidConfig: it is missing, unreadable, too long or not UTF-8.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidConfig(
            f"cannot read `{path}`: {error.strerror or error}",
            hint="name the right file with `--config`, or leave it out to run with the defaults",
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
    try:
        document = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        return [_syntax_problem(str(error), text)]
    except RecursionError:
        return [Problem(line=1, message="nested too deeply")]
    # Only now: a run with no file never imports the validation library.
    from lockgate.config.schema import validate  # noqa: PLC0415

    flaws = validate(document)
    if isinstance(flaws, Config):
        return flaws
    problems = [Problem(line=nearest_line(lines, f.path), message=f.message) for f in flaws]
    return sorted(problems, key=lambda p: (p.line, p.message))


def _syntax_problem(message: str, text: str) -> Problem:
    where = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if where is None:
        return Problem(line=1, message=message[:1].lower() + message[1:])
    line = int(where[1]) if where[1] else text.count("\n") + 1
    reason = message[: where.start()]
    return Problem(line=line, message=f"not TOML: {reason[:1].lower()}{reason[1:]}")
