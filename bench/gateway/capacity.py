"""A model server of known capacity: so many requests at a time, each of the same time, in turn.

usage: python bench/gateway/capacity.py PORT WORKERS SECONDS

`POST /control` with `{"fail": SHARE}` lets that share of the requests fail at once from then on.
"""

import asyncio
import json
import random
import sys
from dataclasses import dataclass, field

_USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
_MESSAGE = {"role": "assistant", "content": "Check the memory limit."}
_ANSWER = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}],
        "usage": _USAGE,
    }
).encode()


def _reply(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@dataclass
class Capacity:
    """Serves connections of `asyncio.start_server`."""

    workers: int
    seconds: float
    fail: float = 0.0
    requests: int = 0
    source: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.workers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or b"0"))
                writer.write(await self._answer(head, body))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"post /control"):
            self.fail = float(json.loads(body)["fail"])
            return _reply(b"200 OK", b"{}")
        self.requests += 1
        if self.source.random() < self.fail:
            return _reply(b"500 X", b'{"error":{"message":"broken"}}')
        async with self._free:
            await asyncio.sleep(self.seconds)
        return _reply(b"200 OK", _ANSWER)


async def main() -> None:
    port, workers, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    upstream = Capacity(workers, seconds)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
