"""Rule 8, in time: the stage before, soak, freeze windows."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, defer, deny
from lockgate.domain.gate.matching import span
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import BreakGlass, FreezeWindow


def soak(case: Case) -> Iterator[Finding]:
    """Refuse a release that was not long enough in the stage before."""
    after, needed = case.rules.after, case.rules.soak
    if not after:
        return
    since = case.evidence.surroundings.previous_promoted_at
    release, environment = case.evidence.release.digest, case.evidence.environment
    glass = case.broken_glass(BreakGlass.SOAK)
    if glass is not None:
        yield allow(Rule.ENVIRONMENT, "soak", _set_aside("soak", glass.holder, glass.body.reason))
    elif since is None:
        yield deny(
            Rule.ENVIRONMENT,
            "stage",
            f"`{environment}` comes after `{after}`, and this release does not run there now",
            hint=f"promote it there first: `lockgate promote {release} --to {after}`",
        )
    elif case.now - since < needed:
        yield defer(
            Rule.ENVIRONMENT,
            "soak",
            f"the release has been in `{after}` for {span(case.now - since)}, "
            f"{span(needed)} required",
            until=since + needed,
        )
    else:
        yield allow(
            Rule.ENVIRONMENT,
            "soak",
            f"in `{after}` for {span(case.now - since)}, {span(needed)} required",
        )


def freeze(case: Case) -> Iterator[Finding]:
    """Refuse a promotion inside a freeze window."""
    for window in case.rules.freezes:
        end = frozen_until(window, case.now)
        if end is None:
            continue
        glass = case.broken_glass(BreakGlass.FREEZE)
        if glass is not None:
            text = _set_aside("freeze", glass.holder, glass.body.reason)
            yield allow(Rule.ENVIRONMENT, "freeze", text)
            continue
        yield defer(
            Rule.ENVIRONMENT,
            "freeze",
            f"`{case.evidence.environment}` is frozen until {instant_text(end)} "
            f"({window.reason}), it is {instant_text(case.now)}",
            until=end,
        )


def frozen_until(window: FreezeWindow, now: datetime) -> datetime | None:
    """Return when the window that `now` is in ends; None if it is in none."""
    now = now.astimezone(UTC)
    if window.starts is not None and window.ends is not None:
        return window.ends if window.starts <= now < window.ends else None
    if now.weekday() not in window.weekdays:
        return None
    day = datetime.combine(now.date(), time.min, UTC)
    start = datetime.combine(now.date(), window.from_time, UTC)
    last = window.until_time
    end = day + timedelta(days=1) if last is None else datetime.combine(now.date(), last, UTC)
    return end if start <= now < end else None


def _set_aside(what: str, holder: str, reason: str) -> str:
    return f"{what} is set aside by the break-glass approval of `{holder}`: {reason}"
