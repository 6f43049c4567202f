"""The route table: what there is, who may use it, and what it takes and gives."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from lockgate.ports import Task
from lockgate.server import requests
from lockgate.server.completions import Completions
from lockgate.server.listing import Listing
from lockgate.server.route import Answers, Route
from lockgate.server.tasks import Tasks

CALLER = "caller"
_OBJECT: Mapping[str, Any] = {"type": "object"}
_TEXT: Mapping[str, Any] = {"type": "string"}
ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}
_LIST: Mapping[str, Any] = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array"}},
}
_ANSWER: Mapping[str, Any] = {
    "type": "object",
    "required": ["engine", "degraded", "degraded_reasons", "evidence", "release"],
    "properties": {
        "engine": {"enum": ["model", "rules"]},
        "degraded": {"type": "boolean"},
        "degraded_reasons": {"type": "array", "items": {"type": "string"}},
        "evidence": {"type": "array", "items": {"type": "string"}},
        "confidence": {"type": ["number", "null"]},
        "release": {"type": "string"},
    },
}
_CHOICES: Mapping[str, Any] = {
    "type": "object",
    "required": ["choices"],
    "properties": {"choices": {"type": "array"}, "usage": {"type": ["object", "null"]}},
}
_STREAM = Answers(
    status=200, description="With `stream`, server-sent events", media_type="text/event-stream"
)
_TASK_QUERY: Mapping[str, Any] = {
    "format": {"type": "string"},
    "engine": {"enum": ["model", "rules"]},
}
_TASK_HEADERS: Mapping[str, Any] = {
    "Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": 255},
    "Prefer": {"type": "string", "examples": ["respond-async"]},
}


def inference_routes(completions: Completions, listing: Listing) -> list[Route]:
    """Return OpenAI's endpoints."""
    return [
        Route(
            name="chat",
            method="POST",
            path="/v1/chat/completions",
            handler=completions.chat,
            summary="Continue a chat",
            role=CALLER,
            scope="model",
            media_type="application/json",
            body=_schema(requests.ChatRequest),
            answers=(Answers(status=200, description="The reply", schema=_CHOICES), _STREAM),
        ),
        Route(
            name="completions",
            method="POST",
            path="/v1/completions",
            handler=completions.complete,
            summary="Continue a text",
            role=CALLER,
            scope="model",
            media_type="application/json",
            body=_schema(requests.CompletionRequest),
            answers=(Answers(status=200, description="The text", schema=_CHOICES), _STREAM),
        ),
        Route(
            name="embeddings",
            method="POST",
            path="/v1/embeddings",
            handler=completions.embed,
            summary="Turn texts into vectors",
            role=CALLER,
            scope="model",
            media_type="application/json",
            body=_schema(requests.EmbeddingRequest),
            answers=(Answers(status=200, description="The vectors", schema=_LIST),),
        ),
        Route(
            name="models",
            method="GET",
            path="/v1/models",
            handler=listing.list_models,
            summary="List the models that the caller may use",
            role=CALLER,
            answers=(Answers(status=200, description="The models", schema=_LIST),),
        ),
        Route(
            name="model",
            method="GET",
            path="/v1/models/{model}",
            handler=listing.show_model,
            summary="Show a model",
            role=CALLER,
            scope="model",
            answers=(Answers(status=200, description="The model", schema=_OBJECT),),
        ),
    ]


def task_routes(tasks: Tasks, known: Iterable[Task], taken: Iterable[str]) -> list[Route]:
    """Return the tasks' endpoints, with a short path for each name that is free."""
    found = [
        Route(
            name="tasks",
            method="GET",
            path="/v1/tasks",
            handler=tasks.listed,
            summary="List the tasks that the caller may call",
            role=CALLER,
            answers=(Answers(status=200, description="The tasks", schema=_LIST),),
        ),
        Route(
            name="task",
            method="GET",
            path="/v1/tasks/{task}",
            handler=tasks.shown,
            summary="Show a task's contract",
            role=CALLER,
            scope="task",
            answers=(Answers(status=200, description="The contract", schema=_OBJECT),),
        ),
        Route(
            name="call",
            method="POST",
            path="/v1/tasks/{task}",
            handler=tasks.call,
            summary="Call a task",
            role=CALLER,
            scope="task",
            media_type="application/json",
            body=_OBJECT,
            answers=(
                Answers(status=200, description="The answer", schema=_ANSWER),
                Answers(status=202, description="Accepted: it runs on", schema=_OBJECT),
            ),
            query=_TASK_QUERY,
            headers=_TASK_HEADERS,
        ),
        Route(
            name="call-status",
            method="GET",
            path="/v1/tasks/{task}/calls/{call}",
            handler=tasks.status,
            summary="Ask for a call that was accepted",
            role=CALLER,
            scope="task",
            answers=(Answers(status=200, description="The call", schema=_OBJECT),),
        ),
    ]
    return [*found, *_short_paths(tasks, known, set(taken))]


def _short_paths(tasks: Tasks, known: Iterable[Task], taken: set[str]) -> Iterable[Route]:
    for task in known:
        path = f"/{task.spec.name}"
        if path in taken:
            continue
        plain = task.spec.plain is not None
        yield Route(
            name=f"short:{task.spec.name}",
            method="POST",
            path=path,
            handler=tasks.plain,
            summary=task.spec.title,
            role=CALLER,
            scope="task",
            media_type="text/plain" if plain else "application/json",
            body=_TEXT if plain else task.spec.input_schema,
            answers=(Answers(status=200, description="The answer", schema=_ANSWER),),
            query=_TASK_QUERY,
        )


def operation_routes(listing: Listing) -> list[Route]:
    """Return what is asked about the gateway itself."""
    return [
        Route(
            name="live",
            method="GET",
            path="/healthz/live",
            handler=listing.live,
            summary="Say that the process runs",
            answers=(Answers(status=200, description="It runs", schema=_OBJECT),),
        ),
        Route(
            name="ready",
            method="GET",
            path="/healthz/ready",
            handler=listing.is_ready,
            summary="Say whether requests may come",
            answers=(
                Answers(status=200, description="They may", schema=_OBJECT),
                Answers(status=503, description="They may not", schema=_OBJECT),
            ),
        ),
        Route(
            name="metrics",
            method="GET",
            path="/metrics",
            handler=listing.metrics,
            summary="Show metrics for Prometheus",
            role="auditor",
            answers=(Answers(status=200, description="The page", media_type="text/plain"),),
        ),
        Route(
            name="openapi",
            method="GET",
            path="/openapi.json",
            handler=listing.openapi,
            summary="Show this document",
            role=CALLER,
            answers=(Answers(status=200, description="The document", schema=_OBJECT),),
        ),
    ]


def paths(routes: Sequence[Route]) -> set[str]:
    """Return the paths that routes have."""
    return {route.path for route in routes}


def _schema(kind: type[msgspec.Struct]) -> Any:
    (schema,), components = msgspec.json.schema_components(
        [kind], ref_template="#/components/schemas/{name}"
    )
    return {"schema": schema, "components": components}
