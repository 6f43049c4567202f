#!/usr/bin/env python3
"""Make the evaluation suites of the built-in tasks, of real histories that are not committed.

usage: tools/suites.py [HISTORIES] [OUT]    (default ../shared/data/histories, build/suites)

`release-notes`: single commits of authors who write Conventional Commits, newer than any that the
shipped classifier was trained on. The type is cut off; the right section is the one that the notes
have when it is left on. Then whole ranges between two tags: every commit is accounted for, and the
version is the one that the authors tagged next.

`review`: lines of suites/review/plants.toml in diffs over real paths of those histories.

The same histories give the same bytes.
"""

import gzip
import hashlib
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from lockgate.app.progress import Quiet
from lockgate.ports import Context
from lockgate.retrieval.lexical import LexicalRetriever
from lockgate.tasks.release_notes.task import ReleaseNotes
from train_commit_types import DATA

ROOT = Path(__file__).parents[1]
HISTORIES = ROOT / "../shared/data/histories"
OUT = ROOT / "build" / "suites"
CONVENTIONAL = ("commitizen", "vite")
EACH = 30
"""Cases of one section of one repository."""
RANGES = 6
"""Ranges of one repository."""
MOST_COMMITS = 150
FILES = 40
REPEATS = 2
HEADER = re.compile(r"^(?P<type>[a-z]+)(?:\([^()]*\))?!?: (?P<rest>.+)$")
SECTIONS = ("added", "changed", "documentation", "fixed", "internal")

Row = Mapping[str, Any]


