from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate.domain.trust import Role, TrustedKey, TrustRoot
from lockgate.errors import Corrupt, Denied, LockgateError, NotFound
from lockgate.signing import trust_file
from lockgate.signing.keys import PrivateKey
from lockgate.signing.trust_store import TrustStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANA, BO, CI, EVE = (PrivateKey.new() for _ in range(4))


def key(private: PrivateKey, holder: str, *roles: Role, **more: object) -> TrustedKey:
    made = TrustedKey(
        fingerprint=private.fingerprint,
        pem=private.pem.decode(),
        holder=holder,
        roles=frozenset(roles),
    )
    return replace(made, **more)  # type: ignore[arg-type]


ONE = TrustRoot(
    version=1,
    expires=NOON + timedelta(days=365),
    threshold=1,
    keys=(key(ANA, "ana", Role.ROOT), key(CI, "ci", Role.BUILDER)),
)


def signed(root: TrustRoot, *privates: PrivateKey) -> bytes:
    data = trust_file.encode(root, {})
    for private in privates:
        data = trust_file.sign(data, private)
    return data


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "trust")


def test_a_trust_root_comes_back_as_it_was(store: TrustStore) -> None:
    root = replace(ONE, keys=(*ONE.keys, key(BO, "bo", Role.APPROVER, expires=NOON, revoked=True)))

    store.accept([signed(root, ANA)], NOON)

    found = store.load(NOON)
    assert found is not None
    assert found.encode() == root.encode()
    assert set(found.keys) == set(root.keys)


def test_nothing_is_trusted_before_a_root_is_accepted(store: TrustStore) -> None:
    assert store.load(NOON) is None


def test_the_next_version_needs_the_old_threshold_and_the_new_one(store: TrustStore) -> None:
    store.accept([signed(ONE, ANA)], NOON)
    two = replace(
        ONE.with_key(key(BO, "bo", Role.ROOT)),
        threshold=2,
    )

    with pytest.raises(
        Denied, match=r"signed by 1 holder\(s\) of root keys of version 2 \(ana\), needed: 2"
    ):
        store.accept([signed(two, ANA)], NOON)
    with pytest.raises(Denied, match=r"root keys of version 1 \(nobody\), needed: 1"):
        store.accept([signed(two, BO)], NOON)
    store.accept([signed(two, ANA, BO)], NOON)

    alone = replace(two, version=3, threshold=1, keys=(key(EVE, "eve", Role.ROOT),))
    with pytest.raises(Denied, match=r"root keys of version 2 \(nobody\), needed: 2"):
        store.accept([signed(alone, EVE)], NOON)


def test_two_keys_of_one_holder_count_once(store: TrustStore) -> None:
    root = replace(ONE, threshold=2, keys=(key(ANA, "ana", Role.ROOT), key(BO, "ana", Role.ROOT)))

    with pytest.raises(Denied, match=r"signed by 1 holder\(s\)"):
        store.accept([signed(root, ANA, BO)], NOON)


@pytest.mark.parametrize(
    "change",
    [
        {"roles": frozenset({Role.BUILDER})},
        {"revoked": True},
        {"expires": NOON},
        {"scopes": ("review",)},
    ],
)
def test_a_key_that_may_not_act_as_root_does_not_count(
    store: TrustStore, change: dict[str, object]
) -> None:
    bad = replace(ONE, keys=(key(ANA, "ana", Role.ROOT, **change),))

    with pytest.raises(Denied, match="needed: 1"):
        store.accept([signed(bad, ANA)], NOON)


def test_an_older_or_skipped_version_is_refused_with_both_numbers(store: TrustStore) -> None:
    store.accept([signed(ONE, ANA)], NOON)
    two = replace(ONE, version=2)
    store.accept([signed(two, ANA)], NOON)

    with pytest.raises(Denied, match="version 1, accepted here is 2"):
        store.accept([signed(ONE, ANA)], NOON)
    with pytest.raises(Denied, match="version 4, the next one is 3"):
        store.accept([signed(replace(ONE, version=4), ANA)], NOON)


def test_an_old_file_that_is_put_back_is_noticed(store: TrustStore, tmp_path: Path) -> None:
    first = signed(ONE, ANA)
    store.accept([first], NOON)
    store.accept([signed(replace(ONE, version=2), ANA)], NOON)
    (tmp_path / "trust" / "2.root.json").write_bytes(first)

    with pytest.raises(Corrupt, match=r"version 1 and is .* accepted here was version 2"):
        store.load(NOON)


def test_a_file_that_is_taken_away_is_noticed(store: TrustStore, tmp_path: Path) -> None:
    store.accept([signed(ONE, ANA)], NOON)
    (tmp_path / "trust" / "1.root.json").unlink()

    with pytest.raises(NotFound, match="version 1 is gone"):
        store.load(NOON)


def test_an_expired_root_is_refused_with_both_times(store: TrustStore) -> None:
    store.accept([signed(ONE, ANA)], NOON)

    with pytest.raises(Denied, match="expired at 2027-11-21T12:00:00Z, it is 2028-01-01T00:00:00Z"):
        store.load(datetime(2028, 1, 1, tzinfo=UTC))


def test_a_wrong_signature_of_a_known_key_is_refused(store: TrustStore) -> None:
    forged = trust_file.encode(ONE, {ANA.fingerprint: EVE.sign(b"x")})

    with pytest.raises(Corrupt, match="signature of `ana`"):
        store.accept([forged], NOON)


def test_any_changed_byte_is_refused(store: TrustStore, tmp_path: Path) -> None:
    data = signed(ONE, ANA)
    store.accept([data], NOON)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << (at * 7 + 3) % 8
        (tmp_path / "trust" / "1.root.json").write_bytes(changed)
        with pytest.raises(LockgateError):
            store.load(NOON)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"[" * 100_000, b'{"signatures":[{}]}'])
def test_what_is_no_trust_root_is_refused(store: TrustStore, data: bytes) -> None:
    with pytest.raises(Corrupt):
        store.accept([data], NOON)


def test_a_key_under_the_fingerprint_of_another_is_refused(store: TrustStore) -> None:
    swapped = replace(ONE.keys[0], pem=EVE.pem.decode())

    with pytest.raises(Corrupt, match="is not that of its key"):
        store.accept([signed(replace(ONE, keys=(swapped,)), ANA)], NOON)
