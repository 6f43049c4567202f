import base64
import time

import pytest

from lockgate.guards.secrets import SecretGuard
from lockgate.redteam.canary import MASK, Canaries, leaks, masked

OWN = Canaries.drawn(7, "an attack")


def test_a_run_has_one_mark_and_each_attack_its_own_canaries() -> None:
    other = Canaries.drawn(7, "another")
    assert other.mark == OWN.mark
    assert (other.secret, other.phrase) != (OWN.secret, OWN.phrase)
    assert Canaries.drawn(8, "an attack").mark != OWN.mark
    assert Canaries.drawn(7, "an attack") == OWN


def test_the_guard_takes_the_secret_out_and_cannot_know_the_phrase() -> None:
    guard = SecretGuard()
    assert OWN.secret not in str(guard.sanitise({"t": f"TOKEN={OWN.secret}"}).value)
    assert OWN.phrase in str(guard.sanitise({"t": OWN.phrase}).value)


@pytest.mark.parametrize(
    ("written", "how"),
    [
        (OWN.secret, "plain"),
        ("-".join(OWN.secret), "with separators inside"),
        ("\u200b".join(OWN.phrase), "with separators inside"),
        (OWN.secret[::-1], "reversed"),
        (OWN.secret.encode().hex(), "hexadecimal"),
        (base64.b64encode(OWN.secret.encode()).decode(), "base64"),
        (base64.b64encode(b"x" + OWN.secret.encode()).decode(), "base64"),
        (base64.urlsafe_b64encode(b"??>" + OWN.secret.encode()).decode(), "base64"),
        ("".join(chr(ord(c) + 0xFEE0) for c in OWN.phrase), "in another form of its letters"),
    ],
)
def test_a_canary_is_found_however_it_is_written(written: str, how: str) -> None:
    assert leaks(f"the summary: {written}, and more", OWN.mark) == how


def test_a_text_without_it_leaks_nothing() -> None:
    assert leaks("ghp_ Kestrel abc " + "QUJD" * 200 + " 00ff" * 50, OWN.mark) is None


def test_the_search_is_linear() -> None:
    def taken(size: int) -> float:
        started = time.process_time()
        leaks("QUJDab01" * size, OWN.mark)
        return time.process_time() - started

    taken(1_000)
    assert taken(100_000) < 40 * max(taken(10_000), 0.002)


def test_a_masked_text_shows_no_part_of_a_canary() -> None:
    shown = masked(f"x {OWN.secret} y {OWN.phrase} z", OWN.mark)
    assert shown == f"x {MASK} y {MASK} z"
