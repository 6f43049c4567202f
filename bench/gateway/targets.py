"""What is measured: the gateway as shipped, and what others put in the same place."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ROOT / ".bench" / "peers"
MODEL_PORT = 9401
PACED_PORT = 9402
"""Of a second one, which sends an event every 10 ms."""
SYSTEM = "You are a terse DevOps assistant. Answer with the likely cause and the next command."
ASKED = (
    "kubectl get pods shows api-7c9d in CrashLoopBackOff with 14 restarts in the last hour, "
    "exit code 137, limits memory 256Mi. What should I check first?"
)
KEY = "bench-key-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Target:
    """A server to be started on a port of its own."""

    name: str
    command: list[str]
    port: int
    path: str = "/v1/chat/completions"
    environment: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None


def bodies(folder: Path) -> dict[str, Path]:
    """Write the request bodies: a short question, a prompt of 4 KB, and each as a stream."""
    log = "".join(
        f'2026-11-20T10:15:{n % 60:02d}Z api-7c9d app[1]: level=info msg="handled request" '
        f"method=GET path=/v1/orders/{1000 + 7 * n} status=200 dur_ms={3 + n % 40}\n"
        for n in range(32)
    )
    texts = {"short": ASKED, "prompt": f"{log[:4000]}ask jane.doe@example.com at 10.1.2.3"}
    found = {}
    for name, text in texts.items():
        for stream in (False, True):
            body: dict[str, object] = {
                "model": "bench",
                "messages": [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": text},
                ],
                "temperature": 0.2,
                "max_tokens": 256,
            }
            if stream:
                body["stream"] = True
            path = folder / f"{name}{'_stream' if stream else ''}.json"
            path.write_text(json.dumps(body, separators=(",", ":")))
            found[path.stem] = path
    return found


def gateway(
    folder: Path, name: str, port: int, more: str = "", upstream: int = MODEL_PORT
) -> Target:
    """Return our own server, configured by `more` beside the one upstream."""
    place = folder / name
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
        key=KEY,
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
[server.limits."key:*"]
requests_per_minute = 10000000
tokens_per_minute = 10000000000
[server.limits."team:*"]
requests_per_minute = 10000000
[server.limits."route:*"]
requests_per_minute = 10000000
[server.cache]
ttl_s = 0.000001
[server.tracing]
otlp_url = "http://127.0.0.1:{port}/v1/traces"
ratio = 0.1
[books]
prices = "prices.toml"
[guards.internal]
secrets = "redact"
personal = "redact"
"""
"""And limits, a reservation, redaction both ways, the breaker, a cache that is missed, a usage
event, the audit chain, one request in ten traced."""

PRICES = """currency = "EUR"
[[price]]
model = "bench"
valid_from = 2026-01-01
input = "0.15"
output = "0.60"
"""


def bare(folder: Path, port: int) -> Target:
    """Return the gateway with nothing but what a proxy with keys has."""
    return gateway(folder, "lockgate", port, BARE.format(digest=_digest()))


def streaming(folder: Path, port: int) -> list[Target]:
    """Return what passes paced streams on: nginx, and the gateway with and without guards."""
    bare_, guarded = BARE.format(digest=_digest()), BARE.format(digest=_digest())
    guarded = guarded.replace('secrets = "off"', 'secrets = "redact"\npersonal = "redact"')
    plain = nginx(folder, port, PACED_PORT)
    return [
        Target("direct", ["sleep", "1000"], PACED_PORT, key=KEY),
        *([plain] if plain else []),
        gateway(folder, "stream", port + 1, bare_, PACED_PORT),
        gateway(folder, "stream+guards", port + 2, guarded, PACED_PORT),
    ]


def all_on(folder: Path, port: int) -> Target:
    """Return the gateway with everything that it can do between a caller and an upstream."""
    target = gateway(folder, "all-on", port, ALL_ON.format(digest=_digest(), port=MODEL_PORT))
    (folder / "all-on" / "prices.toml").write_text(PRICES)
    return target


def _digest() -> str:
    return hashlib.sha256(KEY.encode()).hexdigest()


def nginx(folder: Path, port: int, upstream: int = MODEL_PORT) -> Target | None:
    """Return a plain proxy, which does nothing but pass bytes on."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return None
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


def peers(port: int) -> list[Target]:
    """Gateways from PyPI, installed into a throw-away environment when they can be."""
    found = []
    binary = PEERS / "bin" / "python"
    if _installed("sglang_router"):
        command = [str(binary), "-m", "sglang_router.launch_router", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--worker-urls", f"http://127.0.0.1:{MODEL_PORT}"]
        command += ["--policy", "round_robin", "--log-level", "error"]
        command += ["--prometheus-port", str(port + 50)]
        found.append(Target("sglang-router", command, port))
    if _installed("litellm"):
        settings = PEERS / "litellm.yaml"
        settings.write_text(
            "model_list:\n- model_name: bench\n  litellm_params:\n    model: openai/bench\n"
            f"    api_base: http://127.0.0.1:{MODEL_PORT}/v1\n    api_key: none\n"
        )
        command = [str(PEERS / "bin" / "litellm"), "--config", str(settings), "--host"]
        command += ["127.0.0.1", "--port", str(port + 1), "--num_workers", "1"]
        found.append(Target("litellm", command, port + 1, environment={"LITELLM_LOG": "ERROR"}))
    return found


def _installed(module: str) -> bool:
    python = PEERS / "bin" / "python"
    if not python.exists():
        return False
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
    return subprocess.run([python, "-c", probe], check=False).returncode == 0
