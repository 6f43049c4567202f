import dataclasses
import json
from typing import Any

import jsonschema_rs
import pytest

from lockgate.config import settings
from lockgate.config.schema import json_schema

SCHEMA: dict[str, Any] = json.loads(json.dumps(json_schema()))
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
TABLES = [
    table
    for table in vars(settings).values()
    if isinstance(table, type)
    and dataclasses.is_dataclass(table)
    and table.__module__ == settings.__name__
    and not table.__name__.startswith("_")
]
HF = {
    "source": "hf",
    "repo": "owner/name",
    "revision": "0" * 40,
    "backend": "onnx",
    "files": [{"role": "weights", "member": "model.safetensors", "sha256": "a" * 64, "size": 1}],
}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"store": {"url": "sqlite:x.db"}},
        {"backends": {"x": {"kind": "openai", "url": "http://h/v1"}}},
        {"models": {"m": HF}},
        {"tasks": {"review": {"engine": "rules", "models": {"text": {"backend": "x"}}}}},
    ],
)
def test_the_json_schema_takes_what_the_program_takes(document: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "document",
    [
        {"stoer": {}},
        {"store": {"url": "mysql://x"}},
        {"audit": {"payload_retention_days": -1}},
        {"backends": {"x": {"kind": "unheard-of"}}},
        {"backends": {"x": {"kind": "openai"}}},
        {"models": {"m": {**HF, "revision": "main"}}},
        {"models": {"m": {**HF, "files": []}}},
        {"tasks": {"review": {"models": {"text": {"modle": "x"}}}}},
    ],
)
def test_the_json_schema_refuses_what_the_program_refuses(document: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_table_is_described(table: type) -> None:
    described = SCHEMA if table is settings.Config else SCHEMA["$defs"][table.__name__]

    assert described["description"]
    assert described["additionalProperties"] is False


def test_descriptions_come_from_the_docstrings_of_the_fields() -> None:
    audit = SCHEMA["$defs"]["AuditSettings"]["properties"]["payload_retention_days"]

    assert audit["description"].startswith("Days for which")
    assert (audit["minimum"], audit["default"]) == (0, 30)


def test_no_setting_can_hold_a_secret_itself() -> None:
    # What a secret is for may be named only with the variable that holds it.
    words = ("token", "password", "secret", "key")
    names = {field.name for table in TABLES for field in dataclasses.fields(table)}

    assert {n for n in names if any(w in n.split("_") for w in words)} == {"token_env"}
