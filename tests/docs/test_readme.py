"""What the README shows is what the program prints, and its links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text("utf-8")
EXAMPLE = re.compile(r"```console\n\$ lockgate (.+)\n((?s:.*?))```")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = [TOP / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]


def git(*arguments: str | Path) -> bool:
    return subprocess.run(["git", *arguments], check=False, capture_output=True).returncode == 0


def test_the_example_of_the_readme_is_what_the_program_prints(tmp_path: Path) -> None:
    (found,) = EXAMPLE.findall(README)
    command, shown = found
    ends = command.rpartition(" ")[2].split("..")
    if not all(git("-C", TOP, "cat-file", "-e", f"{end}^{{commit}}") for end in ends):
        pytest.skip(f"this checkout lacks the commits {ends}: it is shallow, or has no history")
    clone = tmp_path / "lockgate"
    assert git("clone", "-q", "--no-checkout", TOP, clone)
    assert git("-C", clone, "remote", "remove", "origin")

    done = subprocess.run(
        [sys.executable, "-m", "lockgate", *command.split(), "--engine", "rules"],
        cwd=clone,
        env={**os.environ, "LOCKGATE_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"},
        check=True,
        text=True,
        capture_output=True,
    )

    assert done.stdout == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []
