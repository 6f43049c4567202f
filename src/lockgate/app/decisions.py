"""Past decisions of the gate: kept with all that they rested on, and made again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lockgate.app.attesting import gather
from lockgate.app.policies import PolicyInForce, parsed
from lockgate.config.environment import Environment
from lockgate.domain.digest import Digest, canonical
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Decision
from lockgate.domain.gate.evidence_document import read_evidence
from lockgate.domain.instants import instant_of
from lockgate.domain.policy_document import EMBEDDED, PolicyDocument
from lockgate.domain.trust import TrustRoot
from lockgate.errors import Corrupt, NotFound
from lockgate.ports import Payload, State, StateUnit

if TYPE_CHECKING:
    from lockgate.oci.layout import Layout

_EVENTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """The documents that a decision rests on, as they were."""

    policy: bytes | None
    """`policy.toml`; None for the embedded policy."""
    trust: bytes | None
    """The signed file of the trust root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A past decision, and the same made again."""

    kept: Mapping[str, Any]
    again: Decision

    @property
    def same(self) -> bool:
        """Whether both have the same bytes."""
        return canonical(self.kept) == canonical(self.again.document)


def documents(policy: PolicyInForce, environment: Environment) -> Rests:
    """Return the policy and the trust root that are in force here."""
    from lockgate.app.trust import trust_store

    return Rests(policy=policy.text, trust=trust_store(environment).data())


async def keep(unit: StateUnit, *contents: bytes | None) -> list[str | None]:
    """Store documents for as long as the audit log; return their digests."""
    digests: list[str | None] = []
    for content in contents:
        if content is None:
            digests.append(None)
            continue
        digest = Digest.of(content)
        await unit.put_payload(digest, Payload(data=content, expires_at=None))
        digests.append(str(digest))
    return digests


async def replay(decision: Digest, layout: "Layout", state: State) -> Replayed:
    """Make a past decision again, from what it rested on alone.

    Raises:
        NotFound: no decision with that digest is in the audit log.
        Corrupt: something that it rested on is gone, or was changed.

    """
    async with state.begin() as unit:
        detail = await _event(unit, decision)
        kept = await _content(unit, str(decision))
        evidence = await _content(unit, str(detail["evidence"]))
        policy = _policy(await _content(unit, detail.get("policy_file")))
        trust = _trust(await _content(unit, detail.get("trust_file")))
    assert kept is not None
    assert evidence is not None
    document, facts = json.loads(kept), json.loads(evidence)
    subjects = {Digest.parse(document["release"])}
    subjects |= {Digest.parse(pin["digest"]) for pin in facts["pins"]}
    running = document["inputs"].get("running")
    subjects |= {Digest.parse(text) for text in (running, facts.get("policy_artifact")) if text}
    attestations, _ = gather(layout, sorted(subjects), trust)
    again = decide(read_evidence(facts, attestations), policy, trust, instant_of(document["at"]))
    return Replayed(kept=document, again=again)


async def _event(unit: StateUnit, decision: Digest) -> Mapping[str, Any]:
    for event in await unit.recent(limit=_EVENTS):
        if event.entry.detail.get("decision") == str(decision) and "evidence" in event.entry.detail:
            return event.entry.detail
    raise NotFound(f"no decision {decision} is in the audit log", hint="see `lockgate audit list`")


async def _content(unit: StateUnit, digest: object) -> bytes | None:
    if not isinstance(digest, str):
        return None
    content = await unit.payload(Digest.parse(digest))
    if content is None:
        raise Corrupt(f"{digest}, which the decision rests on, is gone from the audit log")
    return content


def _policy(text: bytes | None) -> PolicyDocument:
    return EMBEDDED if text is None else parsed(text, "that was kept")


def _trust(data: bytes | None) -> TrustRoot | None:
    if data is None:
        return None
    from lockgate.signing.trust_file import decode

    return decode(data)[0]
