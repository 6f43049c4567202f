"""Values that several tables of the configuration have."""

from typing import Annotated, TypeAlias

from lockgate.config.constraint import Matches


def no_credentials(url: str) -> None:
    """Refuse an address that holds a password: files are read by many."""
    address, _, query = url.partition("?")
    authority = address.partition("://")[2].partition("/")[0]
    if ":" in authority.rpartition("@")[0] or "password=" in query:
        raise ValueError("holds a password; keep it in an environment variable")


def network(text: str) -> None:
    """Refuse what is no network, such as `10.0.0.0/8`."""
    from ipaddress import ip_network  # noqa: PLC0415  most runs have no use for it

    ip_network(text)


Name: TypeAlias = Annotated[str, Matches("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")]


KeyName: TypeAlias = Annotated[str, Matches(r"[a-z0-9][a-z0-9._-]{0,49}(\.[0-9a-f]{12})?")]
"""Of a private key, one that was rotated included."""


EnvironmentVariable: TypeAlias = Annotated[str, Matches("[A-Za-z_][A-Za-z0-9_]*")]


Sha256: TypeAlias = Annotated[str, Matches("[0-9a-f]{64}")]


PolicyDigest: TypeAlias = Annotated[str, Matches("sha256:[0-9a-f]{64}")]
