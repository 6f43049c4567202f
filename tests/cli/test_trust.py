import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.main import execute
from lockgate.signing.keys import PrivateKey

BUILDER = ("--role", "builder", "--sign", "root")
ROOT_FOR_DAYS = ("--days", "3", "--sign", "root")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine of `ana`, with the keys `root` and `build`; nothing is trusted yet."""
    use(monkeypatch, tmp_path, "ana")
    monkeypatch.chdir(tmp_path)
    for name in ("root", "build"):
        assert execute(["key", "new", name, "--no-passphrase"]) == 0
    return tmp_path


def use(monkeypatch: pytest.MonkeyPatch, folder: Path, machine: str) -> None:
    """Go to another machine."""
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(folder / machine / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(folder / machine / "state"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = run(capsys, *arguments)
    assert status == 0, err
    return out


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(done(capsys, "trust", "show", "--json"))


def test_a_trust_root_begins_grows_and_revokes(capsys: pytest.CaptureFixture[str]) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    done(
        capsys,
        *("trust", "add", "--key", "build", "--holder", "ci", "--role", "builder"),
        *("--scope", "review", "--scope", "team-*", "--days", "90", "--sign", "root"),
    )
    found = shown(capsys)
    assert found["version"] == 2
    (build,) = [key for key in found["keys"] if key["holder"] == "ci"]
    assert (build["roles"], build["scopes"]) == (["builder"], ["review", "team-*"])
    assert "as builder, held by ci" in done(capsys, "key", "show", "build")

    done(capsys, "trust", "revoke", build["fingerprint"][:12], "--sign", "root")

    assert shown(capsys)["version"] == 3
    assert "revoked" in done(capsys, "trust", "show")
    assert "revoked" in done(capsys, "key", "show", "build")


def test_two_holders_sign_on_two_machines(
    capsys: pytest.CaptureFixture[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    done(capsys, "trust", "export", "-o", "1.json")
    use(monkeypatch, workplace, "bo")
    done(capsys, "key", "new", "mine", "--no-passphrase")
    Path("bo.pub").write_text(done(capsys, "key", "export", "mine"))
    done(capsys, "trust", "accept", "1.json")

    use(monkeypatch, workplace, "ana")
    add = ["trust", "add", "--pem", "bo.pub", "--holder", "bo", "--role", "root"]
    refused = run(capsys, *add, "--threshold", "2", "--sign", "root")
    assert refused[0] == 2
    assert "signed by 1 holder(s) of root keys of version 2 (ana), needed: 2" in refused[2]
    done(capsys, *add, "--threshold", "2", "--sign", "root", "-o", "2.json")
    assert shown(capsys)["version"] == 1

    use(monkeypatch, workplace, "bo")
    told = run(capsys, "trust", "sign", "2.json", "--sign", "mine")[2]
    assert "version 1 -> 2" in told
    assert "holders of root keys that must sign: 1 -> 2" in told
    assert "not named -> `bo` as root" in told
    assert "version 2" in done(capsys, "trust", "accept", "2.json")
    use(monkeypatch, workplace, "ana")
    done(capsys, "trust", "accept", "2.json")
    assert shown(capsys)["threshold"] == 2


def test_an_older_root_is_refused_with_both_versions(capsys: pytest.CaptureFixture[str]) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    done(capsys, "trust", "export", "-o", "1.json")
    done(capsys, "trust", "renew", "--sign", "root")

    status, out, err = run(capsys, "trust", "accept", "1.json")

    assert (status, out) == (2, "")
    assert "has version 1, accepted here is 2 already" in err
    assert "hint: an older trust root may hold keys that were revoked since" in err


def test_a_machine_that_was_away_catches_up(
    capsys: pytest.CaptureFixture[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    done(capsys, "trust", "export", "-o", "1.json")
    for _ in range(3):
        done(capsys, "trust", "renew", "--sign", "root")
    for version in ("2", "3", "4"):
        done(capsys, "trust", "export", "--version", version, "-o", f"{version}.json")
    use(monkeypatch, workplace, "away")
    done(capsys, "trust", "accept", "1.json")

    status, _, err = run(capsys, "trust", "accept", "4.json")
    assert (status, "has version 4, the next one is 2" in err) == (2, True)
    assert "version 4" in done(capsys, "trust", "accept", "2.json", "3.json", "4.json")


def test_the_first_root_can_be_held_to_a_digest(
    capsys: pytest.CaptureFixture[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    done(capsys, "trust", "export", "-o", "trust.json")
    digest = shown(capsys)["digest"]
    use(monkeypatch, workplace, "new")

    refused = run(capsys, "trust", "accept", "trust.json", "--digest", "sha256:" + "0" * 64)
    assert (refused[0], digest in refused[2], "0" * 64 in refused[2]) == (2, True, True)
    done(capsys, "trust", "accept", "trust.json", "--digest", digest)
    assert shown(capsys)["digest"] == digest


def test_every_acceptance_is_audited_with_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")

    done(capsys, "audit", "export", "-o", "audit.jsonl")

    assert shown(capsys)["digest"] in Path("audit.jsonl").read_text()
    assert "trust.accept" in Path("audit.jsonl").read_text()


def test_a_tampered_file_is_refused(capsys: pytest.CaptureFixture[str], workplace: Path) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    path = workplace / "ana" / "data" / "trust" / "1.root.json"
    path.write_bytes(path.read_bytes().replace(b'"sig":"M', b'"sig":"N'))

    status, _, err = run(capsys, "trust", "show")

    assert status == 4
    assert "error[corrupt]" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["init", "--sign", "root", "--holder", "bo"], "has a trust root already"),
        (["accept", "none.json"], "`none.json` cannot be read"),
        (["accept", "root.pub", "--digest", "md5:1"], "`md5:1` is not a digest"),
        (["revoke", "12", "--sign", "root"], "give at least 12 digits"),
        (["revoke", "0" * 64, "--sign", "root"], "0 key(s)"),
        (["add", "--holder", "x", "--role", "builder", "--sign", "root"], "`--key` and `--pem`"),
        (
            ["add", "--key", "build", "--holder", "Ana", "--role", "builder", "--sign", "root"],
            "`Ana` and `ana`, which are too alike",
        ),
        (
            [*("add", "--key", "build", "--holder", "x", "--role", "root"), *ROOT_FOR_DAYS],
            "does not expire by itself",
        ),
        (
            ["add", "--key", "build", "--holder", "x", "--role", "builder", "--sign", "build"],
            "(nobody), needed: 1",
        ),
        (
            [*("add", "--key", "build", "--holder", "a\x1b[2K"), *BUILDER],
            "cannot be a holder",
        ),
        (["export", "-o", "x", "--version", "9"], "no trust root of version 9"),
        (["export", "-o", "no/folder/x"], "`no/folder/x` cannot be written"),
    ],
)
def test_a_mistake_is_said_with_its_value(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    done(capsys, "trust", "init", "--sign", "root", "--holder", "ana")
    Path("root.pub").write_bytes(PrivateKey.new().pem)

    status, out, err = run(capsys, "trust", *arguments)

    assert (status in {2, 4}, out) == (True, "")
    assert why in err
    assert shown(capsys)["version"] == 1


def test_with_no_root_the_next_step_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["show"], ["export", "-o", "x"], ["renew", "--sign", "root"]):
        status, _, err = run(capsys, "trust", *command)

        assert (status, "this machine has no trust root" in err) == (2, True)
        assert "`lockgate trust init`" in err
