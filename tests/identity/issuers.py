"""A real issuer on loopback, as CI services have them: it serves its keys and signs tokens."""

import base64
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: Any, kid: str, **members: str) -> dict[str, Any]:
    made = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "use": "sig", **members}


class LoopbackIssuer:
    """Serves `document` at `/jwks` and counts who asks."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked = 0
        self.keys: list[dict[str, Any]] = []
        self.raw: bytes | None = None

    @property
    def document(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps({"keys": self.keys}).encode()

    def fetch(self, url: str) -> bytes:
        place = urlsplit(url)
        connection = HTTPConnection(str(place.hostname), place.port, timeout=5)
        with closing(connection):
            connection.request("GET", place.path)
            return connection.getresponse().read()


@contextmanager
def running_issuer() -> Generator[LoopbackIssuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            content = issuer.document
            self.send_response(200 if self.path == "/jwks" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = LoopbackIssuer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


def claims(issuer: str, **changed: Any) -> dict[str, Any]:
    given = {
        "iss": issuer,
        "aud": "lockgate",
        "sub": "repo:acme/shop:ref:refs/heads/main",
        "iat": int(NOON.timestamp()) - 60,
        "exp": int((NOON + timedelta(minutes=10)).timestamp()),
        "repository": "acme/shop",
        "ref": "refs/heads/main",
        **changed,
    }
    return {name: value for name, value in given.items() if value is not None}


def segment(value: Mapping[str, Any] | bytes) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
