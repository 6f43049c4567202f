import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.identity import GatewayKey, Identity, KeySecret, Role
from lockgate.errors import Unauthenticated, Unavailable
from lockgate.identity.authenticator import MAX_TOKEN_BYTES, Authenticator
from lockgate.identity.secret import LENGTH, PREFIX, digest, is_well_formed, new_secret

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = new_secret(lambda size: b"a" * size)
OTHER = new_secret(lambda size: b"b" * size)


class Time:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def key(name: str = "ci", **changed: datetime) -> GatewayKey:
    return GatewayKey(
        id=name,
        team="payments",
        roles=frozenset({Role.CALLER}),
        scopes=frozenset({"task:review"}),
        created_at=NOON,
        created_by="ana",
        expires_at=changed.get("expires_at"),
        revoked_at=changed.get("revoked_at"),
    )


def stored(secret: str, name: str = "ci", expires_at: datetime | None = None) -> KeySecret:
    found = digest(secret.encode()).hex()
    return KeySecret(digest=found, key=name, created_at=NOON, expires_at=expires_at)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def gate(clock: Time) -> Authenticator:
    made = Authenticator(clock=clock, pepper=b"p" * 32)
    made.load([key()], [stored(SECRET)])
    return made


def bearer(secret: str) -> bytes:
    return f"Bearer {secret}".encode()


def test_a_key_in_either_header_is_its_identity(gate: Authenticator) -> None:
    expected = key().identity

    assert gate.authenticate(bearer(SECRET), None) == expected
    assert gate.authenticate(f"bEARER   {SECRET} ".encode(), None) == expected
    assert gate.authenticate(None, SECRET.encode()) == expected
    assert gate.authenticate(bearer(SECRET), SECRET.encode()) == expected
    assert expected.principal.name == "payments/ci"


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (None, None),
        (b"", None),
        (None, b""),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Basic " + SECRET.encode(), None),
        (SECRET.encode(), None),
        (bearer(OTHER), None),
        (bearer(SECRET), OTHER.encode()),
        (bearer(OTHER), SECRET.encode()),
        (bearer(SECRET[:-1]), None),
        (bearer(SECRET + "0"), None),
        (bearer(SECRET.swapcase()), None),
        (bearer(SECRET), b"x"),
        (b"Bearer \xff\xfe\x00", None),
        (b"Bearer " + b"a" * (MAX_TOKEN_BYTES + 1), None),
        (b"Bearer ' OR '1'='1", None),
        (b"Bearer eyJhbGciOiJub25lIn0.e30.", None),
    ],
)
def test_nothing_else_is_anybody(
    gate: Authenticator, authorization: bytes | None, api_key: bytes | None
) -> None:
    with pytest.raises(Unauthenticated):
        gate.authenticate(authorization, api_key)


def test_a_digest_out_of_the_database_opens_nothing(gate: Authenticator) -> None:
    with pytest.raises(Unauthenticated):
        gate.authenticate(bearer(stored(SECRET).digest), None)
    with pytest.raises(Unauthenticated):
        gate.authenticate(b"Bearer " + digest(SECRET.encode()), None)


def test_expired_revoked_and_unknown_keys_get_the_same_words(
    gate: Authenticator, clock: Time
) -> None:
    words = set()
    for keys, secrets in (
        ([key(expires_at=NOON)], [stored(SECRET)]),
        ([key(revoked_at=NOON)], [stored(SECRET)]),
        ([key()], [stored(SECRET, expires_at=NOON)]),
        ([key()], []),
        ([], [stored(SECRET)]),
    ):
        gate.load(keys, secrets)
        with pytest.raises(Unauthenticated) as refused:
            gate.authenticate(bearer(SECRET), None)
        words.add(str(refused.value))

    assert words == {"the key is not valid"}


def test_a_key_ends_at_its_time_and_not_before(gate: Authenticator, clock: Time) -> None:
    gate.load([key(expires_at=NOON + HOUR)], [stored(SECRET)])
    clock.now = NOON + HOUR - timedelta(microseconds=1)
    assert gate.authenticate(bearer(SECRET), None).key == "ci"
    gate.confirm()

    clock.now = NOON + HOUR
    with pytest.raises(Unauthenticated):
        gate.authenticate(bearer(SECRET), None)


def test_while_a_key_is_rotated_both_secrets_are_it(gate: Authenticator, clock: Time) -> None:
    gate.load([key()], [stored(SECRET, expires_at=NOON + HOUR), stored(OTHER)])
    assert gate.authenticate(bearer(SECRET), None) == gate.authenticate(bearer(OTHER), None)

    clock.now = NOON + HOUR
    assert gate.authenticate(bearer(OTHER), None).key == "ci"
    with pytest.raises(Unauthenticated):
        gate.authenticate(bearer(SECRET), None)


def test_there_is_no_identity_before_the_keys_are_loaded_or_long_after(clock: Time) -> None:
    gate = Authenticator(clock=clock, pepper=b"p" * 32)
    with pytest.raises(Unavailable):
        gate.authenticate(bearer(SECRET), None)

    gate.load([key()], [stored(SECRET)])
    clock.now = NOON + HOUR + timedelta(seconds=1)
    with pytest.raises(Unavailable):
        gate.authenticate(bearer(SECRET), None)
    gate.confirm()
    assert gate.authenticate(bearer(SECRET), None).key == "ci"


@given(st.binary(min_size=32, max_size=32))
def test_a_secret_is_well_formed_and_any_changed_digit_shows(raw: bytes) -> None:
    secret = new_secret(lambda _: raw)

    assert is_well_formed(secret)
    assert len(secret) == LENGTH
    at = len(PREFIX) + raw[0] % (LENGTH - len(PREFIX))
    changed = "0" if secret[at] != "0" else "1"
    assert not is_well_formed(secret[:at] + changed + secret[at + 1 :])


def test_a_scope_reaches_what_it_names_and_no_more() -> None:
    someone = Identity(
        key="k",
        team="t",
        roles=frozenset(),
        scopes=frozenset({"task:review", "model:*", "route:a*"}),
    )

    assert someone.may("task", "review")
    assert someone.may("model", "anything")
    assert not someone.may("task", "reviews")
    assert not someone.may("task", "*")
    assert not someone.may("route", "ab")
    assert not someone.may("task", "")


def secret(letter: bytes, number: int) -> bytes:
    return new_secret(lambda size: letter + number.to_bytes(size - 1, "big")).encode()


def median_ns(gate: Authenticator, secrets: list[bytes]) -> float:
    """The median time of one look-up, over many different secrets."""
    found: list[int] = []
    for each in secrets:
        start = time.perf_counter_ns()
        gate._table.find(each, NOON)
        found.append(time.perf_counter_ns() - start)
    return statistics.median(found)


def test_an_unknown_key_takes_as_long_as_a_known_one() -> None:
    known = [secret(b"k", n) for n in range(2_000)]
    unknown = [secret(b"u", n) for n in range(2_000)]
    gate = Authenticator(clock=Time(), pepper=b"p" * 32)
    gate.load([key()], [stored(each.decode()) for each in known])

    rounds = [median_ns(gate, unknown) / median_ns(gate, known) for _ in range(5)]

    # Both take the same steps; a look-up that ended early for one of them would be far outside.
    assert 0.7 < statistics.median(rounds) < 1.4, rounds
