"""`lockgate usage`: what the gateway's calls did cost."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table
from lockgate.cli.session import Session
from lockgate.domain.budget import UsageEvent
from lockgate.domain.digest import Json
from lockgate.domain.money import TokenCounts, money
from lockgate.errors import UsageError
from lockgate.ports import MOST_DIMENSIONS, UsageTotal

_DIMENSIONS = ("team", "key", "task", "route", "model", "release", "day")
_DATE = click.DateTime(["%Y-%m-%d"])
_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The options."""

    by: tuple[str, ...]
    days: int | None
    since: datetime | None
    until: datetime | None
    limit: int
    events: bool
    as_csv: bool
    as_json: bool

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """Return from when, and before when."""
        if self.days is not None and self.since is not None:
            raise UsageError("`--days` and `--since` are two beginnings", hint="choose one")
        # What was booked a moment ago is in the sum.
        until = now + timedelta(seconds=1) if self.until is None else _utc(self.until)
        if self.since is None:
            return until - timedelta(days=self.days or _DAYS), until
        since = _utc(self.since)
        if since >= until:
            raise UsageError(f"`--since` is {since:%Y-%m-%d} and `--until` is {until:%Y-%m-%d}")
        return since, until


@click.command(
    epilog=examples(
        "lockgate usage --by model --days 30",
        "lockgate usage --by team --by day --csv > costs.csv",
        "lockgate usage --by key --since 2026-10-01 --until 2026-11-01 --json",
        "lockgate usage --events --days 1 --json",
    )
)
@click.option(
    "--by",
    type=click.Choice(_DIMENSIONS),
    multiple=True,
    default=("team",),
    show_default=True,
    help=f"What to sum by; {MOST_DIMENSIONS} of them at most.",
)
@click.option("--days", type=click.IntRange(1, 3660), help=f"The last so many.  [default: {_DAYS}]")
@click.option("--since", type=_DATE, metavar="YYYY-MM-DD", help="From this day on (UTC).")
@click.option("--until", type=_DATE, metavar="YYYY-MM-DD", help="Before this day (UTC).")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--events", is_flag=True, help="Print every event, the oldest first, and no sums.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON array, events as JSON Lines; in nanos."
)
@click.pass_obj
def usage(session: Session, /, **options: Any) -> None:
    """Sum the usage ledger, the dearest first.

    Days whose events were rolled up (`books.usage_retention_days`) have sums and no events.
    """
    asked = _Asked(**options)
    if asked.as_csv and asked.as_json:
        raise UsageError("`--csv` and `--json` are two ways to print", hint="choose one")
    if asked.events:
        _print_events(session, asked)
    else:
        _print_sums(session, asked)


def _print_sums(session: Session, asked: _Asked) -> None:
    from lockgate.app.spending import usage_by

    by = tuple(dict.fromkeys(asked.by))
    if len(by) > MOST_DIMENSIONS:
        raise UsageError(f"`--by` is there {len(by)} times, the most is {MOST_DIMENSIONS}")
    since, until = asked.span(datetime.now(UTC))

    async def act() -> Sequence[UsageTotal]:
        async with session.store() as state:
            return await usage_by(state, by, since=since, until=until, limit=asked.limit)

    found = session.run(act)
    rows: list[dict[str, Json]] = [
        {
            **dict(zip(by, each.names, strict=True)),
            "calls": each.calls,
            **_amounts(each.counts, each.nanos),
        }
        for each in found
    ]
    if asked.as_json:
        data_json([*rows])
        return
    if asked.as_csv:
        _print_csv((*by, "calls", *_AMOUNTS), rows)
        return
    table(
        (*(name.upper() for name in by), "CALLS", "INPUT", "OUTPUT", "SECONDS", "COST"),
        [
            (
                *(name or "-" for name in each.names),
                str(each.calls),
                str(each.counts.input_tokens),
                str(each.counts.output_tokens),
                f"{each.counts.duration_us / 1e6:.1f}",
                money(each.nanos),
            )
            for each in found
        ],
    )


def _print_events(session: Session, asked: _Asked) -> None:
    from lockgate.app.spending import usage_pages

    since, until = asked.span(datetime.now(UTC))

    async def act() -> None:
        first = True
        async with session.store() as state:
            async for page in usage_pages(state, since=since, until=until):
                rows = [_event(event) for event in page]
                if asked.as_csv:
                    _print_csv(_EVENT, rows, header=first)
                else:
                    data("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
                first = False

    session.run(act)


_AMOUNTS = ("input_tokens", "cached_tokens", "output_tokens", "seconds", "nanos", "cost")
_EVENT = (
    "id",
    "at",
    "team",
    "key",
    "task",
    "route",
    "model",
    "release",
    *_AMOUNTS,
    "flags",
)


def _amounts(counts: TokenCounts, nanos: int) -> dict[str, Json]:
    return {
        "input_tokens": counts.input_tokens,
        "cached_tokens": counts.cached_tokens,
        "output_tokens": counts.output_tokens,
        "seconds": counts.duration_us / 1e6,
        "cost": money(nanos),
        "nanos": str(nanos),
    }


def _event(event: UsageEvent) -> dict[str, Json]:
    return {
        "id": event.id,
        "at": event.at.astimezone(UTC).isoformat(),
        "team": event.team,
        "key": event.key,
        "task": event.task,
        "route": event.route,
        "model": event.model,
        "release": event.release,
        **_amounts(event.counts, event.nanos),
        "flags": sorted(event.flags),
    }


def _print_csv(
    names: Sequence[str], rows: Sequence[Mapping[str, Json]], *, header: bool = True
) -> None:
    """Print as RFC 4180 has it, but with the line ends of this system."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(names)
    for row in rows:
        cells = (row[name] for name in names)
        writer.writerow(" ".join(map(str, c)) if isinstance(c, list) else c for c in cells)
    data(text.getvalue().removesuffix("\n"))


def _utc(day: datetime) -> datetime:
    return day.replace(tzinfo=UTC)
