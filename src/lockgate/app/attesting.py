"""Makes, signs and gathers attestations."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from lockgate import __version__
from lockgate.app.making import making_of
from lockgate.config.environment import Environment
from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.predicates import approval, bom, provenance, test_result
from lockgate.domain.predicates.resource import Resource
from lockgate.domain.release import Pin, Release
from lockgate.domain.statement import Attestation, Statement, Subject
from lockgate.domain.trust import TrustRoot
from lockgate.errors import Denied, LockgateError

if TYPE_CHECKING:
    from lockgate.evals.junit_reader import TestRun
    from lockgate.oci.layout import Layout
    from lockgate.signing.keys import Signer

BUILDER = f"https://lockgate.io/builder/{__version__}"


def attach(layout: "Layout", statement: Statement, signer: "Signer") -> Digest:
    """Sign a statement about an artifact that is here; return the bundle's digest.

    Raises:
        Corrupt: the artifact is not here, or damaged.
        StorageFailed: the disk is full or read-only.

    """
    from lockgate.oci.attestations import AttestationStore
    from lockgate.signing.attest import referrer, sign

    store = AttestationStore(layout)
    data = sign(statement, signer)
    subject = store.subject(statement.subjects[0].digest)
    return store.add(data, referrer(data, statement, subject))


def holder_of(environment: Environment, signer: "Signer", now: datetime) -> str:
    """Return who the trust root says holds a key.

    Raises:
        Denied: it does not name the key.
        NotFound: there is no trust root.

    """
    from lockgate.app.trust import required_root

    key = required_root(environment, now).key(signer.fingerprint)
    if key is None:
        raise Denied(
            f"the trust root does not name the key {signer.fingerprint[:_SHORT]}",
            hint="add it with `lockgate trust add`",
        )
    return key.holder


def gather(
    layout: "Layout", subjects: Iterable[Digest], trust: TrustRoot | None
) -> tuple[tuple[Attestation, ...], tuple[str, ...]]:
    """Return what trusted keys say about artifacts, and what was refused and why."""
    from lockgate.oci.attestations import AttestationStore
    from lockgate.signing.attest import verified

    keys = {} if trust is None else {key.fingerprint: key.pem for key in trust.keys}
    store = AttestationStore(layout)
    found: list[Attestation] = []
    refused: list[str] = []
    for subject in subjects:
        for bundle in store.about(subject):
            if isinstance(bundle, str):
                refused.append(bundle)
                continue
            try:
                found.append(verified(bundle, keys))
            except LockgateError as error:
                refused.append(f"{Digest.of(bundle)}: {error.message}")
    return tuple(found), tuple(refused)


def release_provenance(digest: Digest, release: Release, at: datetime | None) -> Statement:
    """Return how a release was made: its code and its pins are the materials."""
    code = release.code
    known = code.get("digest", "").startswith("sha256:")
    materials = [
        Resource(
            name=f"{code.get('distribution', '')} {code.get('version', '')}".strip(),
            uri=f"pkg:pypi/{code.get('distribution')}@{code.get('version')}",
            digest=Digest.parse(code["digest"]) if known else None,
        ),
        *(Resource(name=pin.name, digest=pin.digest) for pin in release.pins),
    ]
    made = provenance.Provenance(
        build_type=provenance.BuildType.RELEASE,
        builder=BUILDER,
        parameters={"task": release.task, "version": release.version},
        materials=tuple(materials),
        finished=at,
    )
    return _statement(release.task, digest, provenance.PREDICATE_TYPE, made.document)


def artifact_provenance(layout: "Layout", pin: Pin, at: datetime | None) -> Statement:
    """Return how a pinned artifact was made: its source, or what it was converted from.

    Raises:
        Corrupt: it is not here, or damaged.

    """
    return making_provenance(layout, pin.name, pin.digest, at)


def making_provenance(
    layout: "Layout", name: str, digest: Digest, at: datetime | None
) -> Statement:
    """Return how any artifact of the store was made. Raises Corrupt as above."""
    found = making_of(layout, digest)
    made = provenance.Provenance(
        build_type=found.build_type,
        builder=BUILDER,
        parameters=found.parameters,
        materials=found.materials,
        finished=at,
    )
    return _statement(name, digest, provenance.PREDICATE_TYPE, made.document)


def model_bom(layout: "Layout", pin: Pin) -> Statement:
    """Return the bill of materials of a pinned model. Raises Corrupt as above."""
    from lockgate.oci.bom import bill_of_materials

    assert pin.kind is Kind.MODEL, "only models have one"
    document = bill_of_materials(layout, pin.digest)
    return _statement(pin.name, pin.digest, bom.PREDICATE_TYPE, document)


def tests_of(
    digest: Digest, release: Release, run: "TestRun", report: tuple[str, bytes, str]
) -> Statement:
    """Return what a run of tests says of a release. `report` is its name, its bytes, its URL."""
    name, content, url = report
    if run.failed:
        result = test_result.Result.FAILED
    else:
        result = test_result.Result.WARNED if run.skipped else test_result.Result.PASSED
    said = test_result.TestResult(
        result=result,
        configuration=(Resource(name=name, digest=Digest.of(content)),),
        url=url,
        passed=run.passed,
        warned=run.skipped,
        failed=run.failed,
    )
    return _statement(release.task, digest, test_result.PREDICATE_TYPE, said.document)


def release_approval(release: Release, digest: Digest, said: approval.Approval) -> Statement:
    """Return what a person says about a release."""
    return _statement(release.task, digest, approval.PREDICATE_TYPE, said.document)


_SHORT = 12


def _statement(name: str, digest: Digest, kind: str, predicate: JsonObject) -> Statement:
    return Statement(
        subjects=(Subject(name=name, digest=digest),), predicate_type=kind, predicate=predicate
    )
