import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, Denied, Unavailable, UsageError
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.registry.uploads import Uploads
from oci.registry.scripted import Asked, Reply, Scripted, serving
from oci.samples import noise

PIECE = 100_000
DATA = noise(3 * PIECE + 10)
DIGEST = Digest.of(DATA)


@dataclass
class Uploading:
    """A registry that takes one upload, and can lose its connection or its memory."""

    got: bytearray = field(default_factory=bytearray)
    stored: dict[str, bytes] = field(default_factory=dict)
    faults: list[Reply] = field(default_factory=list)
    """Used up by PATCH and PUT requests, one each, after their bytes arrived."""
    least: int = 0
    patches: bool = True
    keep: int | None = None
    """How many bytes of a PATCH that fails arrive all the same."""

    def __call__(self, asked: Asked) -> Reply:
        match asked.method:
            case "HEAD":
                found = self.stored.get(asked.path.rpartition("/")[2])
                if found is None:
                    return Reply(status=404)
                return Reply(headers={"Content-Length": str(len(found))})
            case "POST":
                self.got.clear()
                headers = {"Location": "/v2/r/blobs/uploads/1?_state=a"}
                if self.least:
                    headers["OCI-Chunk-Min-Length"] = str(self.least)
                return Reply(status=202, headers=headers)
            case "GET":
                return self._accepted(204)
            case "PATCH":
                return self._patch(asked)
            case _:
                return self._put(asked)

    def _patch(self, asked: Asked) -> Reply:
        if not self.patches:
            return Reply(status=405)
        start = int(asked.headers["content-range"].partition("-")[0])
        if start != len(self.got):
            return Reply(status=416)
        fault = self.faults.pop(0) if self.faults else None
        self.got += asked.body if fault is None else asked.body[: self.keep]
        return fault or self._accepted(202)

    def _put(self, asked: Asked) -> Reply:
        self.got += asked.body
        found = re.search("digest=(sha256%3A[0-9a-f]+)", asked.path)
        assert found is not None
        digest = found[1].replace("%3A", ":")
        if str(Digest.of(bytes(self.got))) != digest:
            return Reply(status=400, body=b'{"errors": [{"code": "DIGEST_INVALID"}]}')
        self.stored[digest] = bytes(self.got)
        return self.faults.pop(0) if self.faults else Reply(status=201)

    def _accepted(self, status: int) -> Reply:
        last = max(len(self.got) - 1, 0)
        return Reply(
            status=status,
            headers={"Location": "/v2/r/blobs/uploads/1?_state=b", "Range": f"0-{last}"},
        )


@pytest.fixture
def there() -> Uploading:
    return Uploading()


@pytest.fixture
def server(there: Uploading) -> Iterator[Scripted]:
    with serving(there) as running:
        yield running


