from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.errors import Unavailable
from lockgate.oci.pypi import PipConfig, find_wheel, parse_config, read_config
from oci.loopback import Site
from oci.samples import noise, publish, sha256, wheel

WHEEL = wheel("some-model", "1.0", {"some_model/w.bin": noise(400_000)})
REQUIREMENT = "some-model==1.0"


def test_pip_says_where_a_wheel_is_without_fetching_it(pip_uses: Site) -> None:
    path = publish(pip_uses, "some-model", "1.0", WHEEL)
    found = find_wheel(REQUIREMENT)
    assert found.url == pip_uses.url + path
    assert found.digest == Digest(sha256(WHEEL))
    assert pip_uses.sent < 50_000


def test_a_wheel_is_found_on_a_server_without_ranges_too(pip_uses: Site) -> None:
    pip_uses.ranges = False
    publish(pip_uses, "some-model", "1.0", WHEEL)
    assert find_wheel(REQUIREMENT).digest == Digest(sha256(WHEEL))


@pytest.mark.usefixtures("pip_uses")
def test_a_wheel_in_a_folder_is_a_local_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "some_model-1.0-py3-none-any.whl"
    path.write_bytes(WHEEL)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert find_wheel(REQUIREMENT).path == path


def test_an_index_without_the_wheel_is_named_in_pips_words(pip_uses: Site) -> None:
    publish(pip_uses, "some-model", "1.0", WHEEL)
    with pytest.raises(Unavailable, match=r"pip cannot find `some-model==2\.0`: Could not find"):
        find_wheel("some-model==2.0")


@pytest.mark.usefixtures("pip_uses")
def test_an_index_that_is_not_there_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hidden@127.0.0.1:1/simple")
    with pytest.raises(Unavailable) as caught:
        find_wheel(REQUIREMENT)
    assert "its index cannot be reached" in caught.value.message
    assert "hidden" not in caught.value.message
    assert "PIP_FIND_LINKS" in str(caught.value.hint)


def test_a_pip_folder_in_the_working_directory_is_not_run(
    pip_uses: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").write_text("")
    (tmp_path / "pip" / "__main__.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    publish(pip_uses, "some-model", "1.0", WHEEL)
    assert find_wheel(REQUIREMENT).digest is not None


def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(Unavailable, match="/nowhere/python"):
        find_wheel(REQUIREMENT, "/nowhere/python")


def test_the_configuration_of_pip_is_read(pip_uses: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/etc/some.pem")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "one two:8080")
    config = read_config()
    assert config.ca_file == Path("/etc/some.pem")
    assert config.trusts("https://two:8080/x")
    assert not config.trusts("https://two:8081/x")
    assert config.urls == (f"{pip_uses.url}/simple",)


CONFIG = """\
global.index-url='https://me:p%40ss@host/team/simple'
global.extra-index-url='https://host/open/simple\\nhttps://you:two@host/other/simple'
global.proxy='proxy:3128'
global.cert='/global.pem'
install.cert='/install.pem'
:env:.cert='~/env.pem'
download.cert='/download.pem'
global.broken='
freeze.x=[]
"""


def test_later_sections_win_as_they_do_in_pip() -> None:
    config = parse_config(CONFIG)
    assert config.ca_file == Path("~/env.pem").expanduser()
    assert config.proxy == "http://proxy:3128"
    assert config.client_certificate is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/team/files/a.whl", "https://me:p%40ss@host/team/files/a.whl"),
        ("https://host/other/files/a.whl", "https://you:two@host/other/files/a.whl"),
        ("https://elsewhere/a.whl", "https://elsewhere/a.whl"),
        ("http://host/team/a.whl", "http://host/team/a.whl"),
        ("https://host:444/team/a.whl", "https://host:444/team/a.whl"),
        ("https://own:one@host/a.whl", "https://own:one@host/a.whl"),
        ("file:///x/a.whl", "file:///x/a.whl"),
    ],
)
def test_credentials_go_to_the_host_that_they_are_for_and_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_config(CONFIG).with_credentials(url) == expected


def test_credentials_of_netrc_are_used_where_pip_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine host login me password a/b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PipConfig({}).with_credentials("https://host/a") == "https://me:a%2Fb@host/a"


def test_a_representation_shows_no_password() -> None:
    assert "p%40ss" not in repr(parse_config("global.index-url='https://me:p%40ss@host/'"))
