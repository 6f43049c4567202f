"""What one call holds while it runs: its place in the limits, and its reservation in the books."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lockgate.app.billing import Bill, BilledCall
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_models import ServedModel
from lockgate.domain.money import TokenCounts
from lockgate.errors import Overloaded, TurnedOff
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure
from lockgate.server.replies import Usage
from lockgate.traffic.rate_limits import Taken

_CHARACTERS_A_TOKEN = 4
_RETRY_S = 1.0


@dataclass(slots=True)
class Held:
    """Given back once, however the call ends. Mutable, and private to one call."""

    controls: Controls
    estimate: int
    taken: Taken | None = None
    bill: Bill | None = None
    nanos: int = 0
    streamed_characters: int = 0
    began: float = field(default_factory=time.perf_counter)

    def settle(self, usage: Usage | None, *, sent: int, made: bool) -> None:
        """Book what the call took.

        `usage` None: the upstream did not say, so it is estimated from what went out, `sent`
        bytes, and what came back. Not `made`: nothing was asked of the upstream.
        """
        if self.bill is None and self.taken is None:
            return
        counts = _counts(usage) if usage is not None else self._estimated(sent, made=made)
        if self.bill is not None:
            if made:
                self.nanos = self.bill.settle(counts, cancelled=usage is None)
            else:
                self.bill.cancel()
        if self.taken is not None and self.controls.limits is not None:
            self.controls.limits.settle(self.taken, counts.input_tokens + counts.output_tokens)

    def _estimated(self, sent: int, *, made: bool) -> TokenCounts:
        if not made:
            return TokenCounts()
        return TokenCounts(
            input_tokens=sent // _CHARACTERS_A_TOKEN,
            output_tokens=-(-self.streamed_characters // _CHARACTERS_A_TOKEN),
            estimated=True,
        )


async def hold(
    controls: Controls, exchange: Exchange, *, model: str, sent: int, output_tokens: int
) -> Held:
    """Take what the call may need: a place in every limit, and the most that it can cost.

    Raises:
        HttpFailure: a limit is reached; the answer says until when.
        OverBudget: a budget has not so much left.
        Denied: the model has no price.
        Unavailable: the budgets are not known.

    """
    caller = exchange.caller
    estimate = sent // _CHARACTERS_A_TOKEN + output_tokens
    held = Held(controls, estimate)
    held.taken = take(controls, exchange, tokens=estimate)
    if controls.billing is not None:
        call = BilledCall(
            id=exchange.id,
            key=caller.key,
            team=caller.team,
            route=exchange.route.name,
            model=model,
            release=exchange.release.decode("ascii"),
        )
        # A token is at least one byte of the request, so this is a ceiling and no estimate.
        ceiling = TokenCounts(input_tokens=sent, output_tokens=output_tokens)
        held.bill = await controls.billing.open(call, ceiling)
    return held


def still_on(controls: Controls, chain: Sequence[ServedModel]) -> Sequence[ServedModel]:
    """Return what is left of a chain of models without those that are turned off.

    Raises:
        TurnedOff: nothing is.

    """
    kills = controls.switch.now
    if not kills.kills:
        return chain
    everything = kills.of_task("")
    left = [] if everything else [model for model in chain if not kills.of_model(model.name)]
    if left:
        return left
    off = everything or kills.of_model(chain[0].name)
    assert off is not None, "it leaves nothing of the chain"
    raise TurnedOff(f"`{chain[0].name}` is turned off since {off.at}: {off.reason}")


def take(controls: Controls, exchange: Exchange, *, tokens: int) -> Taken | None:
    """Take a place in every limit of the caller; None where there are none.

    Raises:
        HttpFailure: a limit is reached; the answer says until when.

    """
    if controls.limits is None:
        return None
    caller = exchange.caller
    subjects = (f"key:{caller.key}", f"team:{caller.team}", f"route:{exchange.route.name}")
    taken = controls.limits.take(subjects, tokens=tokens)
    exchange.extra += taken.headers()
    if not taken.allowed:
        exchange.extra = [row for row in exchange.extra if row[0] != b"retry-after"]
        raise _limited(taken.retry_after_s)
    return taken


def _limited(retry_after_s: float) -> HttpFailure:
    if not math.isfinite(retry_after_s):
        return HttpFailure(429, "rate-limited", "the request is larger than a limit ever allows")
    seconds = max(1, math.ceil(retry_after_s))
    return HttpFailure(
        429,
        "rate-limited",
        f"a limit is reached; try again in {seconds} s",
        headers=((b"retry-after", b"%d" % seconds),),
    )


def open_circuit(upstream: str, retry_after_s: float) -> Overloaded:
    """Return the error for an upstream that is given a rest."""
    return Overloaded(
        f"the upstream `{upstream}` fails and is left alone for a while",
        retry_after_s=max(retry_after_s, _RETRY_S),
    )


def _counts(usage: Usage) -> TokenCounts:
    given = max(0, usage.prompt_tokens)
    details = usage.prompt_tokens_details
    cached = 0 if details is None else min(max(0, details.cached_tokens), given)
    return TokenCounts(
        input_tokens=given,
        cached_tokens=cached,
        output_tokens=max(0, usage.completion_tokens),
    )
