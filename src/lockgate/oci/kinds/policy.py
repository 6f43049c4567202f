"""Policies: one text, as its owner wrote it. What it says is read by whoever applies it."""

import tomllib
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import JsonObject
from lockgate.errors import Corrupt
from lockgate.oci.kinds.artifact import API_VERSION, Artifact, title
from lockgate.oci.kinds.packed import CODE, File, PackedArtifact, pack

ROLE: Final = "policy"


def pack_policy(name: str, text: bytes) -> PackedArtifact:
    """Pack a policy as its owner wrote it, so that what is signed is what people read."""
    config: JsonObject = {"apiVersion": API_VERSION, "name": name}
    file = File(name="policy.toml", media_type=CODE, role=ROLE, data=text)
    return pack(Kind.POLICY, name, config, [file])


def require(artifact: Artifact) -> None:
    """Check that a policy has one text, which is TOML.

    Raises:
        Corrupt: it has none, or it is not.

    """
    artifact.config("policy").text("name")
    layer = artifact.with_role(ROLE)
    try:
        tomllib.loads(artifact.text(layer))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Corrupt(f"`{title(layer)}` is not TOML: {str(error)[:80]}") from error
