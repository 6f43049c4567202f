import hashlib
import hmac
import json
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity.issuers import (
    NOON,
    LoopbackIssuer,
    claims,
    public_jwk,
    rsa_key,
    running_issuer,
    segment,
)
from lockgate.domain.identity import Role
from lockgate.errors import Denied, InvalidConfig, Unauthenticated, Unavailable
from lockgate.identity.authenticator import Authenticator
from lockgate.identity.oidc import Issuer, Oidc
from lockgate.identity.rules import Glob, Rule

ISSUER = "https://token.example.org"


class Time:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa_key()


@pytest.fixture(scope="module")
def stranger() -> rsa.RSAPrivateKey:
    return rsa_key()


@pytest.fixture
def loopback(private: rsa.RSAPrivateKey) -> Generator[LoopbackIssuer]:
    with running_issuer() as issuer:
        issuer.keys = [public_jwk(private, "one")]
        yield issuer


@pytest.fixture
def clock() -> Time:
    return Time()


def rule(team: str, **wanted: str) -> Rule:
    return Rule(
        claims={name: Glob(pattern) for name, pattern in wanted.items()},
        team=team,
        roles=frozenset({Role.CALLER}),
        scopes=frozenset({"task:review"}),
    )


@pytest.fixture
def oidc(loopback: LoopbackIssuer, clock: Time) -> Oidc:
    issuer = Issuer(
        name="ci",
        issuer=ISSUER,
        audience="lockgate",
        jwks_url=f"{loopback.url}/jwks",
        rules=(
            rule("release", repository="acme/shop", ref="refs/tags/v*"),
            rule("shop", repository="acme/*"),
        ),
    )
    made = Oidc([issuer], fetch=loopback.fetch, clock=clock)
    assert made.refresh() == []
    return made


def sign(key: Any, headers: dict[str, Any] | None = None, **changed: Any) -> bytes:
    given = {"kid": "one", **(headers or {})}
    return jwt.encode(claims(ISSUER, **changed), key, algorithm="RS256", headers=given).encode()


def test_a_job_token_is_its_team_by_the_first_rule_that_fits(
    oidc: Oidc, private: rsa.RSAPrivateKey
) -> None:
    branch, _ = oidc.verify(sign(private))
    tag, ends = oidc.verify(sign(private, ref="refs/tags/v1.0"))

    assert (branch.team, tag.team) == ("shop", "release")
    assert branch.key == "ci/repo:acme/shop:ref:refs/heads/main"
    assert branch.scopes == {"task:review"}
    assert ends == NOON + timedelta(minutes=10, seconds=30)


def test_a_gitlab_job_token_with_a_list_of_audiences_works(
    oidc: Oidc, private: rsa.RSAPrivateKey
) -> None:
    # The claims of https://docs.gitlab.com/ci/secrets/id_token_authentication/
    token = sign(
        private,
        aud=["vault", "lockgate"],
        sub="project_path:acme/shop:ref_type:branch:ref:main",
        repository="acme/shop",
        ref_protected="true",
        pipeline_id=1212,
    )

    assert oidc.verify(token)[0].team == "shop"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://token.example.org.evil.example"},
        {"iss": "https://token.example.or"},
        {"iss": "https://token.example.org/"},
        {"iss": ["https://token.example.org"]},
        {"iss": None},
        {"aud": "lockgate-evil"},
        {"aud": "lockgat"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": {"lockgate": 1}},
        {"exp": int(NOON.timestamp()) - 31},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": 1e300},
        {"exp": int(NOON.timestamp()) + 86_400},
        {"iat": int(NOON.timestamp()) + 31},
        {"iat": None},
        {"nbf": int(NOON.timestamp()) + 31},
        {"nbf": "soon"},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
        {"sub": 7},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    oidc: Oidc, private: rsa.RSAPrivateKey, changed: dict[str, Any]
) -> None:
    header = segment({"alg": "RS256", "kid": "one"})
    body = f"{header}.{segment(claims(ISSUER, **changed))}"
    signature = jwt.get_algorithm_by_name("RS256").sign(body.encode(), private)
    with pytest.raises(Unauthenticated):
        oidc.verify(f"{body}.{segment(signature)}".encode())


