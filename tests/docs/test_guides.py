"""The guides' console blocks are run, and what they show is compared."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

import pytest

from registries import running_registry

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
GIT = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
COMMITS = """
git init -q -b main
git commit -q --allow-empty -m 'feat: begin' && git tag v1.0.0
git commit -q --allow-empty -m 'feat: retry a failed upload (#12)'
git commit -q --allow-empty -m 'fix(cache): do not forget the tenant'
git commit -q --allow-empty -m 'docs: say how to install'
"""


def shell(script: str, folder: Path, extra: Mapping[str, str] | None = None) -> str:
    """Run lines as a person would type them; return all that is printed."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("LOCKGATE_")},
        **GIT,
        "PATH": PATH,
        "LOCKGATE_STATE_DIR": str(folder.parent / "state"),
        "LOCKGATE_DATA_DIR": str(folder.parent / "data"),
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        **(extra or {}),
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,  # some commands wait until something answers
    )
    return done.stdout


def steps(guide: Path) -> list[tuple[str, str]]:
    """Return each command of the guide, and what it is shown to print."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall(guide.read_text("utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *rest = part.rstrip("\n").split("\n")
            more = list(takewhile(lambda line: line.startswith("> "), rest))
            command = "\n".join([first, *(line.removeprefix("> ") for line in more)])
            found.append((command, "\n".join(rest[len(more) :])))
    return found


def matches(shown: str, printed: str) -> bool:
    """Compare, where `...` in what is shown stands for anything."""
    pattern = re.escape(shown).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL) is not None


GUIDES = sorted((DOCS / "guides").glob("*.md"))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guide_shows_what_the_program_prints(
    guide: Path, tmp_path: Path, real_models: Path
) -> None:
    assert shutil.which("lockgate", path=PATH), "the program is not installed"
    folder = tmp_path / "demo"
    folder.mkdir()
    if "lockgate release" in guide.read_text("utf-8"):
        shutil.copytree(real_models, tmp_path / "data" / "models")
    assert shell(COMMITS, folder) == ""

    with ExitStack() as stack:
        extra = {}
        if "$REGISTRY" in guide.read_text("utf-8"):
            extra["REGISTRY"] = stack.enter_context(running_registry()).host
        follow(guide, folder, extra)


def follow(guide: Path, folder: Path, extra: Mapping[str, str]) -> None:
    done = steps(guide)

    assert done
    for command, shown in done:
        printed = shell(command, folder, extra)
        assert matches(shown, printed), f"$ {command}\n{printed}"
