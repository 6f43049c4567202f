"""`lockgate usage`: what the gateway's calls did cost."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

from lockgate.cli.output import data_json, table
from lockgate.cli.session import Session
from lockgate.domain.money import money
from lockgate.ports import UsageTotal

_DIMENSIONS = ("team", "key", "task", "route", "model")


@click.command(
    epilog="\b\nExamples:\n  lockgate usage --by model --days 30\n  lockgate usage --by key --json"
)
@click.option("--by", type=click.Choice(_DIMENSIONS), default="team", show_default=True)
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts in nanos.")
@click.pass_obj
def usage(session: Session, by: str, days: int, limit: int, *, as_json: bool) -> None:
    """Sum the usage ledger, the dearest first."""
    from lockgate.app.spending import usage_by

    until = datetime.now(UTC) + timedelta(seconds=1)

    async def act() -> Sequence[UsageTotal]:
        async with session.store() as state:
            since = until - timedelta(days=days)
            return await usage_by(state, by, since=since, until=until, limit=limit)

    found = session.run(act)
    if as_json:
        data_json(
            [
                {
                    by: each.name,
                    "calls": each.calls,
                    "input_tokens": each.counts.input_tokens,
                    "cached_tokens": each.counts.cached_tokens,
                    "output_tokens": each.counts.output_tokens,
                    "seconds": each.counts.duration_us / 1e6,
                    "nanos": str(each.nanos),
                }
                for each in found
            ]
        )
        return
    rows = [
        (
            each.name or "-",
            str(each.calls),
            str(each.counts.input_tokens),
            str(each.counts.output_tokens),
            f"{each.counts.duration_us / 1e6:.1f}",
            money(each.nanos),
        )
        for each in found
    ]
    table((by.upper(), "CALLS", "INPUT", "OUTPUT", "SECONDS", "COST"), rows)
