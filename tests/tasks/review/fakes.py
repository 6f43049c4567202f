"""Fakes of what a review is given."""

import json
from collections.abc import Sequence

from lockgate.domain.inference import (
    Classification,
    Classify,
    Completion,
    Embed,
    Embedding,
    Generate,
)
from lockgate.domain.redact import Redaction
from lockgate.domain.usage import Usage
from lockgate.errors import LockgateError, Unavailable
from lockgate.ports import Context, Document


class OneReply:
    """A model with one thing to say, or none."""

    def __init__(self, text: str | LockgateError) -> None:
        self.text = text
        self.asked: list[Generate] = []

    async def generate(self, request: Generate) -> Completion:
        self.asked.append(request)
        if isinstance(self.text, LockgateError):
            raise self.text
        return Completion(text=self.text, usage=Usage())

    async def embed(self, request: Embed) -> Embedding:
        raise Unavailable("no embeddings here")

    async def classify(self, request: Classify) -> Classification:
        raise Unavailable("no classes here")


class NoProgress:
    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


class NoRetriever:
    def search(self, documents: Sequence[Document], query: str, *, limit: int) -> Sequence[str]:
        return ()


def saying(summary: str) -> OneReply:
    return OneReply(json.dumps({"summary": summary}))


def context(model: OneReply | None = None, *redactions: Redaction) -> Context:
    return Context(
        models=model or OneReply(Unavailable("no model is here")),
        retriever=NoRetriever(),
        progress=NoProgress(),
        redactions=redactions,
    )
