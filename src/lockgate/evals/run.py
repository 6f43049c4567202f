"""Runs cases: bounded, in parallel, resumable; results come out in the suite's order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import LockgateError, StorageFailed, UsageError
from lockgate.evals.asking.services import AskedGrade, Embed, Judge, JudgeFailed, RunCode, Services
from lockgate.evals.assertion import Assertion, Context, Detectors, Response
from lockgate.evals.assertions import registry
from lockgate.evals.assertions.similarity import compared_texts
from lockgate.evals.case_files import Broken
from lockgate.evals.expand import Case
from lockgate.evals.files import Files
from lockgate.evals.grading import (
    Grading,
    asked_assertions,
    filled,
    grade_case,
    seen,
    similar_assertions,
)
from lockgate.evals.read_assertions import LABEL
from lockgate.evals.results import Fault, Journal, Outcome, Result
from lockgate.evals.summary import Summary
from lockgate.evals.transform import transformed
from lockgate.ports import Progress

Respond: TypeAlias = Callable[[Case], Awaitable[Response]]

DEFAULT_CONCURRENCY = 4
_AHEAD = 16
"""Finished cases for each running one that may wait for an earlier one."""
_BREATH = 64
"""Cases between two looks at the event loop: answers that are there at once would starve it."""


@dataclass(slots=True, kw_only=True)
class Runner:
    """Everything that stays the same from case to case."""

    respond: Respond
    """Answers a case; called concurrently."""
    files: Files
    embed: Embed | None = None
    """Returns a vector a text, for `similar`."""
    judge: Judge | None = None
    run_code: RunCode | None = None
    input_schemas: Mapping[str, JsonObject] = field(default_factory=dict)
    """JSON Schemas of what providers take, by their ids."""
    detectors: Detectors = field(default_factory=Detectors)
    before: Callable[[Case], Sequence[Json]] | None = None
    """Returns the answer of the baseline to a case, if there is one."""
    observe: Callable[[Case, Response], JsonObject] | None = None
    """Returns what the suite's gates want to know of a case."""
    concurrency: int = DEFAULT_CONCURRENCY
    settled: Callable[[Result], bool] | None = None
    """Told each result in order; once it says yes, nothing after that result counts."""
    may_start: Callable[[], bool] | None = None
    """Whether there is time for another case; what has begun is finished."""
    outputs: bool = True
    """Whether results keep the outputs."""
    _finished: dict[int, Result | Broken] = field(default_factory=dict, init=False)
    _started: int = field(default=0, init=False)
    _written: int = field(default=0, init=False)
    _rows: dict[str, "asyncio.Future[list[Response | LockgateError]]"] = field(
        default_factory=dict, init=False
    )
    _stopped: bool = field(default=False, init=False)

    async def run(
        self, cases: Iterable[Case | Broken], journal: Journal, summary: Summary, progress: Progress
    ) -> None:
        """Run all cases. A cancelled run has written every case that was finished.

        Raises:
            StorageFailed: results cannot be written; those before are.
            InvalidConfig: a file of cases cannot be read at all.

        """
        self._finished.clear()
        self._started = self._written = 0
        self._stopped = False
        source = iter(cases)
        moved = asyncio.Event()
        work = [
            asyncio.ensure_future(self._work(source, journal, summary, progress, moved))
            for _ in range(self.concurrency)
        ]
        try:
            await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            # Out of order, at the end of an unfinished file: the next run finds them by their ids.
            for _, item in sorted(self._finished.items()):
                self._write(item, journal, summary, progress)
            self._finished.clear()

    async def _work(
        self,
        source: Iterator[Case | Broken],
        journal: Journal,
        summary: Summary,
        progress: Progress,
        moved: asyncio.Event,
    ) -> None:
        while True:
            while self._started - self._written >= self.concurrency * _AHEAD:
                moved.clear()
                await moved.wait()
            if self._stopped or (self.may_start and self._started and not self.may_start()):
                self._count_rest(source, summary)
                return
            item = next(source, None)
            if item is None:
                return
            number = self._started
            self._started += 1
            self._finished[number] = (
                item if isinstance(item, Broken) else await self._result(item, journal, summary)
            )
            while (ready := self._finished.pop(self._written, None)) is not None:
                self._written += 1
                self._write(ready, journal, summary, progress)
            moved.set()
            if number % _BREATH == 0:
                await asyncio.sleep(0)

    def _write(
        self, item: Result | Broken, journal: Journal, summary: Summary, progress: Progress
    ) -> None:
        if isinstance(item, Broken):
            summary.add_broken(item)
            return
        if self._stopped:
            summary.skipped += 1
            return
        journal.write(item)
        summary.add(item)
        progress.advance()
        self._stopped = self.settled is not None and self.settled(item)

    def _count_rest(self, source: Iterator[Case | Broken], summary: Summary) -> None:
        for item in source:
            if isinstance(item, Broken):
                summary.add_broken(item)
            else:
                summary.skipped += 1

    async def _result(self, case: Case, journal: Journal, summary: Summary) -> Result:
        known = journal.known(case.id, case.input)
        if known is not None and known.fault not in {Fault.PROVIDER, Fault.JUDGE}:
            summary.resumed += 1
            return known
        if case.problem:
            return _error(case, Fault.CASE, case.problem)
        row = await self._row(case) if case.peers else (await self._answer(case),)
        place = case.column if case.peers else 0
        response = row[place]
        if isinstance(response, UsageError):
            return _error(case, Fault.CASE, response.advice)
        if isinstance(response, LockgateError):
            return _error(case, Fault.PROVIDER, f"{response.code}: {response.advice}")
        if response.output is None:
            return _error(case, Fault.PROVIDER, "the provider gave no output")
        outputs = [r.output if isinstance(r, Response) else None for r in row]
        return await self._graded(case, response, outputs, place)

    async def _answer(self, case: Case) -> Response | LockgateError:
        """Return the answer, or the error in place of one. Raises StorageFailed."""
        try:
            return await self._response(case)
        except StorageFailed:
            raise
        except LockgateError as error:
            return error

    async def _row(self, case: Case) -> Sequence[Response | LockgateError]:
        """Return the answers of all providers and prompts; asked once for all of them."""
        key = case.peers[0].id
        held = self._rows.get(key)
        if held is None:
            while len(self._rows) > self.concurrency * _AHEAD:
                del self._rows[next(iter(self._rows))]
            asking = asyncio.gather(*(self._answer(peer) for peer in case.peers))
            held = self._rows[key] = asyncio.ensure_future(asking)
        return await held

    async def _response(self, case: Case) -> Response:
        response = (
            Response(output=case.provider_output, latency_ms=0.0, cost=0.0)
            if case.provider_output is not None
            else await self.respond(case)
        )
        for code in (case.provider.transform, case.transform):
            if code and response.output is not None:
                response = replace(response, output=transformed(code, response.output))
        return response

    async def _graded(
        self, case: Case, response: Response, row: Sequence[Json], place: int
    ) -> Result:
        context = Context(
            response=response,
            variables=case.variables,
            tools=_list(case.provider.config, "tools"),
            functions=_list(case.provider.config, "functions"),
            prompt=case.sent,
            detectors=self.detectors,
            baseline=self.before(case) if self.before else (),
            row=row,
            place=place,
        )
        try:
            await self._embedded(case.assertions, context)
            await self._asked(case, context)
            grading = grade_case(case.assertions, case.threshold, context, self.files)
        except UsageError as error:
            return _error(case, Fault.CASE, error.advice, response.output)
        except JudgeFailed as error:
            return _error(case, Fault.JUDGE, error.advice, response.output)
        except StorageFailed:
            raise
        except LockgateError as error:  # the provider, asked once more by an assertion
            reason = f"{error.code}: {error.advice}"
            return _error(case, Fault.PROVIDER, reason, response.output)
        return Result(
            id=case.id,
            input=case.input,
            name=case.name,
            path=case.place.path,
            line=case.place.line,
            provider=case.provider.name,
            prompt=case.prompt.label,
            outcome=Outcome.PASSED if grading.passed else Outcome.FAILED,
            score=grading.score,
            reason=grading.reason,
            output=response.output if self.outputs else None,
            assertions=tuple(_parts(grading)),
            named={name: [score, weight] for name, (score, weight) in grading.named.items()},
            degraded=response.degraded,
            case=case.asked,
            observed=self.observe(case, response) if self.observe else {},
        )

    async def _asked(self, case: Case, context: Context) -> None:
        """Ask whom the case's assertions wait for, one after another."""
        services: Services | None = None
        for assertion in asked_assertions(case.assertions):
            services = services or Services(
                case=case,
                respond=self._response,
                judge=self.judge,
                embed=self._vectors if self.embed else None,
                run_code=self.run_code,
                input_schemas=self.input_schemas,
            )
            asked = filled(assertion, context.variables, self.files)
            grade: AskedGrade = registry.asked_grade(assertion.type)
            context.asked[id(assertion)] = await grade(
                asked, seen(asked, context), context, services
            )

    async def _embedded(self, assertions: Sequence[Assertion], context: Context) -> None:
        """Fetch the vectors that the case's assertions compare, in one call."""
        wanted: dict[str, None] = {}
        for assertion in similar_assertions(assertions):
            asked = filled(assertion, context.variables, self.files)
            wanted.update(dict.fromkeys(compared_texts(asked, seen(asked, context))))
        if not wanted or self.embed is None:
            return
        texts = list(wanted)
        context.vectors = dict(zip(texts, await self._vectors(texts), strict=True))

    async def _vectors(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        assert self.embed is not None
        try:
            return await self.embed(texts)
        except (StorageFailed, UsageError):
            raise
        except LockgateError as error:
            raise JudgeFailed(f"embeddings: {error.message}", hint=error.hint) from error


def _error(case: Case, fault: Fault, reason: str, output: Json = None) -> Result:
    return Result(
        id=case.id,
        input=case.input,
        name=case.name,
        path=case.place.path,
        line=case.place.line,
        provider=case.provider.name,
        prompt=case.prompt.label,
        outcome=Outcome.ERROR,
        score=0.0,
        reason=reason,
        fault=fault,
        output=output,
        case=case.asked,
    )


def _parts(grading: Grading) -> Iterator[JsonObject]:
    for part in grading.parts:
        assertion = part.assertion
        found: dict[str, Json] = {
            "type": assertion.name,
            "passed": part.graded.passed,
            "score": part.graded.score,
        }
        if assertion.metric:
            found["metric"] = assertion.metric
        if not part.graded.passed:
            found["reason"] = part.graded.reason
        if part.graded.method:
            found["method"] = part.graded.method
        if LABEL in assertion.options:
            found["label"] = assertion.options[LABEL]
        if assertion.line:
            found["line"] = assertion.line
        yield found


def _list(config: Mapping[str, Json], name: str) -> Sequence[Json] | None:
    found = config.get(name)
    return found if isinstance(found, list) else None
