"""What each kind promises, and what is refused in its place."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, JsonObject, canonical
from lockgate.domain.gate.evidence import PinFacts
from lockgate.domain.inference import Message
from lockgate.domain.prompt import Prompt, Variable
from lockgate.domain.release import Pin
from lockgate.errors import Corrupt, LockgateError
from lockgate.oci.archive import export, import_
from lockgate.oci.facts import Inspector
from lockgate.oci.integrity import check
from lockgate.oci.kinds.adapter import pack_adapter
from lockgate.oci.kinds.dataset import pack_dataset
from lockgate.oci.kinds.merkle import merkle_root
from lockgate.oci.kinds.packed import File, PackedArtifact, pack
from lockgate.oci.kinds.policy import pack_policy
from lockgate.oci.kinds.prompt import pack_prompt
from lockgate.oci.kinds.search_index import Chunk, Embedded, Embedder, SourceDocument, pack_index
from lockgate.oci.kinds.table import fault
from lockgate.oci.kinds.task import pack_task
from lockgate.oci.layout import Layout
from oci.samples import gguf

PROMPT = Prompt(
    name="ask",
    messages=(
        Message(role="system", content="Answer briefly."),
        Message(role="user", content="About {{ topic }}: {{ question }}"),
    ),
    variables=(Variable(name="topic", max_chars=10), Variable(name="question", max_chars=100)),
    schema={"type": "object"},
    max_tokens=64,
    runs_on="writer",
)
FILES = {
    "prompt.j2": b"Sort {{ text }} by {{ label }}",
    "rules.json.j2": b'{"label": "{{ label }}"}',
    "input.schema.json": b'{"type":"object","properties":{"text":{},"label":{}}}',
    "output.schema.json": b'{"type":"object"}',
    "task.toml": b'name = "triage"\n',
}
EMBEDDER = Digest("e" * 64)
DOCUMENTS = (
    SourceDocument(id="b.md", digest=Digest("b" * 64), revision="r1"),
    SourceDocument(id="a.md", digest=Digest("a" * 64), classification="internal"),
)
CHUNKS = (
    Chunk(id="a.md#0", document="a.md", text="one"),
    Chunk(id="b.md#0", document="b.md", text="two"),
    Chunk(id="b.md#1", document="b.md", text="three"),
)
CHUNKER: JsonObject = {"name": "lines", "version": "1", "params": {"words": 40}}
VECTORS = tuple(struct.pack("<4f", at, 0, 0, 1) for at in range(3))
INDEX = pack_index(
    "handbook",
    DOCUMENTS,
    CHUNKS,
    chunker=CHUNKER,
    embedded=Embedded(embedder=Embedder(digest=EMBEDDER), vectors=VECTORS),
)
DATASET = pack_dataset("triage", "test", [{"name": "one"}, {"name": "two"}])
ALL: Mapping[Kind, PackedArtifact] = {
    Kind.PROMPT: pack_prompt(PROMPT, version="3"),
    Kind.TASK: pack_task("triage", "1", FILES),
    Kind.INDEX: INDEX,
    Kind.DATASET: DATASET,
    Kind.POLICY: pack_policy("house", b'name = "house"\n'),
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "store")
    made.prepare()
    return made


def facts(layout: Layout, artifact: Digest, kind: Kind) -> PinFacts:
    size = layout.blob(artifact).stat().st_size
    return Inspector(layout).pin(Pin(role="r", name="n", digest=artifact, kind=kind, size=size))


def repacked(
    kind: Kind,
    change: Callable[[Any], object] = lambda _: None,
    files: Mapping[str, bytes] | None = None,
) -> PackedArtifact:
    """Return the artifact of a kind with another config, or other files: whole, but wrong."""
    packed = ALL[kind]
    config = json.loads(packed.blobs[0])
    change(config)
    layers = Manifest.parse(packed.manifest).layers
    listed: Sequence[File] = [
        File(
            name=layer.annotations["org.opencontainers.image.title"],
            media_type=layer.media_type,
            role=layer.annotations["io.lockgate.role"],
            data=data,
        )
        for layer, data in zip(layers, packed.blobs[1:], strict=True)
    ]
    changed = [replace(file, data=(files or {}).get(file.name, file.data)) for file in listed]
    text = canonical(config).decode()
    for old, new in zip(listed, changed, strict=True):
        text = text.replace(str(old.digest), str(new.digest))
    return pack(kind, packed.title, json.loads(text), changed)


@pytest.mark.parametrize("kind", ALL)
def test_what_is_built_here_is_valid_and_the_same_each_time(layout: Layout, kind: Kind) -> None:
    packed = ALL[kind]
    stored = packed.put(layout, f"{kind}/x")
    assert Manifest.parse(layout.read(stored.digest)).artifact_type == kind.artifact_type
    assert fault(layout, stored.digest) == ""
    assert check(layout).damages == []
    assert repacked(kind).digest == packed.digest or kind is Kind.PROMPT  # with KitOps' subtype


def test_an_index_does_not_depend_on_the_order_of_its_documents() -> None:
    embedded = Embedded(embedder=Embedder(digest=EMBEDDER), vectors=VECTORS)
    again = pack_index("handbook", DOCUMENTS[::-1], CHUNKS, chunker=CHUNKER, embedded=embedded)
    assert again.digest == INDEX.digest


@pytest.mark.parametrize(
    "changed",
    [
        {"readers": "hr/*"},
        {"readers": [1]},
        {"readers": [""]},
        {"readers": {"hr": True}},
        {"classification": 3},
    ],
)
def test_a_permission_that_is_malformed_makes_the_index_invalid(
    layout: Layout, changed: dict[str, Any]
) -> None:
    rows = [
        canonical({"id": "a.md", "sha256": "a" * 64, **changed}),
        canonical({"id": "b.md", "sha256": "b" * 64}),
    ]
    root = f"sha256:{merkle_root(rows).hex()}"
    made = repacked(
        Kind.INDEX,
        lambda config: config["corpus"].update(root=root),
        {"corpus.manifest.jsonl": b"".join(row + b"\n" for row in rows)},
    )
    stored = made.put(layout, "index/x")
    assert "`readers` or a `classification` of the wrong type" in fault(layout, stored.digest)


def test_who_may_read_is_part_of_an_indexs_digest() -> None:
    closed = (replace(DOCUMENTS[0], readers=()), DOCUMENTS[1])
    digests = {
        pack_index("handbook", documents, CHUNKS, chunker=CHUNKER).digest
        for documents in (DOCUMENTS, closed, (replace(closed[0], readers=("hr/*",)), closed[1]))
    }
    assert len(digests) == 3


def test_a_task_that_searches_is_provided_with_passages(layout: Layout) -> None:
    files = {
        **FILES,
        "prompt.j2": b"{{ text }} {{ label }} {{ passages }}",
        "task.toml": b'name = "triage"\n[retrieval]\nindex = "x"\nquery = "y"\n',
    }
    stored = pack_task("triage", "1", files).put(layout, "task/x")
    found = facts(layout, stored.digest, Kind.TASK)
    assert found.variables_required == ("label", "passages", "text") == found.variables_provided


def test_the_gate_reads_what_has_to_fit(layout: Layout) -> None:
    for kind, packed in ALL.items():
        packed.put(layout, f"{kind}/x")
    prompt = facts(layout, ALL[Kind.PROMPT].digest, Kind.PROMPT)
    assert prompt.flaws == ()
    assert prompt.runs_on == "writer"
    assert prompt.variables_required == prompt.variables_provided == ("question", "topic")
    assert prompt.budget_tokens == PROMPT.budget_tokens > 64 + 4 * 110
    task = facts(layout, ALL[Kind.TASK].digest, Kind.TASK)
    assert (task.variables_required, task.variables_provided) == (("label", "text"),) * 2
    assert facts(layout, INDEX.digest, Kind.INDEX).embedder == EMBEDDER
    words = pack_index("w", DOCUMENTS, CHUNKS, chunker=CHUNKER).put(layout, "index/w")
    assert facts(layout, words.digest, Kind.INDEX).embedder is None


def test_a_prompt_for_the_usual_model_fits_one_that_a_server_runs(layout: Layout) -> None:
    usual = pack_prompt(replace(PROMPT, runs_on="text"), version="1").put(layout, "prompt/x")
    assert facts(layout, usual.digest, Kind.PROMPT).runs_on == ""


def put(config: Any, member: str, value: object) -> None:
    *path, last = member.split(".")
    for part in path:
        config = config[int(part)] if part.isdigit() else config[part]
    if value is None:
        del config[last]
    else:
        config[last] = value


@pytest.mark.parametrize(
    ("kind", "member", "value", "said"),
    [
        (Kind.PROMPT, "apiVersion", "lockgate/v9", "expected `lockgate/v1`"),
        (Kind.PROMPT, "engine", "jinja2", "prompt.engine"),
        (Kind.PROMPT, "messages", [], "has no message"),
        (Kind.PROMPT, "messages.0.role", "tool", "is none of"),
        (Kind.PROMPT, "messages.0.layer", f"sha256:{'0' * 64}", "none of the artifact's files"),
        (Kind.PROMPT, "messages.0.layer", "sha512:0", "is not a digest"),
        (Kind.PROMPT, "variables.0.name", "other", "their templates read|templates read `topic`"),
        (Kind.PROMPT, "variables.0.name", "question", "not a name of its own"),
        (Kind.PROMPT, "variables.0.maxChars", -1, "not a number from 0"),
        (Kind.PROMPT, "decoding.temperature", 0, "temperature is not a text"),
        (Kind.PROMPT, "budgetTokens", 63, "less than the answer's"),
        (Kind.PROMPT, "response.format", "xml", "not `json_schema`"),
        (Kind.INDEX, "engine", "faiss", "neither `exact` nor `bm25`"),
        (Kind.INDEX, "embedder", None, "embedder is not an object"),
        (Kind.INDEX, "embedder.digest", "minilm", "is not a digest"),
        (Kind.INDEX, "count", 4, "number of its chunks, 3"),
        (Kind.INDEX, "dim", 5, "3 vectors of 5"),
        (Kind.INDEX, "corpus.documents", 3, "number of rows"),
        (Kind.INDEX, "corpus.root", f"sha256:{'0' * 64}", "is not that of the rows"),
        (Kind.DATASET, "splits", {}, "names no split"),
        (Kind.DATASET, "splits.test.rows", 3, "number of rows"),
        (Kind.DATASET, "splits.test.root", f"sha256:{'0' * 64}", "is not that of the rows"),
        (Kind.TASK, "version", None, "task.version"),
    ],
)
def test_a_config_that_does_not_hold_is_said(
    layout: Layout, kind: Kind, member: str, value: object, said: str
) -> None:
    packed = repacked(kind, lambda config: put(config, member, value))
    stored = packed.put(layout, f"{kind}/x")
    found = fault(layout, stored.digest)
    assert found.startswith(f"is not a valid {kind}: ")
    with pytest.raises(Corrupt, match=said):
        raise Corrupt(found)
    assert facts(layout, stored.digest, kind).flaws == (found,)
    (damage,) = check(layout).damages
    assert (damage.found, damage.names) == (found, [f"{kind}/x"])


@pytest.mark.parametrize(
    ("kind", "name", "data", "said"),
    [
        (Kind.PROMPT, "prompts/2-user.j2", b"{{ topic.__class__ }}", "may not be rendered"),
        (Kind.PROMPT, "prompts/2-user.j2", b"{{ topic", "does not parse"),
        (Kind.PROMPT, "prompts/2-user.j2", b"{{ secret }}", "read `secret`, declared are"),
        (Kind.PROMPT, "prompts/2-user.j2", b"\xff", "is not UTF-8"),
        (Kind.PROMPT, "schema/output.schema.json", b"[]", "is not a JSON object"),
        (Kind.TASK, "prompt.j2", b"{% include 'x' %}", "loads another template"),
        (Kind.TASK, "task.toml", b"name =", "is not TOML"),
        (Kind.POLICY, "policy.toml", b"name =", "is not TOML"),
        (Kind.TASK, "input.schema.json", b"{", "is not JSON"),
        (Kind.INDEX, "vectors.safetensors", b"x" * 100, "not a whole safetensors file"),
        (Kind.INDEX, "chunks.jsonl", b'{"id":"a","document":"no","text":"t"}\n', "`no`, which"),
        (Kind.INDEX, "chunks.jsonl", b'{"id":"a","document":"a.md"}\n', "has no text `text`"),
        (Kind.INDEX, "chunks.jsonl", b"[1]\n", "is not an object"),
        (Kind.INDEX, "chunks.jsonl", b'{"id":"a"}', "has no end"),
        (Kind.DATASET, "test.jsonl", b'{"name":"one"}\n{"name":"TWO"}\n', "not that of the rows"),
        (Kind.DATASET, "test.jsonl", b"{" * 100_000 + b"\n", "is not JSON"),
    ],
)
def test_a_file_that_does_not_hold_is_said(
    layout: Layout, kind: Kind, name: str, data: bytes, said: str
) -> None:
    stored = repacked(kind, files={name: data}).put(layout, f"{kind}/x")
    assert said in fault(layout, stored.digest)


def adapter_gguf(kind: str = "adapter", form: str = "lora") -> bytes:
    """Return GGUF of one tensor whose `general.type` is `kind`."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = {"general.architecture": "llama", "general.type": kind, "adapter.type": form}
    keys = [text(key) + struct.pack("<I", 8) + text(value) for key, value in pairs.items()]
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(keys)) + b"".join(keys)
    return head + bytes(-len(head) % 32)


