"""Whether tests passed: in-toto Test Result v0.1 (`spec/predicates/test-result.md`)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.predicates.fields import Fields
from lockgate.domain.predicates.resource import Resource
from lockgate.errors import Corrupt

PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"


class Result(StrEnum):
    """The result of the whole run."""

    PASSED = "PASSED"
    WARNED = "WARNED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What a run of tests showed: for verifiers that know no evaluations."""

    result: Result
    configuration: tuple[Resource, ...] = ()
    url: str = ""
    passed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not a test-result v0.1.

        """
        fields = Fields(predicate, "test-result")
        word = fields.text("result")
        if word not in set(Result):
            raise Corrupt(f"test-result.result is `{word[:80]}`, not one of {', '.join(Result)}")
        return cls(
            result=Result(word),
            configuration=tuple(Resource.read(item) for item in fields.each("configuration")),
            url=fields.text("url", default=""),
            passed=fields.texts("passedTests"),
            warned=fields.texts("warnedTests"),
            failed=fields.texts("failedTests"),
        )

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        found: dict[str, Json] = {
            "result": str(self.result),
            "configuration": [item.document for item in self.configuration],
            "passedTests": list(self.passed),
            "warnedTests": list(self.warned),
            "failedTests": list(self.failed),
        }
        if self.url:
            found["url"] = self.url
        return found