def test_a_token_is_valid_within_the_leeway_of_both_ends(
    oidc: Oidc, private: rsa.RSAPrivateKey
) -> None:
    second = int(NOON.timestamp())
    assert oidc.verify(sign(private, exp=second - 29))[0].team == "shop"
    assert oidc.verify(sign(private, nbf=second + 30, iat=second + 30))[0].team == "shop"


def test_no_algorithm_at_all_is_refused(oidc: Oidc) -> None:
    for name in ("none", "None", "NONE", "nOnE", ""):
        header = segment({"alg": name, "kid": "one"})
        token = f"{header}.{segment(claims(ISSUER))}."
        with pytest.raises(Unauthenticated):
            oidc.verify(token.encode())


def test_an_hmac_with_the_public_key_as_its_secret_is_refused(
    oidc: Oidc, private: rsa.RSAPrivateKey, loopback: LoopbackIssuer
) -> None:
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, pem.strip(), loopback.document, loopback.keys[0]["n"].encode()):
        body = f"{segment({'alg': 'HS256', 'kid': 'one'})}.{segment(claims(ISSUER))}"
        mac = hmac.new(secret, body.encode(), hashlib.sha256).digest()
        with pytest.raises(Unauthenticated, match="algorithm is not allowed"):
            oidc.verify(f"{body}.{segment(mac)}".encode())


def test_a_key_that_the_token_brings_along_does_not_count(
    oidc: Oidc, private: rsa.RSAPrivateKey, stranger: rsa.RSAPrivateKey, loopback: LoopbackIssuer
) -> None:
    asked = loopback.asked
    for header in (
        {"jwk": public_jwk(stranger, "one")},
        {"jku": f"{loopback.url}/evil"},
        {"x5u": f"{loopback.url}/evil"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
    ):
        with pytest.raises(Unauthenticated):
            oidc.verify(sign(stranger, header))
        with pytest.raises(Unauthenticated, match=r"brings its own key|is not a signed token"):
            oidc.verify(sign(private, header))
    with pytest.raises(Unauthenticated, match="signature"):
        oidc.verify(sign(stranger))
    assert loopback.asked == asked


@pytest.mark.parametrize(
    "kid",
    ["../../../../dev/null", "/dev/null", "one\0", "ONE", "one ", "", "' OR 1=1 --", "x" * 9999],
)
def test_a_kid_is_a_name_and_never_a_path_or_a_query(
    oidc: Oidc, private: rsa.RSAPrivateKey, kid: str
) -> None:
    with pytest.raises(Unauthenticated):
        oidc.verify(sign(private, {"kid": kid}))


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"..",
        b"a.b",
        b"a.b.c.d",
        b"eyJ.eyJ.eyJ",
        b"\xff.\xff.\xff",
        segment({"alg": "RS256"}).encode() + b"." + segment(b"[" * 9000).encode() + b".AA",
        segment(b"[]").encode() + b"." + segment({}).encode() + b".AA",
        b"eyJ" + b"A" * (16 << 10) + b".e30.AA",
        segment({"alg": ["RS256"], "kid": ["one"]}).encode()
        + b"."
        + segment({"iss": ISSUER}).encode()
        + b".AA",
    ],
)
def test_what_is_no_token_is_refused(oidc: Oidc, token: bytes) -> None:
    with pytest.raises(Unauthenticated):
        oidc.verify(token)


def test_any_changed_letter_of_a_token_is_refused(oidc: Oidc, private: rsa.RSAPrivateKey) -> None:
    token = sign(private)
    for at in range(0, len(token) - 3, 7):
        changed = b"A" if token[at : at + 1] != b"A" else b"B"
        with pytest.raises(Unauthenticated):
            oidc.verify(token[:at] + changed + token[at + 1 :])


