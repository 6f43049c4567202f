import asyncio

from lockgate.upstream.cork import MOST, Cork


class Line:
    """A transport that notes what is written to it, in one list for all of them."""

    def __init__(self, written: list[bytes]) -> None:
        self.written = written
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing


async def _turn() -> None:
    """Let what was put off until the next turn of the loop happen."""
    await asyncio.sleep(0)


def test_what_one_message_led_to_is_written_at_once() -> None:
    written: list[bytes] = []
    cork, line = Cork(), Line(written)
    for data in (b"request", b"answer"):
        cork.expect()
        cork.write(line, data)
        assert written[-1] == data


def test_what_nobody_expected_is_written_at_once() -> None:
    written: list[bytes] = []
    cork, line = Cork(), Line(written)
    cork.write(line, b"one")
    cork.write(line, b"two")
    cork.expect()
    cork.write(line, b"three")
    assert written == [b"one", b"two", b"three"]


def test_writes_of_one_turn_go_out_together_and_in_order_with_the_last_of_them() -> None:
    async def run() -> None:
        written: list[bytes] = []
        cork = Cork()
        lines = [Line(written) for _ in range(3)]
        for _ in lines:
            cork.expect()
        cork.write(lines[0], b"one")
        cork.write(lines[1], b"two")
        assert written == []
        cork.write(lines[2], b"three")
        assert written == [b"one", b"two", b"three"]
        await _turn()
        assert written == [b"one", b"two", b"three"]

    asyncio.run(run())


def test_what_is_held_goes_out_in_the_next_turn_where_an_expected_write_does_not_come() -> None:
    async def run() -> None:
        written: list[bytes] = []
        cork, line = Cork(), Line(written)
        cork.expect()
        cork.expect()
        cork.write(line, b"one")
        assert written == []
        await _turn()
        assert written == [b"one"]
        cork.expect()
        cork.write(line, b"two")
        assert written == [b"one", b"two"], "the one that did not come is forgotten"

    asyncio.run(run())


def test_what_was_put_off_for_one_turn_does_not_cut_the_next_one_short() -> None:
    async def run() -> None:
        written: list[bytes] = []
        cork, line = Cork(), Line(written)
        for _ in range(2):
            cork.expect()
        for data in (b"one", b"two"):
            cork.write(line, data)
        for _ in range(2):
            cork.expect()
        await _turn()  # the first turn's end comes when its writes are long out
        cork.write(line, b"three")
        assert written == [b"one", b"two"]
        cork.write(line, b"four")
        assert written == [b"one", b"two", b"three", b"four"]

    asyncio.run(run())


def test_no_more_is_held_than_there_may_be() -> None:
    async def run() -> None:
        written: list[bytes] = []
        cork, line = Cork(), Line(written)
        for _ in range(3 * MOST):
            cork.expect()
        for number in range(MOST):
            assert written == []
            cork.write(line, b"%d" % number)
        assert len(written) == MOST
        cork.write(line, b"next")
        assert len(written) == MOST, "the next ones are held again"
        cork.flush()
        assert written[-1] == b"next"

    asyncio.run(run())


def test_what_is_flushed_goes_out_before_what_comes_after_it() -> None:
    async def run() -> None:
        written: list[bytes] = []
        cork, line = Cork(), Line(written)
        cork.expect()
        cork.expect()
        cork.write(line, b"answer")
        cork.flush()
        line.write(b"refusal")
        assert written == [b"answer", b"refusal"]

    asyncio.run(run())


def test_nothing_is_written_to_a_connection_that_closed_meanwhile() -> None:
    async def run() -> None:
        written: list[bytes] = []
        cork, gone, line = Cork(), Line(written), Line(written)
        cork.expect()
        cork.expect()
        cork.write(gone, b"one")
        gone.closing = True
        cork.write(line, b"two")
        assert written == [b"two"]

    asyncio.run(run())
