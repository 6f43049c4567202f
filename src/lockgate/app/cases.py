"""Runs a task's evaluation cases through the engine."""

from collections.abc import Mapping

from lockgate.app.calls import new_call
from lockgate.app.engine import open_engine
from lockgate.app.progress import Quiet
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.task import Case
from lockgate.errors import LockgateError
from lockgate.ports import Task


async def run_cases(
    loaded: Loaded, environment: Environment, found: Task, engine: str
) -> list[dict[str, Json]]:
    """Return, for each case, its `name`, its `problems`, and the `release` that answered.

    `release` is None where nothing answered; `degraded` says why the answer is not as promised.
    """
    results: list[dict[str, Json]] = []
    async with open_engine(loaded, environment) as opened:
        for case in found.spec.cases:
            call = new_call(loaded, found.spec, case.input, engine=engine)
            problems: list[Json]
            release: str | None = None
            degraded: list[Json] = []
            try:
                answer = await opened.answering.answer(call, Quiet())
                release, degraded = str(answer.release), list(answer.degraded)
                problems = list(_differences(case, answer.output))
            except LockgateError as error:
                problems = [f"{error.code}: {error.message}"]
            results.append(
                {
                    "name": case.name,
                    "problems": problems,
                    "release": release,
                    "degraded": degraded,
                }
            )
    return results


def _differences(case: Case, output: JsonObject) -> list[str]:
    """Compare the members that the case expects; others may be anything."""
    found: list[str] = []

    def compare(path: str, expected: Json, actual: Json) -> None:
        if isinstance(expected, Mapping) and isinstance(actual, Mapping):
            for name, value in expected.items():
                compare(f"{path}.{name}" if path else name, value, actual.get(name))
        elif expected != actual:
            found.append(f"`{path}` is {actual!r}, expected {expected!r}")

    compare("", case.expect, output)
    return found
