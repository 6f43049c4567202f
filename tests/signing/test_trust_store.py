import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lockgate.domain.digest import Digest
from lockgate.domain.trust import Role, TrustedKey, TrustRoot
from lockgate.errors import Corrupt, Denied, LockgateError, NotFound
from lockgate.signing import trust_file
from lockgate.signing.keys import PrivateKey, fingerprint
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


def ed25519_pem() -> str:
    made = ed25519.Ed25519PrivateKey.generate().public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return made.public_bytes(serialization.Encoding.PEM, form).decode()


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

    with pytest.raises(Corrupt, match=r"is version 1 and sha256:.* accepted here was version 2"):
        store.load(NOON)


def test_a_file_that_was_damaged_is_named_with_both_digests(
    store: TrustStore, tmp_path: Path
) -> None:
    good = signed(ONE, ANA)
    store.accept([good], NOON)
    (tmp_path / "trust" / "1.root.json").write_bytes(good[:-9])
    with pytest.raises(Corrupt, match="is no trust root, and sha256:") as caught:
        store.load(NOON)
    assert str(Digest.of(good)) in caught.value.message
    assert "trust accept" in (caught.value.hint or "")


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


def test_of_a_thousand_changed_bytes_none_is_accepted(store: TrustStore) -> None:
    data = signed(ONE, ANA)
    chance = random.Random(2026)  # noqa: S311  positions to repeat, no secrets
    for _ in range(1000):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        with pytest.raises(LockgateError):
            store.accept([bytes(changed)], NOON)
    assert store.load(NOON) is None


def test_a_genuine_root_of_the_same_version_does_not_pass_for_the_accepted_one(
    store: TrustStore, tmp_path: Path
) -> None:
    store.accept([signed(ONE, ANA)], NOON)
    other = signed(replace(ONE, keys=(key(ANA, "ana", Role.ROOT),)), ANA)
    (tmp_path / "trust" / "1.root.json").write_bytes(other)

    with pytest.raises(Corrupt, match="accepted here was version 1"):
        store.load(NOON)
    with pytest.raises(Corrupt, match="accepted here was version 1"):
        store.accept([other], NOON)


def test_the_accepted_file_can_be_put_back(store: TrustStore, tmp_path: Path) -> None:
    one, two = signed(ONE, ANA), signed(replace(ONE, version=2), ANA)
    store.accept([one, two], NOON)
    for damage in (b"", b"{}", one):
        (tmp_path / "trust" / "2.root.json").write_bytes(damage)
        assert store.accept([two], NOON).version == 2
        assert store.data() == two


def test_a_machine_that_missed_versions_needs_them_all_in_order(store: TrustStore) -> None:
    files = [signed(replace(ONE, version=version), ANA) for version in (1, 2, 3, 4)]
    store.accept(files[:1], NOON)

    with pytest.raises(Denied, match="version 4, the next one is 2"):
        store.accept(files[3:], NOON)
    with pytest.raises(Denied, match="version 3, the next one is 2"):
        store.accept([files[2], files[1], files[3]], NOON)
    assert store.accept(files, NOON).version == 4
    assert list(store.history()) == files


def test_accepting_the_same_file_again_changes_nothing(store: TrustStore) -> None:
    one = signed(ONE, ANA)
    store.accept([one], NOON)

    assert store.accept([one], NOON).version == 1
    assert list(store.history()) == [one]


def test_accepting_the_same_file_again_after_it_expired_is_refused(store: TrustStore) -> None:
    store.accept([signed(ONE, ANA)], NOON)

    with pytest.raises(Denied, match="version 1 expired at"):
        store.accept([signed(ONE, ANA)], NOON + timedelta(days=366))


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        ("not a key", "not PEM of"),
        (BO.pem.decode().replace("\n", "\r\n"), "not PEM in its one form"),
        ("a remark\n" + BO.pem.decode(), "not PEM in its one form"),
        (BO.encrypted(None).decode(), "not PEM of"),
        (ed25519_pem(), "not one on P-256"),
    ],
)
def test_a_key_that_is_none_or_has_another_spelling_is_refused(
    store: TrustStore, pem: str, why: str
) -> None:
    odd = TrustedKey(
        fingerprint=fingerprint(pem.encode()),
        pem=pem,
        holder="bo",
        roles=frozenset({Role.APPROVER}),
    )

    with pytest.raises(Corrupt, match=why):
        signed(replace(ONE, keys=(*ONE.keys, odd)), ANA)


def test_the_first_root_is_taken_by_its_digest_alone_if_one_is_given(store: TrustStore) -> None:
    data, expected = signed(ONE, ANA), Digest.of(b"what the holders read out")

    with pytest.raises(Denied, match=f"is {Digest.of(data)}, expected was {expected}"):
        store.accept([data], NOON, expected=expected)
    assert store.load(NOON) is None
    assert store.accept([data], NOON, expected=Digest.of(data)).version == 1


def test_a_mark_that_is_taken_away_is_noticed(store: TrustStore, tmp_path: Path) -> None:
    one, two = signed(ONE, ANA), signed(replace(ONE, version=2), ANA)
    store.accept([one, two], NOON)
    (tmp_path / "trust" / "highest").unlink()

    with pytest.raises(Corrupt, match="`highest`, which says what was accepted, is gone"):
        store.load(NOON)
    with pytest.raises(Corrupt, match="is gone"):
        store.accept([one], NOON)


@pytest.mark.parametrize("mark", [b"", b"1", b"x sha256:", b"\xff", b"9" * 1000])
def test_a_damaged_mark_is_noticed(store: TrustStore, tmp_path: Path, mark: bytes) -> None:
    store.accept([signed(ONE, ANA)], NOON)
    (tmp_path / "trust" / "highest").write_bytes(mark)

    with pytest.raises(Corrupt, match=r"highest` is damaged"):
        store.load(NOON)


KILLED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from lockgate.signing import disk
from lockgate.signing.trust_store import TrustStore

folder, left, *files = sys.argv[1:]
left = [int(left)]
put = disk.put

def counted(path, data, *, mode):
    if left[0] == 0:
        os._exit(9)
    left[0] -= 1
    put(path, data, mode=mode)

disk.put = counted
noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
TrustStore(Path(folder)).accept([Path(file).read_bytes() for file in files], noon)
"""


@pytest.mark.parametrize("writes", range(4))
def test_a_kill_between_two_writes_leaves_the_old_root_or_the_new(
    tmp_path: Path, writes: int
) -> None:
    files = [signed(replace(ONE, version=version), ANA) for version in (1, 2, 3)]
    paths = [tmp_path / f"{at}.json" for at in range(3)]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    store = TrustStore(tmp_path / "trust")
    store.accept(files[:1], NOON)

    arguments = [tmp_path / "trust", str(writes), *paths[1:]]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)], check=False)

    finished = writes == 3
    assert done.returncode == (0 if finished else 9)
    found = store.load(NOON)
    assert found is not None
    assert found.version == (3 if finished else 1)
    assert store.accept(files[1:], NOON).version == 3


def test_a_kill_during_the_very_first_acceptance_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(signed(ONE, ANA))
    store = TrustStore(tmp_path / "trust")

    arguments = [str(tmp_path / "trust"), "1", str(tmp_path / "1.json")]
    subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)

    assert (tmp_path / "trust" / "1.root.json").exists()
    assert store.accept([signed(ONE, ANA)], NOON).version == 1
