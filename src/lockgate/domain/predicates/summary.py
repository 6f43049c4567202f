"""The gate's verdict: SLSA Verification Summary v1 (https://slsa.dev/spec/v1.0/verification_summary)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.fields import Fields
from lockgate.domain.predicates.resource import Resource
from lockgate.errors import Corrupt

PREDICATE_TYPE: Final = "https://slsa.dev/verification_summary/v1"
SLSA_VERSION: Final = "1.0"
PASSED: Final = "PASSED"
FAILED: Final = "FAILED"


def resource_uri(task: str, environment: str) -> str:
    """Return what a verdict of ours is about: a place for a release, not the release."""
    return f"lockgate:{environment}/{task}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One verdict, which deployers check in place of all that it rests on."""

    verifier: str
    verified_at: datetime
    resource: str
    policy: Digest
    passed: bool
    policy_uri: str = ""
    inputs: tuple[Resource, ...] = ()
    """The attestations that counted."""
    levels: tuple[str, ...] = ()

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not a verification summary v1.

        """
        fields = Fields(predicate, "verification_summary")
        result, policy = fields.text("verificationResult"), fields.inside("policy")
        if result not in {PASSED, FAILED}:
            raise Corrupt(
                f"verification_summary.verificationResult is `{result[:80]}`, "
                f"not one of {PASSED}, {FAILED}"
            )
        return cls(
            verifier=fields.inside("verifier").text("id"),
            verified_at=fields.instant("timeVerified"),
            resource=fields.text("resourceUri"),
            policy=policy.digest("digest"),
            policy_uri=policy.text("uri", default=""),
            passed=result == PASSED,
            inputs=tuple(Resource.read(item) for item in fields.each("inputAttestations")),
            levels=fields.texts("verifiedLevels"),
        )

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        policy: dict[str, Json] = {"digest": {"sha256": self.policy.hex}}
        if self.policy_uri:
            policy["uri"] = self.policy_uri
        return {
            "verifier": {"id": self.verifier},
            "timeVerified": instant_text(self.verified_at),
            "resourceUri": self.resource,
            "policy": policy,
            "inputAttestations": [item.document for item in self.inputs],
            "verificationResult": PASSED if self.passed else FAILED,
            "verifiedLevels": list(self.levels),
            "slsaVersion": SLSA_VERSION,
        }
