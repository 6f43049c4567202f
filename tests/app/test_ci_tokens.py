"""The tokens that GitHub and GitLab give to jobs, against the configuration of the guide."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest

from identity.issuers import public_jwk, rsa_key
from lockgate.app.identity import open_authenticator
from lockgate.config.load import load
from lockgate.domain.identity import Identity
from lockgate.errors import Denied, LockgateError, Unauthenticated
from lockgate.identity.authenticator import Authenticator

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "tokens.md"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GITHUB, GITLAB = "https://token.actions.githubusercontent.com", "https://gitlab.com"
KEYS = {GITHUB: rsa_key(), GITLAB: rsa_key()}
# Members as in docs.github.com, "OpenID Connect reference", section "OIDC token claims".
OF_GITHUB: Mapping[str, Any] = {
    "iss": GITHUB,
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "aud": "lockgate",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "sha": "0" * 40,
    "repository": "acme/shop",
    "repository_id": "74",
    "repository_owner": "acme",
    "repository_owner_id": "65",
    "repository_visibility": "private",
    "run_id": "123",
    "run_attempt": "2",
    "runner_environment": "github-hosted",
    "actor": "ana",
    "workflow": "review",
    "job_workflow_ref": "acme/shop/.github/workflows/review.yml@refs/heads/main",
    "event_name": "push",
    "base_ref": "",
    "head_ref": "",
}
# Members as in docs.gitlab.com, "OpenID Connect (OIDC) Authentication Using ID Tokens".
OF_GITLAB: Mapping[str, Any] = {
    "iss": GITLAB,
    "sub": "project_path:acme/shop:ref_type:branch:ref:main",
    "aud": ["vault", "lockgate"],
    "namespace_id": "72",
    "namespace_path": "acme",
    "project_id": "20",
    "project_path": "acme/shop",
    "user_id": "1",
    "user_login": "ana",
    "user_access_level": "developer",
    "pipeline_id": "574",
    "pipeline_source": "push",
    "job_id": "302",
    "ref": "main",
    "ref_type": "branch",
    "ref_path": "refs/heads/main",
    "ref_protected": "true",
    "environment_protected": "false",
    "groups_direct": ["acme", "acme/core"],
    "runner_id": 1,
    "sha": "0" * 40,
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
    """What the guide's configuration makes, with its issuers' keys."""
    folder = tmp_path_factory.mktemp("guide")
    block = re.search(r"```toml\n(\[\[identity.*?)```", GUIDE.read_text(), re.DOTALL)
    assert block is not None
    (folder / "lockgate.toml").write_text(block[1])
    identity = load(folder / "lockgate.toml", start=folder).config.identity
    keys = {issuer.jwks_url: KEYS[issuer.issuer] for issuer in identity.issuers}

    def fetch(url: str) -> bytes:
        return json.dumps({"keys": [public_jwk(keys[url], "k")]}).encode()

    def failed(error: LockgateError) -> None:
        raise AssertionError(error)

    found, _ = open_authenticator(identity, clock=lambda: NOON, fetch=fetch, failed=failed)
    verifier: Any = found._tokens
    assert verifier.refresh() == []
    return found


def ask(
    gate: Authenticator, claims: Mapping[str, Any], *, by: str = "", **changed: Any
) -> Identity:
    second = int(NOON.timestamp())
    times = {"iat": second - 10, "nbf": second - 10, "exp": second + 290}
    given = {**claims, **times, **changed}
    key = KEYS[by or given["iss"]]
    token = jwt.encode(given, key, algorithm="RS256", headers={"kid": "k"})
    return gate.authenticate(f"Bearer {token}".encode(), None)


def test_jobs_of_both_services_are_who_their_rule_says(gate: Authenticator) -> None:
    github, gitlab = ask(gate, OF_GITHUB), ask(gate, OF_GITLAB)
    assert (github.team, set(github.scopes)) == ("shop", {"task:review"})
    assert (gitlab.team, set(gitlab.scopes)) == ("shop", {"task:*"})
    assert github.key == "github/repo:acme/shop:ref:refs/heads/main"
    assert gitlab.key == "gitlab/project_path:acme/shop:ref_type:branch:ref:main"


@pytest.mark.parametrize(
    ("claims", "changed"),
    [
        (OF_GITHUB, {"repository": "evil/shop"}),
        (OF_GITHUB, {"repository": "acme/shop2"}),
        (OF_GITHUB, {"repository": "ACME/SHOP"}),
        (OF_GITHUB, {"repository": "acme/shop/refs"}),
        (OF_GITHUB, {"ref": "refs/pull/7/merge"}),
        (OF_GITHUB, {"ref": "refs/tags/v1"}),
        (OF_GITHUB, {"ref": "xrefs/heads/main"}),
        (OF_GITHUB, {"ref": None}),
        (OF_GITHUB, {"event_name": "pull_request_target"}),
        (OF_GITLAB, {"project_path": "acme2/shop"}),
        (OF_GITLAB, {"project_path": "acme/fork/shop"}),
        (OF_GITLAB, {"ref_protected": "false"}),
        (OF_GITLAB, {"ref_protected": 1}),
        (OF_GITLAB, {"project_path": {"0": "acme/shop"}}),
        # What one service says has no weight in the rules of the other.
        (OF_GITHUB, {"repository": "evil/x", "project_path": "acme/x", "ref_protected": "true"}),
        (OF_GITLAB, {"project_path": "evil/x", "repository": "acme/shop", "ref": "refs/heads/x"}),
    ],
    ids=str,
)
def test_a_job_of_another_project_branch_or_event_is_known_and_may_nothing(
    gate: Authenticator, claims: Mapping[str, Any], changed: Mapping[str, Any]
) -> None:
    with pytest.raises(Denied, match="no rule"):
        ask(gate, claims, **changed)


@pytest.mark.parametrize(
    ("claims", "by"),
    [
        (OF_GITHUB, GITLAB),
        (OF_GITLAB, GITHUB),
        ({**OF_GITHUB, "aud": "https://github.com/acme"}, GITHUB),
        ({**OF_GITLAB, "aud": ["vault"]}, GITLAB),
        ({**OF_GITHUB, "iss": f"{GITHUB}/acme"}, GITHUB),
        ({**OF_GITLAB, "iss": "https://gitlab.com.evil.example"}, GITLAB),
    ],
    ids=["other key", "other key too", "audience", "audiences", "enterprise", "look-alike"],
)
def test_a_token_of_another_service_or_for_another_audience_is_nobodys(
    gate: Authenticator, claims: Mapping[str, Any], by: str
) -> None:
    with pytest.raises(Unauthenticated):
        ask(gate, claims, by=by)
