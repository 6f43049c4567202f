"""How something was made: SLSA Provenance v1 (https://slsa.dev/spec/v1.0/provenance)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.fields import Fields
from lockgate.domain.predicates.resource import Resource

PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"


class BuildType(StrEnum):
    """What was done. The external parameters follow from it."""

    IMPORT = "https://lockgate.io/buildtypes/import/v1"
    """Parameters: `source`, `revision`, `files`."""
    CONVERT = "https://lockgate.io/buildtypes/convert/v1"
    """Parameters: `from`, `to`."""
    QUANTIZE = "https://lockgate.io/buildtypes/quantize/v1"
    """Parameters: `quantization`."""
    INDEX_BUILD = "https://lockgate.io/buildtypes/index-build/v1"
    """Parameters: `chunker`, `metric`."""
    RELEASE = "https://lockgate.io/buildtypes/release/v1"
    """Parameters: `task`, `version`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made the subject, from what, and how."""

    build_type: str
    """One of ours, or the URI of another builder's."""
    builder: str
    """URI or name of what ran the build."""
    parameters: JsonObject = field(default_factory=dict)
    """What the caller of the build chose."""
    materials: tuple[Resource, ...] = ()
    """`resolvedDependencies`: by digest."""
    invocation: str = ""
    started: datetime | None = None
    finished: datetime | None = None

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not a provenance v1.

        """
        fields = Fields(predicate, "provenance")
        definition, run = fields.inside("buildDefinition"), fields.inside("runDetails")
        metadata = run.inside("metadata") if run.has("metadata") else Fields({}, "metadata")
        return cls(
            build_type=definition.text("buildType"),
            builder=run.inside("builder").text("id"),
            parameters=definition.mapping("externalParameters"),
            materials=tuple(
                Resource.read(item) for item in definition.each("resolvedDependencies")
            ),
            invocation=metadata.text("invocationId", default=""),
            started=metadata.instant("startedOn") if metadata.has("startedOn") else None,
            finished=metadata.instant("finishedOn") if metadata.has("finishedOn") else None,
        )

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        metadata: dict[str, Json] = {}
        if self.invocation:
            metadata["invocationId"] = self.invocation
        if self.started is not None:
            metadata["startedOn"] = instant_text(self.started)
        if self.finished is not None:
            metadata["finishedOn"] = instant_text(self.finished)
        return {
            "buildDefinition": {
                "buildType": str(self.build_type),
                "externalParameters": self.parameters,
                "resolvedDependencies": [item.document for item in self.materials],
            },
            "runDetails": {"builder": {"id": self.builder}, "metadata": metadata},
        }
