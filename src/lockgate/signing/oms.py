"""The signature of a model's files that `model_signing verify key` checks.

Format: OpenSSF Model Signing, predicate `https://model_signing/signature/v1.0` with the method
`files`, in a Sigstore bundle. Its subject is a digest over the files' digests and not that of the
manifest, so in a registry it hangs under a type of its own and is no attestation of the artifact.
"""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from lockgate.domain.artifact import EMPTY_CONFIG, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import Corrupt, LockgateError
from lockgate.signing import bundle

PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
ARTIFACT_TYPE: Final = "application/vnd.lockgate.oms.v1+json"
MAX_FILES: Final = 100_000


def statement(name: str, files: Mapping[str, Digest]) -> Statement:
    """Return what there is to sign: `files` by relative POSIX path, in the folder `name`.

    The folder must hold these files and no others when it is verified; `.git` and the like, which
    model-signing passes over by itself, need not be named.
    """
    ordered = sorted(files, key=PurePosixPath)
    return Statement(
        subjects=(Subject(name=name, digest=_root([files[path] for path in ordered])),),
        predicate_type=PREDICATE_TYPE,
        predicate={
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [
                {"name": path, "algorithm": "sha256", "digest": files[path].hex} for path in ordered
            ],
        },
    )


def files_of(said: Statement) -> Mapping[str, Digest]:
    """Return the files that a verified statement is about.

    Raises:
        Corrupt: it is no such statement, of another method, or contradicts its subject.

    """
    if said.predicate_type != PREDICATE_TYPE:
        raise Corrupt(f"a statement is a `{said.predicate_type[:80]}`, expected `{PREDICATE_TYPE}`")
    resources = said.predicate.get("resources")
    if not isinstance(resources, list) or not 0 < len(resources) <= MAX_FILES:
        raise Corrupt(f"a model's signature has no files, or more than {MAX_FILES:,}")
    files: dict[str, Digest] = {}
    for item in resources:
        path, digest = _resource(item)
        if path in files:
            raise Corrupt(f"a model's signature names `{path}` twice")
        files[path] = digest
    root = _root(list(files.values()))
    if len(said.subjects) != 1 or said.subjects[0].digest != root:
        raise Corrupt(
            f"a model's signature is about {said.subjects[0].digest}, its files give {root}"
        )
    return files


def referrer(data: bytes, subject: Descriptor) -> Manifest:
    """Return the manifest that ties a signature to the packed model."""
    layer = Descriptor(media_type=bundle.MEDIA_TYPE, digest=Digest.of(data), size=len(data))
    return Manifest(
        artifact_type=ARTIFACT_TYPE, config=EMPTY_CONFIG, layers=(layer,), subject=subject
    )


def _root(digests: list[Digest]) -> Digest:
    return Digest.of(b"".join(bytes.fromhex(digest.hex) for digest in digests))


def _resource(item: Any) -> tuple[str, Digest]:
    try:
        path, algorithm, digest = item["name"], item["algorithm"], item["digest"]
        if algorithm != hashlib.sha256().name or not isinstance(path, str):
            raise Corrupt(f"a model's signature hashes with `{str(algorithm)[:40]}`, not `sha256`")
        return path, Digest.parse(f"sha256:{digest}")
    except (KeyError, TypeError) as error:
        raise Corrupt("a model's signature names a file with no digest") from error
    except LockgateError as error:
        raise Corrupt(error.message) from error