def test_an_adapter_says_which_model_it_is_for(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(adapter_gguf())
    base = Digest("c" * 64)
    made = pack_adapter(layout, tmp_path / "a.gguf", "terse", base=base, licence="MIT")
    found = facts(layout, made.digest, Kind.ADAPTER)
    assert (found.flaws, found.base, found.licences) == ((), base, ("MIT",))
    assert [file.format for file in found.files] == ["gguf"]
    assert check(layout).damages == []


@pytest.mark.parametrize("data", [gguf(10), adapter_gguf("adapter", "control"), b"text", b"GGUF"])
def test_what_is_no_adapter_is_not_packed(layout: Layout, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(LockgateError):
        pack_adapter(layout, tmp_path / "a.gguf", "terse", base=Digest("c" * 64))
    assert layout.manifests() == {}


def test_an_adapter_with_another_base_in_its_annotation_is_refused(
    layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "a.gguf").write_bytes(adapter_gguf())
    made = pack_adapter(layout, tmp_path / "a.gguf", "terse", base=Digest("c" * 64))
    manifest = Manifest.parse(layout.read(made.digest))
    said = {**manifest.annotations, "io.lockgate.base": f"sha256:{'d' * 64}"}
    changed = replace(manifest, annotations=said).encode()
    assert "is not what the annotation" in fault(layout, layout.put(changed))


def test_a_model_whose_files_run_code_is_refused_at_rest_too(layout: Layout) -> None:
    data = b"\x80\x04K\x01."  # a pickle of 1
    layer = Descriptor(media_type="x", digest=layout.put(data), size=len(data))
    layout.put(b"{}")
    config = Descriptor(media_type="y", digest=Digest.of(b"{}"), size=2)
    made = Manifest(artifact_type=Kind.MODEL.artifact_type, config=config, layers=(layer,))
    at = Descriptor(media_type=MANIFEST, digest=layout.put(made.encode()), size=len(made.encode()))
    assert layout.name("m", at)
    assert "`pickle`, which runs code" in check(layout).damages[0].found


def test_a_bad_artifact_is_not_taken_out_of_an_archive(layout: Layout, tmp_path: Path) -> None:
    bad = repacked(Kind.PROMPT, lambda config: put(config, "engine", "python"))
    export(layout, {"prompt/x": bad.put(layout, "prompt/x")}, tmp_path / "a.tar")
    other = Layout(tmp_path / "other")
    with pytest.raises(Corrupt, match=r"is not a valid prompt: prompt\.engine"):
        import_(other, tmp_path / "a.tar")
    assert other.manifests() == {}


def test_an_artifact_whose_config_has_another_type_is_refused(layout: Layout) -> None:
    manifest = Manifest.parse(DATASET.manifest)
    DATASET.put(layout, "dataset/x")
    wrong = replace(manifest, config=replace(manifest.config, media_type="application/json"))
    assert "expected `application/vnd.lockgate.dataset" in fault(layout, layout.put(wrong.encode()))