def test_a_token_that_fits_no_rule_is_known_but_denied(
    oidc: Oidc, private: rsa.RSAPrivateKey
) -> None:
    for repository in ("acme2/shop", "evil/acme/shop", "acme/shop/evil", "ACME/shop", None):
        with pytest.raises(Denied):
            oidc.verify(sign(private, repository=repository))


def test_new_keys_are_fetched_when_a_token_names_one_but_not_at_each_such_token(
    oidc: Oidc, stranger: rsa.RSAPrivateKey, loopback: LoopbackIssuer, clock: Time
) -> None:
    asked, before = loopback.asked, oidc.generation
    loopback.keys.append(public_jwk(stranger, "two"))
    token = sign(stranger, {"kid": "two"})
    for _ in range(20):
        with pytest.raises(Unauthenticated, match="key is not known"):
            oidc.verify(token)
        oidc.refresh()
    assert loopback.asked == asked

    clock.now += timedelta(seconds=11)
    oidc.refresh()
    assert oidc.verify(token)[0].team == "shop"
    assert loopback.asked == asked + 1
    assert oidc.generation == before + 1


def test_keys_stay_when_the_issuer_sends_nonsense(
    oidc: Oidc, private: rsa.RSAPrivateKey, loopback: LoopbackIssuer, clock: Time
) -> None:
    other = public_jwk(private, "one", use="enc")
    oct_key = {"kty": "oct", "k": "AAAA", "kid": "one"}
    for raw in (
        b"",
        b"[",
        b'{"keys": 1}',
        b"[" * 100_000,
        b" " * 300_000,
        json.dumps({"keys": [loopback.keys[0]] * 2}).encode(),
        json.dumps({"keys": [other, oct_key, {"kty": "RSA", "kid": "x"}, 7]}).encode(),
        json.dumps({"keys": [loopback.keys[0]] * 65}).encode(),
    ):
        clock.now += timedelta(minutes=11)
        loopback.raw = raw
        assert len(oidc.refresh()) == 1
    clock.now = NOON
    assert oidc.verify(sign(private))[0].team == "shop"


def test_a_key_is_used_only_with_its_own_kind_of_algorithm(
    loopback: LoopbackIssuer, clock: Time, private: rsa.RSAPrivateKey
) -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    made = jwt.algorithms.ECAlgorithm.to_jwk(curve.public_key(), as_dict=True)
    loopback.keys.append({**made, "kid": "curve"})
    issuer = Issuer(
        name="ci",
        issuer=ISSUER,
        audience="lockgate",
        jwks_url=f"{loopback.url}/jwks",
        rules=(rule("shop", repository="acme/*"),),
        algorithms=frozenset({"RS256", "ES256"}),
    )
    oidc = Oidc([issuer], fetch=loopback.fetch, clock=clock)
    oidc.refresh()

    token = jwt.encode(claims(ISSUER), curve, algorithm="ES256", headers={"kid": "curve"})
    assert oidc.verify(token.encode())[0].team == "shop"
    with pytest.raises(Unauthenticated, match="key is not known"):
        oidc.verify(sign(private, {"kid": "curve"}))


@pytest.mark.parametrize(
    "members",
    [
        {"alg": "HS256"},
        {"alg": "RS512"},
        {"alg": "none"},
        {"alg": ["RS256"]},
        {"alg": 7},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": 7},
        {"key_ops": "verify"},
        {"kty": ["RSA"]},
        {"kid": ["one"]},
    ],
    ids=str,
)
def test_a_key_that_its_issuer_has_for_something_else_checks_nothing(
    loopback: LoopbackIssuer,
    private: rsa.RSAPrivateKey,
    oidc: Oidc,
    clock: Time,
    members: dict[str, Any],
) -> None:
    loopback.keys = [{**public_jwk(private, "one"), **members}, public_jwk(rsa_key(), "other")]
    clock.now += timedelta(minutes=11)
    assert oidc.refresh() == []
    clock.now = NOON
    with pytest.raises(Unauthenticated, match="key is not known"):
        oidc.verify(sign(private))


