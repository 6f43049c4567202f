"""The JSON Schemas of the task's input and output."""

from lockgate.domain.digest import JsonObject

MAX_NAMES = 20
MAX_SUMMARY = 600

_OMITTED: JsonObject = {
    "type": "object",
    "description": "What was past the analysis budget.",
    "additionalProperties": False,
    "required": ["files", "bytes", "names"],
    "properties": {
        "files": {"type": "integer", "minimum": 0},
        "bytes": {"type": "integer", "minimum": 0},
        "names": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_NAMES},
    },
}
_SEVERITY: JsonObject = {"enum": ["low", "medium", "high"]}

INPUT: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["diff"],
    "properties": {
        "diff": {"type": "string", "description": "A unified diff; empty for no change."},
        "omitted": _OMITTED,
    },
}

OUTPUT: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["risk", "score", "confidence", "summary", "findings", "omitted"],
    "properties": {
        "risk": _SEVERITY,
        "score": {"type": "integer", "minimum": 0, "maximum": 100},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "summary": {"type": "string", "minLength": 1},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": [
                    "rule",
                    "severity",
                    "message",
                    "path",
                    "line",
                    "snippet",
                    "fingerprint",
                    "help",
                ],
                "properties": {
                    "rule": {"type": "string"},
                    "severity": _SEVERITY,
                    "message": {"type": "string"},
                    "path": {"type": "string"},
                    "line": {"type": ["integer", "null"], "minimum": 1},
                    "snippet": {"type": "string"},
                    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                    "help": {"type": "string"},
                },
            },
        },
        "omitted": _OMITTED,
    },
}
