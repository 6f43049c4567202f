from pathlib import Path

import pytest

from lockgate.config.environment import Environment


def test_folders_follow_the_xdg_specification() -> None:
    at_home = Environment.read({"HOME": "/home/ada"})
    moved = Environment.read({"HOME": "/home/ada", "XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s"})

    assert at_home.data_dir == Path("/home/ada/.local/share/lockgate")
    assert at_home.state_dir == Path("/home/ada/.local/state/lockgate")
    assert (moved.data_dir, moved.state_dir) == (Path("/d/lockgate"), Path("/s/lockgate"))


def test_a_relative_xdg_folder_is_ignored() -> None:
    environment = Environment.read({"HOME": "/home/ada", "XDG_DATA_HOME": "data"})

    assert environment.data_dir == Path("/home/ada/.local/share/lockgate")


def test_our_own_variables_win_and_are_made_absolute() -> None:
    environment = Environment.read(
        {
            "HOME": "/h",
            "XDG_DATA_HOME": "/d",
            "LOCKGATE_DATA_DIR": "here",
            "LOCKGATE_STATE_DIR": "/s",
        }
    )

    assert environment.data_dir == Path.cwd() / "here"
    assert environment.state_dir == Path("/s")


@pytest.mark.parametrize("variables", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_a_missing_or_relative_home_still_gives_absolute_folders(variables: dict[str, str]) -> None:
    environment = Environment.read(variables)

    assert environment.data_dir.is_absolute()
    assert environment.state_dir.is_absolute()


def test_a_user_without_any_home_gets_a_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)

    environment = Environment.read({"TMPDIR": "/scratch"})

    assert environment.data_dir.is_relative_to("/scratch")


def test_empty_variables_count_as_unset() -> None:
    names = ("LOCKGATE_CONFIG", "HF_TOKEN", "HF_ENDPOINT", "NO_COLOR", "SSL_CERT_FILE", "CI")

    environment = Environment.read({"HOME": "/h", **dict.fromkeys(names, "")})

    assert environment == Environment.read({"HOME": "/h"})
    assert not environment.no_color
    assert environment.hf_token is None


def test_the_first_certificate_file_that_is_named_is_taken() -> None:
    environment = Environment.read({"REQUESTS_CA_BUNDLE": "/c", "PIP_CERT": "/b"})

    assert environment.ca_file == Path("/b")


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_ci_is_recognised(value: str, *, expected: bool) -> None:
    assert Environment.read({"CI": value}).ci is expected


def test_a_secret_is_read_by_name_and_never_shown() -> None:
    environment = Environment.read({"VLLM_TOKEN": "s3cret-value", "EMPTY": "", "HF_TOKEN": "hush"})

    assert environment.secret("VLLM_TOKEN") == "s3cret-value"
    assert environment.secret("EMPTY") is None
    assert environment.secret("MISSING") is None
    assert "s3cret-value" not in repr(environment)
    assert "hush" not in repr(environment)
