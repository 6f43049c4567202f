"""Programs that tests need and pip does not bring."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def require(program: str, *, package: str = "") -> str:
    """Return the path of a program, installed now if need be.

    In continuous integration a program that is missing fails the test; elsewhere it skips it.
    """
    wanted = package or program
    found = shutil.which(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", wanted],
            check=False,
            capture_output=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=300,
        )
        found = shutil.which(program)
    if found is None:
        missing(f"{program} is not installed: apt-get install {wanted}")
    return found


def missing(message: str) -> NoReturn:
    """Fail in continuous integration, and skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
