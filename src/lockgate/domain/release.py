"""What runs: one immutable document that pins a task's code and its artifacts by digest."""

from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pin:
    """One artifact of a release."""

    role: str
    name: str
    backend: str
    """Name of the backend that runs it."""
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A task's code and artifacts. Its identity is `digest`, taken over `document`."""

    task: str
    version: str
    code: Mapping[str, str]
    """`distribution`, `version` and `digest` of what implements the task."""
    pins: tuple[Pin, ...]
    decoding: JsonObject

    @property
    def document(self) -> dict[str, Json]:
        """The release as JSON: the same input gives the same bytes on every machine."""
        return {
            "apiVersion": "lockgate/v1",
            "task": self.task,
            "version": self.version,
            "code": dict(self.code),
            "pins": [
                {"role": p.role, "name": p.name, "backend": p.backend, "digest": str(p.digest)}
                for p in sorted(self.pins)
            ],
            "decoding": self.decoding,
        }

    @property
    def digest(self) -> Digest:
        return Digest.of_json(self.document)

    def pin(self, role: str) -> Pin:
        """Return the artifact that fills `role`.

        Raises:
            NotFound: the release pins nothing for that role.

        """
        for pin in self.pins:
            if pin.role == role:
                return pin
        raise NotFound(
            f"the release of `{self.task}` pins no model for the role `{role}`",
            hint=f"see what it pins with `lockgate task show {self.task}`",
        )
