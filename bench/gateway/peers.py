"""Other gateways: each in a folder of its own outside the checkout, made once and kept."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.targets import MODEL_PORT, Target

_INSTALL_S = 600
_UPSTREAM = f"http://127.0.0.1:{MODEL_PORT}"
_KEY = "sk-bench-0123456789abcdef"
_APART = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1"}
"""A peer sees its own folder only."""
_TENSORZERO = Path(__file__).with_name("tensorzero_gateway.py")


class NotInstalled(Exception):
    """A peer that cannot be had here. The text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway that is measured beside ours."""

    name: str
    registry: str
    package: str
    version: str
    serve: Callable[[Path, Path, int], Target]
    """Makes the target of its folder, a folder for its settings, and a port."""

    @property
    def wanted(self) -> str:
        return f"{self.package}{'@' if self.registry == 'npm' else '=='}{self.version}"


def cache_folder() -> Path:
    """Return where peers are kept from one run to the next."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "lockgate-bench"


def installed(peer: Peer) -> Path:
    """Return the folder of a peer, made if it is not there.

    Raises:
        NotInstalled: it cannot be made.

    """
    folder = cache_folder() / f"{peer.name}-{peer.version}-py{platform.python_version()}"
    whole = folder / ".whole"
    if whole.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"installing {peer.wanted}", file=sys.stderr, flush=True)
    if peer.registry == "npm":
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise NotInstalled(f"`{program}` is missing")
        _run(
            "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", peer.wanted, at=folder
        )
    else:
        _run(sys.executable, "-m", "venv", str(folder), at=folder)
        pip = (str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
        _run(*pip, "install", "-q", "--only-binary", ":all:", peer.wanted, at=folder)
    whole.touch()
    return folder


def _run(*command: str, at: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=at, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"`{command[0]}` took more than {_INSTALL_S} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise NotInstalled(said[-1][:200] if said else f"`{command[0]}`: {done.returncode}")


def _sglang(folder: Path, _: Path, port: int) -> Target:
    command = [str(folder / "bin" / "python"), "-m", "sglang_router.launch_router"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--worker-urls", _UPSTREAM]
    command += ["--policy", "round_robin", "--log-level", "error"]
    command += ["--prometheus-port", str(port + 50)]
    return Target("sglang-router", command, port, environment=_APART, ready="/health")


def _tensorzero(folder: Path, place: Path, _: int) -> Target:
    settings = place / "tensorzero.toml"
    settings.write_text(
        "[gateway]\ndisable_pseudonymous_usage_analytics = true\n"
        "[gateway.observability]\nenabled = false\n"
        '[models.bench]\nrouting = ["model"]\n'
        '[models.bench.providers.model]\ntype = "openai"\nmodel_name = "bench"\n'
        f'api_base = "{_UPSTREAM}/v1/"\napi_key_location = "none"\n'
    )
    command = [str(folder / "bin" / "python"), str(_TENSORZERO), str(settings)]
    return Target(
        "TensorZero",
        command,
        0,
        environment=_APART,
        announces=r"listens: http://127\.0\.0\.1:(\d+)/",
        path="/openai/v1/chat/completions",
        model="tensorzero::model_name::bench",
        ready="/health",
    )


def _portkey(folder: Path, _: Path, port: int) -> Target:
    program = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return Target(
        "Portkey",
        ["node", str(program), f"--port={port}", "--headless"],
        port,
        environment={"NODE_ENV": "production"},
        headers={
            "Authorization": f"Bearer {_KEY}",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{_UPSTREAM}/v1",
        },
        ready="/",
    )


def _litellm(folder: Path, place: Path, port: int) -> Target:
    settings = place / "litellm.yaml"
    settings.write_text(
        "model_list:\n- model_name: bench\n  litellm_params:\n    model: openai/bench\n"
        f"    api_base: {_UPSTREAM}/v1\n    api_key: none\n"
        "litellm_settings:\n  telemetry: false\n"
    )
    command = [str(folder / "bin" / "litellm"), "--config", str(settings), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1"]
    return Target(
        "LiteLLM",
        command,
        port,
        environment={
            **_APART,
            # It refuses to start without a key, and fetches a list of prices unless told not to.
            "LITELLM_MASTER_KEY": _KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "DISABLE_ADMIN_UI": "True",
        },
        headers={"Authorization": f"Bearer {_KEY}"},
        ready="/health/liveliness",
        patience_s=180.0,
    )


PEERS = (
    Peer("sglang-router", "PyPI", "sglang-router", "0.3.2", _sglang),
    Peer("TensorZero", "PyPI", "tensorzero", "2026.6.0", _tensorzero),
    Peer("Portkey", "npm", "@portkey-ai/gateway", "1.15.2", _portkey),
    Peer("LiteLLM", "PyPI", "litellm[proxy]", "1.106.2", _litellm),
)
