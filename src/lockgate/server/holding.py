"""What one call holds while it runs: its place in the limits, and its reservation in the books."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.app.billing import Bill, BilledCall, Candidate
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError, Overloaded, TurnedOff
from lockgate.server.exchange import Exchange
from lockgate.server.failures import NO_USE, HttpFailure
from lockgate.traffic.rate_limits import Taken

_CHARACTERS_A_TOKEN = 4
_RETRY_S = 1.0


@dataclass(slots=True)
class Held:
    """Given back once, however the call ends. Mutable, and private to one call."""

    controls: Controls
    taken: Taken | None = None
    bill: Bill | None = None
    nanos: int = 0
    """What was booked for the answer."""
    lost_tokens: int = 0
    lost_nanos: int = 0
    """Of answers that were paid for, and that nobody got."""
    bills: int = 1

    def settle(
        self, counts: TokenCounts, *, answered: ServedModel | None, cancelled: bool = False
    ) -> None:
        """Book what the call took, for the model that was asked last; None: nobody was asked."""
        if self.bill is not None:
            if answered is None:
                self.bill.cancel()
            else:
                self.nanos = self._book(self.bill, counts, answered, cancelled=cancelled)
        if self.taken is not None and self.controls.limits is not None:
            used = 0 if answered is None else counts.input_tokens + counts.output_tokens
            self.controls.limits.settle(self.taken, used + self.lost_tokens)

    def lose(self, counts: TokenCounts, *, answered: ServedModel) -> int:
        """Book an answer that nobody gets; return the nanos. Nothing is reserved then."""
        self.lost_tokens += counts.input_tokens + counts.output_tokens
        if self.bill is None:
            return 0
        bill, self.bill = self.bill, None
        nanos = self._book(bill, counts, answered, cancelled=True)
        self.lost_nanos += nanos
        return nanos

    def _book(
        self, bill: Bill, counts: TokenCounts, answered: ServedModel, *, cancelled: bool
    ) -> int:
        return bill.settle(
            counts,
            model=answered.name,
            release=answered.release.decode("ascii"),
            cancelled=cancelled,
        )


async def hold(
    controls: Controls,
    exchange: Exchange,
    chain: Sequence[ServedModel],
    *,
    sent: int,
    output_tokens: int,
) -> Held:
    """Take what the call may need: a place in every limit, and the most that it can cost.

    Raises:
        HttpFailure: a limit is reached; the answer says until when.
        OverBudget: a budget has not so much left.
        Denied: the model has no price.
        Unavailable: the budgets are not known.

    """
    estimate = sent // _CHARACTERS_A_TOKEN + output_tokens
    held = Held(controls)
    held.taken = take(controls, exchange, tokens=estimate)
    if controls.billing is not None:
        call = _billed(exchange, chain[0], exchange.id)
        ceiling = _ceiling(chain, sent, output_tokens)
        try:
            held.bill = await controls.billing.open(call, ceiling, _others(chain))
        except LockgateError:
            held.settle(TokenCounts(), answered=None)
            raise
    return held


async def hold_on(
    held: Held,
    exchange: Exchange,
    chain: Sequence[ServedModel],
    ceiling: tuple[int, int],
) -> None:
    """Reserve what those of a chain may cost that can still answer. Raises as `hold`.

    `ceiling` is bytes that are sent, and the most tokens that come back.

    Each answer is an event in the ledger, as each inference of a task is: `CALL`, `CALL.2`.
    """
    billing = held.controls.billing
    if billing is None:
        return
    held.bills += 1
    call = _billed(exchange, chain[0], f"{exchange.id}.{held.bills}")
    held.bill = await billing.open(call, _ceiling(chain, *ceiling), _others(chain))


def _billed(exchange: Exchange, model: ServedModel, name: str) -> BilledCall:
    caller = exchange.caller
    return BilledCall(
        id=name,
        key=caller.key,
        team=caller.team,
        route=exchange.route.name,
        model=model.name,
        release=model.release.decode("ascii"),
        local=isinstance(model, EmbeddedModel),
    )


def _ceiling(chain: Sequence[ServedModel], sent: int, output_tokens: int) -> TokenCounts:
    # A token is at least one byte of the request, so this is a ceiling and no estimate.
    return TokenCounts(input_tokens=sent, output_tokens=output_tokens, duration_us=_most_us(chain))


def _most_us(chain: Sequence[ServedModel]) -> int:
    most_s = chain[0].most_s if len(chain) == 1 else max([model.most_s for model in chain])
    return int(most_s * 1e6)


def _others(chain: Sequence[ServedModel]) -> Sequence[Candidate]:
    if len(chain) == 1:
        return ()
    return [Candidate(model=m.name, local=isinstance(m, EmbeddedModel)) for m in chain[1:]]


def with_prices(controls: Controls, chain: Sequence[ServedModel]) -> Sequence[ServedModel]:
    """Return a chain without the fallbacks that could not be billed."""
    billing = controls.billing
    if billing is None or len(chain) == 1:
        return chain
    first, *others = chain
    return [
        first,
        *(m for m in others if billing.has_price(m.name, local=isinstance(m, EmbeddedModel))),
    ]


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
        raise _limited(taken)
    return taken


def _limited(taken: Taken) -> HttpFailure:
    what = "tokens" if taken.by_tokens else "requests"
    if not math.isfinite(taken.retry_after_s):
        return HttpFailure(
            429,
            "rate-limited",
            f"the request has more {what} than a limit ever allows at once",
            headers=(NO_USE,),
            param=what,
        )
    seconds = max(1, math.ceil(taken.retry_after_s))
    return HttpFailure(
        429,
        "rate-limited",
        f"the limit of {what} is reached; try again in {seconds} s",
        headers=((b"retry-after", b"%d" % seconds),),
        param=what,
    )


def open_circuit(upstream: str, retry_after_s: float) -> Overloaded:
    """Return the error for an upstream that is given a rest."""
    error = Overloaded(
        f"the upstream `{upstream}` fails and is left alone for a while",
        retry_after_s=max(retry_after_s, _RETRY_S),
    )
    error.why = "circuit-open"
    return error
