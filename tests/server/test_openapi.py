"""The API's document, and whether the server keeps to it."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Generator
from typing import Any

import pytest

from lockgate.config.gateway_settings import ServerKey
from server.serving import Served, serving, upstream
from upstream.mock_model import mock_model

KEY = ServerKey(
    sha256=hashlib.sha256(b"admin").hexdigest(),
    roles=("caller", "auditor", "operator", "admin"),
    scopes=("task:*", "model:*"),
)
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    database = tmp_path_factory.mktemp("api") / "lockgate.db"
    with mock_model() as mock:

        async def models() -> Any:
            return {"m": upstream("m", mock.port)}

        with serving(models, keys={"admin": KEY}, database=database) as found:
            yield found


def document(served: Served) -> Any:
    return served.ask("GET", "/openapi.json", None, {"X-Api-Key": "admin"})[1]


def test_every_route_is_in_the_document_with_its_role(served: Served) -> None:
    found = document(served)["paths"]
    for route in served.routes:
        operation = found[route.path][route.method.lower()]
        assert operation.get("x-role") == route.role
        assert ("security" in operation) == (route.role is not None)
    assert sum(len(operations) for operations in found.values()) == len(served.routes)


def test_whatever_the_document_allows_is_answered_as_the_document_says(served: Served) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--max-examples", "8", "--seed", "1"),
            *("--phases", "examples,coverage,fuzzing", "--generation-database", "none"),
            *("--mode", "all", "--no-color", "-H", "Authorization: Bearer admin"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_document_is_the_same_each_time(served: Served) -> None:
    assert json.dumps(document(served)) == json.dumps(document(served))
