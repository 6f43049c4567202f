"""A release with pins and attestations, for tests and benchmarks of verification."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lockgate.app.attesting import attach
from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Message
from lockgate.domain.prompt import Prompt
from lockgate.domain.release import Pin, Release
from lockgate.domain.statement import Statement, Subject
from lockgate.domain.trust import Role, TrustedKey, TrustRoot
from lockgate.oci.kinds.prompt import pack_prompt
from lockgate.oci.layout import Layout
from lockgate.oci.releases import ReleaseStore
from lockgate.signing.keys import PrivateKey


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was stored."""

    digest: Digest
    release: Release
    key: PrivateKey
    trust: TrustRoot


def make(layout: Layout, *, pins: int, attestations: int, size: int = 1000) -> Made:
    """Store a release with `pins` artifacts, and spread `attestations` over them all."""
    layout.prepare()
    made = tuple(_pin(layout, at, size) for at in range(pins))
    release = Release(task="triage", version="1", code={"digest": "x"}, pins=made, decoding={})
    digest = ReleaseStore(layout).put(release)
    key = PrivateKey.new()
    subjects = [digest, *(pin.digest for pin in made)]
    for at in range(attestations):
        statement = Statement(
            subjects=(Subject(name=f"s{at}", digest=subjects[at % len(subjects)]),),
            predicate_type=f"https://example.org/claim-{at}",
            predicate={"claims": [{"metric": f"m{n}", "value": "0.9"} for n in range(20)]},
        )
        attach(layout, statement, key)
    trust = TrustRoot(
        version=1,
        expires=datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
        threshold=1,
        keys=(
            TrustedKey(
                fingerprint=key.fingerprint,
                pem=key.pem.decode(),
                holder="ci",
                roles=frozenset({Role.ROOT, Role.BUILDER}),
            ),
        ),
    )
    return Made(digest=digest, release=release, key=key, trust=trust)


def _pin(layout: Layout, at: int, size: int) -> Pin:
    message = Message(role="user", content=f"{at}" * size)
    prompt = pack_prompt(Prompt(name=f"artifact-{at}", messages=(message,)), version="1")
    for blob in prompt.blobs:
        layout.put(blob)
    return Pin(
        role=f"role-{at}",
        name=prompt.title,
        digest=layout.put(prompt.manifest),
        kind=Kind.PROMPT,
        size=len(prompt.manifest),
    )
