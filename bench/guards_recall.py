#!/usr/bin/env python3
"""Measure what the rules for secrets find, by kind and by context, and what they take wrongly.

usage: bench/guards_recall.py [--peer] [--misses] [--alarms DIR ...] [--each N]

Secrets and contexts are made from a fixed generator (`guards_kinds.py`, `guards_contexts.py`). One
counts as found if the last 40 characters of it are gone. `--peer` also asks detect-secrets with its
default plugins, for which a finding anywhere on one of the lines is enough. `--alarms` counts the
findings in trees of files that hold no live secrets.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from guards_contexts import PLAIN, STRUCTURED, TELLING
from guards_kinds import KINDS, PRIVATE_KEYS, Kind
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.guards.pipeline import Pipeline
from lockgate.guards.policy import Policy

SEED = 20261121
TAIL = 40
PEER_STRIDE = 13
"""The peer takes a hundredth of a second for each text: it gets each thirteenth."""
MOST_FILE = 2_000_000
Found = Callable[[str, str], bool]
Case = tuple[str, str, str, str]
"""Group, row, text, secret."""


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def filled(template: str, kind: Kind, secret: str) -> str:
    name = kind.variable
    return template.format(
        s=secret, name=name, NAME=name.upper(), camel=camel(name),
        dotted=name.replace("_", "."), dashed=name.replace("_", "-"),
    )  # fmt: skip


def cases(each: int) -> Iterator[Case]:
    dice = random.Random(SEED)
    for _ in range(each):
        for kind in KINDS:
            group = "kinds without a form" if kind.bare else "kinds with a form"
            for context, template in TELLING.items():
                # A header does not say the name, so it tells of a token only.
                secret = kind.make(dice)
                yield group, kind.name, filled(template, kind, secret), secret
                yield f"contexts: {group}", context, filled(template, kind, secret), secret
            if not kind.bare:
                for context, template in PLAIN.items():
                    secret = kind.make(dice)
                    yield "kinds, nothing beside", kind.name, filled(template, kind, secret), secret
                    yield (
                        "contexts: nothing beside",
                        context,
                        filled(template, kind, secret),
                        secret,
                    )
        for kind in KINDS[-2:]:
            for context, template in STRUCTURED.items():
                secret = kind.make(dice)
                yield f"{kind.name} in", context, filled(template, kind, secret), secret
        yield from private_keys(dice)


def private_keys(dice: random.Random) -> Iterator[Case]:
    for kind in PRIVATE_KEYS:
        block = kind.make(dice)
        body = block.split("\n")[-2]
        for context, text in {
            "file": block,
            "json": '{"key": "' + block.replace("\n", "\\n") + '"}',
            "yaml": "key: |\n" + "".join(f"  {line}\n" for line in block.split("\n")),
            "diff": "".join(f"+{line}\n" for line in block.split("\n")),
            "diff, removed": "".join(f"-{line}\n" for line in block.split("\n")),
            "comment": "".join(f"// {line}\n" for line in block.split("\n")),
            "log": "".join(f"2026-11-21 INFO {line}\n" for line in block.split("\n")),
            "python": "".join(f'    "{line}\\n"\n' for line in block.split("\n")),
            "javascript": " +\n".join(f"'{line}\\n'" for line in block.split("\n")),
            "windows": block.replace("\n", "\r\n"),
            "no end": block.rpartition("\n")[0],
            "one line": block.replace("\n", " "),
            "double escaped": block.replace("\n", "\\\\n"),
            "numbered": "".join(f"{i:4}\t{line}\n" for i, line in enumerate(block.split("\n"))),
        }.items():
            yield "private keys", kind.name, text, body
            yield "private keys in", context, text, body


def ours() -> Found:
    actions = {Category.SECRETS: Action.REDACT}
    guards = Pipeline({DataClass.INTERNAL: Policy(input=actions)})

    def found(text: str, secret: str) -> bool:
        start = text.rindex(secret)
        end = start + len(secret)
        start = max(start, end - TAIL)
        while text[end - 1] == "=":
            end -= 1
        covered = sum(
            max(0, min(f.end, end) - max(f.start, start)) for f in guards.scan_input(text).findings
        )
        return covered >= end - start

    return found


def detect_secrets(folder: Path) -> Found:
    """Return detect-secrets as it runs on files: `scan_line` takes any word for a secret."""
    from detect_secrets.core.scan import scan_file  # noqa: PLC0415
    from detect_secrets.settings import default_settings  # noqa: PLC0415

    def found(text: str, secret: str) -> bool:  # noqa: ARG001
        path = folder / "file.txt"
        path.write_text(text, "utf-8")
        with default_settings():
            return any(True for _ in scan_file(str(path)))

    return found


def recall(given: Iterable[Case], judges: dict[str, Found], *, misses: bool) -> None:
    counts: dict[tuple[str, str], Counter[str]] = {}
    missed: list[str] = []
    for group, row, text, secret in given:
        count = counts.setdefault((group, row), Counter())
        count["all"] += 1
        for name, found in judges.items():
            hit = found(text, secret)
            count[name] += hit
            if (
                not hit
                and name == "lockgate"
                and not group.startswith(("contexts", "private keys in"))
            ):
                missed.append(f"{row:22} {text[:230]!r}")
    for group in dict.fromkeys(group for group, _ in counts):
        rows = {row: count for (g, row), count in counts.items() if g == group}
        whole = sum(rows.values(), Counter())
        shares = "  ".join(f"{name} {whole[name] / whole['all']:.3f}" for name in judges)
        print(f"\n{group}: {whole['all']} texts, {shares}")
        for row, count in sorted(
            rows.items(), key=lambda item: item[1]["lockgate"] / item[1]["all"]
        ):
            if any(count[name] < count["all"] for name in judges):
                print(f"  {row:28}" + "".join(f"{count[n] / count['all']:8.2f}" for n in judges))
    if misses:
        print("\nmisses")
        print("\n".join(missed))


def alarms(folders: Iterable[Path], *, shown: int = 6) -> None:
    """Print the findings in trees of files, by rule."""
    actions = {Category.SECRETS: Action.REDACT, Category.PERSONAL: Action.REDACT}
    guards = Pipeline({DataClass.INTERNAL: Policy(input=actions)})
    for folder in folders:
        found: dict[str, list[str]] = {}
        size = 0
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            raw = path.read_bytes()
            if b"\0" in raw[:8192] or len(raw) > MOST_FILE:
                continue
            text = raw.decode("utf-8", "replace")
            size += len(raw)
            for finding in guards.scan_input(text).findings:
                begin, end = max(0, finding.start - 40), finding.end + 10
                shown_text = text[begin : min(end, begin + 160)]
                found.setdefault(finding.rule, []).append(f"{path.name}: {shown_text!r}")
        print(f"\n{folder}: {size / 1e6:.1f} MB, {sum(map(len, found.values()))} findings")
        for rule, places in sorted(found.items(), key=lambda item: -len(item[1])):
            print(f"  {rule} {len(places)}")
            for place in places[:: max(1, len(places) // shown)][:shown]:
                print(f"      {place}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--shown", type=int, default=6)
    parser.add_argument("--alarms", type=Path, nargs="*")
    given = parser.parse_args()
    if given.alarms:
        alarms(given.alarms, shown=given.shown)
        return
    judges = {"lockgate": ours()}
    with TemporaryDirectory() as folder:
        if given.peer:
            judges["detect-secrets"] = detect_secrets(Path(folder))
        every = PEER_STRIDE if given.peer else 1
        recall(islice(cases(given.each), 0, None, every), judges, misses=given.misses)


if __name__ == "__main__":
    main()
