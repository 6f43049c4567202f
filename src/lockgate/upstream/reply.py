"""What comes back from an upstream, and what can ask one."""

from typing import NamedTuple, Protocol

from lockgate.upstream.request import Headers, Request


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    """Names in lower case."""
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Stream(Protocol):
    """An answer in parts."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    async def part(self) -> bytes:
        """Return the next bytes of the body; empty at its end.

        Raises:
            Unavailable: the answer broke off, stalled or grew too large.

        """
        ...

    def close(self) -> None:
        """Give the stream up: the upstream sees a closed connection unless it had finished."""
        ...


class Client(Protocol):
    """Asks one upstream."""

    async def fetch(self, request: Request) -> Reply:
        """Return the whole answer. Cancelled, it closes the connection.

        Raises:
            Unavailable: no answer, or not a valid one, within the limits.

        """
        ...

    async def open(self, request: Request) -> Stream:
        """Return the answer as soon as its head is there. As `fetch`."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
