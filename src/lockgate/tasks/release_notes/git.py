"""Runs git to read, never to write, and never lets the repository choose what runs.

The repository is not trusted: its configuration must not start a pager, a signature check, an
external diff or a download. The environment is not trusted either: inside a git hook `GIT_DIR`
names another repository. `env` clears it, so that no code of ours reads the environment.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lockgate.errors import InvalidInput, NotFound, Unavailable

_CLEARED = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE", "GIT_CONFIG", "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_PREFIX",
    "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    "GIT_TRACE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE_SETUP",
)  # fmt: skip
_SET = (
    "LC_ALL=C",  # messages are compared below
    "GIT_OPTIONAL_LOCKS=0",
    "GIT_GRAFT_FILE=/dev/null",  # like replaced objects, grafts are a local view of history
    "GIT_TERMINAL_PROMPT=0",
    "GIT_NO_LAZY_FETCH=1",
    "GIT_ALLOW_PROTOCOL=none",  # the same for git before 2.45: a partial clone fetches nothing
)
_OPTIONS = (
    "--no-pager",
    "--no-replace-objects",
    "-c", "core.quotePath=false",
    "-c", "core.fsmonitor=false",
    "-c", "diff.orderFile=/dev/null",
    "-c", "log.showSignature=false",
    "-c", "log.showRoot=true",
    "-c", "log.follow=false",
)  # fmt: skip
_PREFIX = ("env", *(f"--unset={name}" for name in _CLEARED), *_SET, "git", *_OPTIONS)
_NOT_FOUND = 127  # of env(1): the program is not there
_MAX_STDERR = 4_000


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository to read from."""

    path: Path

    def read(
        self, arguments: Sequence[str], *, given: str = "", accept: tuple[int, ...] = ()
    ) -> str:
        """Run one git command and return what it prints, invalid UTF-8 replaced.

        Exit codes in `accept` are as good as 0.

        Raises:
            NotFound: there is no repository.
            InvalidInput: git refuses; the message is git's own.
            Unavailable: git is not installed.

        """
        try:
            done = subprocess.run(
                self._command(arguments),
                input=given.encode("utf-8", "surrogateescape"),
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise _missing_git() from error
        if done.returncode and done.returncode not in accept:
            raise self._refused(done.returncode, done.stderr)
        return done.stdout.decode("utf-8", "replace")

    @contextmanager
    def stream(self, arguments: Sequence[str]) -> Iterator[IO[bytes]]:
        """Run one git command and give its output as it comes; git is stopped at the block's end.

        Raises as `read`, at the end of the block, unless the block left output unread.
        """
        # A file, since a pipe that nobody reads stops a git that complains at length.
        with tempfile.TemporaryFile() as complaints:
            try:
                process = subprocess.Popen(
                    self._command(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                )
            except OSError as error:
                raise _missing_git() from error
            with process:
                assert process.stdout is not None
                try:
                    yield process.stdout
                    if process.stdout.read(1):
                        return
                    if process.wait():
                        complaints.seek(0)
                        raise self._refused(process.returncode, complaints.read(_MAX_STDERR))
                finally:
                    process.kill()

    def _command(self, arguments: Sequence[str]) -> Sequence[str]:
        return (*_PREFIX, "-C", str(self.path), *arguments)

    def _refused(self, code: int, stderr: bytes) -> InvalidInput | NotFound | Unavailable:
        said = stderr[:_MAX_STDERR].decode("utf-8", "replace").strip()
        if code == _NOT_FOUND and said.startswith("env:"):
            return _missing_git()
        if "not a git repository" in said or "cannot change to" in said:
            return NotFound(
                f"`{self.path}` is not a git repository",
                hint="name one with `--repo PATH`",
            )
        if "dubious ownership" in said:
            return InvalidInput(
                f"git does not trust `{self.path}`: it belongs to another user",
                hint=f"if you trust it: `git config --global --add safe.directory {self.path}`",
            )
        first = said.partition("\n")[0].removeprefix("fatal: ")
        return InvalidInput(
            f"git cannot read `{self.path}`: {first or f'it ended with {code}'}",
            hint=f"check it with `git -C {self.path} fsck`",
        )


def _missing_git() -> Unavailable:
    return Unavailable("`git` is not installed", hint="install it, such as `apt-get install git`")
