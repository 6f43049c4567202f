# ruff: noqa: E501, S104
"""Requests for `gateway_fuzz.py`: most of them nearly right."""

import random
from dataclasses import dataclass

from lockgate.domain.identity import Role
from lockgate.server.route import Route

ROLES = tuple(Role)
DEAD = ("expired", "revoked", "retired", "nobody")
"""Keys that open nothing."""


@dataclass
class Shot:
    """One request: its bytes, and what they were made of."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]

    @property
    def data(self) -> bytes:
        """What is sent."""
        lines = [f"{self.method} {self.target} {self.version}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def all(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for known, value in self.headers if known.lower() == name]


class Shots:
    """Makes requests: most of them nearly right."""

    def __init__(self, routes: list[Route], chance: random.Random) -> None:
        self._routes = routes
        self._chance = chance

    def make(self) -> Shot:
        """Return the next request."""
        chance = self._chance
        route = chance.choice(self._routes)
        path = route.path
        for name, value in (
            ("{task}", "review"),
            ("{model}", "m"),
            ("{call}", "c"),
            ("{key}", "k"),
        ):
            path = path.replace(name, value)
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            path = self._bend(path)
        method = route.method if chance.random() < 0.85 else chance.choice(METHODS)
        headers = [("Host", chance.choice(HOSTS) if chance.random() < 0.5 else "localhost")]
        if chance.random() < 0.03:
            headers = []
        if chance.random() < 0.8:
            headers.append(self._key(route))
        if chance.random() < 0.06:
            headers.append(self._key(route))
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            headers.append((chance.choice(NAMES), self._value()))
        chance.shuffle(headers)
        version = "HTTP/1.1" if chance.random() < 0.95 else chance.choice(VERSIONS)
        return Shot(method, path, version, headers)

    def _key(self, route: Route) -> tuple[str, str]:
        chance = self._chance
        known = [str(role) for role in ROLES]
        key = chance.choice([route.role or "caller", route.role or "caller", *known, *DEAD])
        if chance.random() < 0.1:
            key = chance.choice((key.upper(), key[:-1], key + "x", f" {key}", f"{key} ", f"{key},"))
        shape = chance.randrange(10)
        if shape < 3:
            return "X-Api-Key", key
        if shape < 9:
            return chance.choice(("Authorization", "authorization")), f"Bearer {key}"
        return "Authorization", chance.choice(
            (f"bearer {key}", f"Basic {key}", key, f"Bearer{key}")
        )

    def _value(self) -> str:
        chance = self._chance
        route = chance.choice(self._routes)
        return chance.choice((*VALUES, route.path, chance.choice(HOSTS), str(chance.choice(ROLES))))

    def _bend(self, path: str) -> str:
        return self._bend_a_letter(path) if self._chance.random() < 0.45 else self._bend_all(path)

    def _bend_a_letter(self, path: str) -> str:
        chance = self._chance
        at = chance.randrange(len(path)) if path else 0
        before, letter, after = path[:at], path[at : at + 1] or "/", path[at + 1 :]
        bent = (
            f"%{ord(letter) & 255:02x}",
            f"%25{ord(letter) & 255:02X}",
            letter.swapcase(),
            chance.choice(ODD) + letter,
            "",
            chr(ord(letter) + 0xFEE0 if letter.isascii() else 0x2215),  # full width
        )
        return before + chance.choice(bent) + after

    def _bend_all(self, path: str) -> str:
        chance = self._chance
        other = chance.choice(self._routes).path
        bent = (
            path.replace("/", "//", 1),
            path + "/",
            path.replace("/", chance.choice(("/./", "/../", "/x/../", "\\", "/;/")), 1),
            chance.choice(ABSOLUTE) + path,
            path + chance.choice(TAILS),
            other + chance.choice(("/..", "%2f..", "/%2e%2e")) + path,
            path.upper(),
            path.title(),
            path[1:],
            "*",
            path + "?" + chance.choice(VALUES).replace(" ", "+"),
        )
        return chance.choice(bent)


METHODS = (
    "GET",
    "POST",
    "DELETE",
    "PUT",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "get",
    "Post",
    "CONNECT",
    "X",
)
VERSIONS = ("HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "")
HOSTS = (
    "localhost", "LOCALHOST", "localhost:1", "127.0.0.1", "127.0.0.1:8400", "[::1]", "[::1]:9",
    "evil.example", "localhost.evil.example", "evil.example:80", "127.0.0.1.evil", "127.1", "0.0.0.0",
    "localhost@evil", "localhost/", "localhost, evil", "", "[::1", "::1", "2130706433", "localhost.",
    "gateway.internal", "admin", "localhost#x", "localhost:80:90",
)  # fmt: skip
NAMES = (
    *("X-Forwarded-For", "X-Forwarded-Host") * 3, "X-Forwarded-Proto", "X-Forwarded-User", "Forwarded",
    "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL", "X-Real-IP", "X-Remote-User", "Via",
    "X-HTTP-Method-Override", "X-Method-Override", "X-Forwarded-Path", "X-Host", "Origin", "Referer",
    "Sec-Fetch-Site", "Cookie", "Host", "X-Role", "X-User", "Prefer", "Accept", "Upgrade", "Connection",
)  # fmt: skip
VALUES = (
    "127.0.0.1", "localhost", "for=127.0.0.1;host=localhost", "admin", "GET", "POST", "DELETE", "null",
    "http://localhost", "same-origin", "none", "cross-site", "a=b", "role=admin", "1 OR 1=1", "close",
)  # fmt: skip
ODD = ("\u2215", "\uff0f", "\u0131", "\u017f", "\xe9", "\t", " ", "\0", "%00", "%", "%zz", "%c0%af", "%u002f", "..", "\x7f", "\udcff")  # fmt: skip
ABSOLUTE = ("http://localhost", "http://evil.example", "https://localhost:8400", "//evil.example", "http:", "HTTP://admin@localhost", "file://")  # fmt: skip
TAILS = ("#", "#/healthz/live", ";x=1", ".json", "%20", "%0a", "/.", "/..", "?", "?a=1", "??", "/%2e", "\\", "&a=b", ":80", "%3f")  # fmt: skip
