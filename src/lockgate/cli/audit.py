"""`lockgate audit`: read, verify and export what happened."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.cli.signer import passphrase_file_option, signer
from lockgate.domain.audit import AuditEvent, Head, end, follow
from lockgate.domain.checkpoint import Watch
from lockgate.domain.digest import Digest, Json
from lockgate.errors import Corrupt, NotFound, StorageFailed

EXIT_BROKEN = 1
PAGE = 500
SHOWN = 160
MAX_CHECKPOINT_BYTES = 64 << 10
_PAYLOADS = ("input", "output", "record")


@click.group()
def audit() -> None:
    """Read, verify and export the audit log."""


@audit.command(
    "list", epilog=examples("lockgate audit list --limit 50", "lockgate audit list --json")
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--task", help="Only calls of this task.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_events(session: Session, limit: int, task: str | None, *, as_json: bool) -> None:
    """List the newest events, newest first."""
    events = session.run(partial(_recent, session, limit, task))
    if as_json:
        data_json([event.document for event in events])
        return
    rows = [
        (
            event.entry.at.strftime("%Y-%m-%d %H:%M:%SZ"),
            event.entry.id,
            event.entry.action,
            event.entry.subject,
            str(event.entry.detail.get("engine") or event.entry.detail.get("upstream") or "-"),
            _outcome(event),
            event.entry.actor,
        )
        for event in events
    ]
    table(("TIME", "ID", "ACTION", "SUBJECT", "ENGINE", "OUTCOME", "ACTOR"), rows)


@audit.command("show", epilog=examples("lockgate audit show last", "lockgate audit show ID --json"))
@click.argument("call_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the payloads.")
@click.pass_obj
def show_event(session: Session, call_id: str, *, as_json: bool) -> None:
    """Show the newest event of the call ID (or `last`), and its content if it is still kept."""
    event, payloads = session.run(partial(_event, session, call_id))
    if as_json:
        data_json({**event.document, "payloads": payloads})
        return
    for name, value in event.document.items():
        if name != "detail":
            data(f"{name:<12} {value}")
    for name, value in event.entry.detail.items():
        kept = ""
        if name in _PAYLOADS and value is not None:
            kept = "  (kept)" if payloads.get(name) is not None else "  (no longer kept)"
        data(f"  {name:<12} {_short(value)}{kept}")


@audit.command(
    "verify",
    epilog=examples("lockgate audit verify", "lockgate audit verify --file audit.jsonl")
    + "\n\n\b\nExit status: 0 whole, 1 broken.",
)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An export to verify, with no database.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A signed checkpoint that the log must agree with.",
)
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A key that checkpoints count by, beside those of the trust root.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def verify_log(
    session: Session,
    path: Path | None,
    checkpoints: tuple[Path, ...],
    public_keys: tuple[Path, ...],
    *,
    as_json: bool,
) -> int:
    """Check that no event was edited, removed, reordered, added or cut off."""
    where = str(path) if path else "the audit log"
    try:
        watch = _watch(session, checkpoints, public_keys)
        count = _verify_file(path, watch) if path else session.run(partial(_verify, session, watch))
    except Corrupt as error:
        if as_json:
            data_json({"whole": False, "problem": error.message, "hint": error.hint})
        else:
            data(f"BROKEN: {error.message}")
            words(f"hint: {error.hint or 'compare it with an earlier export'}")
        return EXIT_BROKEN
    if as_json:
        data_json({"whole": True, "events": count})
    else:
        data(f"{where} is whole: {count} event(s)")
    return 0


@audit.command(
    "export",
    epilog=examples("lockgate audit export -o audit.jsonl", "lockgate audit export | gzip"),
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file."
)
@click.pass_obj
def export_log(session: Session, output: Path | None) -> None:
    """Print the whole log as JSON Lines; the last line is the head of the chain."""
    if output is None:
        session.run(partial(_export, session, sys.stdout.buffer.write))
        return
    partial_path = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        with partial_path.open("wb") as file:
            count = session.run(partial(_export, session, file.write))
        partial_path.replace(output)
    except OSError as error:
        partial_path.unlink(missing_ok=True)
        raise StorageFailed(f"`{output}` cannot be written: {error.strerror}") from error
    words(f"{count} event(s) in {output}")


async def _recent(session: Session, limit: int, task: str | None) -> list[AuditEvent]:
    async with session.store() as store, store.begin() as unit:
        return list(await unit.recent(limit=limit, task=task))


async def _event(session: Session, call_id: str) -> tuple[AuditEvent, dict[str, Json]]:
    import json

    async with session.store() as store, store.begin() as unit:
        if call_id == "last":
            event = next(iter(await unit.recent(limit=1)), None)
        else:
            event = await unit.event(call_id)
        if event is None:
            raise NotFound(
                f"no call `{call_id}` is in the audit log",
                hint="list calls with `lockgate audit list`",
            )
        payloads: dict[str, Json] = {}
        for name in _PAYLOADS:
            digest = event.entry.detail.get(name)
            content = await unit.payload(Digest.parse(digest)) if isinstance(digest, str) else None
            payloads[name] = json.loads(content) if content else None
    return event, payloads


async def _verify(session: Session, watch: Watch) -> int:
    async with session.store() as store, store.begin() as unit:
        at = Head()
        while events := await unit.events(after=at.seq, limit=PAGE):
            for event in events:
                at = follow(at, event)
                watch.follow(event)
        end(at, await unit.head())
        watch.end(at)
        return at.seq


def _watch(session: Session, checkpoints: Sequence[Path], public_keys: Sequence[Path]) -> Watch:
    if not checkpoints:
        return Watch(())
    from lockgate.app.audit_log import read_checkpoints
    from lockgate.cli.files import read_file

    files = [read_file(path, MAX_CHECKPOINT_BYTES) for path in checkpoints]
    keys = [read_file(path, MAX_CHECKPOINT_BYTES) for path in public_keys]
    return Watch(read_checkpoints(files, keys, session.environment))


def _verify_file(path: Path, watch: Watch) -> int:
    from lockgate.domain.audit_export import verify_export

    try:
        with path.open("rb") as file:
            count = verify_export(_lines(file))
        with path.open("rb") as file:
            _verify_checkpoints(file, watch)
    except OSError as error:
        raise NotFound(
            f"`{path}` cannot be read: {error.strerror}",
            hint="write one with `lockgate audit export -o FILE`",
        ) from error
    return count


def _verify_checkpoints(file: BinaryIO, watch: Watch) -> None:
    """Hold an export that is whole against checkpoints."""
    from lockgate.domain.audit_export import decode_event

    at = Head()
    for line in _lines(file):
        if line.startswith(b'{"head":'):
            break
        event = decode_event(line.removesuffix(b"\n"))
        watch.follow(event)
        at = Head(seq=event.seq, digest=event.digest)
    watch.end(at)


@audit.command(
    "checkpoint",
    epilog=examples(
        "lockgate audit checkpoint --sign build -o 2026-11-21.checkpoint",
        "lockgate audit verify --checkpoint 2026-11-21.checkpoint --public-key build.pub",
    ),
)
@click.option("--sign", "key", required=True, metavar="KEY", help="The key that signs.")
@passphrase_file_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to; keep it where the database's administrators cannot write.",
)
@click.pass_obj
def checkpoint(session: Session, key: str, passphrase_file: Path | None, output: Path) -> None:
    """Sign what the log is now, so that a log that was rewritten as a whole shows."""
    from datetime import UTC, datetime

    from lockgate.app.audit_log import make_checkpoint
    from lockgate.cli.files import write_file

    with_key = signer(session, key, passphrase_file)

    async def act() -> bytes:
        async with session.store() as state:
            return await make_checkpoint(state, with_key, datetime.now(UTC))

    write_file(output, session.run(act))
    words(f"next: lockgate audit verify --checkpoint {output}")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Read lines with a bound, so that a file with no line feed does not fill the memory."""
    from lockgate.domain.audit_export import MAX_LINE_BYTES

    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line


async def _export(session: Session, write: Callable[[bytes], object]) -> int:
    from lockgate.domain.audit_export import encode_event, encode_head

    async with session.store() as store, store.begin() as unit:
        at = Head()
        while events := await unit.events(after=at.seq, limit=PAGE):
            for event in events:
                write(encode_event(event) + b"\n")
            at = Head(seq=events[-1].seq, digest=events[-1].digest)
        write(encode_head(await unit.head()) + b"\n")
        return at.seq


def _outcome(event: AuditEvent) -> str:
    detail = event.entry.detail
    # Of a call of a model: what the client got.
    outcome = str(detail.get("outcome") or detail.get("error") or detail.get("status") or "-")
    return f"{outcome}, degraded" if detail.get("degraded") else outcome


def _short(value: Json) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
