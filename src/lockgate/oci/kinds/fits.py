"""What of an artifact has to fit the others of its release."""

from dataclasses import dataclass
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.oci.kinds.artifact import Artifact
from lockgate.oci.kinds.table import kind_of

_USUAL: Final = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """Members as in the gate's facts about a pin; empty for what a kind does not have."""

    embedder: Digest | None = None
    base: Digest | None = None
    runs_on: str = ""
    required: tuple[str, ...] = ()
    provided: tuple[str, ...] = ()
    budget_tokens: int | None = None


def fits_of(artifact: Artifact) -> Fits:
    """Read them. Raises Corrupt as the kind's validator."""
    # Each kind is imported when there is one: prompts need the template engine.
    match kind_of(artifact.manifest):
        case Kind.INDEX:
            from lockgate.oci.kinds.search_index import embedder  # noqa: PLC0415

            return Fits(embedder=embedder(artifact))
        case Kind.ADAPTER:
            from lockgate.oci.kinds.adapter import base  # noqa: PLC0415

            return Fits(base=base(artifact))
        case Kind.PROMPT:
            from lockgate.oci.kinds import prompt  # noqa: PLC0415

            asked = prompt.facts(artifact)
            return Fits(
                # The usual role goes unsaid: then a server may fill it, which shows no artifact.
                runs_on="" if asked.runs_on == _USUAL else asked.runs_on,
                required=asked.required,
                provided=asked.provided,
                budget_tokens=asked.budget_tokens,
            )
        case Kind.TASK:
            from lockgate.oci.kinds import task  # noqa: PLC0415

            found = task.facts(artifact)
            return Fits(required=found.required, provided=found.provided)
        case _:
            return Fits()
