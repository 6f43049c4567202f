from datetime import UTC, datetime

import pytest

from lockgate.domain.audit import AuditEvent, Entry, Head, seal
from lockgate.domain.checkpoint import Checkpoint, Watch
from lockgate.domain.digest import Digest, JsonObject
from lockgate.errors import Corrupt, Denied
from lockgate.signing.checkpoint import sign, verified
from lockgate.signing.keys import PrivateKey

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = PrivateKey.new()
KEYS = {KEY.fingerprint: KEY.pem.decode()}


def chain(count: int, text: str = "") -> list[AuditEvent]:
    events: list[AuditEvent] = []
    head = Head()
    for n in range(count):
        detail: JsonObject = {"n": n, "text": text}
        entry = Entry(id=str(n), at=NOON, actor="a", action="call", subject="s", detail=detail)
        events.append(seal(head, entry))
        head = head_of(events[-1])
    return events


def head_of(event: AuditEvent) -> Head:
    return Head(seq=event.seq, digest=event.digest)


def checkpoint(event: AuditEvent) -> Checkpoint:
    return Checkpoint(head=head_of(event), at=NOON)


def hold(events: list[AuditEvent], *checkpoints: Checkpoint) -> None:
    watch = Watch(checkpoints)
    for event in events:
        watch.follow(event)
    watch.end(head_of(events[-1]))


def test_a_signed_checkpoint_comes_back() -> None:
    made = checkpoint(chain(3)[-1])
    assert verified(sign(made, KEY), KEYS) == made


def test_any_changed_byte_of_a_checkpoint_is_found() -> None:
    data = sign(checkpoint(chain(3)[-1]), KEY)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((Corrupt, Denied)):
            verified(changed, KEYS)


def test_the_key_of_a_stranger_does_not_count() -> None:
    stranger = PrivateKey.new()
    with pytest.raises(Denied):
        verified(sign(checkpoint(chain(1)[0]), stranger), KEYS)


def test_a_log_that_agrees_with_its_checkpoints_and_has_grown_is_whole() -> None:
    events = chain(5)
    hold(events, checkpoint(events[3]), checkpoint(events[0]), checkpoint(events[3]))


def test_a_log_that_was_rewritten_as_a_whole_is_found() -> None:
    made = checkpoint(chain(5)[2])
    with pytest.raises(Corrupt, match="audit event 3 has the digest"):
        hold(chain(5, "rewritten"), made)


def test_a_log_that_was_cut_off_with_its_head_is_found() -> None:
    made = checkpoint(chain(5)[4])
    with pytest.raises(Corrupt, match="ends at event 4"):
        hold(chain(5)[:4], made)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"at":"2026","digest":"sha256:x","seq":1}',
        b'{"at":7,"digest":7,"seq":7}',
        checkpoint(chain(1)[0]).encode() + b" ",
        checkpoint(chain(1)[0]).encode().replace(b'"seq":1', b'"seq":1.0'),
        checkpoint(chain(1)[0]).encode().replace(b'"seq":1', b'"seq":true'),
        b"[" * 10_000,
    ],
)
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Checkpoint.parse(data)


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    made = Checkpoint(head=Head(seq=2**40, digest=Digest.of(b"x")), at=NOON)
    assert Checkpoint.parse(made.encode()) == made
