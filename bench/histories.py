"""Rebuilds an exported commit history (JSON Lines) as a git repository.

Subjects, bodies, times, tags and changed paths are real; each file holds one made-up line.
"""

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parents[1] / "../shared/data/histories"
"""Where the histories are, beside the repository; they are not part of it."""


def rebuild(name: str, target: Path, *, shared: Path = SHARED) -> Path:
    """Make the repository `target` from the history `name`.

    Raises:
        FileNotFoundError: the histories are absent.

    """
    with gzip.open(shared / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    subprocess.run(["git", "init", "-q", "-b", "main", target], check=True)
    load = subprocess.run(
        ["git", "-C", target, "fast-import", "--quiet", "--force"],
        input=b"".join(_commands(rows)),
        check=False,
        capture_output=True,
    )
    assert load.returncode == 0, load.stderr.decode()
    return target


def _commands(rows: list[dict[str, Any]]) -> Iterator[bytes]:
    known: set[str] = set()
    for mark, row in enumerate(rows, 1):
        name = f"{row['author']}{'[bot]' if row['bot'] else ''}"
        who = f"{name} <{row['author']}@example.org> {row['ts']} +0000"
        message = f"{row['subject']}\n\n{row['body']}\n".encode()
        yield f"commit refs/heads/main\nmark :{mark}\nauthor {who}\ncommitter {who}\n".encode()
        yield f"data {len(message)}\n".encode() + message + b"\n"
        if mark > 1:
            yield f"from :{mark - 1}\n".encode()
        for status, path in row["files"]:
            quoted = json.dumps(path, ensure_ascii=False).encode()
            if status != "D":
                known.add(path)
                line = f"{row['sha']} {path}\n".encode()
                yield b"M 100644 inline " + quoted + f"\ndata {len(line)}\n".encode() + line + b"\n"
            elif path in known:
                known.discard(path)
                yield b"D " + quoted + b"\n"
        for tag in row["tags"]:
            yield f"reset refs/tags/{tag}\nfrom :{mark}\n\n".encode()
