"""`/admin/budgets` and `/admin/usage`: what may be spent, and what was."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec import UNSET

from lockgate.app.gateway_admin import StateBridge
from lockgate.app.spending import Standing, drop_budget, set_budget, standings, usage_by
from lockgate.domain.budget import Budget, Period
from lockgate.ports import Clock, UsageTotal
from lockgate.server import admin_documents as documents
from lockgate.server.admin_asking import body_of, query_of, respond
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure

_SPAN_S = 30 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingAdmin:
    """Handles budgets and the usage ledger."""

    bridge: StateBridge
    clock: Clock
    has_prices: bool
    """Without a price file nothing costs, and a budget would hold nothing back."""

    async def budgets(self, exchange: Exchange) -> None:
        """Answer with each budget in its present period."""
        query_of(exchange, documents.NoQuery)
        now = self.clock()
        found = await self.bridge.do(lambda state: standings(state, now))
        await respond(exchange, documents.Standings(data=[_standing(each) for each in found]))

    async def set_budget(self, exchange: Exchange) -> None:
        """Set or change a limit."""
        asked = await body_of(exchange, documents.NewBudget)
        if not self.has_prices:
            raise HttpFailure(
                409, "no-prices", "nothing has a price here, so a budget would hold nothing back"
            )
        period, now, actor = Period(asked.period), self.clock(), exchange.caller.principal.name
        budget = Budget(account=asked.account, period=period, nanos=int(asked.limit_nanos))
        await self.bridge.do(lambda state: set_budget(state, budget, actor=actor, now=now))
        await respond(
            exchange,
            documents.Budget(object="budget.set", account=budget.account, period=period),
        )

    async def drop_budget(self, exchange: Exchange) -> None:
        """Take a limit away."""
        asked = query_of(exchange, documents.BudgetQuery)
        period, now, actor = Period(asked.period), self.clock(), exchange.caller.principal.name
        await self.bridge.do(
            lambda state: drop_budget(state, asked.account, period, actor=actor, now=now)
        )
        await respond(
            exchange,
            documents.Budget(object="budget.dropped", account=asked.account, period=period),
        )

    async def usage(self, exchange: Exchange) -> None:
        """Answer with the sums of a time span, the dearest first."""
        asked = query_of(exchange, documents.UsageQuery)
        since, until = _span(asked, self.clock())
        by = (asked.by,) if asked.then is UNSET else (asked.by, asked.then)
        found = await self.bridge.do(
            lambda state: usage_by(state, by, since=since, until=until, limit=asked.limit)
        )
        await respond(
            exchange,
            documents.UsageSums(
                by=asked.by,
                then=asked.then,
                start_time=int(since.timestamp()),
                end_time=int(until.timestamp()),
                data=[_sum(each) for each in found],
            ),
        )


def _span(asked: documents.UsageQuery, now: datetime) -> tuple[datetime, datetime]:
    # What was booked a moment ago is in the sum.
    until = math.ceil(now.timestamp()) + 1 if asked.end_time is UNSET else asked.end_time
    since = max(0, until - _SPAN_S) if asked.start_time is UNSET else asked.start_time
    return datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)


def _standing(found: Standing) -> documents.Standing:
    return documents.Standing(
        account=found.budget.account,
        period=found.period,
        limit_nanos=str(found.budget.nanos),
        spent_nanos=str(found.spent),
        held_nanos=str(found.held),
        expired_nanos=str(found.expired),
    )


def _sum(found: UsageTotal) -> documents.UsageSum:
    return documents.UsageSum(
        name=found.names[0],
        then=found.names[1] if len(found.names) > 1 else UNSET,
        calls=found.calls,
        input_tokens=found.counts.input_tokens,
        cached_tokens=found.counts.cached_tokens,
        output_tokens=found.counts.output_tokens,
        duration_us=found.counts.duration_us,
        cost_nanos=str(found.nanos),
    )
