import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.trust import Proposal, Role, TrustedKey, TrustRoot, follow
from lockgate.errors import Corrupt, Denied

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def key(name: str, *roles: Role, holder: str | None = None) -> TrustedKey:
    pem = f"the public key {name}"
    return TrustedKey(
        fingerprint=hashlib.sha256(pem.encode()).hexdigest(),
        pem=pem,
        holder=holder or name,
        roles=frozenset(roles or (Role.ROOT,)),
    )


ANA, BO, CY, EVE = (key(name) for name in ("ana", "bo", "cy", "eve"))


def root(version: int, *keys: TrustedKey, threshold: int = 1) -> TrustRoot:
    return TrustRoot(version=version, expires=NOON + YEAR, threshold=threshold, keys=keys)


def compact(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def by(document: TrustRoot, *signers: TrustedKey) -> Proposal:
    return Proposal(root=document, signers=[signer.fingerprint for signer in signers])


ONE = root(1, ANA, BO, CY, threshold=2)


@given(
    before=st.sets(st.sampled_from("abcde"), min_size=1),
    after=st.sets(st.sampled_from("abcde"), min_size=1),
    signing=st.sets(st.sampled_from("abcdef")),
    thresholds=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_a_version_follows_just_when_enough_old_and_enough_new_holders_signed(
    before: set[str], after: set[str], signing: set[str], thresholds: tuple[int, int]
) -> None:
    old = root(1, *(key(name) for name in before), threshold=thresholds[0])
    new = root(2, *(key(name) for name in after), threshold=thresholds[1])
    proposal = by(new, *(key(name) for name in signing))
    enough = len(before & signing) >= thresholds[0] and len(after & signing) >= thresholds[1]

    if enough:
        assert follow(old, [proposal], NOON) is new
    else:
        with pytest.raises(Denied, match="needed"):
            follow(old, [proposal], NOON)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_only_the_next_version_follows(before: int, after: int) -> None:
    old, new = root(before, ANA), root(after, ANA)

    if after == before + 1:
        assert follow(old, [by(new, ANA)], NOON) is new
    else:
        both = f"version {after}, (accepted here is {before} already|the next one is {before + 1})"
        with pytest.raises(Denied, match=both):
            follow(old, [by(new, ANA)], NOON)


def test_a_machine_that_missed_versions_goes_through_those_that_expired_meanwhile() -> None:
    steps = [
        by(replace(root(2, BO), expires=NOON - YEAR), ANA, BO),
        by(replace(root(3, CY), expires=NOON - timedelta(days=1)), BO, CY),
        by(root(4, EVE), CY, EVE),
    ]

    assert follow(root(1, ANA), steps, NOON) is steps[-1].root
    with pytest.raises(Denied, match="version 3 expired at 2026-11-20T12:00:00Z, it is 2026-11-21"):
        follow(root(1, ANA), steps[:-1], NOON)
    with pytest.raises(Denied, match="version 4, the next one is 2"):
        follow(root(1, ANA), steps[2:], NOON)


def test_an_old_root_that_has_expired_can_still_be_renewed() -> None:
    old = replace(root(1, ANA), expires=NOON - YEAR)

    assert follow(old, [by(root(2, ANA), ANA)], NOON).version == 2


def test_the_first_root_needs_its_own_threshold_only() -> None:
    assert follow(None, [by(replace(ONE, version=7), ANA, CY)], NOON).version == 7
    with pytest.raises(Denied, match=r"signed by 1 holder\(s\).*\(ana\), needed: 2"):
        follow(None, [by(ONE, ANA, EVE)], NOON)


@pytest.mark.parametrize(
    "change",
    [{"revoked": True}, {"expires": NOON}, {"roles": frozenset({Role.BUILDER})}],
)
def test_a_key_that_lost_its_say_in_the_old_root_does_not_count_there(
    change: dict[str, object],
) -> None:
    old = root(1, replace(ANA, **change), BO)  # type: ignore[arg-type]

    with pytest.raises(Denied, match="root keys of version 1"):
        follow(old, [by(root(2, ANA), ANA)], NOON)


def test_a_root_key_that_the_new_version_revokes_still_counts_for_the_old_one() -> None:
    # Whoever hands over signs their own end; the new threshold is met by others.
    new = root(2, replace(ANA, revoked=True), BO)

    assert follow(root(1, ANA), [by(new, ANA, BO)], NOON) is new
    with pytest.raises(Denied, match="root keys of version 2"):
        follow(root(1, ANA), [by(new, ANA)], NOON)


def test_one_key_for_two_holders_is_refused() -> None:
    twice = root(1, ANA, replace(ANA, holder="bo"), threshold=2)

    with pytest.raises(Corrupt, match="twice: for `ana` and for `bo`"):
        follow(None, [by(twice, ANA)], NOON)


@pytest.mark.parametrize("other", ["Ana", " ana", "ana ", "ANA"])
def test_holders_that_look_alike_are_refused(other: str) -> None:
    with pytest.raises(Corrupt, match="too alike"):
        follow(None, [by(root(1, ANA, key("second", holder=other)), ANA)], NOON)


def test_a_document_comes_back_as_it_was() -> None:
    later = replace(BO, scopes=("review", "team-*"), expires=NOON, revoked=True)
    document = root(3, ANA, later, key("ci", Role.BUILDER, Role.EVALUATOR)).encode()

    assert TrustRoot.parse(document).encode() == document


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": True},
        {"version": 10**9 + 1},
        {"version": 1.0},
        {"threshold": 0},
        {"threshold": "2"},
        {"expires": "tomorrow"},
        {"expires": "2027-01-01T00:00:00"},
        {"expires": "2027-01-01T01:00:00+01:00"},
        {"keys": {}},
        {"keys": None},
        {"apiVersion": "lockgate/v2"},
        {"more": 1},
        {"keys": [{**ANA.document, "holder": ""}]},
        {"keys": [{**ANA.document, "holder": "\ud800"}]},
        {"keys": [{**ANA.document, "holder": "ana\x1b[2K"}]},
        {"keys": [{**ANA.document, "holder": "ana\u202e"}]},
        {"keys": [{**ANA.document, "holder": "a" * 101}]},
        {"keys": [{**ANA.document, "scopes": ["a\nb"]}]},
        {"keys": [{**ANA.document, "roles": ["king"]}]},
        {"keys": [{**ANA.document, "scopes": []}]},
        {"keys": [{**ANA.document, "revoked": False}]},
        {"keys": [{**ANA.document, "revoked": 1}]},
        {"keys": [{**ANA.document, "pem": BO.pem}]},
        {"keys": [ANA.document] * 1001},
    ],
)
def test_a_malformed_document_is_refused(change: dict[str, object]) -> None:
    document = json.loads(root(1, ANA).encode())
    assert TrustRoot.parse(compact(document)) == root(1, ANA)

    with pytest.raises(Corrupt):
        TrustRoot.parse(compact({**document, **change}))


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"[" * 90_000, b" " * (2 << 20), b"\xff"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        TrustRoot.parse(data)


def test_another_spelling_of_the_same_document_is_refused() -> None:
    with pytest.raises(Corrupt, match="not canonical"):
        TrustRoot.parse(root(1, ANA).encode() + b"\n")
