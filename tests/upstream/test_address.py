import pytest

from lockgate.errors import Denied, InvalidConfig, UpstreamFailed
from lockgate.upstream.address import Resolve, pin


def to(*addresses: str) -> Resolve:
    return lambda _host, _port: addresses


def resolving(*addresses: str, networks: tuple[str, ...] = ()) -> tuple[str, ...]:
    return pin("m", "http://models.example/v1", networks=networks, resolve=to(*addresses)).addresses


def test_a_public_address_is_pinned() -> None:
    assert resolving("93.184.216.34") == ("93.184.216.34",)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "ff02::1",
        "64:ff9b:1::a9fe:a9fe",
        "::7f00:1",
        "::a9fe:a9fe",
        "::ffff:0:169.254.169.254",
        "fec0::1",
        "5f00::1",
        "3fff::1",
        "192.0.0.192",
        "192.88.99.1",
        "168.63.129.16",
        "100.100.100.200",
        "2001:0:7f00:1::",
    ],
)
def test_a_name_that_resolves_to_a_network_of_ours_is_refused(address: str) -> None:
    with pytest.raises(Denied, match=r"not a public address"):
        resolving("93.184.216.34", address)


def test_a_network_that_the_configuration_names_is_allowed_and_no_other() -> None:
    assert resolving("10.1.2.3", networks=("10.1.0.0/16",)) == ("10.1.2.3",)
    with pytest.raises(Denied):
        resolving("10.2.0.1", networks=("10.1.0.0/16",))


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "10.0.0.7"])
def test_an_address_that_is_written_out_is_named_by_that(host: str) -> None:
    assert len(pin("m", f"http://{host}/v1").addresses) == 1


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "0.0.0.0",  # noqa: S104
        "[::ffff:169.254.1.1]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "[fd00:ec2::254]",
        "[::ffff:100.100.100.200]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
    ],
)
def test_where_clouds_keep_credentials_is_refused_even_when_written_out(host: str) -> None:
    with pytest.raises(Denied):
        pin("m", f"http://{host}/v1")


def test_public_addresses_of_both_kinds_are_public() -> None:
    both = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")
    assert resolving(*both) == both


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_odd_spellings_of_an_address_are_names_and_judged_by_what_they_resolve_to(
    host: str,
) -> None:
    with pytest.raises((Denied, UpstreamFailed)):
        pin("m", f"http://{host}/v1", resolve=to("127.0.0.1"))


def test_localhost_may_only_be_this_machine() -> None:
    assert "127.0.0.1" in pin("m", "http://localhost:1/v1").addresses
    with pytest.raises(Denied):
        pin("m", "http://localhost/v1", resolve=to("169.254.169.254"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "http:///v1",
        "a",
        "http://u:p@a/",
        "http://a/?x=1",
        "http://a/#x",
        "http://a:99999/",
    ],
)
def test_what_is_not_the_address_of_an_upstream_is_refused(url: str) -> None:
    with pytest.raises(InvalidConfig):
        pin("m", url)


def test_the_host_header_names_the_port_only_where_it_is_unusual() -> None:
    def host(url: str) -> bytes:
        return pin("m", url, resolve=to("93.184.216.34")).host_header

    assert host("http://a.example/v1") == b"a.example"
    assert host("https://a.example:443/") == b"a.example"
    assert host("https://a.example:80/") == b"a.example:80"
    assert host("http://[::1]:8000/v1") == b"[::1]:8000"


def test_a_name_without_an_address_is_reported() -> None:
    with pytest.raises(UpstreamFailed, match="has no address"):
        resolving()
