from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from domain.gate.scene import (
    APPROVALS,
    EVALUATED,
    GOOD,
    NOW,
    PINS,
    TEXT,
    Scene,
    approved,
    digest,
    refusal,
    verdict,
)
from lockgate.domain.gate.admit import admit
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Decision, Outcome, Rule
from lockgate.domain.gate.evidence import Intent
from lockgate.domain.policy_document import BreakGlass, FreezeWindow, Require
from lockgate.domain.predicates.approval import Choice
from lockgate.domain.statement import Attestation

EVERY_GLASS = tuple(BreakGlass)
BROKEN = approved("cleo", choice=Choice.BREAK_GLASS, reason="the site is down")


def test_a_release_that_was_never_in_the_stage_before_is_refused_by_rule_8() -> None:
    found = refusal(GOOD.there(previous_promoted_at=None).decide(), "`production`", "`staging`")
    assert (found.rule, found.name) == (Rule.ENVIRONMENT, "environment.stage")
    assert "--to staging" in found.hint


def test_a_release_that_was_too_short_in_the_stage_before_waits() -> None:
    scene = GOOD.there(previous_promoted_at=NOW - timedelta(hours=23, minutes=30))
    found = refusal(scene.decide(), "23 h 30 min", "1 day required", verdict=Outcome.DEFER)
    assert (found.name, found.until) == ("environment.soak", NOW + timedelta(minutes=30))
    assert replace(scene, now=NOW + timedelta(minutes=30)).decide().allowed


def test_an_environment_after_no_other_needs_no_soak() -> None:
    assert GOOD.there(previous_promoted_at=None).demand(after="").decide().allowed


CHRISTMAS = FreezeWindow(
    reason="holidays",
    starts=datetime(2026, 11, 18, 12, tzinfo=UTC),
    ends=datetime(2026, 11, 19, tzinfo=UTC),
)
WEDNESDAYS = FreezeWindow(
    reason="market day", weekdays=(2,), from_time=time(9), until_time=time(12, 30)
)


@pytest.mark.parametrize(
    ("window", "until"),
    [
        (CHRISTMAS, datetime(2026, 11, 19, tzinfo=UTC)),
        (WEDNESDAYS, datetime(2026, 11, 18, 12, 30, tzinfo=UTC)),
        (replace(WEDNESDAYS, until_time=None), datetime(2026, 11, 19, tzinfo=UTC)),
    ],
)
def test_in_a_freeze_window_a_promotion_waits(window: FreezeWindow, until: datetime) -> None:
    decision = GOOD.demand(freezes=(window,)).decide()
    found = refusal(decision, window.reason, "2026-11-18T12:00:00Z", verdict=Outcome.DEFER)
    assert (found.name, decision.retry_at) == ("environment.freeze", until)


@pytest.mark.parametrize(
    "window",
    [
        replace(CHRISTMAS, starts=NOW + timedelta(seconds=1)),
        replace(CHRISTMAS, starts=NOW - timedelta(1), ends=NOW),
        replace(WEDNESDAYS, weekdays=(3,)),
        replace(WEDNESDAYS, until_time=time(12)),
        replace(WEDNESDAYS, from_time=time(12, 1)),
    ],
)
def test_outside_of_a_freeze_window_nothing_waits(window: FreezeWindow) -> None:
    assert GOOD.demand(freezes=(window,)).decide().allowed


@pytest.mark.parametrize("glass", [BreakGlass.FREEZE, BreakGlass.SOAK])
def test_a_break_glass_approval_sets_aside_what_the_policy_lets_it(glass: BreakGlass) -> None:
    late = (
        GOOD.demand(freezes=(CHRISTMAS,))
        if glass is BreakGlass.FREEZE
        else GOOD.there(previous_promoted_at=None)
    )
    broken = late.adding(BROKEN)
    assert not broken.decide().allowed
    decision = broken.demand(break_glass=(glass,)).decide()
    assert decision.allowed
    assert any("the site is down" in f.message for f in decision.findings)
    assert not late.demand(break_glass=(glass,)).decide().allowed


