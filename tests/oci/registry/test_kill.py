"""A pull that is killed, or whose disk is full, at any point."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.oci.chunks import CHUNK_BYTES
from lockgate.oci.closure import pull_closure
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from oci.doubles import Counter
from oci.loopback import Fault, Site
from oci.registry.samples import BIG, Sample, as_root, release

BLOB = f"/v2/m/blobs/{Digest.of(BIG)}"


@pytest.fixture
def packed(layout: Layout) -> Sample:
    return release(layout)


@pytest.fixture
def published(site: Site, layout: Layout, packed: Sample) -> Site:
    """The release as files of a plain web server, which is enough to pull from."""
    for path in layout.blobs():
        for folder in ("blobs", "manifests"):
            site.files[f"/v2/m/{folder}/sha256:{path.name}"] = path.read_bytes()
    return site


@pytest.fixture
def target(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "target")


def fetcher(site: Site, target: Layout, root: Digest, limit: int = -1) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("fetcher.py")
    host = site.url.removeprefix("http://")
    return subprocess.Popen(
        # A shell's background job hands an ignored SIGINT down to its children.
        [
            *("env", "--default-signal=INT", sys.executable, str(program)),
            *(str(target.root), host, "m", str(root), str(limit)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def pull(site: Site, target: Layout, root: Digest) -> None:
    with Registry(site.url.removeprefix("http://"), RegistrySettings()) as registry:
        repository = Repository(registry, "m", target)
        pull_closure(repository, target, root, names=as_root, progress=Counter())


@pytest.mark.parametrize(("at", "finished"), [(0, 0), (1, 1), (2, 2)])
def test_a_killed_pull_loses_no_finished_chunk(
    published: Site, packed: Sample, target: Layout, at: int, finished: int
) -> None:
    root, reached, hold = packed.release.digest, threading.Event(), threading.Event()
    whole = published.files.pop(BLOB)
    process = fetcher(published, target, root)
    process.wait(30)  # the documents are here now; the blob was not found
    assert process.stdout is not None
    assert "404" in process.stdout.read()
    process.stdout.close()
    published.files[BLOB] = whole
    published.seen.clear()

    held = Fault(cut=500, hold=hold, reached=reached)
    published.faults_at[BLOB] = [*[Fault()] * at, held]
    process = fetcher(published, target, root)
    try:
        assert reached.wait(30)
        process.kill()
        process.wait(10)
    finally:
        hold.set()
        assert process.stdout is not None
        process.stdout.close()
    assert target.manifests() == {}

    published.faults_at.clear()
    published.seen.clear()
    pull(published, target, root)

    starts = [str(seen.range)[6:].partition("-")[0] for seen in published.gets(BLOB)]
    assert sorted(map(int, starts)) == [CHUNK_BYTES * index for index in range(finished, 3)]
    assert target.blob(Digest.of(BIG)).read_bytes() == BIG
    assert target.manifests()["pulled"].digest == root
    assert list(target.ingest.iterdir()) == []


def test_a_full_disk_makes_nothing_visible_and_the_next_pull_succeeds(
    published: Site, packed: Sample, target: Layout
) -> None:
    process = fetcher(published, target, packed.release.digest, limit=CHUNK_BYTES)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "storage-failed" in output
    assert target.manifests() == {}
    pull(published, target, packed.release.digest)
    assert target.manifests()["pulled"].digest == packed.release.digest


@pytest.mark.parametrize("at", [0, 1])
def test_an_interrupted_pull_ends_at_once_and_leaves_no_lock(
    published: Site, packed: Sample, target: Layout, at: int
) -> None:
    reached, hold = threading.Event(), threading.Event()
    published.faults_at[BLOB] = [*[Fault()] * at, Fault(cut=500, hold=hold, reached=reached)]
    process = fetcher(published, target, packed.release.digest)
    try:
        assert reached.wait(30)
        process.send_signal(signal.SIGINT)
        process.wait(10)  # the server would hold the answer for a minute
    finally:
        process.kill()
        process.communicate()
        hold.set()
    assert process.returncode == -signal.SIGINT
    assert target.manifests() == {}
    assert sorted(path.suffix for path in target.ingest.iterdir()) == [".blob", ".map"]
    published.seen.clear()
    pull(published, target, packed.release.digest)
    assert len(published.gets(BLOB)) == 3 - at
