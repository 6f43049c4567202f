"""Anonymous, basic and bearer, against a real registry and against ones that try to steal."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lockgate.domain.artifact import MANIFEST
from lockgate.errors import Denied, Unavailable
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.manifests import Manifests
from lockgate.oci.registry.settings import RegistrySettings
from oci.registry.scripted import Asked, Reply, Script, Scripted, serving
from registries import PASSWORD, USER, Running

MANIFEST_BYTES = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST}).encode()
FOUND = Reply(headers={"Content-Type": MANIFEST}, body=MANIFEST_BYTES)


def stored(folder: Path, host: str, **entry: str) -> RegistrySettings:
    path = folder / "config.json"
    path.write_text(json.dumps({"auths": {host: entry}}))
    return RegistrySettings(auth_files=(path,))


def get(host: str, settings: RegistrySettings, *, times: int = 1) -> None:
    with Registry(host, settings, pause=lambda _: None) as registry:
        for _ in range(times):
            Manifests(registry, "acme/m").get("1")


def bearer(realm: Callable[[], str], tokens: list[str], scope: str = "") -> Script:
    """A registry that wants the last of `tokens`, and gives them out one by one."""
    given = iter(tokens)

    def script(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(body=json.dumps({"token": next(given)}).encode())
        if asked.headers.get("authorization") == f"Bearer {tokens[-1]}":
            return FOUND
        challenge = f'Bearer realm="{realm()}",service="reg"{scope and f",scope={scope!r}"}'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    return script


def test_a_registry_with_accounts_takes_the_stored_password(locked: Running) -> None:
    settings = RegistrySettings(auth_files=(locked.docker_config,))
    with Registry(locked.host, settings) as registry:
        assert Manifests(registry, "a/b").head("none") is None


def test_without_credentials_the_message_says_how_to_log_in(locked: Running) -> None:
    with (
        Registry(locked.host, RegistrySettings()) as registry,
        pytest.raises(Denied, match="wants credentials, and none are stored") as caught,
    ):
        Manifests(registry, "a/b").get("1")
    assert f"skopeo login {locked.host}" in str(caught.value.hint)


def test_a_wrong_password_is_named_by_its_account_and_never_shown(
    locked: Running, tmp_path: Path
) -> None:
    settings = stored(tmp_path, locked.host, username=USER, password="not-" + PASSWORD)
    with pytest.raises(Denied, match=f"refused the credentials of `{USER}`") as caught:
        get(locked.host, settings)
    assert PASSWORD not in repr(caught.value) + str(caught.value.hint)


def test_a_token_is_fetched_once_for_its_scope_and_sent_first_next_time(tmp_path: Path) -> None:
    with serving(bearer(lambda: f"{state.url}/token", ["t1"])) as state:
        get(state.host, stored(tmp_path, state.host, username="u", password="p"), times=3)
        [token] = [asked for asked in state.asked if asked.path.startswith("/token")]
        assert len(state.asked) == 5
    assert parse_qs(urlsplit(token.path).query) == {
        "service": ["reg"],
        "scope": ["repository:acme/m:pull"],
        "account": ["u"],
    }
    assert b64decode(token.headers["authorization"].removeprefix("Basic ")) == b"u:p"


def test_without_credentials_an_anonymous_token_is_asked_for() -> None:
    with serving(bearer(lambda: f"{state.url}/token", ["t1"])) as state:
        get(state.host, RegistrySettings())
        [token] = [asked for asked in state.asked if asked.path.startswith("/token")]
    assert "authorization" not in token.headers


def test_a_token_that_expired_is_renewed() -> None:
    with serving(bearer(lambda: f"{state.url}/token", ["old", "new"])) as state:
        get(state.host, RegistrySettings())
        assert sum(asked.path.startswith("/token") for asked in state.asked) == 2


def test_a_registry_that_never_takes_its_own_token_is_given_up() -> None:
    with serving(bearer(lambda: f"{state.url}/token", [*"abcdefgh", "z"])) as state:
        with pytest.raises(Denied, match="refused its own token"):
            get(state.host, RegistrySettings())
        assert len(state.asked) <= 6


def test_an_identity_token_is_exchanged_as_oauth_says(tmp_path: Path) -> None:
    with serving(bearer(lambda: f"{state.url}/token", ["t1"])) as state:
        get(state.host, stored(tmp_path, state.host, identitytoken="refresh-me"))
        [token] = [asked for asked in state.asked if asked.path.startswith("/token")]
    assert token.method == "POST"
    assert parse_qs(token.body.decode())["refresh_token"] == ["refresh-me"]
    assert parse_qs(token.body.decode())["scope"] == ["repository:acme/m:pull"]


@pytest.mark.parametrize(
    ("realm", "said"),
    [
        ("https://10.0.0.1/token", "in a private network where the registry is not"),
        ("https://169.254.169.254/token", "in a link-local network"),
        ("https://[::ffff:10.0.0.1]/token", "in a private network"),
        ("http://203.0.113.9/token", "without TLS"),
        ("", "not an http"),
        ("https://a:b@127.0.0.1/token", "not an http"),
    ],
)
def test_a_token_service_in_another_network_is_not_asked(
    realm: str, said: str, tmp_path: Path
) -> None:
    with serving(bearer(lambda: realm, ["t"])) as state:
        settings = stored(tmp_path, state.host, username="u", password="p")
        with pytest.raises(Denied, match=said):
            get(state.host, settings)
        assert len(state.asked) == 1


def test_a_registry_elsewhere_cannot_name_a_token_service_on_this_machine() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status=500)

    with serving(bearer(lambda: f"{inside.url}/token", ["t"])) as state, serving(script) as inside:
        port = state.host.partition(":")[2]
        name = f"registry.example:{port}"
        settings = RegistrySettings(insecure=frozenset({name}), proxies={"http": state.url})
        with (
            Registry(name, settings, resolver=lambda _: ["198.51.100.7"]) as registry,
            pytest.raises(Denied, match="loopback network where the registry is not"),
        ):
            Manifests(registry, "acme/m").get("1")
        assert inside.asked == []


def test_a_host_that_nobody_knows_is_said_to_be_unknown() -> None:
    with (
        serving(bearer(lambda: "https://tokens.example/token", ["t"])) as state,
        Registry(state.host, RegistrySettings(), resolver=lambda _: []) as registry,
        pytest.raises(Unavailable, match=r"`tokens\.example` is not known"),
    ):
        Manifests(registry, "acme/m").get("1")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=401), "refused the account `u` .401."),
        (Reply(status=403), "refused the account `u` .403."),
        (Reply(status=200, body=b"[]"), "no usable token"),
        (Reply(status=200, body=b'{"token": 5}'), "no usable token"),
        (Reply(status=200, body=b'{"token": "a\\nHost: b"}'), "no usable token"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "answered 302"),
    ],
)
def test_a_token_service_that_gives_none_is_named(reply: Reply, said: str, tmp_path: Path) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return reply
        realm = f'Bearer realm="{state.url}/token"'
        return Reply(status=401, headers={"WWW-Authenticate": realm})

    with serving(script) as state:
        settings = stored(tmp_path, state.host, username="u", password="p")
        with pytest.raises(Denied, match=said):
            get(state.host, settings)


def test_a_busy_token_service_is_waited_for(tmp_path: Path) -> None:
    replies = [Reply(status=503), Reply(body=b'{"access_token": "t"}')]

    def script(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return replies.pop(0)
        if asked.headers.get("authorization") == "Bearer t":
            return FOUND
        realm = f'bearer realm="{state.url}/token"'
        return Reply(status=401, headers={"WWW-Authenticate": realm})

    with serving(script) as state:
        get(state.host, RegistrySettings())
    assert replies == []


def test_a_secret_that_the_registry_echoes_is_not_shown(tmp_path: Path) -> None:
    def script(asked: Asked) -> Reply:
        said = f"no {asked.headers.get('authorization')} and hunter2"
        body = json.dumps({"errors": [{"code": "DENIED", "message": said}]}).encode()
        status = 403 if "authorization" in asked.headers else 401
        return Reply(status=status, headers={"WWW-Authenticate": "Basic"}, body=body)

    with serving(script) as state:
        settings = stored(tmp_path, state.host, username="u", password="hunter2")
        with pytest.raises(Denied, match="DENIED") as caught:
            get(state.host, settings)
    assert "hunter2" not in str(caught.value)
    assert b64encode(b"u:hunter2").decode() not in str(caught.value)


def test_a_header_with_a_line_break_in_a_stored_secret_is_not_sent(tmp_path: Path) -> None:
    state: Scripted
    with serving(bearer(lambda: f"{state.url}/token", ["t1"])) as state:
        get(state.host, stored(tmp_path, state.host, username="u\r\nX: y", password="p"))
        assert not any("x" in asked.headers for asked in state.asked)
