"""A prompt-only task that searches an index of the store, from the call to the audit event."""

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.test_answer import NOON, MemoryStore, NoFindings, Policy
from lockgate.app.indexes import StoredIndexes
from lockgate.checks.schema import JsonSchemaValidator
from lockgate.domain.artifact import Kind
from lockgate.domain.call import Answer, Call, DataClass, EngineKind, Principal
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.inference import Completion, Dispatch, Embed, Embedding, Generate, Result
from lockgate.domain.release import Pin, Release
from lockgate.domain.task import OnUnavailable
from lockgate.domain.usage import Budget, Usage
from lockgate.engine.answer import Answering, Plan
from lockgate.engine.infer import Inferring
from lockgate.engine.record import Ledger
from lockgate.engine.retrieve import Retrieving
from lockgate.guards.secrets import SecretGuard
from lockgate.oci.kinds.packed import PackedArtifact
from lockgate.oci.kinds.search_index import (
    Chunk,
    Embedded,
    Embedder,
    SourceDocument,
    pack_index,
)
from lockgate.oci.layout import Layout
from lockgate.retrieval.lexical import LexicalRetriever
from lockgate.tasks.prompt.folder import create, read
from lockgate.tasks.prompt.task import PromptTask

EMBEDDER = Digest("e" * 64)
TEXTS = {
    "disk.md": "The disk is full: delete old logs on the disk",
    "secret.md": "The disk password is stored with hr",
    "boss.md": "The disk budget is confidential",
    "net.md": "The network is slow",
}
DOCUMENTS = tuple(
    SourceDocument(
        id=name,
        digest=Digest.of(text.encode()),
        readers=("hr/*",) if name == "secret.md" else None,
        classification="confidential" if name == "boss.md" else "",
    )
    for name, text in TEXTS.items()
)
CHUNKS = tuple(Chunk(id=f"{name}#0", document=name, text=text) for name, text in TEXTS.items())
VECTORS = tuple(struct.pack("<2f", *at) for at in ((1, 0), (0.8, 0.6), (0.6, 0.8), (0, 1)))


def packed(*, vectors: bool = False, chunks: Sequence[Chunk] = CHUNKS) -> PackedArtifact:
    made = Embedded(embedder=Embedder(digest=EMBEDDER), vectors=VECTORS) if vectors else None
    chunker: JsonObject = {"name": "lines", "version": "1", "params": {}}
    return pack_index("handbook", DOCUMENTS, chunks, chunker=chunker, embedded=made)


@dataclass
class Model:
    """Implements ports.Backend: answers, and embeds every text as the same vector."""

    data_classes: frozenset[DataClass] = frozenset(DataClass)
    asked: list[str] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)

    async def infer(self, dispatch: Dispatch) -> Result:
        match dispatch.request:
            case Generate() as request:
                self.asked.append(request.messages[-1].content)
                return Completion(text='{"category": "disk", "words": "1"}', usage=Usage())
            case Embed() as request:
                self.embedded += request.texts
                return Embedding(vectors=(struct.pack("<2f", 1, 0),), usage=Usage())
            case _:
                raise AssertionError("nothing else is asked")


@dataclass
class House:
    layout: Layout
    folder: Path
    index: PackedArtifact
    model: Model = field(default_factory=Model)
    store: MemoryStore = field(default_factory=MemoryStore)

    def ask(self, *, caller: str = "ops/bo", embedder: Digest = EMBEDDER) -> Answer:
        task = PromptTask(read(self.folder))
        pins = (
            Pin(role="text", name="tiny", backend="fake", digest=Digest.of(b"t")),
            Pin(role="embedder", name="mini", backend="fake", digest=embedder),
            Pin(
                role="index",
                name="handbook",
                digest=self.index.digest,
                kind=Kind.INDEX,
                size=len(self.index.manifest),
            ),
        )
        release = Release(task="triage", version="1", code={}, pins=pins, decoding={})
        plan = Plan(task=task, release=release, budget=Budget(), on_unavailable=OnUnavailable.RULES)
        guard = SecretGuard()
        answering = Answering(
            plans={"triage": plan},
            admission=Policy(admits=True),
            guard=guard,
            validator=JsonSchemaValidator(),
            retrieving=Retrieving(
                indexes=StoredIndexes(self.layout), retriever=LexicalRetriever(), guard=guard
            ),
            inferring=Inferring(backends={"fake": self.model}, stopwatch=lambda: 0),
            ledger=Ledger(
                store=self.store,
                clock=lambda: NOON,
                stopwatch=lambda: 0,
                retention=timedelta(0),
            ),
        )
        call = Call(
            id="c1",
            principal=Principal(name=caller, scopes=frozenset({"task:triage"})),
            task="triage",
            input={"text": "the disk"},
        )
        return asyncio.run(answering.answer(call, NoFindings()))

    @property
    def searches(self) -> object:
        return self.store.chain[-1].entry.detail.get("searches")


