"""A model server for tests, in a thread: OpenAI's answers, whole and streamed, and faults."""

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WORDS = ("Check ", "the ", "memory ", "limit.")
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


@dataclass
class MockModel:
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    heads: list[bytes] = field(default_factory=list[bytes])
    answer: bytes | None = None
    """Raw bytes to send instead of an answer."""
    words: tuple[str, ...] = WORDS
    """What a stream says, a chunk each."""
    finish_reason: str | None = None
    """What the last chunk of a stream says, if there is to be one without a text."""
    hang_after: int | None = None
    """Chunks of a stream after which nothing more comes."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                self.heads.append(head)
                self.requests.append(body)
                self.asked.set()
                await self._answer(head, body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        except asyncio.CancelledError:
            return
        finally:
            writer.close()

    async def _answer(
        self,
        head: bytes,
        body: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if self.answer is not None:
            writer.write(self.answer)
            return
        if self.hang_after is not None and not body.get("stream"):
            await reader.read()
            raise ConnectionError
        if body.get("stream"):
            await self._stream(body, reader, writer)
            return
        if b"/embeddings" in head:
            data = [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}]
            _reply(writer, {"object": "list", "model": "m", "data": data, "usage": USAGE})
            return
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "text": "".join(WORDS), "finish_reason": "stop"}
        _reply(
            writer,
            {
                "id": "c1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice],
                "usage": USAGE,
            },
        )

    async def _stream(
        self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number, word in enumerate(self.words):
            if number == self.hang_after:
                await self._hang(reader)
            self._event(writer, {"choices": [{"index": 0, "delta": {"content": word}}]})
            await writer.drain()
        if self.finish_reason is not None:
            ended = {"index": 0, "delta": {}, "finish_reason": self.finish_reason}
            self._event(writer, {"choices": [ended]})
        if body.get("stream_options", {}).get("include_usage"):
            self._event(writer, {"choices": [], "usage": USAGE})
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        """Wait until the client leaves or a test says to go on."""
        leaving = asyncio.ensure_future(reader.read())
        going_on = asyncio.ensure_future(self.go_on.wait())
        await asyncio.wait((leaving, going_on), return_when=asyncio.FIRST_COMPLETED)
        gone = leaving.done()
        leaving.cancel()
        going_on.cancel()
        await asyncio.wait((leaving, going_on))
        if gone:
            raise ConnectionError

    def release(self) -> None:
        """Let a stream that hangs go on."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.go_on.set)

    def _event(self, writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
        base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        data = b"data: %b\n\n" % json.dumps({**base, **value}).encode()
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _reply(writer: asyncio.StreamWriter, value: object) -> None:
    data = json.dumps(value).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(data), data)
    )


@contextmanager
def mock_model() -> Generator[MockModel]:
    """Serve until the block ends."""
    loop = asyncio.new_event_loop()
    mock = MockModel(loop=loop)
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(mock.serve, "127.0.0.1", 0)
        mock.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield mock
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
