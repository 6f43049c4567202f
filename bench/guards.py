#!/usr/bin/env python3
# ruff: noqa: E501
"""Measure the guards: speed on code and logs beside peers, on a prompt, on hostile input, quality.

usage: bench/guards.py [--repositories DIR] [--code DIR] [--presidio]

Speeds are bytes by CPU seconds of this process, the best of three rounds, after one round that warms
the automata. `--repositories` has checkouts of git repositories, whose messages are logs and false
positives of the injection guard. `--presidio` also runs the patterns of presidio-analyzer, if it can
be imported.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from guards_peers import detect_secrets, presidio
from injection_held_out import ATTACKS, BENIGN
from injection_second import SECOND_ATTACKS, SECOND_BENIGN
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.guards.compiled import RuleSet
from lockgate.guards.injection import InjectionGuard
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.policy import Policy, validators
from lockgate.guards.rules import CATALOGUES, Rule, expand, load_rules
from lockgate.guards.stream import Handling, StreamGuard
from lockgate.guards.vault import Vault

ROUNDS = 3
SAMPLE = 3_000_000
PEER_SAMPLE = 60_000
PROMPT = 4096
HOSTILE = 1_000_000
SEED = 11


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the quickest of three rounds, after one to warm up."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def read(folder: Path, most: int) -> str:
    """Return source code, files in a fixed order."""
    parts: list[str] = []
    size = 0
    for path in sorted(folder.rglob("*.py"))[::12]:
        text = path.read_text("utf-8", "replace")
        parts.append(text)
        size += len(text)
        if size >= most:
            break
    return "\n".join(parts)[:most]


def logs(most: int) -> str:
    """Return lines of an access log and of an application, from a fixed generator."""
    dice = random.Random(SEED)
    lines: list[str] = []
    size = 0
    while size < most:
        second = dice.randrange(86_400)
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        line = dice.choice(
            (
                f'{dice.randrange(1, 223)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)} - - [21/Nov/2026:{clock} +0000] "GET /api/v1/items/{dice.randrange(10**6)} HTTP/1.1" 200 {dice.randrange(99_999)} "-" "Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.7390.54"',
                f"2026-11-21T{clock}.{dice.randrange(999):03}Z INFO worker-{dice.randrange(9)} job={dice.getrandbits(64):016x} took={dice.randrange(9999)}ms queue=default retries=0",
                f"2026-11-21T{clock}Z WARN db.pool connection to 10.0.{dice.randrange(9)}.{dice.randrange(255)}:5432 slow: {dice.random():.3f}s",
                f"2026-11-21T{clock}Z ERROR auth user=u{dice.randrange(9999)}@mail{dice.randrange(9)}.io failed login from 192.168.1.{dice.randrange(255)}",
                f"Nov 21 {clock} host kernel: [{dice.random() * 99999:.6f}] usb 1-{dice.randrange(4)}: new high-speed USB device number {dice.randrange(99)}",
            )
        )
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines)[:most]


def messages(folder: Path) -> list[str]:
    """Return the commit messages of every repository in a folder."""
    found: list[str] = []
    for repository in sorted(p for p in folder.iterdir() if (p / ".git").exists()):
        command = ["git", "-C", str(repository), "log", "--format=%s%n%n%b%x00"]
        out = subprocess.run(command, check=True, capture_output=True).stdout
        found += out.decode("utf-8", "replace").split("\0")
    return found


def pipeline(*categories: Category) -> Pipeline:
    actions = dict.fromkeys(categories, Action.REDACT)
    return Pipeline({DataClass.INTERNAL: Policy(input=actions, output=actions)})


def throughput(texts: dict[str, str], *, with_presidio: bool) -> None:
    print("\nSecrets and personal data, MB per CPU second")
    guards = pipeline(Category.SECRETS, Category.PERSONAL)
    peers = {"detect-secrets": detect_secrets}
    if with_presidio:
        peers["presidio patterns"] = presidio
    for name, text in texts.items():
        cold = time.process_time()
        guards.scan_input(text)
        cold = time.process_time() - cold
        ours = cpu(lambda text=text: guards.scan_input(text))  # type: ignore[misc]
        found = len(guards.scan_input(text).findings)
        size = len(text.encode()) / 1e6
        print(
            f"  {name:<6} lockgate {size / ours:8.2f}  (first time {size / cold:.2f}; "
            f"{found} findings in {size:.1f} MB)"
        )
        for peer, run in peers.items():
            sample = text[:PEER_SAMPLE]
            seconds = run(sample)
            if seconds is None:
                print(f"  {'':<6} {peer}: not installed")
                continue
            print(f"  {'':<6} {peer} {len(sample) / 1e6 / seconds:8.2f}")


def prompt(texts: dict[str, str]) -> None:
    print("\nAll guards on 4 KB prompts, CPU microseconds (goal 300)")
    guards = pipeline(Category.SECRETS, Category.PERSONAL, Category.INJECTION)
    for name, text in texts.items():
        prompts = [text[at : at + PROMPT] for at in range(0, len(text), PROMPT)]
        prompts = [p for p in prompts if len(p) == PROMPT]

        half = len(prompts) // 2
        for text_ in prompts[:half]:
            guards.scan_input(text_)
        started = time.process_time()
        for text_ in prompts[half:]:
            guards.scan_input(text_)
        unseen = (time.process_time() - started) / (len(prompts) - half) * 1e6
        times = []
        for text_ in prompts:
            started = time.process_time()
            for _ in range(3):
                guards.scan_input(text_)
            times.append((time.process_time() - started) / 3e-6)
        times.sort()
        mean, p50, p99 = (
            sum(times) / len(times), times[len(times) // 2], times[len(times) * 99 // 100]
        )  # fmt: skip
        print(
            f"  {name:<6} mean {mean:5.0f}  p50 {p50:5.0f}  p99 {p99:5.0f}  "
            f"text that was never seen: mean {unseen:5.0f}"
        )


def stream(text: str) -> None:
    everything = (Category.SECRETS, Category.PERSONAL, Category.LINKS)
    guards = pipeline(*everything)
    chunks = [text[at : at + 4] for at in range(0, 40_000, 4)]

    def run() -> None:
        guard = guards.output_stream(Scanned(text=""))
        for chunk in chunks:
            guard.feed(chunk)
        guard.finish()

    print(f"\nStream, chunks of 4 characters: {cpu(run) / len(chunks) * 1e6:.1f} us CPU a chunk")
    guard = guards.output_stream(Scanned(text=""))
    held = []
    for chunk in chunks:
        guard.feed(chunk)
        held.append(guard.held)
    held.sort()
    print(f"  bytes held back: p50 {held[len(held) // 2]}  p99 {held[len(held) * 99 // 100]}")


def hostile(rule: Rule) -> Iterable[tuple[str, str]]:
    """Yield texts that keep a rule busy: its examples, their beginnings, and what is between."""
    dice = random.Random(SEED)
    examples = [expand(p) for p in rule.positives]
    yield "matches", "\n".join(examples)
    yield "matches, no space", "".join(examples)
    yield "beginnings", "".join(e[: max(1, len(e) - 1)] for e in examples)
    yield "first halves", "".join(e[: max(1, len(e) // 2)] for e in examples)
    letters = sorted({c for e in examples for c in e})
    yield "its characters", "".join(dice.choices(letters, k=100_000))
    yield "one character", examples[0][len(examples[0]) // 2]
    yield (
        "pieces",
        "".join(
            e[a : a + dice.randrange(1, 9)]
            for e in dice.choices(examples, k=20_000)
            for a in (dice.randrange(len(e)),)
        ),
    )


def adversarial() -> None:
    print("\n1 MB of hostile text, CPU ms (goal 100 for any rule): the slowest")
    hosts = validators(("allowed.example",))
    rows: list[tuple[float, str, str, int]] = []
    ended = 0
    for category in CATALOGUES:
        for rule in load_rules(category):
            alone = RuleSet([rule], hosts)
            for name, unit in hostile(rule):
                text = (unit * (HOSTILE // len(unit.encode()) + 1))[:HOSTILE]
                guard = StreamGuard(alone, Handling(lambda _: Action.REDACT, Vault()))
                started = time.process_time()
                guard.whole(text)
                took = (time.process_time() - started) * 1e3
                rows.append((took, rule.id, name, len(guard.findings)))
                ended += guard.blocked is not None
    rows.sort(reverse=True)
    for took, rule_id, name, count in rows[:12]:
        print(f"  {took:7.1f}  {rule_id}, {name} ({count} findings)")
    print(
        f"  {sum(row[0] <= 100 for row in rows)} of {len(rows)} within 100 ms; "
        f"{ended} ended early, with more matches than can be judged"
    )
    guards = pipeline(*CATALOGUES, Category.INJECTION)
    dice = random.Random(SEED)
    every = [expand(p) for c in CATALOGUES for rule in load_rules(c) for p in rule.positives]
    mixed = "".join(e[: dice.randrange(1, len(e) + 1)] for e in dice.choices(every, k=60_000))
    started = time.process_time()
    blocked = guards.scan_input(mixed[:HOSTILE]).blocked
    print(
        f"  all rules, their pieces mixed: {(time.process_time() - started) * 1e3:.0f} ms"
        f"{' and blocked' if blocked else ''}"
    )


def injection(commits: Sequence[str], code: str) -> None:
    guard = InjectionGuard()
    print(
        "\nInjections: texts that no feature was made from; totals were seen while thresholds were chosen"
    )
    for name, retrieved in (("input", False), ("retrieved", True)):
        for attacks, benign in ((ATTACKS, BENIGN), (SECOND_ATTACKS, SECOND_BENIGN)):
            hits = sum(bool(guard.suspects(t, retrieved=retrieved)) for t in attacks)
            wrong = sum(bool(guard.suspects(t, retrieved=retrieved)) for t in benign)
            print(
                f"  {name:<10} recall {hits}/{len(attacks)}  precision {hits}/{hits + wrong}  "
                f"false positives {wrong}/{len(benign)}"
            )
        real = sum(bool(guard.suspects(t, retrieved=retrieved)) for t in commits)
        in_code = len(guard.suspects(code, retrieved=retrieved))
        print(
            f"  {'':<10} commit messages with a false positive {real}/{len(commits)}; "
            f"in {len(code) / 1e6:.1f} MB of code {in_code}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=Path)
    parser.add_argument("--code", type=Path, default=Path(sys.prefix) / "lib")
    parser.add_argument("--presidio", action="store_true")
    given = parser.parse_args()
    commits = messages(given.repositories) if given.repositories else []
    texts = {"code": read(given.code, SAMPLE), "logs": logs(SAMPLE)}
    if commits:
        texts["commits"] = "\n".join(commits)[:SAMPLE]
    prompt(texts)
    stream(texts["code"])
    adversarial()
    injection(commits, texts["code"])
    # Last, since what the peers leave in memory slows every collection of garbage.
    throughput(texts, with_presidio=given.presidio)


if __name__ == "__main__":
    main()
