import json
from dataclasses import replace
from typing import Any

import pytest

from domain.gate.scene import (
    EMBEDDER,
    GOOD,
    NOW,
    OLD,
    PINS,
    TRUST,
    WEIGHTS,
    digest,
    evaluated,
)
from lockgate.domain.digest import canonical
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.evidence import Evidence, Intent, Running
from lockgate.domain.gate.evidence_document import evidence_document, read_evidence
from lockgate.errors import Corrupt

BEFORE = evaluated(model=OLD)
FULL: Evidence = replace(
    GOOD.there(running=Running(release=OLD, attestations=(BEFORE,)), vram_mib=0).evidence,
    refused=("x",),
    intent=Intent.ROLLBACK,
    policy_artifact=digest("policy"),
    policy_must_be_signed=True,
)
KEPT = (*GOOD.attestations, BEFORE)


def kept(evidence: Evidence) -> Any:
    """The document as it comes back from a disk."""
    return json.loads(canonical(evidence_document(evidence)))


@pytest.mark.parametrize(
    "evidence",
    [
        GOOD.evidence,
        FULL,
        Evidence(
            environment="local",
            release=replace(GOOD.release, flaws=("a",)),
            pins=(replace(EMBEDDER, found=False, intact=False, flaws=("b",), base=digest("c")),),
        ),
    ],
)
def test_a_decision_is_made_again_from_what_was_kept(evidence: Evidence) -> None:
    again = read_evidence(kept(evidence), KEPT)

    first = decide(evidence, GOOD.policy, TRUST, NOW)
    second = decide(again, GOOD.policy, TRUST, NOW)

    assert canonical(second.document) == canonical(first.document)
    assert kept(again) == kept(evidence)


def test_the_order_of_pins_and_attestations_changes_no_byte_of_the_evidence() -> None:
    turned = replace(FULL, pins=FULL.pins[::-1], attestations=FULL.attestations[::-1])
    assert canonical(evidence_document(turned)) == canonical(evidence_document(FULL))


def test_a_decision_names_other_evidence_if_one_fact_differs() -> None:
    other = replace(GOOD, pins=(replace(PINS[0], files=(replace(WEIGHTS, size=8),)), *PINS[1:]))
    assert other.decide().inputs["evidence"] != GOOD.decide().inputs["evidence"]


def test_evidence_without_one_of_its_attestations_is_corrupt() -> None:
    with pytest.raises(Corrupt, match=str(BEFORE.digest)):
        read_evidence(kept(FULL), GOOD.attestations)


@pytest.mark.parametrize("name", sorted(kept(FULL).keys() - {"apiVersion", "kind", "refused"}))
def test_evidence_with_a_malformed_member_is_corrupt(name: str) -> None:
    document = {**kept(FULL), name: 7}
    with pytest.raises(Corrupt, match=rf"evidence\.{name}"):
        read_evidence(document, KEPT)


@pytest.mark.parametrize(
    ("name", "value"), [("kind", "novel"), ("digest", "sha256:1"), ("found", 1), ("size", None)]
)
def test_a_pin_with_a_malformed_member_is_corrupt(name: str, value: object) -> None:
    document = kept(FULL)
    document["pins"][0][name] = value
    with pytest.raises(Corrupt):
        read_evidence(document, KEPT)
