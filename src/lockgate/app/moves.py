"""Lets releases take over, as the command line and the admin API ask for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lockgate.app.state import open_store
from lockgate.app.trust import trust_store, unattended_signer
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest
from lockgate.errors import InvalidInput, Overloaded, StorageFailed, Unavailable
from lockgate.ports import State

if TYPE_CHECKING:
    from lockgate.app.promotion import Outcome
    from lockgate.signing.keys import Signer

TIMEOUT_S: Final = 120.0
"""The gate hashes all that a release pins."""
_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Which release is to run where."""

    environment: str
    actor: str
    reason: str = ""
    release: str | None = None
    """As people call it. None: what to go back to."""
    task: str | None = None
    """To go back in; None: go forward, in that of the release."""
    explain: bool = False
    """Change nothing."""


async def move(
    wanted: Move,
    loaded: Loaded,
    environment: Environment,
    state: State,
    *,
    signer: "Callable[[], Signer | None]",
) -> "Outcome":
    """Ask the gate, and do what it allows. `signer` is opened only then.

    Raises:
        NotFound: nothing is called that, or there is nothing to go back to.
        InvalidInput: the release is of another task.
        UsageError: a name is not usable, or a verdict is to be signed and no key is there for it.
        InvalidConfig, Corrupt: the policy, the trust root or the release has problems.
        StorageFailed: another release took over meanwhile.

    """
    from lockgate.app.decisions import documents
    from lockgate.app.evidence import Question
    from lockgate.app.policies import policy_in_force
    from lockgate.app.promotion import apply, ask
    from lockgate.domain.gate.evidence import Intent
    from lockgate.domain.promotion import checked_name

    checked_name(wanted.environment, "an environment")
    now = datetime.now(UTC)
    policy = policy_in_force(loaded, environment)
    question = Question(
        release=await _release(wanted, environment, state),
        environment=wanted.environment,
        intent=Intent.PROMOTE if wanted.task is None else Intent.ROLLBACK,
        policy=policy,
        trust=trust_store(environment).load(now),
        now=now,
        actor=wanted.actor,
        reason=wanted.reason,
    )
    rests = documents(policy, environment)
    outcome = await ask(question, loaded, environment, state)
    if wanted.task not in {None, outcome.decision.task}:
        raise InvalidInput(
            f"the release {question.release} is of `{outcome.decision.task}`, "
            f"not of `{(wanted.task or '')[:80]}`"
        )
    if wanted.explain:
        return outcome
    opened = signer() if outcome.decision.allowed else None
    return await apply(question, outcome, environment, state, rests=rests, signer=opened)


async def _release(wanted: Move, environment: Environment, state: State) -> Digest:
    from lockgate.app.models import release_store
    from lockgate.app.promotion import previous_release
    from lockgate.app.release_build import find_release

    if wanted.release is not None:
        return await find_release(wanted.release, release_store(environment), state)
    assert wanted.task is not None, "one of them is named"
    return await previous_release(state, wanted.task, wanted.environment)


async def moves_nothing(wanted: Move) -> "Outcome":
    """Refuse. Raises Unavailable."""
    raise Unavailable(f"no release is moved to `{wanted.environment}` here")


class Mover:
    """Moves releases for the admin API: one at a time, on a thread with a connection of its own.

    What a client that goes away has asked for is done all the same.
    """

    def __init__(self, loaded: Loaded, environment: Environment) -> None:
        """Open the key that signs verdicts, if one is configured. Raises as `unattended_signer`."""
        self._loaded = loaded
        self._environment = environment
        name = loaded.config.policy.gate_signer
        self._signer = None if name is None else unattended_signer(loaded, environment, name)
        self._running: asyncio.Future[Outcome] | None = None

    async def move(self, wanted: Move) -> "Outcome":
        """Do what `move` does.

        Raises:
            Overloaded: another one is being done.
            StorageFailed: it takes too long; whether it will be done is not known.
            LockgateError: what `move` raises.

        """
        if self._running is not None and not self._running.done():
            raise Overloaded("another release is being moved", retry_after_s=_RETRY_S)
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(None, lambda: asyncio.run(self._work(wanted)))
        self._running.add_done_callback(lambda done: done.exception())  # nobody may wait for it
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.shield(self._running)
        except TimeoutError:
            raise StorageFailed(
                f"the gate did not answer in {TIMEOUT_S:.0f} s",
                hint="the release may take over yet: look before you try again",
            ) from None

    async def close(self) -> None:
        """Wait for what is being done."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _work(self, wanted: Move) -> "Outcome":
        async with open_store(self._loaded, self._environment) as state:
            return await move(
                wanted, self._loaded, self._environment, state, signer=lambda: self._signer
            )