@pytest.fixture
def uploads(server: Scripted) -> Iterator[Uploads]:
    with Registry(server.host, RegistrySettings(), pause=lambda _: None) as registry:
        yield Uploads(registry, "r", piece=PIECE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    return path


def pieces(server: Scripted) -> list[str]:
    return [asked.headers["content-range"] for asked in server.asked if asked.method == "PATCH"]


def test_a_large_file_goes_in_pieces_and_arrives_whole(
    there: Uploading, server: Scripted, uploads: Uploads, source: Path
) -> None:
    counted: list[int] = []
    uploads.push(DIGEST, source, counted.append)
    assert there.stored == {str(DIGEST): DATA}
    assert pieces(server) == ["0-99999", "100000-199999", "200000-299999", "300000-300009"]
    assert sum(counted) == len(DATA)


def test_pieces_are_as_long_as_the_registry_wants(
    there: Uploading, server: Scripted, uploads: Uploads, source: Path
) -> None:
    there.least = 250_000
    uploads.push(DIGEST, source, lambda _: None)
    assert pieces(server) == ["0-249999", "250000-300009"]
    assert there.stored == {str(DIGEST): DATA}


def test_a_registry_that_wants_absurd_pieces_is_refused(
    there: Uploading, uploads: Uploads, source: Path
) -> None:
    there.least = 1 << 40
    with pytest.raises(UsageError, match="1,099,511,627,776"):
        uploads.push(DIGEST, source, lambda _: None)


@pytest.mark.parametrize("keep", [0, 1, 2, 70_000, PIECE])
@pytest.mark.parametrize("fault", [Reply(status=502), Reply(hang_up=True)])
def test_an_upload_that_breaks_off_goes_on_where_the_registry_is(
    there: Uploading, server: Scripted, uploads: Uploads, source: Path, keep: int, fault: Reply
) -> None:
    there.faults, there.keep = [fault], keep
    counted: list[int] = []
    uploads.push(DIGEST, source, counted.append)
    assert there.stored == {str(DIGEST): DATA}
    # A registry with one byte says `0-0`, as one with none does, and then refuses the range.
    assert pieces(server)[1].startswith(f"{keep if keep > 1 else 0}-")
    assert sum(counted) == len(DATA)


def test_an_upload_that_never_gets_further_is_given_up(
    there: Uploading, uploads: Uploads, source: Path
) -> None:
    there.faults, there.keep = [Reply(status=503)] * 20, 0
    with pytest.raises(Unavailable, match="5 times in a row"):
        uploads.push(DIGEST, source, lambda _: None)
    assert there.stored == {}


def test_a_registry_without_pieces_gets_the_file_in_one(
    there: Uploading, uploads: Uploads, source: Path
) -> None:
    there.patches = False
    uploads.push(DIGEST, source, lambda _: None)
    assert there.stored == {str(DIGEST): DATA}


def test_an_end_whose_answer_was_lost_counts(
    there: Uploading, server: Scripted, uploads: Uploads, source: Path
) -> None:
    source.write_bytes(DATA[:10])
    there.faults = [Reply(hang_up=True)]
    uploads.push(Digest.of(DATA[:10]), source, lambda _: None)
    assert [asked.method for asked in server.asked] == ["POST", "PUT", "HEAD"]


def test_a_file_that_does_not_match_its_digest_is_refused_by_name(
    there: Uploading, uploads: Uploads, source: Path
) -> None:
    source.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(Corrupt, match=f"{DIGEST}.*DIGEST_INVALID"):
        uploads.push(DIGEST, source, lambda _: None)


def test_a_blob_of_another_size_there_is_refused_with_both_sizes(
    there: Uploading, uploads: Uploads
) -> None:
    there.stored[str(DIGEST)] = DATA[:5]
    with pytest.raises(Corrupt, match="5 bytes there, 300,010 here"):
        uploads.has(DIGEST, len(DATA))


def test_an_upload_address_elsewhere_gets_no_credentials_and_must_be_allowed(
    source: Path, tmp_path: Path
) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status=202, headers={"Location": "https://10.0.0.1/upload"})

    with (
        serving(script) as state,
        Registry(state.host, RegistrySettings()) as registry,
        pytest.raises(Denied, match=r"upload address `10\.0\.0\.1`"),
    ):
        Uploads(registry, "r").push(DIGEST, source, lambda _: None)


def test_a_real_registry_takes_pieces_mounts_and_empty_blobs(
    repository: Repository, source: Path, tmp_path: Path
) -> None:
    registry = repository.registry
    uploads = Uploads(registry, repository.name, piece=PIECE)
    assert not uploads.has(DIGEST, len(DATA))
    uploads.push(DIGEST, source, lambda _: None)
    assert uploads.has(DIGEST, len(DATA))

    second = Uploads(registry, f"{repository.name}/second")
    assert second.mount(DIGEST, repository.name)
    assert second.has(DIGEST, len(DATA))
    assert not second.mount(Digest.of(b"nowhere"), repository.name)

    empty = tmp_path / "empty"
    empty.touch()
    uploads.push(Digest.of(b""), empty, lambda _: None)
    assert uploads.has(Digest.of(b""), 0)


def test_a_real_registry_refuses_a_file_that_does_not_match(
    repository: Repository, source: Path
) -> None:
    wrong = Digest.of(b"something else")
    with pytest.raises(Corrupt, match="DIGEST_INVALID"):
        repository.uploads.push(wrong, source, lambda _: None)
    assert not repository.uploads.has(wrong, len(DATA))