def main(histories: Path, out: Path) -> None:
    read = {path.name.split(".")[0]: rows(path) for path in sorted(histories.glob("*.jsonl.gz"))}
    if not read:
        sys.exit(f"no history in {histories}")
    for name, cases in (("release-notes", notes(read)), ("review", review(read))):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "suites" / name / "promptfooconfig.yaml", folder)
        lines = [json.dumps(case, ensure_ascii=False, sort_keys=True) for case in cases]
        (folder / "cases.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        print(f"{folder}: {len(lines)} cases")


def rows(path: Path) -> Sequence[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def notes(read: Mapping[str, Sequence[Row]]) -> Iterator[dict[str, Any]]:
    newest = trained_until()
    for name in CONVENTIONAL:
        yield from commits(name, read[name], newest[name])
    for name, history in read.items():
        yield from ranges(name, history, conventional=name in CONVENTIONAL)


def trained_until() -> Mapping[str, int]:
    """Return the time of the newest commit of each repository that the classifier has seen."""
    newest: dict[str, int] = {}
    with gzip.open(ROOT / DATA, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            name = row["repo"].rpartition("/")[2]
            newest[name] = max(newest.get(name, 0), row["ts"])
    return newest


def commits(name: str, history: Sequence[Row], after: int) -> Iterator[dict[str, Any]]:
    """Yield one case a commit, equally many of each section: the newest ones."""
    left = dict.fromkeys(SECTIONS, EACH)
    for row in reversed(history):
        header = HEADER.match(row["subject"])
        if row["bot"] or row["ts"] <= after or header is None:
            continue
        place = section(given(name, [row], row["subject"]))
        if not left.get(place):
            continue
        left[place] -= 1
        yield {
            "description": f"{name} {row['sha'][:10]} is {place}",
            "metadata": {"repository": name, "section": place, "kind": "commit"},
            "vars": given(name, [row], header["rest"]),
            "options": {"disableVarExpansion": True},
            "assert": [
                {
                    "type": "equals",
                    "value": place,
                    "transform": "JSON.parse(output).sections[0].id",
                    "metric": "section",
                }
            ],
        }


def section(value: dict[str, Any]) -> str:
    """Return where the notes put a commit whose author said its type."""
    silent: Any = Quiet()  # rules ask no model
    context = Context(models=silent, retriever=LexicalRetriever(), progress=silent)
    output = ReleaseNotes().rules(value, context).output
    found = output["sections"]
    assert isinstance(found, list)
    return str(found[0]["id"]) if found else ""


def ranges(name: str, history: Sequence[Row], *, conventional: bool) -> Iterator[dict[str, Any]]:
    """Yield the newest ranges between two versions that are not too long."""
    tagged = [at for at, row in enumerate(history) if any(map(is_version, row["tags"]))]
    found = 0
    for start, end in reversed(list(pairwise(tagged))):
        between = [row for row in history[start + 1 : end + 1] if row["subject"]]
        if found == RANGES or not 2 <= len(between) <= MOST_COMMITS:
            continue
        found += 1
        before, after = (
            next(tag for tag in history[at]["tags"] if is_version(tag)) for at in (start, end)
        )
        checks: list[dict[str, Any]] = [
            {
                "type": "is-json",
                "metric": "coverage",
                "value": {
                    "properties": {"coverage": {"properties": {"commits": {"const": len(between)}}}}
                },
            }
        ]
        if conventional:
            checks.append(
                {
                    "type": "equals",
                    "value": after,
                    "transform": "JSON.parse(output).version.tag",
                    "metric": "version",
                }
            )
        yield {
            "description": f"{name} {before}..{after}",
            "metadata": {"repository": name, "kind": "range"},
            "vars": given(name, list(reversed(between)), None, tag=before),
            "options": {"disableVarExpansion": True},
            "assert": checks,
        }


def is_version(tag: str) -> bool:
    return re.fullmatch(r"v?\d+\.\d+\.\d+", tag) is not None


def given(
    name: str, chosen: Sequence[Row], subject: str | None, *, tag: str = "v1.0.0"
) -> dict[str, Any]:
    """Return the input of `release-notes`, newest commit first."""
    return {
        "repository": {"name": name, "url": None, "forge": None},
        "range": {
            "expression": f"{tag}..HEAD",
            "start": {"name": tag, "sha": "0" * 40, "tag": tag},
            "end": {"name": "HEAD", "sha": chosen[0]["sha"], "tag": None},
            "date": f"{datetime.fromtimestamp(chosen[0]['ts'], UTC):%Y-%m-%d}",
            "previous_tag": tag,
            "paths": [],
        },
        "commits": [
            {
                "sha": row["sha"],
                "subject": (subject or row["subject"])[:1000],
                # A body would name the type again where it quotes the commits of a squash.
                "body": "" if subject else row["body"][:10_000],
                "files": [f"{status[:1]} {path}" for status, path in row["files"][:FILES]],
                "more_files": max(0, len(row["files"]) - FILES),
                "bot": bool(row["bot"]),
            }
            for row in chosen
        ],
    }


def review(read: Mapping[str, Sequence[Row]]) -> Iterator[dict[str, Any]]:
    with (ROOT / "suites" / "review" / "plants.toml").open("rb") as file:
        plants = tomllib.load(file)["plant"]
    paths = sorted({path for h in read.values() for row in h for _, path in row["files"]})
    for repeat in range(REPEATS):
        for plant in plants:
            seed = f"{plant['name']} {repeat}"
            fitting = [p for p in paths if p.endswith(plant["ends"]) and usual(p)]
            path = fitting[number(seed) % len(fitting)]
            others = [p for p in paths if p.endswith(".md") and p != path]
            other = others[number(seed + " other") % len(others)]
            lines = [filled(line, seed) for line in plant["add"]]
            yield {
                "description": f"{plant['name']} in {path}",
                "metadata": {"language": plant["ends"][1:], "kind": kind(plant)},
                "vars": {"diff": hunk(other, ["One more sentence."]) + hunk(path, lines)},
                "options": {"disableVarExpansion": True},
                "assert": [wanted(plant, path)],
            }


def kind(plant: Mapping[str, Any]) -> str:
    if plant.get("hard"):
        return "hard"
    return "planted" if plant["rule"] else "quiet"


def wanted(plant: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the assertion: a finding of the rule in the file, or a low risk."""
    if not plant["rule"]:
        return {
            "type": "is-json",
            "metric": "quiet",
            "value": {"properties": {"risk": {"const": "low"}}},
        }
    finding = {
        "properties": {
            "rule": {"pattern": f"^{re.escape(plant['rule'])}"},
            "path": {"const": path},
        }
    }
    return {
        "type": "is-json",
        "metric": kind(plant),
        "value": {"properties": {"findings": {"contains": finding}}},
    }


def usual(path: str) -> bool:
    """Leave out what is looked at with other eyes: tests, examples, pipelines."""
    lowered = path.lower()
    if any(word in lowered for word in ("test", "example", "playground", "fixture", "vendor")):
        return False
    return not lowered.startswith((".", "ci/")) and path.isascii() and " " not in path


def hunk(path: str, lines: Sequence[str]) -> str:
    """Return a diff that adds lines in the middle of a file."""
    added = "".join(f"+{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -10,2 +10,{2 + len(lines)} @@\n \n{added} \n"
    )


def filled(line: str, seed: str) -> str:
    """Put random text where a secret stands, so that this repository holds none."""
    digest = hashlib.sha512(seed.encode()).hexdigest()
    letters = "".join(chr(ord("A") + int(pair, 16) % 26) for pair in re.findall("..", digest))
    mixed = "".join(
        c.lower() if int(d, 16) % 2 else c for c, d in zip(letters, digest, strict=False)
    )
    places = {
        "@TOKEN36@": mixed[:36],
        "@BASE64@": (mixed * 2)[:64],
        "@UPPER16@": re.sub("[^A-Z2-7]", "Q", letters)[:16],
        "@RLO@": "\u202e",
        "@ZWSP@": "\u200b",
    }
    for mark, text in places.items():
        line = line.replace(mark, text)
    return line


def number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")


if __name__ == "__main__":
    given_paths = [Path(text) for text in sys.argv[1:3]]
    defaults = (HISTORIES, OUT)
    main(*given_paths, *defaults[len(given_paths) :])
