"""The members of an answer: findings as JSON and back."""

from collections.abc import Iterable, Mapping, Sequence

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.finding import Finding, Severity, number
from lockgate.tasks.review.change import Omitted
from lockgate.tasks.review.rule import Rule


def encode(findings: Iterable[Finding], rules: Mapping[str, Rule]) -> list[Json]:
    """Return findings as the output schema has them."""
    return [
        {
            "rule": finding.rule,
            "severity": finding.severity.name.lower(),
            "message": finding.message,
            "path": finding.path,
            "line": finding.line,
            "snippet": finding.snippet,
            "fingerprint": finding.fingerprint,
            "help": rules[finding.rule].help,
        }
        for finding in findings
    ]


def decode(output: JsonObject) -> tuple[Finding, ...]:
    """Return the findings of an output that matches its schema. Inverse of `encode`."""
    listed = output["findings"]
    assert isinstance(listed, Sequence)
    return number(_finding(item) for item in listed if isinstance(item, Mapping))


def _finding(item: JsonObject) -> Finding:
    line = item["line"]
    return Finding(
        rule=str(item["rule"]),
        severity=Severity[str(item["severity"]).upper()],
        message=str(item["message"]),
        path=str(item["path"]),
        line=line if isinstance(line, int) else None,
        snippet=str(item["snippet"]),
    )


def encode_omitted(omitted: Omitted) -> dict[str, Json]:
    """Return what was left out as JSON."""
    return {"files": omitted.files, "bytes": omitted.bytes, "names": list(omitted.names)}


def decode_omitted(value: Json) -> Omitted:
    """Return what an input or an output says was left out. Inverse of `encode_omitted`."""
    if not isinstance(value, Mapping):
        return Omitted()
    files, size, names = value.get("files"), value.get("bytes"), value.get("names")
    return Omitted(
        files=files if isinstance(files, int) else 0,
        bytes=size if isinstance(size, int) else 0,
        names=tuple(str(n) for n in names) if isinstance(names, list | tuple) else (),
    )
