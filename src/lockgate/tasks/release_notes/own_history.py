"""What this repository's own earlier commits say about the type of a change, by folder.

Where people label their commits, the folders that a change touches often say its type: `site/`
is documentation here and source code elsewhere. Only clear cases count, and only where the
classifier abstains.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from lockgate.domain.digest import Json, JsonObject
from lockgate.tasks.release_notes import bots, conventional, history
from lockgate.tasks.release_notes.git import Repository

SAMPLE = 300
_MAX_FOLDERS = 200
_AT_LEAST = 6
_SHARE = 0.85
_DEPTH = 3


def read(repository: Repository, end: str, pathspecs: Sequence[str]) -> dict[str, Json]:
    """Count the types of the last conventional commits up to `end`, by folder.

    Only folders with enough of them are kept.
    """
    command = (*history.ARGUMENTS, f"--max-count={SAMPLE}", "--no-merges", end, "--", *pathspecs)
    counted: dict[str, dict[str, int]] = {}
    with repository.stream(command) as stream:
        for record in history.records(stream):
            header = conventional.header(record.subject)
            if header is None or header.kind is None or bots.is_bot(record.author, record.email):
                continue
            for folder in {f for line in record.files for f in _folders(line[2:])}:
                kinds = counted.setdefault(folder, {})
                kinds[header.kind] = kinds.get(header.kind, 0) + 1
    kept = [(sum(kinds.values()), folder) for folder, kinds in counted.items()]
    enough = sorted((-n, folder) for n, folder in kept if n >= _AT_LEAST)[:_MAX_FOLDERS]
    return {folder: dict(sorted(counted[folder].items())) for _, folder in enough}


def judge(earlier: JsonObject, files: Sequence[tuple[str, str]]) -> tuple[str, float] | None:
    """Return the type that every file's folder stands for, and its share; None if unclear."""
    kinds: dict[str, float] = {}
    for _, path in files:
        found = next((v for f in reversed(_folders(path)) if (v := _verdict(earlier, f))), None)
        if found is None:
            return None
        kinds[found[0]] = min(found[1], kinds.get(found[0], 1.0))
    return next(iter(kinds.items())) if len(kinds) == 1 else None


def _verdict(earlier: JsonObject, folder: str) -> tuple[str, float] | None:
    counts = cast("Mapping[str, int]", earlier.get(folder, {}))
    total = sum(counts.values())
    if total < _AT_LEAST:
        return None
    kind = max(counts, key=lambda name: (counts[name], name))
    share = counts[kind] / total
    return (kind, share) if share >= _SHARE else None


def _folders(path: str) -> Sequence[str]:
    """Return the folders that hold `path`, outermost first; `.` stands for the top."""
    parts = path.split("/")[:-1][:_DEPTH]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))] or ["."]
