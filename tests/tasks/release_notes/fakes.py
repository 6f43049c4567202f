"""Models, a retriever and a progress bar that tests control; they implement the ports."""

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.domain.inference import (
    Classification,
    Classify,
    Completion,
    Embed,
    Embedding,
    Generate,
    Label,
    Vector,
)
from lockgate.domain.usage import Usage
from lockgate.errors import ModelMissing
from lockgate.ports import Context, Document
from lockgate.tasks.release_notes.commits import Change, Commit


def sha(number: int) -> str:
    """Return a made-up commit name."""
    return f"{number:08x}" * 5


def commit(number: int, subject: str, body: str = "", **more: object) -> Commit:
    return Commit(sha=sha(number), subject=subject, body=body, **more)  # type: ignore[arg-type]


def change(text: str, number: int = 1, **more: object) -> Change:
    return Change(text=text, commits=(sha(number),), **more)  # type: ignore[arg-type]


def vector(*numbers: float) -> Vector:
    """Return a unit vector."""
    length = sum(n * n for n in numbers) ** 0.5
    return array("f", [n / length for n in numbers]).tobytes()


def echo(request: Generate) -> str:
    """Answer as a model that repeats what it is asked."""
    return request.messages[-1].content


@dataclass
class FakeModels:
    """Implements `ports.Models`. What is None is unavailable."""

    write: Callable[[Generate], str] | None = None
    labels: Mapping[str, str] | None = None
    """Label by a word of the subject; other rows get an abstention."""
    vectors: Mapping[str, Vector] | None = None
    """Vector by text; other texts get vectors that are all alike to none."""
    cut_off: bool = False
    asked: list[Generate | Embed | Classify] = field(default_factory=list)

    async def generate(self, request: Generate) -> Completion:
        self.asked.append(request)
        if self.write is None:
            raise ModelMissing("the model `smollm2` is missing")
        return Completion(
            text=self.write(request),
            usage=Usage(),
            finish_reason="length" if self.cut_off else "stop",
        )

    async def embed(self, request: Embed) -> Embedding:
        self.asked.append(request)
        if self.vectors is None:
            raise ModelMissing("the model `minilm` is missing")
        found = [
            self.vectors.get(text, vector(*(float(n == at) for n in range(50))))
            for at, text in enumerate(request.texts)
        ]
        return Embedding(vectors=tuple(found), usage=Usage())

    async def classify(self, request: Classify) -> Classification:
        self.asked.append(request)
        if self.labels is None:
            raise ModelMissing("the model `commit-type` is missing")
        labels = [self._label(row.tokens) for row in request.rows]
        return Classification(labels=tuple(labels), usage=Usage())

    def _label(self, tokens: Sequence[str]) -> Label:
        assert self.labels is not None
        found = next((kind for word, kind in self.labels.items() if f"w={word}" in tokens), None)
        return Label(label=found, confidence=0.8 if found else 0.2, probabilities={})


class FakeRetriever:
    """Implements `ports.Retriever`: counts common words."""

    def search(self, documents: Sequence[Document], query: str, *, limit: int) -> Sequence[str]:
        words = set(query.lower().split())
        scored = [(-len(words & set(d.text.lower().split())), d.id) for d in documents]
        return [name for score, name in sorted(scored) if score][:limit]


@dataclass
class FakeProgress:
    """Implements `ports.Progress`; remembers."""

    total: int = 0
    done: int = 0
    finished: bool = False

    def start(self, label: str, total: int) -> None:
        self.total = total

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def finish(self) -> None:
        self.finished = True


def context(models: FakeModels | None = None, progress: FakeProgress | None = None) -> Context:
    return Context(
        models=models or FakeModels(),
        retriever=FakeRetriever(),
        progress=progress or FakeProgress(),
    )


def numbered(*texts: str) -> str:
    """Return what the text model answers for these clauses."""
    return json.dumps({str(n): text for n, text in enumerate(texts, 1)})
