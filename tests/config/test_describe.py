from pathlib import Path

from lockgate.config.describe import Setting, environment_in_effect, settings_in_effect
from lockgate.config.environment import Environment
from lockgate.config.load import load

BARE = Environment.read({"HOME": "/h"})


def test_a_setting_says_the_line_that_set_it_and_the_others_are_defaults(tmp_path: Path) -> None:
    path = tmp_path / "lockgate.toml"
    path.write_text('\n[tasks.review]\nengine = "rules"\n')

    found = {s.key: s for s in settings_in_effect(load(path, start=tmp_path), BARE)}

    assert found["tasks.review.engine"] == Setting(
        key="tasks.review.engine", value="rules", origin=f"{path}:3"
    )
    assert found["audit.payload_retention_days"].origin == "default"
    assert found["backends.onnx.workers"].value == 2


def test_of_a_secret_only_whether_it_is_set_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "lockgate.toml"
    path.write_text('[store]\nurl_env = "DATABASE"\n')
    environment = Environment.read({"DATABASE": "postgresql://u:hush@db/x"})

    found = settings_in_effect(load(path, start=tmp_path), environment)

    assert Setting(key="store.url_env is set", value=True, origin="$DATABASE") in found
    assert "hush" not in str(found)


def test_the_environment_shows_no_token_and_no_password() -> None:
    environment = Environment.read(
        {"HOME": "/h", "HF_TOKEN": "hush", "HF_ENDPOINT": "https://me:hush@hub.example.org/x"}
    )

    found = {s.key: s for s in environment_in_effect(environment)}

    assert found["hf_endpoint"].value == "https://hub.example.org/x"
    assert found["hf_token is set"] == Setting(
        key="hf_token is set", value=True, origin="$HF_TOKEN"
    )
    assert found["data_dir"].origin == "default"
    assert "hush" not in str(found)
