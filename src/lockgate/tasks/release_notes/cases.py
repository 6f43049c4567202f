"""The evaluation cases: what must hold of the notes, whichever engine wrote them."""

from collections.abc import Sequence

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.task import Case


def _given(tag: str, rows: Sequence[JsonObject]) -> JsonObject:
    commits: list[Json] = [{"sha": f"{at:040x}", **row} for at, row in enumerate(rows, 1)]
    return {
        "repository": {"name": "tool", "url": None, "forge": None},
        "range": {
            "expression": f"{tag}..HEAD",
            "start": {"name": tag, "sha": f"{999:040x}", "tag": tag},
            "end": {"name": "HEAD", "sha": f"{1:040x}", "tag": None},
            "date": "2024-05-01",
            "previous_tag": tag,
            "paths": [],
        },
        "commits": commits,
    }


ALL = (
    Case(
        name="a breaking change raises the major number",
        input=_given(
            "v1.4.2",
            [
                {"subject": "feat(api)!: drop the v1 endpoints (#12)"},
                {"subject": "fix: keep the order of keys (#11)"},
            ],
        ),
        expect={
            "title": "Unreleased",
            "version": {"previous": "v1.4.2", "bump": "major", "tag": "v2.0.0"},
            "coverage": {"commits": 2, "represented": 2, "omitted": 0},
        },
    ),
    Case(
        name="a revert and its target, a bot and a merge are left out and counted",
        input=_given(
            "0.3.0",
            [
                {"subject": 'Revert "feat: add a cache (#4)"'},
                {"subject": "Merge branch 'main' of host:repo"},
                {"subject": "Bump x from 1 to 2", "bot": True},
                {"subject": "feat: add a cache (#4)"},
                {"subject": "docs: explain the options"},
            ],
        ),
        expect={
            "version": {"bump": "patch", "proposed": "0.3.1"},
            "coverage": {"commits": 5, "represented": 1, "omitted": 4},
        },
    ),
)
