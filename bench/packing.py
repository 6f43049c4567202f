#!/usr/bin/env python3
"""Time packing and checking a large file beside `sha256sum` and `cat`, and print ratios.

usage: bench/packing.py [MEGABYTES]

Figures are wall time in seconds, each the least of three rounds in turn, with the file in the page
cache: the disk's own speed is no part of them, except where our copy is written and synced.
"""

import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lockgate.oci.catalogue import Catalogue
from lockgate.oci.integrity import check
from lockgate.oci.inventory import PullResult
from lockgate.oci.layout import Layout
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings

ROUNDS = 3
MIB = 1 << 20
SETTLED_S = 2.1  # the digest cache takes no file that changed just before


class Quiet:
    """No progress; implements `ports.Progress`."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


def write_model(path: Path, megabytes: int) -> None:
    """Write a GGUF file with one large tensor: a header, then bytes that differ by block."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    values = megabytes * MIB // 4
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 1)
    head += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += text("weight") + struct.pack("<IQIQ", 1, values, 0, 0)
    block = bytes(range(256)) * (MIB // 256)
    with path.open("wb") as file:
        file.write(head + bytes(-len(head) % 32))
        for number in range(megabytes):
            file.write(struct.pack("<Q", number) + block[8:])


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def program(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def row(what: str, ours: float, floor: float, most: float) -> bool:
    met = ours <= most * floor
    verdict = "yes" if met else "NO"
    print(f"| {what:<42} | {ours:8.3f} | {floor:8.3f} | {ours / floor:6.2f} | {verdict:<3} |")
    return met


def measure(folder: Path, megabytes: int) -> bool:
    model = folder / "model.gguf"
    write_model(model, megabytes)
    time.sleep(SETTLED_S)
    root = folder / "store"

    def pack() -> PullResult:
        store = ModelStore(root, Catalogue({}), ModelSettings(package_root=folder))
        return store.pull_file(model, "mine", Quiet())

    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        shutil.rmtree(root, ignore_errors=True)
        for name, work in (
            ("cat", partial(program, "cat", model)),
            ("sha256sum", partial(program, "sha256sum", model)),
            ("cp", partial(program, "cp", "--reflink=never", model, folder / "copy")),
            ("pack", pack),
            ("again", pack),
            ("verify", partial(whole, root, full=False)),
            ("full", partial(whole, root, full=True)),
        ):
            found.setdefault(name, []).append(seconds(work))
        (folder / "copy").unlink()
    best = {name: min(times) for name, times in found.items()}
    floor = best["sha256sum"] + best["cat"]
    print(f"{megabytes} MiB; cp alone, unsynced, takes {best['cp']:.3f} s")
    print("| what                                       | ours, s  | floor, s | ratio  | met |")
    print("|--------------------------------------------|----------|----------|--------|-----|")
    return all(
        [
            row("pack; sha256sum and reading, at most 1.1", best["pack"], floor, 1.1),
            row("pack again, unchanged; at most 0.1 s", best["again"], 0.1, 1.0),
            row("verify at rest; sha256sum, at most 0.5", best["verify"], best["sha256sum"], 0.5),
            row("verify --full; sha256sum, at most 1.1", best["full"], best["sha256sum"], 1.1),
        ]
    )


def whole(root: Path, *, full: bool) -> None:
    assert not check(Layout(root), full=full).damages


def main() -> int:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        return 0 if measure(Path(folder), megabytes) else 1


if __name__ == "__main__":
    sys.exit(main())