@pytest.fixture
def house(tmp_path: Path) -> House:
    folder = tmp_path / "triage"
    create(folder, "triage")
    with (folder / "task.toml").open("a") as file:
        file.write('\n[retrieval]\nindex = "handbook"\nquery = "{{ text }}"\nk = 3\n')
    (folder / "prompt.j2").write_text(
        "{% for p in passages %}{{ p.id }}: {{ p.text }}\n{% endfor %}"
    )
    layout = Layout(tmp_path / "store")
    made = packed()
    made.put(layout, "index/handbook")
    return House(layout=layout, folder=folder, index=made)


def test_the_prompt_gets_what_fits_and_what_the_caller_may_read(house: House) -> None:
    answer = house.ask()
    assert answer.engine is EngineKind.MODEL
    assert answer.evidence == ("input", "disk.md#0", "net.md#0")
    (prompt,) = house.model.asked
    assert TEXTS["disk.md"] in prompt
    assert "password" not in prompt
    assert "budget" not in prompt
    house.ask(caller="hr/ana")
    assert "secret.md#0" in house.model.asked[-1]
    assert "budget" not in house.model.asked[-1]


def test_the_audit_names_what_the_model_was_shown_by_digest(house: House) -> None:
    house.ask()
    assert house.searches == [
        {
            "index": "handbook",
            "digest": str(house.index.digest),
            "query": str(Digest.of(b"the disk")),
            "passages": [
                {"id": f"{name}#0", "digest": str(Digest.of(TEXTS[name].encode()))}
                for name in ("disk.md", "net.md")
            ],
        }
    ]


def test_vectors_are_compared_among_what_the_caller_may_read(house: House) -> None:
    house.index = packed(vectors=True)
    house.index.put(house.layout, "index/handbook")
    assert house.ask().evidence == ("input", "disk.md#0", "net.md#0")
    assert house.model.embedded == ["the disk"]
    assert house.ask(caller="hr/ana").evidence == (
        "input",
        "disk.md#0",
        "secret.md#0",
        "net.md#0",
    )


def test_an_index_of_another_embedder_is_not_searched(house: House) -> None:
    house.index = packed(vectors=True)
    house.index.put(house.layout, "index/handbook")
    answer = house.ask(embedder=Digest("f" * 64))
    assert answer.engine is EngineKind.RULES
    assert f"built with the embedder {EMBEDDER}" in answer.degraded[0]
    assert house.model.embedded == []


def test_a_secret_in_a_passage_does_not_reach_the_model(house: House) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    chunks = (replace(CHUNKS[0], text=f"the disk token is {token}"), *CHUNKS[1:])
    house.index = packed(chunks=chunks)
    house.index.put(house.layout, "index/handbook")
    house.ask()
    assert "disk.md#0" in house.model.asked[0]
    assert token not in house.model.asked[0]


def test_a_damaged_index_is_said_and_the_rules_answer(house: House) -> None:
    chunks = next(blob for blob in house.index.blobs if b'"text"' in blob)
    path = house.layout.blob(Digest.of(chunks))
    path.chmod(0o644)
    path.write_bytes(chunks[:-3] + b"x}\n")
    answer = house.ask()
    assert answer.engine is EngineKind.RULES
    assert str(Digest.of(chunks)) in answer.degraded[0]
    assert house.searches is None


def test_an_index_that_is_not_here_or_not_pinned_is_said(house: House) -> None:
    house.layout.forget("index/handbook")
    assert "which is not here" in house.ask().degraded[0]
    text = (house.folder / "task.toml").read_text()
    (house.folder / "task.toml").write_text(text.replace('"handbook"', '"other"'))
    assert "pins no index `other`" in house.ask().degraded[0]
