"""Builds small git repositories in one `git fast-import` each."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_START = 1_700_000_000
_DAY = 86_400


@dataclass
class Repo:
    """A repository in the making: `commit` and `tag`, then `build`."""

    path: Path
    shas: list[str] = field(default_factory=list)
    _stream: list[bytes] = field(default_factory=list)
    _marks: int = 0

    def commit(
        self,
        message: str | bytes,
        *,
        files: Mapping[str | bytes, str | None] | None = None,
        author: str = "Ann <ann@example.org>",
        parents: Sequence[int] | None = None,
        tag: str | None = None,
        branch: str = "main",
    ) -> int:
        """Add a commit on top of the last one, or of `parents`; return its number, from 1.

        Without `files` it changes a file of its own; a file with None is deleted.
        """
        data = message if isinstance(message, bytes) else message.encode()
        self._marks += 1
        mark = self._marks
        above = parents if parents is not None else ([mark - 1] if mark > 1 else [])
        who = f"{author} {_START + mark * _DAY} +0000".encode()
        lines = [b"commit refs/heads/%s" % branch.encode(), b"mark :%d" % mark]
        lines += [b"author " + who, b"committer " + who, b"data %d" % len(data), data]
        lines += [b"%s :%d" % (b"merge" if n else b"from", p) for n, p in enumerate(above)]
        for name, text in ({f"src/{mark}.py": "x"} if files is None else files).items():
            quoted = _quoted(name)
            if text is None:
                lines.append(b"D " + quoted)
            else:
                body = text.encode()
                lines += [b"M 100644 inline " + quoted, b"data %d" % len(body), body]
        self._stream += [*lines, b""]
        if tag is not None:
            self.tag(tag)
        return mark

    def tag(self, name: str) -> None:
        """Put a tag on the last commit."""
        self._stream += [b"reset refs/tags/" + name.encode(), b"from :%d" % self._marks, b""]

    def build(self) -> "Repo":
        """Make the repository; afterwards `sha(n)` names its commits."""
        git(self.path.parent, "init", "-q", "-b", "main", str(self.path))
        marks = self.path / ".git" / "marks"
        subprocess.run(
            ["git", "-C", self.path, "fast-import", "--quiet", f"--export-marks={marks}"],
            input=b"\n".join(self._stream),
            check=True,
            env=_environment(),
        )
        found = dict(line.split() for line in marks.read_text().splitlines())
        self.shas = [found[f":{n}"] for n in range(1, self._marks + 1)]
        return self

    def sha(self, number: int) -> str:
        return self.shas[number - 1]

    def git(self, *arguments: str) -> str:
        return git(self.path, *arguments)


def git(where: Path, *arguments: str) -> str:
    """Run git, free of this machine's configuration."""
    done = subprocess.run(
        ["git", "-C", where, *arguments], check=True, capture_output=True, env=_environment()
    )
    return done.stdout.decode().strip()


def _environment() -> dict[str, str]:
    settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    return {"PATH": os.defpath, **settings}


def _quoted(name: str | bytes) -> bytes:
    data = name.encode() if isinstance(name, str) else name
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
