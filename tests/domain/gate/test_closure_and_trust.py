from dataclasses import replace
from datetime import timedelta

import pytest

from domain.gate.scene import (
    BUILDS,
    GOOD,
    INDEX,
    NOW,
    PINS,
    TEXT,
    TRUST,
    Scene,
    digest,
    pin,
    refusal,
    release,
)
from lockgate.domain.artifact import Kind
from lockgate.domain.gate.decision import Finding, Outcome, Rule
from lockgate.domain.policy_document import Require


def names(scene: Scene) -> list[str]:
    return [finding.name for finding in scene.decide().refusals]


def first(scene: Scene) -> Finding:
    return scene.decide().refusals[0]


def test_a_release_whose_bytes_differ_is_refused_by_rule_1() -> None:
    flawed = replace(GOOD.release, intact=False, flaws=("config: pinned `1 B`, found `2 B`",))
    found = refusal(replace(GOOD, release=flawed).decide(), "pinned `1 B`, found `2 B`")
    assert (found.rule, found.name) == (Rule.CLOSURE, "closure.release")


def test_a_release_that_is_said_not_to_be_intact_is_refused_without_a_reason_too() -> None:
    assert names(replace(GOOD, release=replace(GOOD.release, intact=False))) == ["closure.release"]


def served(scene: Scene) -> Scene:
    """Let a second model run on a server."""
    pins = scene.release.document["pins"]
    assert isinstance(pins, list)
    server = {"role": "judge", "name": "big", "digest": str(digest("url")), "external": True}
    document = {**scene.release.document, "pins": [*pins, server]}
    return replace(scene, release=replace(scene.release, document=document))


def test_a_model_on_a_server_that_shows_no_bytes_is_refused_unless_the_policy_names_it() -> None:
    found = refusal(served(GOOD).decide(), "judge `big`", "allows of such: none")
    assert found.name == "closure.external"
    refusal(served(GOOD).demand(external_models=("other",)).decide(), "`other`")
    allowed = served(GOOD).demand(external_models=("bi*",)).decide()
    assert allowed.allowed
    assert "closure.external" in [finding.name for finding in allowed.findings]


def test_a_prompt_may_run_on_a_model_on_a_server() -> None:
    scene = served(GOOD).demand(external_models=("*",))
    pins = tuple(replace(p, runs_on="judge") if p.kind is Kind.PROMPT else p for p in scene.pins)
    assert replace(scene, pins=pins).decide().allowed
    refusal(replace(GOOD, pins=pins).decide(), "`judge`")


def test_a_model_on_a_server_must_be_an_allowed_model_too() -> None:
    scene = served(GOOD).demand(external_models=("*",), models=tuple(p.name for p in PINS))
    assert refusal(scene.decide(), "`big`").name == "environment.models"


def test_where_nothing_is_required_models_may_run_on_servers() -> None:
    assert served(GOOD).demand(require=Require.NONE).decide().allowed
    refused = served(GOOD).demand(require=Require.NONE, external_models=()).decide()
    assert refusal(refused, "judge `big`").name == "closure.external"


def test_a_missing_pin_is_refused() -> None:
    missing = replace(INDEX, found=False, flaws=("the layer sha256:ab is missing",))
    scene = replace(GOOD, pins=tuple(missing if p is INDEX else p for p in PINS))
    found = refusal(scene.decide(), "index `runbooks`", str(INDEX.digest), "sha256:ab is missing")
    assert found.name == "closure.missing"


def test_a_changed_pin_is_refused() -> None:
    changed = replace(INDEX, intact=False)
    assert names(replace(GOOD, pins=(*PINS[:3], changed, PINS[4]))) == ["closure.changed"]


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"found_digest": digest("else")}, (str(TEXT.digest), str(digest("else")))),
        ({"found_size": 701}, ("`700`", "`701`")),
        ({"found_artifact_type": "application/x"}, (TEXT.artifact_type, "`application/x`")),
    ],
)
def test_a_pin_with_another_descriptor_is_refused(
    changes: dict[str, object], values: tuple[str, ...]
) -> None:
    other = replace(TEXT, **changes)  # type: ignore[arg-type]
    found = refusal(replace(GOOD, pins=(other, *PINS[1:])).decide(), *values)
    assert found.name == "closure.descriptor"


