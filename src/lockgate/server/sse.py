"""Server-sent events (WHATWG HTML section 9.2), as OpenAI streams use them: `data:` lines only."""

from lockgate.errors import UpstreamFailed

DONE = b"[DONE]"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_EVENT_BYTES = 4 << 20


class Events:
    """Cuts a stream of bytes into the data of its events, wherever the bytes were split.

    Event names, ids, retry times and comments of the upstream go no further: what is sent on is
    written anew, so an upstream cannot place an event of its own making.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.began = False
        """Whether there was any event with data."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of each event that is whole now.

        Raises:
            UpstreamFailed: an event is longer than we hold.

        """
        data = self._rest + data if self._rest else data
        if b"\r" in data:
            # A carriage return at the very end may be half of a line end: it waits.
            keep = data.endswith(b"\r")
            data = data[: len(data) - keep].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + (
                b"\r" if keep else b""
            )
        *whole, self._rest = data.split(b"\n\n")
        if whole and not self.began:
            whole[0] = whole[0].removeprefix(_BYTE_ORDER_MARK)
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamFailed(f"an event of the upstream is longer than {MAX_EVENT_BYTES} bytes")
        found = []
        for event in whole:
            if event.startswith(b"data: ") and b"\n" not in event:
                found.append(event[6:])
            elif lines := _data_lines(event):
                found.append(b"\n".join(lines))
        if found:
            self.began = True
        return found


def _data_lines(event: bytes) -> list[bytes]:
    return [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]


def event(data: bytes) -> bytes:
    """Return an event; `data` is one line."""
    return b"data: %b\n\n" % data
