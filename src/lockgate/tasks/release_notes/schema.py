"""The schemas of this task: what goes in, what comes out, and what `--format json` prints."""

from lockgate.domain.digest import JsonObject
from lockgate.tasks.release_notes import changes, sections

_STRING: JsonObject = {"type": "string"}
_NULLABLE: JsonObject = {"type": ["string", "null"]}
_STRINGS: JsonObject = {"type": "array", "items": _STRING}
_SHA: JsonObject = {"type": "string", "pattern": "^[0-9a-f]{40}([0-9a-f]{24})?$"}
_SHAS: JsonObject = {"type": "array", "items": _SHA}
_COUNT: JsonObject = {"type": "integer", "minimum": 0}
_NUMBERS: JsonObject = {"type": "array", "items": {"type": "integer", "minimum": 1}}
_SHARE: JsonObject = {"type": "number", "minimum": 0, "maximum": 1}


def _object(properties: JsonObject, *optional: str) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


_POINT = _object({"name": _STRING, "sha": _SHA, "tag": _NULLABLE})
_NO_POINT: JsonObject = {"anyOf": [_POINT, {"type": "null"}]}
_REPOSITORY = _object(
    {
        "name": _STRING,
        "url": _NULLABLE,
        "forge": {"enum": ["github", "gitlab", "bitbucket", "gitea", None]},
    }
)

INPUT: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Input of release-notes",
    **_object(
        {
            "repository": _REPOSITORY,
            "range": _object({
                "expression": _STRING,
                "start": _NO_POINT,
                "end": _POINT,
                "date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                "previous_tag": _NULLABLE,
                "paths": _STRINGS,
            }),
            "version": {"type": "string", "maxLength": 100},
            "include_bots": {"type": "boolean"},
            "commits": {
                "type": "array",
                "minItems": 1,
                "items": _object(
                    {
                        "sha": _SHA,
                        "subject": {"type": "string", "maxLength": 1_000},
                        "body": {"type": "string", "maxLength": 10_000},
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "pattern": "^[A-Z] ."},
                        },
                        "more_files": _COUNT,
                        "parents": _SHAS,
                        "merge": {"type": "boolean"},
                        "bot": {"type": "boolean"},
                    },
                    "body", "files", "more_files", "parents", "merge", "bot",
                ),
            },
            "pull_requests": {
                "type": "array",
                "items": _object(
                    {
                        "number": {"type": "integer", "minimum": 1},
                        "title": _STRING,
                        "body": _STRING,
                        "labels": _STRINGS,
                        "bot": {"type": "boolean"},
                        "commit": _STRING,
                    },
                    "title", "body", "labels", "bot", "commit",
                ),
            },
            "earlier": {
                "description": "Types of this repository's earlier commits, counted by folder.",
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": _COUNT},
            },
        },
        "version", "include_bots", "pull_requests", "earlier",
    ),
}  # fmt: skip

_ENTRY = _object(
    {
        "id": _STRING,
        "text": {"type": "string", "minLength": 1},
        "type": _NULLABLE,
        "scope": _NULLABLE,
        "breaking": {"type": "boolean"},
        "notes": _STRINGS,
        "commits": {"type": "array", "minItems": 1, "items": _SHA},
        "pull_requests": _NUMBERS,
        "also": {"description": "Subjects that were folded into this entry.", **_STRINGS},
        "by": {"enum": ["conventional", "label", "model", "rules", "history", None]},
        "confidence": _SHARE,
    }
)

OUTPUT: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Output of release-notes",
    **_object({
        "title": {"type": "string", "minLength": 1},
        "date": _NULLABLE,
        "repository": _REPOSITORY,
        "range": _object({
            "expression": _STRING,
            "start": _NO_POINT,
            "end": _POINT,
            "paths": _STRINGS,
            "compare": {"description": "Web page of the difference.", **_NULLABLE},
        }),
        "version": _object({
            "previous": _NULLABLE,
            "bump": {"enum": ["major", "minor", "patch"]},
            "proposed": _NULLABLE,
            "tag": _NULLABLE,
            "reason": _STRING,
            "commits": _SHAS,
        }),
        "summary": _object({
            "text": {"type": "string", "minLength": 1},
            "engine": {"enum": ["model", "rules"]},
            "parts": {
                "type": "array",
                "items": _object({
                    "entry": {"description": "Id of the entry it rests on.", **_STRING},
                    "text": {"type": "string", "minLength": 1},
                    "engine": {"enum": ["model", "rules"]},
                    "replaced": {
                        "description": "Why the model's text was not taken.", **_NULLABLE,
                    },
                }),
            },
        }),
        "highlights": {"description": "Ids of entries, best first.", **_STRINGS},
        "sections": {
            "type": "array",
            "items": _object({
                "id": {"enum": list(sections.TITLES)},
                "title": _STRING,
                "entries": {"type": "array", "minItems": 1, "items": _ENTRY},
            }),
        },
        "omitted": {
            "type": "array",
            "items": _object({
                "reason": {"enum": list(changes.LEFT_OUT)},
                "count": {"type": "integer", "minimum": 1},
                "commits": _SHAS,
            }),
        },
        "coverage": _object({
            "commits": _COUNT, "represented": _COUNT, "omitted": _COUNT,
        }),
    }),
}  # fmt: skip


def answer() -> JsonObject:
    """Return the schema of `--format json`: the output, and how it came to be."""
    properties = {
        **_properties(OUTPUT),
        "engine": {"enum": ["model", "rules"]},
        "degraded": {"type": "boolean"},
        "degraded_reasons": {
            "description": "Why this is less than the release promises.",
            **_STRINGS,
        },
        "evidence": {"description": "The commits that the notes rest on.", **_SHAS},
        "confidence": {"anyOf": [_SHARE, {"type": "null"}]},
        "release": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:lockgate:schema:release-notes:1",
        "title": "Release notes",
        **_object(properties),
    }


def _properties(schema: JsonObject) -> JsonObject:
    found = schema["properties"]
    assert isinstance(found, dict)
    return found
