import base64
import json
import os
from pathlib import Path

import pytest

from lockgate.errors import Denied, InvalidConfig, LockgateError
from lockgate.oci.registry.credentials import Credentials, find_credentials
from lockgate.oci.registry.settings import RegistrySettings

HOST = "registry.example:5000"


def settings(folder: Path, document: object) -> RegistrySettings:
    path = folder / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return RegistrySettings(auth_files=(path,), helper_environment=environment)


def helper(folder: Path, name: str, script: str) -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": packed("me:pass:word")}, Credentials(username="me", password="pass:word")),
        ({"username": "me", "password": "x"}, Credentials(username="me", password="x")),
        (
            {"auth": packed("me:"), "identitytoken": "r"},
            Credentials(username="me", identity_token="r"),
        ),
        ({"identitytoken": "r"}, Credentials(identity_token="r")),
        ({}, None),
        ({"auth": ""}, None),
        ({"auth": 5}, None),
    ],
)
def test_what_docker_login_wrote_is_read(
    tmp_path: Path, entry: dict[str, object], found: Credentials | None
) -> None:
    assert find_credentials(settings(tmp_path, {"auths": {HOST: entry}}), HOST) == found


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/"])
def test_keys_of_old_versions_are_found(tmp_path: Path, key: str) -> None:
    document = {"auths": {key: {"auth": packed("a:b")}}}
    assert find_credentials(settings(tmp_path, document), HOST) is not None


@pytest.mark.parametrize("other", ["registry.example", "registry.example:5001", "example:5000"])
def test_another_host_gets_nothing(tmp_path: Path, other: str) -> None:
    document = {"auths": {other: {"auth": packed("a:b")}}}
    assert find_credentials(settings(tmp_path, document), HOST) is None


def test_no_file_means_nobody(tmp_path: Path) -> None:
    assert find_credentials(RegistrySettings(), HOST) is None
    assert find_credentials(RegistrySettings(auth_files=(tmp_path / "none",)), HOST) is None


@pytest.mark.parametrize(
    "document",
    ["", "[]", "{", "[" * 100_000, " " * (1 << 20) + "{}", {"auths": {HOST: {"auth": "%%%"}}}],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(
    tmp_path: Path, document: object
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        find_credentials(settings(tmp_path, document), HOST)
    assert "log in again" in str(caught.value.hint)


def test_a_helper_is_asked_for_its_host_through_stdin(tmp_path: Path) -> None:
    answer = json.dumps({"Username": "me", "Secret": "s3cret"})
    helper(tmp_path, "vault", f'[ "$1" = get ] && [ "$(cat)" = "{HOST}" ] && echo \'{answer}\'')
    document = {"credHelpers": {HOST: "vault"}, "auths": {HOST: {"auth": packed("old:old")}}}
    found = find_credentials(settings(tmp_path, document), HOST)
    assert found == Credentials(username="me", password="s3cret")
    assert "s3cret" not in repr(found)


def test_a_store_is_asked_when_nothing_else_is_known(tmp_path: Path) -> None:
    helper(tmp_path, "store", 'echo \'{"Username": "<token>", "Secret": "refresh"}\'')
    document = {"credsStore": "store", "auths": {HOST: {}}}
    found = find_credentials(settings(tmp_path, document), HOST)
    assert found == Credentials(identity_token="refresh")


def test_a_store_that_knows_nothing_means_nobody(tmp_path: Path) -> None:
    helper(tmp_path, "store", "echo credentials not found in native keychain; exit 1")
    assert find_credentials(settings(tmp_path, {"credsStore": "store"}), HOST) is None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo hunter2; exit 3", "exit status 3"),
        ("echo hunter2", "exit status 0"),
        ('echo \'{"Username": "u"}\'', "gave no credentials"),
        ("head -c 100000 /dev/zero", "gave no credentials"),
    ],
)
def test_a_helper_that_fails_is_named_and_not_quoted(
    tmp_path: Path, script: str, said: str
) -> None:
    helper(tmp_path, "bad", script)
    with pytest.raises(Denied, match=said) as caught:
        find_credentials(settings(tmp_path, {"credsStore": "bad"}), HOST)
    assert "docker-credential-bad" in caught.value.message
    assert "hunter2" not in caught.value.advice


def test_a_helper_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Denied, match=r"`docker-credential-gone` for .* is not installed"):
        find_credentials(settings(tmp_path, {"credHelpers": {HOST: "gone"}}), HOST)


@pytest.mark.parametrize("name", ["../evil", "a b", "-x", "a;rm", "x" * 65])
def test_a_helper_with_a_name_like_a_path_is_not_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(LockgateError, match="cannot be the name"):
        find_credentials(settings(tmp_path, {"credsStore": name}), HOST)


def test_the_first_file_that_knows_a_host_counts(tmp_path: Path) -> None:
    first = settings(tmp_path, {"auths": {"other.example": {"auth": packed("x:x")}}}).auth_files
    (tmp_path / "two").mkdir()
    second = settings(tmp_path / "two", {"auths": {HOST: {"auth": packed("a:b")}}}).auth_files
    found = find_credentials(RegistrySettings(auth_files=(*first, *second)), HOST)
    assert found == Credentials(username="a", password="b")
