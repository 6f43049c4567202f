"""Tasks over HTTP: `POST /v1/tasks/{task}`, its calls that run on, and one short path a task.

A call goes through the same function of the engine as `lockgate run`.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lockgate.app.calls import new_id
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_observed import Observer
from lockgate.app.gateway_task_meter import TaskMeter
from lockgate.app.task_billing import Payer
from lockgate.app.task_calls import Claim, OnceCalls, kept_answer, kept_failure
from lockgate.domain.call import Answer, Call, DataClass, EngineKind
from lockgate.errors import InvalidInput, LockgateError, NotFound, TurnedOff
from lockgate.ports import Task
from lockgate.server import tracing
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure
from lockgate.server.holding import take
from lockgate.server.task_input import input_of, query_of
from lockgate.server.task_jobs import (
    BROKEN,
    LOST,
    Job,
    failure_of,
    has_failed,
    is_later,
    state_of,
    told,
    until_recorded,
)
from lockgate.traffic.kill_switch import Leaves
from lockgate.traffic.rate_limits import Taken

MAX_KEPT = 2_000
MAX_OF_ONE = 200
"""Of one caller, so that nobody drives out what others may still ask for."""
KEPT_S = 24 * 3600.0
_SHOWN = 80
_STOP_S = 5.0
_KEY_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """Handles tasks. Accepted calls are held in memory, bounded in number and time."""

    tasks: Mapping[str, Task]
    answer: Callable[[Call, Payer, Observer], Awaitable[Answer]]
    meter: TaskMeter
    engine_of: Callable[[str], EngineKind]
    controls: Controls
    default_class: DataClass
    max_body_bytes: int
    once: OnceCalls | None = None
    """Where calls that are asked for again are known to other processes too."""
    jobs: "OrderedDict[str, Job]" = field(default_factory=OrderedDict)

    async def listed(self, exchange: Exchange) -> None:
        """Answer `GET /v1/tasks` with the tasks that the caller may call."""
        rows = [
            {"id": name, "object": "task", "title": task.spec.title, "version": task.spec.version}
            for name, task in sorted(self.tasks.items())
            if exchange.caller.may("task", name)
        ]
        await exchange.respond_json({"object": "list", "data": rows})

    async def shown(self, exchange: Exchange) -> None:
        """Answer `GET /v1/tasks/{task}` with its contract."""
        spec = self._find(exchange).spec
        await exchange.respond_json(
            {
                "id": spec.name,
                "object": "task",
                "title": spec.title,
                "version": spec.version,
                "input_schema": spec.input_schema,
                "output_schema": spec.output_schema,
                "formats": list(spec.formats),
            }
        )

    async def call(self, exchange: Exchange) -> None:
        """Answer `POST /v1/tasks/{task}`: the input as JSON, or as text where a task takes one."""
        task = self._find(exchange)
        form = self._form(exchange, task)
        off = self._off(task)
        taken = take(self.controls, exchange, tokens=0)
        job = await self._begin(exchange, task, off, taken)
        if is_later(exchange):
            await until_recorded(job)
            where = f"/v1/tasks/{task.spec.name}/calls/{job.id}"
            exchange.extra += [
                (b"location", where.encode("ascii")),
                (b"preference-applied", b"respond-async"),
            ]
            await exchange.respond_json(
                {"id": job.id, "object": "task.call", "status": "running", "url": where},
                status=202,
            )
            return
        await self._respond(exchange, task, await self._wait(exchange, job), form)

    async def plain(self, exchange: Exchange) -> None:
        """Answer one task's short path. Whatever the type says that is not JSON is the text."""
        exchange.params = {"task": exchange.route.name.removeprefix("short:")}
        await self.call(exchange)

    async def status(self, exchange: Exchange) -> None:
        """Answer `GET /v1/tasks/{task}/calls/{call}`."""
        task = self._find(exchange)
        name = exchange.params["call"]
        job = self.jobs.get(name)
        found: dict[str, Any] = {"id": name, "object": "task.call"}
        if job is None and self.once is not None:
            known = await self.once.find(name)
            if known is not None and (known.owner, known.task) == (
                _owner(exchange),
                task.spec.name,
            ):
                failed = told(LOST) if self.once.is_lost(known) else kept_failure(known)
                state = state_of(kept_answer(known)) if failed is None else failure_of(failed)
                await exchange.respond_json({**found, **state})
                return
        if job is None or job.owner != _owner(exchange) or job.task != task.spec.name:
            raise NotFound(f"there is no call `{name[:_SHOWN]}` of yours here")
        if not job.working.done():
            await exchange.respond_json({**found, **state_of(None)})
            return
        error = LOST if job.working.cancelled() else job.working.exception()
        if error is not None:
            failed = told(error if isinstance(error, LockgateError) else BROKEN)
            await exchange.respond_json({**found, **failure_of(failed)})
            return
        await exchange.respond_json({**found, **state_of(job.working.result())})

    async def drain(self) -> None:
        """Wait for the calls that run."""
        running = [job.working for job in self.jobs.values() if not job.working.done()]
        if running:
            await asyncio.wait(running)

    async def stop(self) -> None:
        """Cancel the calls that run, and wait until each is recorded and its key free again."""
        running = [job.working for job in self.jobs.values() if not job.working.done()]
        for working in running:
            working.cancel()
        if running:
            await asyncio.wait(running, timeout=_STOP_S)

    def _find(self, exchange: Exchange) -> Task:
        name = exchange.params["task"]
        # First the scope: whoever may not call a task does not learn whether there is one.
        exchange.require("task", name)
        task = self.tasks.get(name)
        if task is None:
            raise NotFound(f"there is no task `{name[:_SHOWN]}`", hint="see `GET /v1/tasks`")
        tracing.serves(exchange, task.spec.name)
        return task

    def _form(self, exchange: Exchange, task: Task) -> str:
        query = query_of(exchange)
        unknown = sorted(query.keys() - {"format", "engine"})
        if unknown:
            raise InvalidInput(
                f"there is no parameter `{unknown[0][:_SHOWN]}`", hint="it is `format` or `engine`"
            )
        form: str = query.get("format", ["json"])[-1]
        if form != "json" and form not in task.spec.formats:
            raise InvalidInput(
                f"`{task.spec.name}` has no format `{form[:_SHOWN]}`",
                hint=f"it has: {', '.join(task.spec.formats)}",
            )
        return form

    def _off(self, task: Task) -> str:
        """Return why no model may answer for a task; empty if one may.

        Raises:
            TurnedOff: the rules may not answer either.

        """
        kills = self.controls.switch.now
        kill = kills.of_task(task.spec.name) if kills.kills else None
        if kill is None:
            return ""
        reason = f"`{task.spec.name}` is turned off since {kill.at}: {kill.reason}"
        if kill.leaves is Leaves.NOTHING:
            raise TurnedOff(reason)
        return reason

    def _engine(self, exchange: Exchange, task: Task) -> EngineKind:
        wanted = query_of(exchange).get("engine")
        if wanted is None:
            return self.engine_of(task.spec.name)
        try:
            return EngineKind(wanted[-1])
        except ValueError:
            raise InvalidInput(
                f"there is no engine `{wanted[-1][:_SHOWN]}`", hint="it is `model` or `rules`"
            ) from None

    async def _begin(self, exchange: Exchange, task: Task, off: str, taken: Taken | None) -> Job:
        """Start a call, or find the one that had the same idempotency key."""
        engine = self._engine(exchange, task)
        data_class = exchange.data_class(self.default_class)
        body = await exchange.body(self.max_body_bytes)
        owner = _owner(exchange)
        key = exchange.headers.get(b"idempotency-key")
        if key is not None and not 0 < len(key) <= _KEY_CHARACTERS:
            raise InvalidInput(f"the idempotency key is not 1 to {_KEY_CHARACTERS} characters")
        # Before the look-up: between it and `_keep` another request must not start the same call.
        given = await input_of(exchange, task, body)
        digest = hashlib.sha256(f"{engine}\0{data_class}\0".encode() + body).digest()
        job_id = new_id() if key is None else _call_id(owner, task.spec.name, key)
        known = self.jobs.get(job_id)
        if known is not None and not has_failed(known):
            if known.digest != digest:
                raise _mismatch()
            exchange.cache = b"replayed"
            return known
        call = Call(
            id=exchange.id,
            principal=exchange.caller.principal,
            task=task.spec.name,
            input=given,
            engine=engine,
            data_class=data_class,
            without_models=off,
        )
        caller = exchange.caller
        payer = Payer(key=caller.key, team=caller.team, route=exchange.route.name)
        observer = Observer(trace=exchange.trace)
        make = partial(self.answer, call, payer, observer)
        claim = Claim(
            id=job_id,
            owner=owner,
            task=task.spec.name,
            digest=digest.hex(),
            holder=exchange.id,
        )
        later = is_later(exchange)
        working, recorded = self._start(claim, make, keyed=key is not None, later=later)
        self._watch(working, task, exchange, observer)
        if taken is not None:
            working.add_done_callback(partial(self._settle, taken))
        until = asyncio.get_running_loop().time() + KEPT_S
        job = Job(job_id, task.spec.name, owner, digest, working, until, recorded)
        if key is not None or later:
            self._keep(job)
            give_back = exchange.keep_body()
            working.add_done_callback(lambda _: give_back())
        return job

    def _watch(
        self,
        working: "asyncio.Future[Answer]",
        task: Task,
        exchange: Exchange,
        observer: Observer,
    ) -> None:
        """Count and trace a call at its end, whoever waits for it then."""
        team, began = exchange.caller.team, time.perf_counter()
        working.add_done_callback(partial(self._count, task, observer, began))
        working.add_done_callback(lambda _: self.meter.paid(team, observer))
        working.add_done_callback(lambda _: tracing.observed(exchange.trace, observer.found))

    def _start(
        self, claim: Claim, make: Callable[[], Awaitable[Answer]], *, keyed: bool, later: bool
    ) -> tuple["asyncio.Future[Answer]", asyncio.Event | None]:
        """Begin a call; return it, and what is set once other replicas know of it."""
        if self.once is None or not (keyed or later):
            return asyncio.ensure_future(make()), None
        recorded = asyncio.Event()
        if keyed:
            making = self._once(self.once, claim, make, recorded, keeps_failure=later)
        else:
            making = self.once.accept(claim, make, describe=told, recorded=recorded)
        return asyncio.ensure_future(making), recorded

    async def _once(
        self,
        once: OnceCalls,
        claim: Claim,
        make: Callable[[], Awaitable[Answer]],
        recorded: asyncio.Event,
        *,
        keeps_failure: bool,
    ) -> Answer:
        """Make a call, or return the answer that another process gave."""
        try:
            known = await once.claim(claim)
        finally:
            recorded.set()
        if known is None:
            return await once.make(claim, make, describe=told if keeps_failure else None)
        if known.digest != claim.digest:
            raise _mismatch()
        answer = kept_answer(known)
        if answer is None:
            raise HttpFailure(
                409,
                "call-running",
                "a call with this idempotency key is being made",
                headers=((b"retry-after", b"2"),),
            )
        return answer

    def _settle(self, taken: Taken, working: "asyncio.Future[Answer]") -> None:
        """Take the tokens that a call has used from the limits: before it nobody knows them."""
        if working.cancelled() or working.exception() is not None:
            return
        usage = working.result().usage
        if self.controls.limits is not None:
            self.controls.limits.settle(taken, usage.input_tokens + usage.output_tokens)

    def _count(
        self, task: Task, observer: Observer, began: float, working: "asyncio.Future[Answer]"
    ) -> None:
        error = None if working.cancelled() else working.exception()
        if working.cancelled() or isinstance(error, LockgateError):
            self.meter.failed(error if isinstance(error, LockgateError) else None, observer)
        elif error is None:
            spent = time.perf_counter() - began
            self.meter.answered(task.spec, working.result(), observer, spent)

    def _keep(self, job: Job) -> None:
        mine = [known for known in self.jobs.values() if known.owner == job.owner]
        if len(mine) >= MAX_OF_ONE:
            ended = next((known for known in mine if known.working.done()), None)
            if ended is None:
                job.working.cancel()
                raise _busy()
            del self.jobs[ended.id]
        now = asyncio.get_running_loop().time()
        while self.jobs:
            oldest = next(iter(self.jobs.values()))
            full = len(self.jobs) >= MAX_KEPT
            if not oldest.working.done():
                if full:
                    job.working.cancel()
                    raise _busy()
                break
            if not full and oldest.until > now:
                break
            self.jobs.popitem(last=False)
        self.jobs[job.id] = job

    async def _wait(self, exchange: Exchange, job: Job) -> Answer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            if job.id in self.jobs:
                # Others may wait for the same call: it goes on when this client leaves.
                return await asyncio.shield(job.working)
            return await job.working
        finally:
            exchange.waited += loop.time() - began

    async def _respond(self, exchange: Exchange, task: Task, answer: Answer, form: str) -> None:
        exchange.release = str(answer.release).encode("ascii")
        exchange.engine = str(answer.engine).encode("ascii")
        exchange.extra.append((b"x-lockgate-call", answer.call.encode("ascii")))
        if answer.degraded:
            exchange.extra.append((b"x-lockgate-degraded", b"true"))
        if form == "json":
            await exchange.respond_json(answer.document)
            return
        text = task.render(answer, form) + "\n"
        kind = (b"content-type", b"text/plain; charset=utf-8")
        await exchange.respond(text.encode("utf-8"), kind=kind)


def _mismatch() -> HttpFailure:
    return HttpFailure(
        422, "idempotency-mismatch", "the idempotency key was used for another input"
    )


def _busy() -> HttpFailure:
    headers = ((b"retry-after", b"5"),)
    return HttpFailure(503, "busy", "too many accepted calls run", headers=headers)


def _owner(exchange: Exchange) -> str:
    return exchange.caller.principal.name


def _call_id(owner: str, task: str, key: bytes) -> str:
    """Return the id of the call that an idempotency key stands for: one owner's, one task's."""
    text = b"\0".join((owner.encode(), task.encode(), key))
    return hashlib.sha256(text).hexdigest()[:32]
