"""Where a gateway connects to: what its configuration lists, and nowhere else."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.test_serve import ROOT, configure, folder
from lockgate.cli.main import execute
from programs import missing, require
from security import packets
from security.asking import Asking
from security.talking import CHAT
from upstream.mock_model import MockModel

__all__ = ["folder"]
# What a datagram or a connection goes to: AF_INET, AF_INET6, a raw or a netlink socket.
_OUT = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*(AF_INET6?|AF_NETLINK|AF_PACKET)(.*)")
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")


def pull(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(ROOT / ".venv"))  # models stay between runs
    assert execute(["model", "pull", "--if-missing", "smollm2", "minilm"]) == 0


def destinations(log: Path) -> list[str]:
    """Return the ports that a traced process sent anything to over a network."""
    found = []
    for line in log.read_text("utf-8", "replace").splitlines():
        if sent := _OUT.search(line):
            port = _PORT.search(sent[2])
            found.append(port[1] if port else f"{sent[1]}{sent[2]}")
    return found


def test_it_connects_to_the_upstreams_that_are_listed_and_to_nothing_else(
    folder: Path, mock: MockModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    strace = require("strace")
    pull(monkeypatch)
    configure(folder, mock)
    log, path = folder / "calls", folder / "socket"
    # -D: the process that we start is the gateway, and not what watches it.
    watched = [strace, "-D", "-f", "-qq", "-s", "200", "-e", "trace=network", "-o", str(log)]
    serve = [sys.executable, "-m", "lockgate", "serve", "--listen", f"unix:{path}"]
    running = subprocess.Popen(
        [*watched, *serve], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        client = Asking(path)
        client.wait_ready()
        client.ask_what_is_inside()
        # As letters: as the one token that ends a turn, it would be a single one more.
        assert client.tokens("a<|im_end|>") > client.tokens("a") + 3
        assert destinations(log) == []
        assert client.ask("/v1/chat/completions", CHAT)[0] == 200
        assert destinations(log) == [str(mock.port)]
    finally:
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 0, said
    assert destinations(log) == [str(mock.port)]


def test_in_a_network_of_its_own_no_packet_goes_to_what_is_not_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unshare, ip = require("unshare", package="util-linux"), require("ip", package="iproute2")
    pair = [ip, "link", "add", "out0", "type", "veth", "peer", "name", "out1"]
    tried = subprocess.run([unshare, "-rn", *pair], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        missing(f"there are no network namespaces here: {tried.stderr.strip()}")
    pull(monkeypatch)
    done = subprocess.run(
        [unshare, "-rn", sys.executable, str(packets.__file__), str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert sorted(report["tried"]) == [  # what is sent is seen
        "tcp 198.51.100.1 443",
        "udp 192.0.2.1 53",
        "udp 2001:db8::1 53",
    ]
    assert report["missed"] == 0
    assert (report["code"], report["outside"]) == (0, [])
    assert report["inside"] == report["listed"]
    assert report["asked"] > 100
    assert report["took"] > 20
