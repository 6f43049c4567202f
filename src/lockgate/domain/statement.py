"""What somebody says about an artifact, before and after it is signed.

Format: in-toto Attestation Framework, Statement v1 (`spec/v1/statement.md`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.errors import Corrupt, LockgateError

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_STATEMENT_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An artifact that a statement is about."""

    name: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A predicate about subjects."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    """URI."""
    predicate: JsonObject

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a statement.

        Raises:
            Corrupt: it is not a Statement v1 with SHA-256 subjects.

        """
        if len(data) > MAX_STATEMENT_BYTES:
            raise Corrupt(
                f"a statement has {len(data):,} bytes, at most {MAX_STATEMENT_BYTES:,} allowed"
            )
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Corrupt("a statement is not JSON") from error
        if not isinstance(document, dict) or document.get("_type") != STATEMENT_TYPE:
            raise Corrupt(f"a statement is not of the type `{STATEMENT_TYPE}`")
        subjects, kind = document.get("subject"), document.get("predicateType")
        predicate = document.get("predicate", {})
        if not isinstance(subjects, list) or not subjects:
            raise Corrupt("a statement has no subject")
        if not isinstance(kind, str) or not isinstance(predicate, dict):
            raise Corrupt("a statement has no predicate type, or its predicate is not an object")
        return cls(
            subjects=tuple(_subject(subject) for subject in subjects),
            predicate_type=kind,
            predicate=predicate,
        )

    @property
    def document(self) -> dict[str, Json]:
        """The statement as JSON."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": subject.name, "digest": {"sha256": subject.digest.hex}}
                for subject in self.subjects
            ],
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        }

    def encode(self) -> bytes:
        """Return the canonical bytes, which are what is signed."""
        return canonical(self.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A statement whose signature a known key made. Whether the key may say it, a gate decides."""

    statement: Statement
    key: str
    """Fingerprint: SHA-256, in hex, of the PEM of the public key."""
    digest: Digest
    """Of the signed bundle's bytes."""


def _subject(value: Any) -> Subject:
    if not isinstance(value, Mapping) or not isinstance(value.get("digest"), Mapping):
        raise Corrupt("a statement's subject has no digest")
    try:
        digest = Digest.parse(f"sha256:{value['digest'].get('sha256')}")
    except LockgateError as error:
        raise Corrupt(f"a statement's subject is not named by SHA-256: {error.message}") from error
    name = value.get("name", "")
    if not isinstance(name, str):
        raise Corrupt("a statement's subject has a name that is not a string")
    return Subject(name=name, digest=digest)
