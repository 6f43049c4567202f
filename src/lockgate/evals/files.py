"""Files that a suite names with `file://`: inside the project only, and bounded.

A suite may come with a stranger's pull request, and what it reads ends in a report: nothing outside
the project's folder is read, through links or `..` either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig
from lockgate.evals.javascript import stringify, trim
from lockgate.evals.yaml_document import plain

SCHEME = "file://"
MAX_TEXT_BYTES = 16 << 20
MAX_MATCHES = 10_000
_CODE = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".py", ".rb", ".sh"})
_DATA = frozenset({".json", ".yaml", ".yml"})
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Files:
    """The files under `root`, named relative to `folder`."""

    folder: Path
    root: Path
    _texts: dict[Path, str] = field(default_factory=dict, compare=False, repr=False)
    """What was read already: a variable's file is read once a run, not once a case."""

    def text(self, path: Path) -> str:
        """Return a file's text. Raises as `read_text`."""
        found = self._texts.get(path)
        if found is None:
            found = self._texts[path] = read_text(path)
        return found

    def resolve(self, reference: str) -> Path:
        """Return the path that `file://...` names.

        Raises:
            InvalidConfig: it is outside of the project, or code.

        """
        name = reference.removeprefix(SCHEME)
        if "\0" in name:
            raise InvalidConfig(f"`{reference!r}` names no file")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.root):
            raise InvalidConfig(
                f"`{reference}` is outside of `{self.root}`",
                hint="run from the folder that holds both",
            )
        if path.suffix.partition(":")[0].lower() in _CODE:
            raise InvalidConfig(f"`{reference}` is code and is not run here")
        return path

    def matching(self, reference: str) -> Sequence[Path]:
        """Return the files that a pattern names, in order; a plain name is a pattern too.

        Raises:
            InvalidConfig: none matches, or as `resolve`.

        """
        name = reference.removeprefix(SCHEME)
        if not _GLOB.intersection(name):
            path = self.resolve(reference)
            if not path.is_file():
                raise InvalidConfig(f"there is no file `{reference}`")
            return [path]
        if Path(name).is_absolute():
            raise InvalidConfig(f"`{reference}`: a pattern is relative to the suite")
        found: list[Path] = []
        for path in self.folder.glob(name):
            if len(found) >= MAX_MATCHES:
                raise InvalidConfig(f"`{reference}` matches more than {MAX_MATCHES} files")
            if path.is_file():
                found.append(self.resolve(str(path)))
        if not found:
            raise InvalidConfig(f"no file matches `{reference}`")
        return sorted(found)

    def shown(self, path: Path) -> str:
        """Return a path as reports have it: relative to the root."""
        return path.relative_to(self.root).as_posix()

    def variable(self, reference: str) -> str:
        """Return what a variable that names a file stands for: its text; YAML as JSON."""
        path = self.resolve(reference)
        text = self.text(path)
        return stringify(plain(text)) if path.suffix in {".yaml", ".yml"} else trim(text)

    def value(self, reference: str) -> Json:
        """Return what an assertion's value that names a file stands for."""
        path = self.resolve(reference)
        text = self.text(path)
        return plain(text) if path.suffix in _DATA else trim(text)


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises:
        InvalidConfig: it cannot be read, is too large, or is not UTF-8.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise InvalidConfig(f"`{path.name}` cannot be read: {error.strerror}") from error
    if len(data) > MAX_TEXT_BYTES:
        raise InvalidConfig(f"`{path.name}` is larger than {MAX_TEXT_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"`{path.name}` is not UTF-8 at byte {error.start}") from None
