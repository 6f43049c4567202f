import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate.cli.main import execute
from lockgate.identity.secret import is_well_formed


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def test_a_new_key_is_shown_once_and_listed_without_its_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(
        capsys, "token", "new", "ci", "--team", "shop", "--scope", "task:review", "--json"
    )
    assert status == 0, err
    secret = json.loads(out)["secret"]
    assert is_well_formed(secret)

    listed = run(capsys, "token", "list", "--json")[1]
    (key,) = json.loads(listed)
    assert secret not in listed
    assert (key["key"], key["team"], key["scopes"]) == ("ci", "shop", ["task:review"])
    ends = datetime.fromisoformat(key["expires_at"])
    assert timedelta(days=89) < ends - datetime.now(UTC) < timedelta(days=91)


def test_a_key_is_rotated_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, "token", "new", "ci", "--team", "shop", "--expires-days", "0")[1].strip()
    status, second, err = run(capsys, "token", "rotate", "ci", "--overlap-hours", "1")
    assert (status, is_well_formed(second.strip())) == (0, True)
    assert second.strip() != first
    assert "the old secret ends at" in err
    assert "valid" in run(capsys, "token", "list")[1]

    assert run(capsys, "token", "revoke", "ci")[0] == 0
    assert "revoked" in run(capsys, "token", "list")[1]
    status, _, err = run(capsys, "token", "revoke", "ci")
    assert (status, "no valid key is called `ci`" in err) == (2, True)
    status, _, err = run(capsys, "token", "rotate", "ci")
    assert (status, "is revoked" in err) == (2, True)


def test_a_key_that_reaches_nothing_gets_a_warning_and_a_wrong_one_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "reaches nothing" in run(capsys, "token", "new", "a", "--team", "t")[2]
    for wrong in (["b", "--scope", "all"], ["b c"], ["a"], ["b", "--role", "root"]):
        status, out, _ = run(capsys, "token", "new", *wrong, "--team", "t")
        assert (status, out) == (2, "")


def test_the_audit_log_has_who_made_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "token", "new", "ci", "--team", "shop")
    (event,) = json.loads(run(capsys, "audit", "list", "--json")[1])
    assert (event["action"], event["subject"]) == ("token.new", "ci")
