"""Evidence as JSON and back, so that a decision can be made again from what was kept of it.

Attestations are in it by digest only: they are kept where they were found. A running release's too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.gate.evidence import (
    Evidence,
    FileFacts,
    Intent,
    PinFacts,
    ReleaseFacts,
    Running,
    Surroundings,
    TemplateVerdict,
)
from lockgate.domain.policy_document import plain
from lockgate.domain.predicates.fields import Fields
from lockgate.domain.statement import Attestation
from lockgate.errors import Corrupt, LockgateError


def evidence_document(evidence: Evidence) -> dict[str, Json]:
    """Return the evidence as JSON: the same facts give the same bytes, in any order."""
    there, running = evidence.surroundings, evidence.surroundings.running
    surroundings = _members(there, leave=("running",))
    if running is not None:
        surroundings["running"] = {
            "release": str(running.release),
            "attestations": _digests(running.attestations),
        }
    pins = sorted(evidence.pins, key=lambda pin: (pin.role, pin.name, pin.digest))
    return {
        "apiVersion": "lockgate/v1",
        "kind": "evidence",
        "environment": evidence.environment,
        "intent": str(evidence.intent),
        "release": {
            **_members(evidence.release, leave=("document",)),
            "document": evidence.release.document,
        },
        "pins": [_members(pin) for pin in pins],
        "attestations": _digests(evidence.attestations),
        "refused": sorted(evidence.refused),
        "surroundings": surroundings,
        "policy_artifact": plain(evidence.policy_artifact),
        "policy_must_be_signed": evidence.policy_must_be_signed,
    }


def read_evidence(document: JsonObject, attestations: Iterable[Attestation]) -> Evidence:
    """Read evidence that was kept, with the attestations that it names.

    Raises:
        Corrupt: it is malformed, or one of its attestations is not among those given.

    """
    known = {attestation.digest: attestation for attestation in attestations}
    top = Fields(document, "evidence")
    release, there = top.inside("release"), top.inside("surroundings")
    intent = top.text("intent")
    if intent not in set(Intent):
        raise top.wrong("intent", f"is not one of {', '.join(Intent)}")
    return Evidence(
        environment=top.text("environment"),
        intent=Intent(intent),
        release=ReleaseFacts(
            digest=_digest(release, "digest"),
            document=release.mapping("document"),
            task=release.text("task"),
            version=release.text("version", default=""),
            intact=release.boolean("intact"),
            flaws=release.texts("flaws"),
        ),
        pins=tuple(_pin(pin) for pin in top.each("pins")),
        attestations=_attestations(top, known),
        refused=top.texts("refused"),
        surroundings=_surroundings(there, known),
        policy_artifact=_optional_digest(top, "policy_artifact"),
        policy_must_be_signed=top.boolean("policy_must_be_signed"),
    )


def _surroundings(there: Fields, known: Mapping[Digest, Attestation]) -> Surroundings:
    running, since = None, "previous_promoted_at"
    if there.has("running"):
        inside = there.inside("running")
        running = Running(
            release=_digest(inside, "release"), attestations=_attestations(inside, known)
        )
    return Surroundings(
        running=running,
        previous_promoted_at=there.instant(since) if there.has(since) else None,
        destinations=there.texts("destinations"),
        data_classes=there.texts("data_classes"),
        logging_fields=there.texts("logging_fields") if there.has("logging_fields") else None,
        retention_days=_optional_integer(there, "retention_days"),
        ram_mib=_optional_integer(there, "ram_mib"),
        vram_mib=_optional_integer(there, "vram_mib"),
    )


def _pin(pin: Fields) -> PinFacts:
    kind = pin.text("kind")
    if kind not in set(Kind):
        raise pin.wrong("kind", f"is not one of {', '.join(Kind)}")
    template = None
    if pin.has("chat_template"):
        inside = pin.inside("chat_template")
        template = TemplateVerdict(
            safe=inside.boolean("safe"), reason=inside.text("reason", default="")
        )
    found_type = "found_artifact_type"
    return PinFacts(
        role=pin.text("role"),
        name=pin.text("name"),
        kind=Kind(kind),
        digest=_digest(pin, "digest"),
        size=pin.integer("size"),
        artifact_type=pin.text("artifact_type", default=""),
        repository=pin.text("repository", default=""),
        found=pin.boolean("found"),
        intact=pin.boolean("intact"),
        found_digest=_optional_digest(pin, "found_digest"),
        found_size=_optional_integer(pin, "found_size"),
        found_artifact_type=pin.text(found_type, default="") if pin.has(found_type) else None,
        flaws=pin.texts("flaws"),
        files=tuple(_file(file) for file in pin.each("files")),
        licences=pin.texts("licences"),
        chat_template=template,
        embedder=_optional_digest(pin, "embedder"),
        base=_optional_digest(pin, "base"),
        runs_on=pin.text("runs_on", default=""),
        variables_required=pin.texts("variables_required"),
        variables_provided=pin.texts("variables_provided"),
        context_tokens=_optional_integer(pin, "context_tokens"),
        budget_tokens=_optional_integer(pin, "budget_tokens"),
    )


def _file(file: Fields) -> FileFacts:
    return FileFacts(
        path=file.text("path"),
        digest=_digest(file, "digest"),
        format=file.text("format", default=""),
        size=file.integer("size"),
    )


def _attestations(inside: Fields, known: Mapping[Digest, Attestation]) -> tuple[Attestation, ...]:
    found = []
    for text in inside.texts("attestations"):
        attestation = known.get(_parsed(text, "attestations"))
        if attestation is None:
            raise Corrupt(f"the decision rests on the attestation {text}, which is not there")
        found.append(attestation)
    return tuple(found)


def _members(facts: Any, *, leave: tuple[str, ...] = ()) -> dict[str, Json]:
    return {f.name: plain(getattr(facts, f.name)) for f in fields(facts) if f.name not in leave}


def _digests(attestations: Iterable[Attestation]) -> list[Json]:
    return [*sorted({str(attestation.digest) for attestation in attestations})]


def _digest(inside: Fields, name: str) -> Digest:
    return _parsed(inside.text(name), name)


def _optional_digest(inside: Fields, name: str) -> Digest | None:
    return _digest(inside, name) if inside.has(name) else None


def _optional_integer(inside: Fields, name: str) -> int | None:
    return inside.integer(name) if inside.has(name) else None


def _parsed(text: str, name: str) -> Digest:
    try:
        return Digest.parse(text)
    except LockgateError as error:
        raise Corrupt(f"evidence.{name}: {error.message}") from error
