import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Digest
from lockgate.errors import LockgateError, UsageError
from lockgate.oci.reference import Reference, is_loopback
from lockgate.oci.registry.settings import RegistrySettings

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("oci://registry.example/a", "registry.example", "a", "", None),
        (
            "oci://registry.example:5000/a/b-c/d.e__f:1.0",
            "registry.example:5000",
            "a/b-c/d.e__f",
            "1.0",
            None,
        ),
        (f"oci://localhost/a@{DIGEST}", "localhost", "a", "", DIGEST),
        (f"oci://[::1]:80/a:t@{DIGEST}", "[::1]:80", "a", "t", DIGEST),
        ("oci://10.0.0.1/a---b", "10.0.0.1", "a---b", "", None),
    ],
)
def test_an_address_is_read_and_written_alike(
    text: str, host: str, repository: str, tag: str, digest: Digest | None
) -> None:
    found = Reference.parse(text)
    assert found == Reference(host=host, repository=repository, tag=tag, digest=digest)
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "registry.example/a",
        "https://registry.example/a",
        "oci://",
        "oci://a",
        "oci:///a",
        "oci://h/",
        "oci://h/A",
        "oci://h/a/../b",
        "oci://h/a//b",
        "oci://h/a/",
        "oci://h/-a",
        "oci://h/a..b",
        "oci://h/a:",
        "oci://h/a:-x",
        "oci://h/a:" + "x" * 129,
        "oci://h/" + "a" * 256,
        "oci://h/a@",
        "oci://h/a@sha256:abc",
        f"oci://h/a@{str(DIGEST).upper()}",
        f"oci://h/a@sha512:{'0' * 128}",
        f"oci://h/a@{DIGEST}@{DIGEST}",
        "oci://h:0/a",
        "oci://h:70000/a",
        "oci://h:0065535000/a",
        "oci://h:x/a",
        "oci://-h/a",
        "oci://h_h/a",
        "oci://[::g]/a",
        "oci://[::1/a",
        "oci://h/a?x=1",
        "oci://h/a#x",
        "oci://h/a b",
        "oci://h/a\n",
        "oci://\uff48/a",
        "oci://h/" + "a/" * 600,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Reference.parse(text)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse("oci://user:hunter2@registry.example/a")
    assert "hunter2" not in caught.value.advice


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = Reference.parse("oci://" + text)
    except LockgateError:
        return
    assert Reference.parse(str(found)) == found


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("localhost", "http"),
        ("localhost:5000", "http"),
        ("127.0.0.1:5000", "http"),
        ("127.9.9.9", "http"),
        ("[::1]:5000", "http"),
        ("inside.example:80", "http"),
        ("inside.example", "https"),
        ("localhost.example", "https"),
        ("127.0.0.1.example", "https"),
        ("10.0.0.1", "https"),
    ],
)
def test_only_loopback_and_named_hosts_are_spoken_to_without_tls(host: str, scheme: str) -> None:
    assert RegistrySettings(insecure=frozenset({"inside.example:80"})).scheme(host) == scheme
    assert is_loopback(host) is (scheme == "http" and host != "inside.example:80")


def test_a_digest_wins_over_the_tag() -> None:
    found = Reference.parse("oci://h/a:1")
    assert (found.label, found.at(DIGEST).label) == ("1", str(DIGEST))
    assert (Reference.parse("oci://h/a").label, found.at(DIGEST).tagged("2").label) == (
        "latest",
        "2",
    )
    with pytest.raises(UsageError, match="not a tag"):
        found.tagged("a/b")
