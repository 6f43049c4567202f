"""What is measured: the gateway as shipped, and what others put in the same place."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GATEWAY_CORE, LOAD_CORE = 0, 1
MODEL_PORT = 9401
PACED_PORT = 9402
"""Of a second one, which sends an event every 10 ms."""
SYSTEM = "You are a terse DevOps assistant. Answer with the likely cause and the next command."
ASKED = (
    "kubectl get pods shows api-7c9d in CrashLoopBackOff with 14 restarts in the last hour, "
    "exit code 137, limits memory 256Mi. What should I check first?"
)
MARK = "00000000"
KEY = "bench-key-0123456789abcdef0123456789abcdef"
WATCH_KEY = "watch-key-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Target:
    """A server to be started on a port of its own."""

    name: str
    command: list[str]
    port: int
    path: str = "/v1/chat/completions"
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    model: str = "bench"
    ready: str = "/v1/models"
    """A GET of this is answered, with whatever below 500, once it serves."""
    patience_s: float = 30.0
    state: Path | None = None
    """Where it keeps its books."""
    announces: str = ""
    """A pattern of a line in its log that has the port, where it cannot be chosen."""


def bodies(folder: Path, model: str) -> dict[str, Path]:
    """Write the request bodies: a short question, a prompt of 4 KB, and the first as a stream.

    The prompt has two findings of personal data. Each body has a MARK, in whose place every
    request gets another number.
    """
    log = "".join(
        f'2026-11-20T10:15:{n % 60:02d}Z api-7c9d app[1]: level=info msg="handled request" '
        f"method=GET path=/v1/orders/{1000 + 7 * n} status=200 dur_ms={3 + n % 40}\n"
        for n in range(32)
    )
    texts = {"short": ASKED, "prompt": f"{log[:4000]}ask jane.doe@northwind.com at 81.2.69.142"}
    found = {}
    for name in ("short", "prompt", "stream"):
        text = texts.get(name, ASKED)
        body = chat(f"case {MARK}: {text}", model) | ({"stream": True} if name == "stream" else {})
        found[name] = folder / f"{name}-{model.rpartition(':')[2]}-{len(model)}.json"
        found[name].write_text(json.dumps(body, separators=(",", ":")))
    return found


def chat(text: str, model: str = "bench") -> dict[str, object]:
    """Return a request."""
    return {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
        "temperature": 0.2,
        "max_tokens": 256,
    }


def gateway(
    folder: Path, name: str, port: int, more: str = "", upstream: int = MODEL_PORT
) -> Target:
    """Return our own server, configured by `more` beside the one upstream."""
    place = folder / f"{name.rpartition(' ')[2]}-{port}"
    place.mkdir(exist_ok=True)
    (place / "lockgate.toml").write_text(
        f'task_folders = []\n[backends.model]\nkind = "openai"\n'
        f'url = "http://127.0.0.1:{upstream}/v1"\n'
        f'data_classes = ["public", "internal"]\nmodels = {{ bench = "bench" }}\n'
        # What is measured is the gateway, and not how it finds out what a model server bears.
        "limits = { connections = 1024, concurrency = 1024 }\n"
        f'[server]\nlisten = "127.0.0.1:{port}"\n{more}'
    )
    return Target(
        name,
        [sys.executable, "-m", "lockgate", "--config", str(place / "lockgate.toml"), "serve"],
        port,
        environment={"LOCKGATE_STATE_DIR": str(place / "state"), "LOCKGATE_DATA_DIR": str(place)},
        headers={"Authorization": f"Bearer {KEY}"},
        ready="/healthz/ready",
        state=place / "state",
    )


BARE = """record_calls = false
[server.keys.bench]
sha256 = "{digest}"
scopes = ["model:*"]
[guards.internal]
secrets = "off"
canary = "off"
"""
"""A key, its scope, parsing, the model's name, the call, its usage, metrics."""

ALL_ON = """[server.keys.bench]
sha256 = "{digest}"
scopes = ["model:*"]
[server.keys.watch]
sha256 = "{watch}"
roles = ["auditor"]
[server.limits."key:*"]
requests_per_minute = 10000000
tokens_per_minute = 10000000000
[server.limits."team:*"]
requests_per_minute = 10000000
[server.limits."route:*"]
requests_per_minute = 10000000
[server.cache]
ttl_s = 0.3
[server.tracing]
otlp_url = "http://127.0.0.1:{port}/v1/traces"
ratio = 0.1
most_per_s = 10000
[books]
prices = "prices.toml"
[guards.internal]
secrets = "redact"
personal = "redact"
"""
"""And limits, a reservation in two budgets, redaction both ways, the breaker, a cache that has not
seen the request, a usage event, the audit chain, one request in ten traced."""

PRICES = """currency = "EUR"
[[price]]
model = "bench"
valid_from = 2026-01-01
input = "0.15"
output = "0.60"
"""


def bare(folder: Path, port: int, upstream: int = MODEL_PORT) -> Target:
    """Return the gateway with nothing but what a proxy with keys has."""
    return gateway(folder, "lockgate", port, BARE.format(digest=_digest(KEY)), upstream)


def all_on(folder: Path, port: int, upstream: int = MODEL_PORT) -> Target:
    """Return the gateway with everything that it can do between a caller and an upstream."""
    settings = ALL_ON.format(digest=_digest(KEY), watch=_digest(WATCH_KEY), port=upstream)
    target = gateway(folder, "lockgate, all on", port, settings, upstream)
    assert target.state is not None, "it is ours"
    (target.state.parent / "prices.toml").write_text(PRICES)
    return target


def own_environment(target: Target) -> dict[str, str]:
    """Return the environment in which our command line sees a target's state."""
    return {**os.environ, **target.environment}


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def search_path() -> str:
    """Return where programs are looked for: Debian has nginx where only root's path leads."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


def nginx(folder: Path, port: int, upstream: int = MODEL_PORT) -> Target:
    """Return a plain proxy, which does nothing but pass bytes on."""
    program = shutil.which("nginx", path=search_path())
    assert program is not None, "looked for at the start"
    place = folder / f"nginx{upstream}"
    place.mkdir(exist_ok=True)
    (place / "nginx.conf").write_text(
        "worker_processes 1; daemon off; pid nginx.pid; error_log stderr;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; keepalive_requests 1000000;\n"
        f"  upstream model {{ server 127.0.0.1:{upstream}; keepalive 128;"
        " keepalive_requests 1000000; }\n"
        f"  server {{ listen 127.0.0.1:{port};\n"
        "    location / { proxy_pass http://model; proxy_http_version 1.1;"
        ' proxy_set_header Connection ""; proxy_buffering off; } } }\n'
    )
    return Target("nginx", [program, "-p", str(place), "-c", "nginx.conf"], port)
