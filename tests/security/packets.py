"""What a network namespace sends. A program: `unshare -rn python packets.py FOLDER`.

It makes an interface with a default route, at whose far end nobody is, and reads every packet of
the namespace. In it run a gateway, and what its configuration lists. What was sent is printed as
JSON.
"""

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cli.test_serve import configure
from identity.issuers import public_jwk, rsa_key, running_issuer
from security.asking import Asking
from security.talking import CHAT
from security.test_requests import every_field
from upstream.mock_model import mock_model

ALL_PROTOCOLS = 3  # linux/if_ether.h: ETH_P_ALL
STATISTICS = 6  # linux/if_packet.h: PACKET_STATISTICS
SOL_PACKET = 263
TCP, UDP, ICMP6, HOP_BY_HOP = 6, 17, 58, 0
SYN, ACK = 2, 16
FAR = "02:00:00:00:00:01"
OUTSIDE = (
    "http://192.0.2.7:80/x",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/x",
    "http://[2001:db8::7]/x",
)
LINES = (
    "link set lo up",
    "link add out0 type veth peer name out1",
    "link set out1 up",
    "link set out0 up",
    "addr add 10.77.0.1/24 dev out0",
    "neigh replace 10.77.0.2 lladdr {far} dev out0",
    "route add default via 10.77.0.2",
    "-6 addr add fd77::1/64 dev out0 nodad",
    "-6 neigh replace fd77::2 lladdr {far} dev out0",
    "-6 route add default via fd77::2 dev out0",
)


class Listener:
    """Reads the packets of all interfaces, and notes where they go."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self._socket.settimeout(0.05)
        # On a busy machine the reader may be late: nothing is to be missed then.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self._done = threading.Event()
        self.outside: list[str] = []
        self.inside: set[str] = set()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                packet, where = self._socket.recvfrom(256)
            except TimeoutError:
                if self._done.is_set():
                    return
                continue
            to = destination(packet)
            if to and where[0] == "lo":
                self.inside.add(to)
            elif to and where[0] == "out0":
                self.outside.append(to)

    def take(self) -> dict[str, Any]:
        """Return what was sent, and how many packets were missed."""
        self._done.set()
        self._thread.join()
        _, missed = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, STATISTICS, 8))
        self._socket.close()
        return {"outside": self.outside, "inside": sorted(self.inside), "missed": missed}


def destination(packet: bytes) -> str:
    """Return where a packet goes, if it opens a connection or needs none."""
    kind = struct.unpack_from("!H", packet, 12)[0]
    if kind == 0x0800:
        at = 14 + (packet[14] & 15) * 4
        protocol, host = packet[23], socket.inet_ntoa(packet[30:34])
    elif kind == 0x86DD:
        at = 54
        protocol, host = packet[20], socket.inet_ntop(socket.AF_INET6, packet[38:54])
        if protocol in {ICMP6, HOP_BY_HOP}:
            return ""  # the kernel's own: neighbours and groups
    else:
        return f"ethertype {kind:#06x}"
    if protocol == TCP:
        if packet[at + 13] & (SYN | ACK) != SYN:
            return ""
    elif protocol != UDP:
        return f"protocol {protocol} to {host}"
    port = struct.unpack_from("!H", packet, at + 2)[0]
    return f"{'tcp' if protocol == TCP else 'udp'} {host} {port}"


def send_some() -> None:
    """Do what the gateway must not: this is what shows that it would be seen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as v4:
        v4.sendto(b"x", ("192.0.2.1", 53))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as v6:
        v6.sendto(b"x", ("2001:db8::1", 53))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        tcp.setblocking(False)
        tcp.connect_ex(("198.51.100.1", 443))


@contextmanager
def collector() -> Generator[int]:
    """Take spans."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def more(spans: int, issuer: str) -> list[str]:
    """Return the rest of a configuration: everything that connects to something."""
    return [
        "[server.tracing]",
        f'otlp_url = "http://127.0.0.1:{spans}/v1/traces"',
        "ratio = 1.0",
        "[tasks.review.models]",
        'text = { backend = "there", model = "m" }',
        "[[identity.issuers]]",
        'name = "far"',
        'issuer = "https://issuer.example"',
        'audience = "lockgate"',
        f'jwks_url = "{issuer}/jwks"',
        "[[identity.issuers.rules]]",
        'claims = { sub = "*" }',
        'team = "ci"',
    ]


def run(folder: Path) -> dict[str, Any]:
    """Run a gateway; return what was listed, and what was sent."""
    path = folder / "socket"
    listener = Listener()
    with mock_model() as mock, collector() as spans, running_issuer() as issuer:
        issuer.keys = [public_jwk(rsa_key(), "k")]
        configure(folder, mock, key="k", more=more(spans, issuer.url))
        listed = sorted(f"tcp 127.0.0.1 {p}" for p in (mock.port, spans, issuer.url.split(":")[-1]))
        running = subprocess.Popen(
            [sys.executable, "-m", "lockgate", "serve", "--listen", f"unix:{path}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
        try:
            client = Asking(path, "k")
            client.wait_ready()
            client.ask_what_is_inside()
            asked = 0
            for stream in (False, True):
                assert client.ask("/v1/chat/completions", {**CHAT, "stream": stream})[0] == 200
            for url in OUTSIDE:
                for target, body in every_field(url):
                    client.ask(target, body)
                    asked += 1
        finally:
            running.send_signal(signal.SIGTERM)
            code = running.wait(30)
        took = len(mock.requests)
    return {**listener.take(), "listed": listed, "code": code, "asked": asked, "took": took}


def main() -> None:
    """Print what was sent on purpose, and what the gateway sent."""
    for line in LINES:
        subprocess.run(["ip", *line.format(far=FAR).split()], check=True)
    trial = Listener()
    send_some()
    tried = trial.take()
    sys.stdout.write(json.dumps({"tried": tried["outside"], **run(Path(sys.argv[1]))}))


if __name__ == "__main__":
    main()
