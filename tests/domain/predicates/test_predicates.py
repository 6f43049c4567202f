from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Digest, canonical
from lockgate.domain.predicates import (
    approval,
    bom,
    evaluation,
    preregistration,
    promotion,
    provenance,
    summary,
)
from lockgate.domain.predicates import test_result as results
from lockgate.domain.predicates.resource import Resource
from lockgate.errors import Corrupt

AT = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
ONE, TWO = Digest.of(b"1"), Digest.of(b"2")

PROVENANCE = provenance.Provenance(
    build_type=provenance.BuildType.QUANTIZE,
    builder="https://ci.example.org",
    parameters={"quantization": "Q4_1"},
    materials=(Resource(digest=ONE, uri="pkg:pypi/x@1", name="x", media_type="text/plain"),),
    invocation="7",
    started=AT,
    finished=AT,
)
EVALUATION = evaluation.Evaluation(
    evaluator="lab",
    evaluated_at=AT,
    suite="core",
    suite_version="1",
    claims=(
        evaluation.Measured(
            metric="accuracy",
            value=Decimal("0.93"),
            interval=evaluation.Interval(
                lower=Decimal("0.91"), upper=Decimal("0.95"), level=Decimal("0.95")
            ),
        ),
        evaluation.Measured(metric="latency", value=Decimal(12), comparator="<=", passed=False),
    ),
    sample_size=300,
    model=ONE,
    dataset=TWO,
    harness="lockgate",
    harness_version="1",
    harness_digest=TWO,
    samples_root=ONE,
)
TESTS = results.TestResult(
    result=results.Result.WARNED,
    configuration=(Resource(digest=ONE),),
    url="https://ci.example.org/7",
    passed=("a",),
    warned=("b",),
    failed=("c",),
)
APPROVAL = approval.Approval(
    approver="ana",
    choice=approval.Choice.BREAK_GLASS,
    environment="production",
    release=ONE,
    at=AT,
    reason="the site is down",
)
PROMOTION = promotion.Promotion(
    to="production",
    release=ONE,
    at=AT,
    actor="ana",
    verdict=TWO,
    source="staging",
    previous=TWO,
    log_index=7,
    reason="x",
)
SUMMARY = summary.Summary(
    verifier="https://lockgate.io",
    verified_at=AT,
    resource=summary.resource_uri("triage", "production"),
    policy=ONE,
    passed=True,
    policy_uri="oci://registry.example.org/policy",
    inputs=(Resource(digest=TWO),),
    levels=("SLSA_BUILD_LEVEL_1",),
)
REGISTERED = preregistration.Preregistration(
    registrant="dora",
    at=AT,
    suite="core",
    metric="accuracy",
    comparator=">=",
    threshold=Decimal("0.9"),
    dataset=TWO,
)
ALL = (PROVENANCE, EVALUATION, TESTS, APPROVAL, PROMOTION, SUMMARY, REGISTERED)


@pytest.mark.parametrize("said", ALL, ids=lambda said: type(said).__name__)
def test_what_is_written_is_read(said: Any) -> None:
    assert type(said).read(said.document) == said
    assert canonical(type(said).read(said.document).document) == canonical(said.document)


@pytest.mark.parametrize(
    "least",
    [
        provenance.Provenance(build_type="x", builder="y"),
        replace(EVALUATION, samples_root=None, claims=EVALUATION.claims[1:]),
        results.TestResult(result=results.Result.PASSED),
        replace(APPROVAL, choice=approval.Choice.APPROVED, reason=""),
        replace(PROMOTION, source="", previous=None, log_index=None, reason=""),
        replace(SUMMARY, policy_uri="", inputs=(), levels=()),
    ],
    ids=lambda said: type(said).__name__,
)
def test_what_is_not_known_is_left_out_and_read_as_unknown(least: Any) -> None:
    assert type(least).read(least.document) == least


def test_members_that_we_do_not_know_are_ignored() -> None:
    document = {**SUMMARY.document, "dependencyLevels": {"x": 1}, "slsaVersion": "1.1"}
    assert summary.Summary.read(document) == SUMMARY


def without(document: Mapping[str, Any], *path: str) -> dict[str, Any]:
    found = dict(document)
    if len(path) == 1:
        del found[path[0]]
    else:
        found[path[0]] = without(found[path[0]], *path[1:])
    return found


