"""What a gate looks at: facts about a release, gathered before and outside the gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.statement import Attestation


class Intent(StrEnum):
    """What is asked of the gate."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    """An earlier release again: its verdict of then, or a break-glass approval, carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file of an artifact, as it was found."""

    path: str
    digest: Digest
    format: str
    """From the bytes, not from the name: `gguf`, `safetensors`, `onnx`, `json`, `pickle` …"""
    size: int = 0
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVerdict:
    """What parsing a model's chat template in the sandbox showed."""

    safe: bool
    reason: str = ""
    """Why it is not safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinFacts:
    """One artifact of the release: what the release says of it, and what was found."""

    role: str
    name: str
    kind: Kind
    digest: Digest
    """As pinned."""
    size: int
    """As pinned, bytes of the manifest."""
    artifact_type: str
    """As pinned."""
    repository: str = ""
    """Where it came from, `HOST/PATH`; empty for the local store."""

    found: bool
    """Its manifest and everything that the manifest names are there."""
    intact: bool
    """Every byte of it was hashed, and every digest and size is as written."""
    found_digest: Digest | None = None
    """What the manifest's bytes hash to."""
    found_size: int | None = None
    found_artifact_type: str | None = None
    flaws: tuple[str, ...] = ()
    """What is missing or differs, with both values: for the message."""

    files: tuple[FileFacts, ...] = ()
    licences: tuple[str, ...] = ()
    """SPDX expressions."""
    chat_template: TemplateVerdict | None = None
    """None: the artifact has none."""
    embedder: Digest | None = None
    """Of an index: the model that made its vectors."""
    base: Digest | None = None
    """Of an adapter: the model that it adapts."""
    runs_on: str = ""
    """Of a prompt: the role of the model that takes it; empty for the release's text models."""
    variables_required: tuple[str, ...] = ()
    """Of a prompt: the variables that its templates read."""
    variables_provided: tuple[str, ...] = ()
    """Of a prompt: what the task's input gives it."""
    context_tokens: int | None = None
    """Of a model: the most tokens that it takes at once."""
    budget_tokens: int | None = None
    """Of a prompt: the most tokens that prompt and answer may need together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs in the environment now."""

    release: Digest
    attestations: tuple[Attestation, ...] = ()
    """About that release: its evaluations are what a new one must not fall behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The environment that the release is to run in, as its configuration says. None: unknown."""

    running: Running | None = None
    previous_promoted_at: datetime | None = None
    """When this release reached the stage before this environment."""
    destinations: tuple[str, ...] = ()
    """Hosts that data may be sent to, by the backends that the release uses there."""
    data_classes: tuple[str, ...] = ()
    """Classes of data that the task takes there."""
    logging_fields: tuple[str, ...] | None = None
    """What an audit event records there."""
    retention_days: int | None = None
    """Days for which payloads are kept there."""
    ram_mib: int | None = None
    """Memory that is there."""
    vram_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """The release itself."""

    digest: Digest
    """Its identity: what attestations are about."""
    document: JsonObject
    """As the release config has it; `pins` are compared with what was found."""
    task: str
    version: str
    intact: bool
    """Its manifest was hashed to `digest`, and its config to what the manifest says."""
    flaws: tuple[str, ...] = ()
    """What differs, with both values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a decision rests on, besides policy, trust root and time."""

    environment: str
    release: ReleaseFacts
    pins: tuple[PinFacts, ...]
    attestations: tuple[Attestation, ...] = ()
    """Their signatures were verified against keys of the trust root. The order means nothing."""
    refused: tuple[str, ...] = ()
    """Attestations that were not let in, each with its reason. They never count."""
    surroundings: Surroundings = Surroundings()
    intent: Intent = Intent.PROMOTE
    policy_artifact: Digest | None = None
    """The artifact that the policy was read from; what the policy's owner signed."""
    policy_must_be_signed: bool = False
    """Set by configuration, since a swapped policy would not ask for it."""

    @property
    def subjects(self) -> Mapping[Digest, str]:
        """What attestations may be about, and what to call it in a message."""
        found = {pin.digest: f"{pin.kind} `{pin.name}`" for pin in self.pins}
        found[self.release.digest] = f"release `{self.release.task}` {self.release.version}"
        if self.policy_artifact is not None:
            found[self.policy_artifact] = "policy"
        return found