@pytest.mark.parametrize(
    "stale",
    [
        approved("cleo", choice=Choice.BREAK_GLASS, at=NOW - timedelta(hours=24, minutes=1)),
        approved("mallory", choice=Choice.BREAK_GLASS),
        approved("dora", choice=Choice.BREAK_GLASS),
        approved("cleo", choice=Choice.BREAK_GLASS, environment="staging"),
        approved("cleo"),
    ],
)
def test_an_old_or_foreign_break_glass_approval_breaks_nothing(stale: Attestation) -> None:
    scene = GOOD.demand(freezes=(CHRISTMAS,), break_glass=EVERY_GLASS)
    assert not scene.adding(stale).decide().allowed


@pytest.mark.parametrize(
    ("rules", "check", "parts"),
    [
        ({"models": ("smol*",)}, "models", ("`minilm`", "`smol*`")),
        ({"registries": ("registry.example.org/*",)}, "registries", ("`local`",)),
        ({"destinations": ("other.example.org",)}, "destinations", ("`models.example.org`",)),
        ({"data_classes": ("public",)}, "data-classes", ("`internal`", "`public`")),
        ({"logging_fields": ("release", "cost")}, "logging", ("lacks `cost`", "`usage`")),
        ({"min_retention_days": 31}, "retention", ("30 days", "31 to 90")),
        ({"max_retention_days": 29}, "retention", ("30 days", "7 to 29")),
    ],
)
def test_what_the_policy_does_not_allow_there_is_refused(
    rules: dict[str, object], check: str, parts: tuple[str, ...]
) -> None:
    found = refusal(GOOD.demand(**rules).decide(), *parts)
    assert (found.rule, found.name) == (Rule.ENVIRONMENT, f"environment.{check}")


def test_artifacts_from_an_allowed_registry_are_allowed() -> None:
    home = tuple(replace(p, repository="registry.example.org/team/x") for p in PINS)
    scene = replace(GOOD, pins=home).demand(registries=("registry.example.org/*",))
    assert scene.decide().allowed
    elsewhere = replace(TEXT, repository="registry.example.org.evil.example/x")
    refusal(
        replace(scene, pins=(elsewhere, *home[1:])).decide(), "registry.example.org.evil.example"
    )


@pytest.mark.parametrize("unknown", [{"logging_fields": None}, {"retention_days": None}])
def test_what_is_not_known_of_the_environment_is_not_taken_for_granted(
    unknown: dict[str, object],
) -> None:
    assert GOOD.there(**unknown).decide().verdict is Outcome.DENY


def test_a_release_that_needs_more_memory_than_there_is_is_refused() -> None:
    found = refusal(GOOD.there(ram_mib=511).decide(), "512 MiB", "511 MiB")
    assert found.name == "environment.quota"
    document = {**GOOD.release.document, "requires": {"vramMiB": 9000}}
    big = replace(GOOD.release, document=document)
    refusal(replace(GOOD, release=big).there(vram_mib=8000).decide(), "9000 MiB", "8000 MiB")


def back(scene: Scene) -> Decision:
    evidence = replace(scene.evidence, intent=Intent.ROLLBACK)
    return decide(evidence, scene.policy, scene.trust, scene.now)


VERDICT = verdict(GOOD.policy)
OLDER = GOOD.without(EVALUATED, *APPROVALS).there(previous_promoted_at=None)


def test_a_rollback_needs_no_new_evaluation_approval_or_soak_but_the_verdict_of_then() -> None:
    found = refusal(back(OLDER), "no valid verdict", "there is none")
    assert (found.rule, found.name) == (Rule.ENVIRONMENT, "environment.rollback")
    assert "--break-glass" in found.hint
    assert back(OLDER.adding(VERDICT)).allowed