@pytest.mark.parametrize(
    ("read", "document", "message"),
    [
        (provenance.Provenance.read, {}, "provenance.buildDefinition is not an object"),
        (
            provenance.Provenance.read,
            without(PROVENANCE.document, "runDetails", "builder"),
            "provenance.runDetails.builder",
        ),
        (
            evaluation.Evaluation.read,
            {**EVALUATION.document, "sampleSize": -1},
            "eval-result.sampleSize is not a number from 0: `-1`",
        ),
        (evaluation.Evaluation.read, {**EVALUATION.document, "sampleSize": True}, "sampleSize"),
        (evaluation.Evaluation.read, {**EVALUATION.document, "evaluatedAt": "now"}, "`now`"),
        (
            evaluation.Evaluation.read,
            {**EVALUATION.document, "evaluatedAt": "2026-13-01T00:00:00Z"},
            "is not a time",
        ),
        (
            evaluation.Evaluation.read,
            {**EVALUATION.document, "claims": [{"metric": "x"}]},
            "eval-result.claims[0].https://lockgate.io/observed is not an object",
        ),
        (
            evaluation.Evaluation.read,
            {
                **EVALUATION.document,
                "claims": [
                    {
                        "metric": "x",
                        "comparator": ">=",
                        "threshold": "1",
                        "passed": True,
                        evaluation.OBSERVED: {"value": 0.9},
                    }
                ],
            },
            "value is not a text: `0.9`",
        ),
        (evaluation.Evaluation.read, without(EVALUATION.document, "dataset"), "dataset"),
        (
            evaluation.Evaluation.read,
            {**EVALUATION.document, "dataset": {"digest": {"sha256": "zz"}}},
            "`sha256:zz` is not a digest",
        ),
        (results.TestResult.read, {"result": "FINE"}, "`FINE`, not one of PASSED"),
        (results.TestResult.read, {"result": "PASSED", "passedTests": [1]}, "passedTests"),
        (results.TestResult.read, {"result": "PASSED", "configuration": {}}, "not a list"),
        (results.TestResult.read, {"result": "PASSED", "configuration": [{}]}, "is missing"),
        (approval.Approval.read, {**APPROVAL.document, "decision": "yes"}, "`yes`, not one of"),
        (approval.Approval.read, {**APPROVAL.document, "reason": "  "}, "needs one"),
        (promotion.Promotion.read, without(PROMOTION.document, "verdict"), "promotion.verdict"),
        (summary.Summary.read, {**SUMMARY.document, "verificationResult": "OK"}, "`OK`, not"),
        (summary.Summary.read, without(SUMMARY.document, "policy"), "policy"),
        (bom.hashes, {"bomFormat": "SPDX"}, "`SPDX`, not `CycloneDX`"),
        (
            bom.hashes,
            {
                "bomFormat": "CycloneDX",
                "components": [{"hashes": [{"alg": "SHA-256", "content": "x"}]}],
            },
            "`sha256:x` is not a digest",
        ),
    ],
)
def test_a_malformed_predicate_is_corrupt_and_says_where(
    read: Callable[[Any], object], document: dict[str, Any], message: str
) -> None:
    with pytest.raises(Corrupt) as caught:
        read(document)
    assert message in caught.value.message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    which=st.sampled_from(ALL),
    changes=st.dictionaries(st.integers(0, 12), _JSON, min_size=1, max_size=3),
)
def test_any_change_to_a_predicate_is_read_or_corrupt(which: Any, changes: Any) -> None:
    document = dict(which.document)
    names = sorted(document)
    for index, value in changes.items():
        document[names[index % len(names)]] = value
    try:
        type(which).read(document)
    except Corrupt as error:
        assert error.message  # noqa: PT017  anything else is a failure


def test_the_hashes_of_a_bill_of_materials_are_those_of_all_its_components() -> None:
    def component(digest: Digest, *inner: object) -> dict[str, Any]:
        hashes = [
            {"alg": "SHA-256", "content": digest.hex},
            {"alg": "BLAKE3", "content": "ignored"},
        ]
        return {"hashes": hashes, "components": list(inner)}

    three = Digest.of(b"3")
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": component(ONE)},
        "components": [component(TWO, component(three)), "nonsense"],
    }
    assert bom.hashes(document) == {ONE, TWO, three}


def test_the_type_uris_are_those_of_the_specifications() -> None:
    assert [
        module.PREDICATE_TYPE
        for module in (provenance, results, evaluation, approval, promotion, summary, bom)
    ] == [
        "https://slsa.dev/provenance/v1",
        "https://in-toto.io/attestation/test-result/v0.1",
        "https://lockgate.io/attestation/eval-result/v0.1",
        "https://lockgate.io/attestation/approval/v0.1",
        "https://lockgate.io/attestation/promotion/v1",
        "https://slsa.dev/verification_summary/v1",
        "https://cyclonedx.org/bom",
    ]
