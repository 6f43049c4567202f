"""Reads JUnit XML, as test runners write it, from hostile hands.

One pass by expat. A document type is refused, so there is nothing to expand. The format has no
standard; what is read are `testcase` elements with `classname` and `name`, and their `failure`,
`error` and `skipped` children (the Jenkins `junit-10.xsd` calls them so).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from lockgate.errors import InvalidInput

MOST_BYTES: Final = 64 << 20
MOST_TESTS: Final = 100_000
_MOST_NAME: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """What a run of tests showed, by the names of its tests."""

    __test__ = False  # for pytest

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    """Failures and errors."""
    skipped: tuple[str, ...]


def read_junit(path: Path) -> tuple[TestRun, bytes]:
    """Return what a report says, and its bytes.

    Raises:
        InvalidInput: it cannot be read, is not JUnit XML, holds no test or too many.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read `{path}`: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise InvalidInput(f"`{path}` has more than {MOST_BYTES:,} bytes")
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.StartDoctypeDeclHandler = reading.doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise InvalidInput(
            f"`{path}` is not JUnit XML: {error}", hint="write it with `pytest --junit-xml FILE`"
        ) from error
    if not any(reading.names.values()):
        raise InvalidInput(f"`{path}` has no test", hint="a run of nothing shows nothing")
    found = {kind: tuple(sorted(set(names))) for kind, names in reading.names.items()}
    # A test that ran twice and failed once has failed.
    bad = set(found["failed"])
    return TestRun(
        passed=tuple(name for name in found["passed"] if name not in bad),
        failed=found["failed"],
        skipped=tuple(
            name for name in found["skipped"] if name not in bad and name not in found["passed"]
        ),
    ), data


@dataclass(slots=True)
class _Reading:
    names: dict[str, list[str]] = field(
        default_factory=lambda: {"passed": [], "failed": [], "skipped": []}
    )
    current: str | None = None
    kind: str = "passed"
    count: int = 0
    depth: int = 0

    def doctype(self, *_: object) -> None:
        raise ValueError("a document type is not allowed")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.depth == 0 and tag not in {"testsuites", "testsuite"}:
            raise ValueError(f"its root is `{tag[:80]}`, expected `testsuites` or `testsuite`")
        self.depth += 1
        if tag == "testcase":
            if self.current is not None:
                raise ValueError("a testcase stands within a testcase")
            self.count += 1
            if self.count > MOST_TESTS:
                raise ValueError(f"it has more than {MOST_TESTS:,} tests")
            names = (attributes.get("classname", ""), attributes.get("name", ""))
            self.current = "::".join(name for name in names if name)[:_MOST_NAME] or "unnamed"
            self.kind = "passed"
        elif self.current is not None and tag in {"failure", "error"}:
            self.kind = "failed"
        elif self.current is not None and tag == "skipped" and self.kind == "passed":
            self.kind = "skipped"

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "testcase" and self.current is not None:
            self.names[self.kind].append(self.current)
            self.current = None