def test_a_rollback_is_not_stopped_by_a_freeze() -> None:
    frozen = OLDER.demand(freezes=(CHRISTMAS,))
    assert back(frozen.adding(verdict(frozen.policy))).allowed


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (verdict(GOOD.policy, passed=False), ("FAILED", "PASSED")),
        (
            verdict(GOOD.policy, resource="lockgate:staging/triage"),
            ("`lockgate:staging/triage`", "`lockgate:production/triage`"),
        ),
        (
            verdict(GOOD.policy, verified_at=NOW - timedelta(days=61)),
            ("61 days", "60 days"),
        ),
        (verdict(GOOD.policy, policy=digest("old")), (str(digest("old")), str(GOOD.policy.digest))),
        (verdict(GOOD.policy, by="ana"), ("needed: gate",)),
    ],
)
def test_another_verdict_carries_no_rollback_and_admits_nothing(
    given: Attestation, parts: tuple[str, ...]
) -> None:
    refusal(back(OLDER.adding(given)), *parts)
    refusal(admitted(OLDER.adding(given)), *parts)


def test_a_break_glass_approval_carries_a_rollback() -> None:
    decision = back(OLDER.adding(BROKEN))
    assert decision.allowed
    assert any("the site is down" in f.message for f in decision.findings)
    assert not back(OLDER.adding(BROKEN).demand(break_glass=())).allowed


def test_a_rollback_is_no_way_around_approvals_where_nothing_else_is_signed() -> None:
    free = replace(OLDER, attestations=()).demand(require=Require.NONE, attestations={})
    assert refusal(back(free)).name == "environment.rollback"


def test_who_is_in_no_owning_team_breaks_no_glass() -> None:
    refusal(back(OLDER.adding(BROKEN).demand(owners=("search",))))


def test_a_rollback_to_changed_artifacts_or_to_a_rejected_release_is_refused() -> None:
    scene = OLDER.adding(VERDICT)
    changed = replace(scene, pins=(replace(TEXT, intact=False), *PINS[1:]))
    assert refusal(back(changed)).rule is Rule.CLOSURE
    rejected = scene.adding(approved("ana", choice=Choice.REJECTED))
    assert refusal(back(rejected)).name == "separation-of-duties.veto"


def test_where_nothing_is_signed_a_rollback_needs_nothing() -> None:
    free = replace(OLDER, attestations=(), trust=None).demand(
        require=Require.NONE, attestations={}, evaluations=(), approvals=0
    )
    assert back(free).allowed


def admitted(scene: Scene) -> Decision:
    return admit(scene.evidence, scene.policy, scene.trust, scene.now)


def test_what_the_gate_let_through_is_admitted_by_its_verdict_alone() -> None:
    bare = replace(GOOD, attestations=(VERDICT,), pins=())
    assert admitted(bare).allowed
    found = refusal(admitted(replace(bare, attestations=())), "`promoted`", "there is none")
    assert found.name == "environment.admitted"


def test_a_verdict_under_an_earlier_policy_admits_if_the_policy_accepts_it() -> None:
    old = digest("old policy")
    scene = replace(GOOD, attestations=(verdict(GOOD.policy, policy=old),))
    policy = replace(scene.policy, accepted_policies=(old,))
    assert not admitted(scene).allowed
    assert admit(scene.evidence, policy, scene.trust, NOW).allowed


def test_where_signatures_are_required_a_signed_release_is_admitted() -> None:
    scene = GOOD.without(EVALUATED, *APPROVALS).demand(require=Require.SIGNED)
    assert admitted(scene).allowed
    assert not admitted(replace(scene, attestations=())).allowed


def test_where_nothing_is_required_everything_is_admitted() -> None:
    assert admitted(replace(GOOD, attestations=()).demand(require=Require.NONE)).allowed


def test_an_environment_that_the_policy_does_not_know_admits_nothing() -> None:
    evidence = replace(GOOD.evidence, environment="prod")
    assert admit(evidence, GOOD.policy, GOOD.trust, NOW).verdict is Outcome.DENY
