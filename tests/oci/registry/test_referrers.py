import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lockgate.domain.artifact import EMPTY_CONFIG, INDEX, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, Unavailable
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.manifests import Manifests
from lockgate.oci.registry.referrers import Referrers, fallback_tag
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from oci.registry.scripted import Asked, Reply, serving

SUBJECT = Descriptor(media_type=MANIFEST, digest=Digest.of(b"subject"), size=7)
WRITERS, EACH = 4, 5


def about(number: int, subject: Descriptor = SUBJECT) -> bytes:
    return Manifest(
        artifact_type="application/vnd.test",
        config=EMPTY_CONFIG,
        layers=(EMPTY_CONFIG,),
        subject=subject,
        annotations={"number": str(number)},
    ).encode()


def index(*entries: Mapping[str, object], **members: object) -> bytes:
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **members}
    return json.dumps(document).encode()


def empty_blob(repository: Repository, folder: Path) -> None:
    path = folder / "empty.json"
    path.write_bytes(b"{}")
    repository.uploads.push(EMPTY_CONFIG.digest, path, lambda _: None)


def test_writers_in_several_processes_lose_no_entry(
    repository: Repository, layout: Layout, tmp_path: Path
) -> None:
    empty_blob(repository, tmp_path)
    writer = Path(__file__).with_name("writer.py")
    arguments = [str(layout.root), repository.registry.host, repository.name, str(EACH)]
    running = [
        subprocess.Popen([sys.executable, writer, *arguments, str(number)])
        for number in range(WRITERS)
    ]
    assert [process.wait(60) for process in running] == [0] * WRITERS
    found = repository.referrers.list(SUBJECT.digest)
    assert {at.digest for at in found} == {
        Digest.of(about(number)) for number in range(WRITERS * EACH)
    }
    assert list(layout.ingest.iterdir()) == []


class Overwritten:
    """A registry without referrers API, where somebody else writes the list after us."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.listed = index()

    def __call__(self, asked: Asked) -> Reply:
        if asked.method == "PUT" and "/manifests/sha256-" in asked.path:
            if self.times > 0:
                self.times -= 1
                self.listed = index({**json.loads(about_other().decode())})
            else:
                self.listed = asked.body
            return Reply(status=201)
        if asked.method == "PUT":
            return Reply(status=201)
        if "/manifests/sha256-" in asked.path:
            return Reply(headers={"Content-Type": INDEX}, body=self.listed)
        return Reply(status=404)


def about_other() -> bytes:
    at = Descriptor(media_type=MANIFEST, digest=Digest.of(b"other"), size=5)
    return json.dumps(at.document).encode()


def test_a_list_that_another_machine_overwrites_is_written_again(layout: Layout) -> None:
    there = Overwritten(times=2)
    with (
        serving(there) as state,
        Registry(state.host, RegistrySettings(), pause=lambda _: None) as registry,
    ):
        Referrers(registry, "r", Manifests(registry, "r")).push([about(1), about(2)], layout)
    listed = {entry["digest"] for entry in json.loads(there.listed)["manifests"]}
    assert listed == {str(Digest.of(data)) for data in (b"other", about(1), about(2))}


def test_a_list_that_is_always_overwritten_is_an_error_in_the_end(layout: Layout) -> None:
    with (
        serving(Overwritten(times=1000)) as state,
        Registry(state.host, RegistrySettings(), pause=lambda _: None) as registry,
        pytest.raises(Unavailable, match="overwrote"),
    ):
        Referrers(registry, "r", Manifests(registry, "r")).push([about(1)], layout)


def test_entries_of_others_stay_as_they_are(
    repository: Repository, layout: Layout, tmp_path: Path
) -> None:
    empty_blob(repository, tmp_path)
    repository.manifests.put(about(1), MANIFEST)
    theirs = {
        **Descriptor(media_type=MANIFEST, digest=Digest.of(about(1)), size=len(about(1))).document,
        "platform": {"architecture": "amd64", "os": "linux"},
        "urls": ["https://registry.example/x"],
    }
    repository.manifests.put(index(theirs), INDEX, tag=fallback_tag(SUBJECT.digest))
    repository.referrers.push([about(2)], layout)
    listed = json.loads(repository.manifests.get(fallback_tag(SUBJECT.digest)).data)["manifests"]
    assert listed[0] == theirs
    assert listed[1]["artifactType"] == "application/vnd.test"
    assert listed[1]["annotations"] == {"number": "2"}


def test_a_registry_with_the_api_needs_no_tag(layout: Layout) -> None:
    first = Descriptor(media_type=MANIFEST, digest=Digest.of(b"1"), size=1, artifact_type="a/a")
    second = Descriptor(media_type=MANIFEST, digest=Digest.of(b"2"), size=1, artifact_type="b/b")

    def script(asked: Asked) -> Reply:
        if asked.method == "PUT":
            return Reply(status=201, headers={"OCI-Subject": str(SUBJECT.digest)})
        if "/referrers/" not in asked.path:
            return Reply(status=404)
        headers = {"Content-Type": INDEX}
        if "last" in parse_qs(urlsplit(asked.path).query):
            return Reply(headers=headers, body=index(second.document))
        link = f'<{urlsplit(asked.path).path}?last=1>; rel="next"'
        return Reply(headers={**headers, "Link": link}, body=index(first.document))

    with serving(script) as state, Registry(state.host, RegistrySettings()) as registry:
        referrers = Referrers(registry, "r", Manifests(registry, "r"))
        referrers.push([about(1)], layout)
        found = {at.digest for at in referrers.list(SUBJECT.digest)}
        assert found == {first.digest, second.digest}
        assert [at.digest for at in referrers.list(SUBJECT.digest, artifact_type="b/b")] == [
            second.digest
        ]
        assert not any("sha256-" in asked.path for asked in state.asked)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"manifests": 5}', b'{"manifests": [5]}', b'{"manifests": [{}]}'],
)
def test_a_list_that_is_none_is_refused(body: bytes) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(headers={"Content-Type": INDEX}, body=body)

    with (
        serving(script) as state,
        Registry(state.host, RegistrySettings()) as registry,
        pytest.raises(Corrupt),
    ):
        Referrers(registry, "r", Manifests(registry, "r")).list(SUBJECT.digest)


def test_a_list_without_end_is_refused() -> None:
    def script(asked: Asked) -> Reply:
        headers = {"Content-Type": INDEX, "Link": f'<{asked.path}>; rel="next"'}
        return Reply(headers=headers, body=index())

    with (
        serving(script) as state,
        Registry(state.host, RegistrySettings()) as registry,
        pytest.raises(Corrupt, match="pages"),
    ):
        Referrers(registry, "r", Manifests(registry, "r")).list(SUBJECT.digest)


def test_a_manifest_without_subject_is_not_pushed(repository: Repository, layout: Layout) -> None:
    plain = Manifest(artifact_type="a/b", config=EMPTY_CONFIG, layers=()).encode()
    with pytest.raises(Corrupt, match="no `subject`"):
        repository.referrers.push([plain], layout)