def test_symmetric_algorithms_cannot_be_configured() -> None:
    for name in ("HS256", "none", "RS1"):
        with pytest.raises(InvalidConfig, match=f"`{name}` cannot sign"):
            Issuer(
                name="ci",
                issuer=ISSUER,
                audience="a",
                jwks_url="",
                rules=(),
                algorithms=frozenset({name}),
            )


def test_a_token_is_checked_once_and_forgotten_when_its_key_is_withdrawn(
    oidc: Oidc,
    private: rsa.RSAPrivateKey,
    stranger: rsa.RSAPrivateKey,
    loopback: LoopbackIssuer,
    clock: Time,
) -> None:
    gate = Authenticator(clock=clock, pepper=b"p" * 32, tokens=oidc)
    header = b"Bearer " + sign(private)
    assert gate.authenticate(header, None) is gate.authenticate(header, None)

    loopback.keys = [public_jwk(stranger, "two")]
    clock.now += timedelta(minutes=10)
    oidc.refresh()
    clock.now = NOON
    with pytest.raises(Unauthenticated, match="key is not known"):
        gate.authenticate(header, None)


def test_keys_that_the_issuer_has_not_confirmed_for_a_day_check_nothing_any_more(
    oidc: Oidc, private: rsa.RSAPrivateKey, loopback: LoopbackIssuer, clock: Time
) -> None:
    """Whoever has a withdrawn key must not keep it alive by keeping us from the issuer."""
    gate = Authenticator(clock=clock, pepper=b"p" * 32, tokens=oidc)

    def header() -> bytes:
        second = int(clock.now.timestamp())
        return b"Bearer " + sign(private, iat=second - 60, exp=second + 600)

    good, loopback.raw = loopback.document, b"not now"
    clock.now += timedelta(hours=23, minutes=59)
    assert len(oidc.refresh()) == 1
    last = header()
    assert gate.authenticate(last, None).team == "shop"
    clock.now += timedelta(minutes=1)
    assert len(oidc.refresh()) == 1
    for each in (last, header()):
        with pytest.raises(Unavailable, match="keys of the issuer `ci` are not known"):
            gate.authenticate(each, None)
    loopback.raw = good
    clock.now += timedelta(seconds=10)
    assert oidc.refresh() == []
    assert gate.authenticate(header(), None).team == "shop"


def test_a_token_ends_in_the_cache_too(oidc: Oidc, private: rsa.RSAPrivateKey, clock: Time) -> None:
    gate = Authenticator(clock=clock, pepper=b"p" * 32, tokens=oidc)
    header = b"Bearer " + sign(private)
    gate.authenticate(header, None)
    clock.now += timedelta(minutes=10, seconds=30)
    with pytest.raises(Unauthenticated, match="expired"):
        gate.authenticate(header, None)


@pytest.mark.parametrize(
    ("pattern", "fits", "misfits"),
    [
        ("acme/shop", ["acme/shop"], ["acme/shop2", "xacme/shop", "acme/sho", ""]),
        ("acme/*", ["acme/shop", "acme/"], ["acme/a/b", "acme"]),
        ("refs/**", ["refs/heads/a/b", "refs/"], ["ref"]),
        ("a.c", ["a.c"], ["abc"]),
        ("*", ["x", ""], ["a/b"]),
        ("**", ["a/b\nc"], ["x" * 1025]),
        ("a*b*c", ["abc", "a-b-c"], ["acb", "abcd"]),
    ],
)
def test_a_pattern_fits_whole_values(pattern: str, fits: list[str], misfits: list[str]) -> None:
    glob = Glob(pattern)
    assert [text for text in fits if not glob.matches(text)] == []
    assert [text for text in misfits if glob.matches(text)] == []
