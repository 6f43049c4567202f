"""A suite in a folder, run with providers that the test writes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lockgate.domain.digest import Json
from lockgate.evals.asking.services import Embed
from lockgate.evals.assertion import Assertion, Context, Graded, Response
from lockgate.evals.assertions import registry
from lockgate.evals.expand import Case, Expansion
from lockgate.evals.files import Files
from lockgate.evals.gate.rule import wanted
from lockgate.evals.load import load_suite
from lockgate.evals.observe import observe
from lockgate.evals.order import Order
from lockgate.evals.report.document import Report
from lockgate.evals.results import Journal, Result, read_results
from lockgate.evals.run import Runner
from lockgate.evals.suite import Suite
from lockgate.evals.summary import Summary

Answer = Callable[[Case], Awaitable[Response]]


class Counting:
    """Implements `ports.Progress`."""

    def __init__(self) -> None:
        self.steps = 0

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None:
        self.steps += steps

    def finish(self) -> None: ...


async def echo(case: Case) -> Response:
    return Response(output=case.sent, latency_ms=1.0, cost=0.0)


def write(folder: Path, text: str, **files: str) -> Path:
    """Write a suite, and files whose names have `_` for the dot."""
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(content)
    path = folder / "promptfooconfig.yaml"
    path.write_text(text)
    return path


def load(folder: Path, text: str, **files: str) -> Suite:
    return load_suite(write(folder, text, **files), root=folder)


def run(
    suite: Suite,
    respond: Answer = echo,
    *,
    embed: Embed | None = None,
    concurrency: int = 4,
    release: str = "",
    order: Order | None = None,
    **members: Any,
) -> tuple[Summary, list[Result], Report]:
    """Run a suite as the program does, and return its summary, its results and its report."""
    files = Files(suite.folder, suite.folder.resolve())
    summary = Summary(gate=suite.gate, derived=suite.metrics)
    path = suite.folder / "results.jsonl"
    runner = Runner(
        respond=respond,
        files=files,
        embed=embed,
        observe=partial(observe, wanted(suite.gate.rules)) if suite.gate.rules else None,
        concurrency=concurrency,
        **members,
    )
    cases = order.items if order else Expansion(suite, files, release=release)

    async def work() -> None:
        with Journal(path) as journal:
            await runner.run(cases, journal, summary, Counting())
            journal.finish()

    asyncio.run(work())
    report = Report(
        suite="promptfooconfig.yaml",
        description=suite.description,
        version="0",
        summary=summary,
        results=lambda: read_results(path),
    )
    return summary, list(read_results(path)), report


def ask(type_: str, output: Json, value: Json = None, **members: object) -> Graded:
    """Ask one assertion; members of the context are `response`, `tools`, `vectors`."""
    context = Context(
        response=members.pop("response", Response(output=output)),  # type: ignore[arg-type]
        variables={},
        **{n: members.pop(n) for n in ("tools", "functions", "vectors") if n in members},  # type: ignore[arg-type]
    )
    inverse = type_.startswith("not-")
    name = type_.removeprefix("not-")
    assertion = Assertion(
        type=name,
        inverse=inverse,
        value=value,
        has_value=value is not None,
        **members,  # type: ignore[arg-type]
    )
    return registry.grade(name)(assertion, output, context)


def outcomes(results: Sequence[Result]) -> list[str]:
    return [str(result.outcome) for result in results]