def test_an_index_that_is_packed_as_something_else_is_refused() -> None:
    kind = Kind.DATASET.artifact_type
    other = replace(INDEX, artifact_type=kind, found_artifact_type=kind)
    found = refusal(GOOD.pinning(other).decide(), kind, INDEX.artifact_type)
    assert found.name == "closure.kind"


def test_a_model_that_another_tool_packed_is_allowed() -> None:
    kit = "application/vnd.kitops.modelkit.manifest.v1+json"
    scene = GOOD.pinning(replace(TEXT, artifact_type=kit, found_artifact_type=kit))
    assert scene.decide().allowed


@pytest.mark.parametrize("shown", [PINS[1:], (*PINS, pin("guard", "pii", Kind.MODEL))])
def test_evidence_about_other_pins_than_those_of_the_release_is_refused(
    shown: tuple[object, ...],
) -> None:
    scene = replace(GOOD, pins=shown).demand(require=Require.NONE, attestations={})  # type: ignore[arg-type]
    assert scene.decide().refusals[0].name == "closure.pins"
    assert "on the other side: none" in scene.decide().refusals[0].message


def test_a_swapped_pin_is_refused_with_both_digests() -> None:
    other = replace(TEXT, digest=digest("else"), found_digest=digest("else"))
    scene = replace(GOOD, pins=(other, *PINS[1:]))
    messages = " ".join(f.message for f in scene.decide().refusals if f.name == "closure.pins")
    assert str(TEXT.digest) in messages
    assert str(digest("else")) in messages


def test_a_release_of_another_task_is_refused() -> None:
    document = {**release().document, "task": "review"}
    scene = replace(GOOD, release=replace(GOOD.release, document=document))
    assert refusal(scene.decide(), "`review`", "`triage`").name == "closure.task"


@pytest.mark.parametrize("pins", [None, "x", [1], [{"role": "text"}]])
def test_a_release_document_with_malformed_pins_is_refused(pins: object) -> None:
    document = {**release().document, "pins": pins}
    scene = replace(GOOD, release=replace(GOOD.release, document=document))  # type: ignore[arg-type]
    assert "closure.pins" in names(scene)


def test_without_a_trust_root_what_needs_signatures_is_refused_by_rule_2() -> None:
    found = first(replace(GOOD, trust=None))
    assert (found.rule, found.name) == (Rule.TRUST, "trust-root.missing")
    assert "`promoted`" in found.message


def test_under_an_expired_trust_root_nothing_counts() -> None:
    scene = replace(GOOD, trust=replace(TRUST, expires=NOW - timedelta(seconds=1)))
    found = first(scene)
    assert found.name == "trust-root.expired"
    assert "2026-11-18T11:59:59Z" in found.message
    assert "2026-11-18T12:00:00Z" in found.message
    assert "signatures.provenance" in names(scene)
    assert len(scene.decide().notes) == len(GOOD.attestations)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"roles": frozenset()}, "`ci` has the roles none, needed: builder"),
        ({"revoked": True}, "is revoked"),
        ({"expires": NOW}, "expired at 2026-11-18T12:00:00+00:00"),
        ({"scopes": ("review",)}, "hold for review, not for the task `triage`"),
        ({"fingerprint": "0" * 64}, "the trust root has no key"),
    ],
)
def test_signatures_of_a_key_that_may_not_build_do_not_count(
    changes: dict[str, object], reason: str
) -> None:
    keys = tuple(
        replace(k, **changes) if k.holder == "ci" else k  # type: ignore[arg-type]
        for k in TRUST.keys
    )
    scene = replace(GOOD, trust=replace(TRUST, keys=keys))
    found = first(scene)
    assert (found.rule, found.name) == (Rule.SIGNATURES, "signatures.provenance")
    assert reason in found.message
    assert scene.decide().verdict is Outcome.DENY


def test_what_requires_no_signature_needs_no_trust_root() -> None:
    scene = replace(GOOD, trust=None, attestations=BUILDS)
    free = scene.demand(require=Require.NONE, attestations={}, evaluations=(), approvals=0)
    assert free.decide().allowed
