"""`lockgate replay ID`."""

from functools import partial
from typing import TYPE_CHECKING

import click

from lockgate.cli.output import data, data_json
from lockgate.cli.session import Session

if TYPE_CHECKING:
    from lockgate.engine.replay import Replay

EXIT_DIFFERENT = 1

EPILOG = """\b
Examples:
  lockgate replay 01932f6e-8a5c-7d3e-9b1a-2f4c6e8a0b1d
  lockgate replay last --json

\b
Exit status: 0 the same bytes, 1 different bytes."""


@click.command(epilog=EPILOG)
@click.argument("call_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def replay(session: Session, call_id: str, *, as_json: bool) -> int:
    """Run the call ID again from its audit record, and say whether the bytes are the same.

    ID is the call's id, or `last` for the newest.
    """
    result = session.run(partial(_replay, session, call_id))
    if as_json:
        data_json(
            {
                "call": result.call,
                "repeat": result.repeat,
                "same": result.same,
                "recorded": str(result.recorded),
                "replayed": str(result.replayed),
                "release_then": str(result.release_then),
                "release_now": str(result.release_now),
                "engine": str(result.answer.engine),
            }
        )
    else:
        data("same bytes" if result.same else "different bytes")
        data(f"  recorded  {result.recorded}")
        data(f"  replayed  {result.replayed}")
        if result.release_then != result.release_now:
            data(f"  release   was {result.release_then}, is {result.release_now}")
        if not result.same and result.answer.degraded:
            data(f"  degraded  {'; '.join(result.answer.degraded)}")
    return 0 if result.same else EXIT_DIFFERENT


async def _replay(session: Session, call_id: str) -> "Replay":
    from lockgate.app.calls import new_id, os_user
    from lockgate.app.engine import open_engine

    async with open_engine(session.loaded, session.environment) as engine:
        if call_id == "last":
            async with engine.store.begin() as unit:
                recent = await unit.recent(limit=1)
            call_id = recent[0].entry.id if recent else call_id
        return await engine.replaying.replay(
            call_id, repeat_id=new_id(), principal=os_user(), progress=session.progress()
        )
