import json
import socket
import threading
from collections.abc import Mapping

import pytest

from lockgate.domain.artifact import EMPTY_CONFIG, INDEX, MANIFEST, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, Denied, NotFound, Unavailable, UsageError
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.manifests import Fetched, Manifests
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from oci.registry.scripted import Asked, Reply, Script, serving

DATA = Manifest(artifact_type="a/b", config=EMPTY_CONFIG, layers=()).encode()
DIGEST = Digest.of(DATA)


def get(script: Script, label: str | Digest = "1") -> Fetched:
    with (
        serving(script) as state,
        Registry(state.host, RegistrySettings(), pause=lambda _: None) as registry,
    ):
        return Manifests(registry, "r").get(label)


def answering(
    *, status: int = 200, body: bytes = DATA, headers: Mapping[str, str] | None = None
) -> Script:
    said = {"Content-Type": MANIFEST} if headers is None else headers
    return lambda _: Reply(status=status, headers=said, body=body)


def test_a_manifest_goes_there_and_comes_back_by_tag_and_digest(repository: Repository) -> None:
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    repository.manifests.put(index, INDEX, tag="x")
    by_tag = repository.manifests.get("x")
    assert by_tag == repository.manifests.get(by_tag.digest)
    assert (by_tag.data, by_tag.media_type) == (index, INDEX)
    assert repository.manifests.head("x") == by_tag.descriptor
    assert repository.manifests.head("y") is None


def test_bytes_of_another_digest_are_refused_with_both() -> None:
    with pytest.raises(Corrupt) as caught:
        get(answering(body=DATA + b" "), DIGEST)
    assert str(DIGEST) in caught.value.message
    assert str(Digest.of(DATA + b" ")) in caught.value.message


def test_a_tag_whose_bytes_are_not_what_the_header_says_is_refused() -> None:
    headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": str(Digest.of(b"other"))}
    with pytest.raises(Corrupt, match="expected sha256:"):
        get(answering(headers=headers))


def test_a_type_that_header_and_document_disagree_on_is_refused() -> None:
    with pytest.raises(Corrupt, match=r"came as .*index.* says of itself .*manifest"):
        get(answering(headers={"Content-Type": INDEX}))


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(Corrupt, match="is not"):
        get(answering(body=body))


def test_an_answer_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 4,194,304 bytes"):
        get(answering(body=b" " * (5 << 20)))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Denied), (403, Denied), (404, NotFound), (418, UsageError), (503, Unavailable)],
)
def test_a_refusal_names_the_place_the_status_and_the_next_step(
    status: int, kind: type[Exception]
) -> None:
    body = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no \\u001b[31mway"}]}'
    with pytest.raises(kind, match=f"{status}.*MANIFEST_UNKNOWN: no \\[31mway") as caught:
        get(answering(status=status, body=body))
    assert "/r" in str(caught.value)
    assert getattr(caught.value, "hint", None)


def test_a_manifest_that_lacks_a_blob_is_refused_as_the_registry_says(
    repository: Repository,
) -> None:
    with pytest.raises(UsageError, match=r"400.*MANIFEST_BLOB_UNKNOWN"):
        repository.manifests.put(DATA, MANIFEST)


def test_a_registry_that_stores_something_else_is_named() -> None:
    def script(asked: Asked) -> Reply:
        other = str(Digest.of(b"rewritten"))
        return Reply(status=201, headers={"Docker-Content-Digest": other})

    with (
        serving(script) as state,
        Registry(state.host, RegistrySettings()) as registry,
        pytest.raises(Corrupt, match=f"stored {Digest.of(b'rewritten')}, sent was {DIGEST}"),
    ):
        Manifests(registry, "r").put(DATA, MANIFEST, tag="1")


def test_a_push_is_not_redirected() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status=307, headers={"Location": "http://127.0.0.1:9/v2/r?token=s3cret"})

    with (
        serving(script) as state,
        Registry(state.host, RegistrySettings()) as registry,
        pytest.raises(Denied, match=r"307 to `http://127\.0\.0\.1:9/v2/r`"),
    ):
        Manifests(registry, "r").put(DATA, MANIFEST, tag="1")


def test_tags_come_from_all_pages_without_those_that_list_referrers() -> None:
    hidden = f"sha256-{'0' * 64}"

    def script(asked: Asked) -> Reply:
        if "last=" in asked.path:
            return Reply(body=json.dumps({"tags": ["3"]}).encode())
        link = '</v2/r/tags/list?last=2&n=2>; rel="next"'
        return Reply(headers={"Link": link}, body=json.dumps({"tags": ["1", hidden]}).encode())

    with serving(script) as state, Registry(state.host, RegistrySettings()) as registry:
        assert Manifests(registry, "r").tags() == ["1", "3"]


@pytest.mark.parametrize("tags", ["x", [5], ["../x"], {"a": 1}])
def test_what_is_no_list_of_tags_is_refused(tags: object) -> None:
    body = json.dumps({"tags": tags}).encode()
    with (
        serving(lambda _: Reply(body=body)) as state,
        Registry(state.host, RegistrySettings()) as registry,
        pytest.raises(Corrupt, match="not a list of tags"),
    ):
        Manifests(registry, "r").tags()


def test_a_registry_that_is_not_there_is_named_with_what_to_do() -> None:
    with serving(lambda _: Reply()) as state:
        host = state.host
    with (
        Registry(host, RegistrySettings(), pause=lambda _: None) as registry,
        pytest.raises(Unavailable, match=f"{host}.*refused") as caught,
    ):
        Manifests(registry, "r").get("1")
    assert "again" in str(caught.value.hint)


def test_what_speaks_no_http_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            for _ in range(5):
                connection = server.accept()[0]
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"220 mail\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            Registry(host, RegistrySettings(), pause=lambda _: None) as registry,
            pytest.raises(Unavailable, match="times in a row: connection aborted: 220 mail"),
        ):
            Manifests(registry, "r").get("1")
        thread.join()
