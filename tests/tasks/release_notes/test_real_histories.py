"""The real histories of `../shared/data`; skipped, with the reason, where those are absent."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.domain.verdict import Outcome
from lockgate.tasks.release_notes.task import ReleaseNotes
from tasks.release_notes.fakes import FakeModels, context, echo
from tasks.release_notes.repos import Repo

DATA = Path(__file__).parents[4] / "shared" / "data" / "histories"
TASK = ReleaseNotes()


def rebuilt(name: str, where: Path) -> tuple[Repo, list[dict[str, Any]]]:
    """Make the repository of a history: real messages, tags and paths, made-up contents."""
    file = DATA / f"{name}.jsonl.gz"
    if not file.exists():
        pytest.skip(f"the shared data set {file.name} is absent")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    repo, seen = Repo(where), set[str]()
    for row in rows:
        gone = {path for status, path in row["files"] if status == "D" and path in seen}
        kept = {path for status, path in row["files"] if status != "D"}
        seen = (seen | kept) - gone
        files = dict.fromkeys(gone) | dict.fromkeys(kept, row["sha"])
        author = f"{row['author']}{'[bot]' if row['bot'] else ''} <{row['author']}@example.org>"
        body = f"\n\n{row['body']}" if row["body"] else ""
        repo.commit(row["subject"] + body, files=files, author=author)
        for tag in row["tags"]:
            repo.tag(tag)
    return repo.build(), rows


@pytest.mark.parametrize(
    ("name", "span"),
    [("bandit", "1.7.0..1.7.5"), ("reviewdog", "v0.14.0..v0.15.0"), ("reviewdog", "v0.9.0..")],
)
def test_every_human_commit_is_in_the_notes_or_counted(
    name: str, span: str, tmp_path: Path
) -> None:
    repo, rows = rebuilt(name, tmp_path / name)
    if span.startswith("v0.9.0"):
        span = f"{repo.git('tag', '--sort=creatordate').split()[0]}.."
    given = TASK.collect({"repo": str(repo.path), "range": span})
    drafts = [
        TASK.rules(given, context()),
        asyncio.run(TASK.run(given, context(FakeModels(write=echo, labels={}, vectors={})))),
    ]
    human = {sha for sha, row in zip(repo.shas, rows, strict=True) if not row["bot"]}
    start, end = span.split("..")
    wanted = set(repo.git("rev-list", f"{start}..{end}").split())

    for draft in drafts:
        verdicts = [check.judge(given, draft) for check in TASK.checks]
        assert {v.outcome for v in verdicts} == {Outcome.PASS}
        output: Any = draft.output
        cited = {s for x in output["sections"] for e in x["entries"] for s in e["commits"]}
        left_out = {s for o in output["omitted"] for s in o["commits"]}
        assert cited <= wanted
        assert human & wanted <= cited | left_out
        assert cited | left_out == wanted
