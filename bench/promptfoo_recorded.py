"""Configurations whose provider plays responses back: tool calls, finish reasons, probabilities."""

import json
import random
from typing import Any

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}},
                "required": ["query"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}},
]
CALLS: tuple[Any, ...] = (
    [{"function": {"name": "search", "arguments": '{"query": "x"}'}}],
    [{"function": {"name": "search", "arguments": '{"query": 5}'}}],
    [
        {"function": {"name": "now", "arguments": "{}"}},
        {"function": {"name": "search", "arguments": "{"}},
    ],
    {"tool_calls": [{"function": {"name": "now", "arguments": "{}"}}]},
    {"tool_calls": []},
    [{"function": {"name": "other", "arguments": "{}"}}],
    [{"name": "search"}],
    [{"type": "tool_use", "name": "search"}, {"type": "text", "text": "x"}],
    {"functionCall": {"name": "now"}},
    {"toolCall": {"functionCalls": [{"name": "now"}, {"name": "search"}]}},
    '{"tool_calls": [{"function": {"name": "search"}}]}',
    'text\n{"type": "tool_use", "name": "now"}',
    "MCP Tool Result (x): ok",
    "MCP Tool Error (x): bad",
    "no call",
)


def recorded(rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a response and an assertion on it."""
    response: dict[str, Any] = {"output": rng.choice(("yes", "no"))}
    match rng.randint(0, 5):
        case 0:
            if rng.random() < 0.9:
                response["finishReason"] = rng.choice(("stop", "length", "STOP"))
            return response, {"type": "finish-reason", "value": rng.choice(("stop", "length"))}
        case 1 | 2:
            if rng.random() < 0.9:
                response["logProbs"] = [
                    -rng.random() * rng.choice((0.1, 1, 3)) for _ in range(rng.randint(1, 6))
                ]
            made: dict[str, Any] = {"type": rng.choice(("perplexity", "perplexity-score"))}
            if rng.random() < 0.8:
                made["threshold"] = rng.choice((0, 0.3, 0.5, 1, 1.5, 3))
            return response, made
        case 3:
            response["output"] = rng.choice(CALLS)
            return response, {"type": "is-valid-openai-tools-call"}
        case 4:
            response["output"] = rng.choice(CALLS)
            value: Any = rng.choice(
                (["search"], ["search", "now"], "search, now", "now", ["other"])
            )
            made = {"type": "tool-call-f1", "value": value}
            if rng.random() < 0.5:
                made["threshold"] = rng.choice((0, 0.5, 2 / 3, 1))
            return response, made
        case _:
            if rng.random() < 0.8:
                response["cost"] = rng.choice((0, 0.5, 1))
            return response, {"type": "cost", "threshold": rng.choice((0, 0.5, 1))}


def reply(response: dict[str, Any]) -> str:
    """Return what the prompt says: the response itself."""
    return json.dumps(response)
