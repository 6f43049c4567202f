"""The kept answers and vectors of one model that one team may get."""

from collections.abc import Sequence

from lockgate.app.gateway_meter import GatewayMeter
from lockgate.app.gateway_models import ServedModel
from lockgate.server import tracing
from lockgate.server.exchange import Exchange
from lockgate.telemetry import conventions
from lockgate.upstream.cache import ExactCache, address

_VECTOR = b"vector"
_NO_CACHE = b"no-cache"
NO_STORE = b"no-store"


def directives(exchange: Exchange) -> Sequence[bytes]:
    """Return what `Cache-Control` says (RFC 9111 section 5.2.1).

    `no-cache` wants an answer that is made now, and `no-store` one that is not kept either.
    """
    said = exchange.headers.get(b"cache-control")
    return () if said is None else [part.strip().lower() for part in said.split(b",")]


class Kept:
    """Of one request. Another team, release or endpoint has other addresses."""

    __slots__ = ("_fresh", "_missed", "cache", "endpoint", "exchange", "meter", "model")

    def __init__(
        self,
        cache: ExactCache,
        meter: GatewayMeter,
        exchange: Exchange,
        model: ServedModel,
        endpoint: str,
    ) -> None:
        self.cache = cache
        self.meter = meter
        self.exchange = exchange
        self.model = model
        self.endpoint = endpoint
        self._missed = b""
        """Where the answer would have been."""
        self._fresh = _NO_CACHE in directives(exchange)
        """The client wants an answer that is made now."""

    def answer(self, request: bytes) -> bytes | None:
        """Return the whole answer to an equal request."""
        exchange = self.exchange
        with tracing.part(exchange, conventions.CACHE_LOOKUP):
            place = self._place(request)
            found = None if self._fresh else self.cache.get(place)
            if found is None:
                self._missed = place
        exchange.cache = b"miss" if found is None else b"hit"
        self.meter.looked_up("miss" if found is None else "hit")
        return found

    def keep(self, body: bytes) -> None:
        """Keep a whole answer, which passed every check, to the request that `answer` missed."""
        assert self._missed, "there was a look first"
        with tracing.part(self.exchange, conventions.CACHE_STORE):
            self.cache.put(self._missed, body)

    def vectors(self, texts: Sequence[str]) -> list[bytes | None]:
        """Return the vectors of texts, None for those that are to be made."""
        if self._fresh:
            return [None] * len(texts)
        return [self.cache.get(self._place(text.encode(), _VECTOR)) for text in texts]

    def all_vectors(self, texts: Sequence[str]) -> list[bytes] | None:
        """Return the vectors of texts; None if one is to be made. This look is counted."""
        exchange = self.exchange
        with tracing.part(exchange, conventions.CACHE_LOOKUP):
            found = [vector for vector in self.vectors(texts) if vector is not None]
        hits, missing = len(found), len(texts) - len(found)
        exchange.cache = b"partial" if missing and hits else b"miss" if missing else b"hit"
        if missing:
            self.meter.looked_up("miss", "embedding", missing)
        if hits:
            self.meter.looked_up("hit", "embedding", hits)
        return None if missing else found

    def keep_vectors(self, texts: Sequence[str], vectors: Sequence[bytes]) -> None:
        """Keep the vectors of texts."""
        with tracing.part(self.exchange, conventions.CACHE_STORE):
            for text, vector in zip(texts, vectors, strict=True):
                self.cache.put(self._place(text.encode(), _VECTOR), vector)

    def _place(self, body: bytes, what: bytes = b"") -> bytes:
        team = self.exchange.caller.team.encode()
        return address(body, team, self.model.release, self.endpoint.encode(), what)
