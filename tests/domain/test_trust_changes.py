import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from lockgate.domain.trust import Role, TrustedKey, TrustRoot
from lockgate.domain.trust_changes import changes

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def key(name: str, role: Role) -> TrustedKey:
    return TrustedKey(
        fingerprint=hashlib.sha256(name.encode()).hexdigest(),
        pem=name,
        holder=name,
        roles=frozenset({role}),
    )


ANA, BO, CI = key("ana", Role.ROOT), key("bo", Role.ROOT), key("ci", Role.BUILDER)
ONE = TrustRoot(version=1, expires=NOON, threshold=1, keys=(ANA, CI))


def test_the_first_root_is_told_whole() -> None:
    told = list(changes(None, ONE))

    assert told[:3] == [
        "version 1, the first here",
        "expires: 2026-11-21T12:00:00Z",
        "holders of root keys that must sign: 1",
    ]
    assert sorted(told[3:]) == sorted(
        [
            f"key {ANA.fingerprint[:12]}: not named -> `ana` as root",
            f"key {CI.fingerprint[:12]}: not named -> `ci` as builder",
        ]
    )


def test_nothing_that_changes_is_left_out() -> None:
    widened = replace(CI, roles=frozenset({Role.BUILDER, Role.APPROVER}), scopes=("review",))
    two = replace(
        ONE,
        version=2,
        threshold=2,
        expires=NOON.replace(year=2027),
        keys=(replace(ANA, revoked=True), BO, replace(widened, expires=NOON)),
    )

    told = list(changes(ONE, two))
    later = "`ci` as approver, builder for review until 2026-11-21T12:00:00Z"

    assert told[:3] == [
        "version 1 -> 2",
        "expires: 2026-11-21T12:00:00Z -> 2027-11-21T12:00:00Z",
        "holders of root keys that must sign: 1 -> 2",
    ]
    assert sorted(told[3:]) == sorted(
        [
            f"key {ANA.fingerprint[:12]}: `ana` as root -> `ana` as root REVOKED",
            f"key {BO.fingerprint[:12]}: not named -> `bo` as root",
            f"key {CI.fingerprint[:12]}: `ci` as builder -> {later}",
        ]
    )


def test_a_renewal_says_the_two_dates_and_no_more() -> None:
    assert list(changes(ONE, replace(ONE, version=2, expires=NOON.replace(year=2027)))) == [
        "version 1 -> 2",
        "expires: 2026-11-21T12:00:00Z -> 2027-11-21T12:00:00Z",
    ]
