import json
import logging
from datetime import UTC, datetime

import pytest

from lockgate.telemetry.logs import Floodgate, JsonLines, TextLines, log_to_stderr


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    found = logging.LogRecord("lockgate.server", logging.WARNING, "f", 1, message, arguments, None)
    found.created = datetime(2026, 11, 21, 3, 12, 45, 123000, UTC).timestamp()
    found.__dict__.update(fields)
    return found


def test_a_line_says_when_what_and_for_which_request() -> None:
    line = TextLines().format(record("the upstream `%s` hung up", "a", request="r1", code="x"))
    assert line == (
        "2026-11-21T03:12:45.123Z WARNING lockgate.server: the upstream `a` hung up "
        "(request=r1, code=x)"
    )


def test_a_record_is_one_line_of_json_with_its_fields() -> None:
    line = JsonLines().format(record('two\nlines and "quotes"', code="x", hint="do this"))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-11-21T03:12:45.123Z",
        "level": "warning",
        "logger": "lockgate.server",
        "message": 'two\nlines and "quotes"',
        "code": "x",
        "hint": "do this",
    }


def test_what_others_say_cannot_begin_a_line_of_its_own() -> None:
    forged = "gone\r\n2026-11-21T00:00:00Z ERROR lockgate.server: all keys leaked\u2028x"
    assert len(TextLines().format(record("%s", forged, hint="a\nb")).splitlines()) == 1


def test_what_others_say_gives_no_orders_to_the_terminal() -> None:
    evil = "gone \x1b]0;title\x07\x1b[2J\x9b31m\x7f\x00 over"
    line = TextLines().format(record("%s", evil, hint="\x1b[0m"))
    assert line.isprintable()
    assert "gone \\x1b]0;title\\x07" in line


def test_a_fault_shows_where_it_was() -> None:
    fault = record("broken")
    fault.exc_info = (ValueError, ValueError("x"), None)
    assert "ValueError: x" in TextLines().format(fault)
    assert "ValueError: x" in json.loads(JsonLines().format(fault))["traceback"]


def test_what_repeats_is_left_out_and_counted() -> None:
    now = 0.0
    gate = Floodgate(clock=lambda: now, most=2)
    assert [gate.filter(record("%s", n, code="down")) for n in range(5)] == [True] * 2 + [False] * 3
    assert gate.filter(record("%s", 9, code="other")), "another kind is not held back"
    now = 10.0
    late = record("%s", 6, code="down")
    assert gate.filter(late)
    assert late.getMessage() == "6 [3 more like this were left out before]"


def test_many_kinds_take_bounded_memory() -> None:
    gate = Floodgate(clock=lambda: 0.0)
    for number in range(5000):
        gate.filter(record(f"kind {number}"))
    assert len(gate._seen) <= 1001


def test_the_log_goes_to_stderr_for_a_while_and_all_is_as_it_was_afterwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, chatty = logging.getLogger(), logging.getLogger("httpx2")
    before = root.handlers[:], root.level, chatty.level

    with log_to_stderr("json"):
        logging.getLogger("lockgate.test").info("here")
        chatty.info("HTTP Request")

    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == [
        "here"
    ]
    assert (root.handlers, root.level, chatty.level) == before
