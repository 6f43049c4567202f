"""How long to wait for an upstream, and how much to take from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one upstream. Seconds and bytes."""

    connect_s: float = 3.0
    first_byte_s: float = 60.0
    """From the request to the first byte of the answer."""
    idle_s: float = 30.0
    """Between two parts of an answer."""
    total_s: float = 600.0
    """From the request to the last byte."""
    keep_alive_s: float = 4.0
    """A free connection is used again until this old. Servers often close after 5 s."""
    connections: int = 256
    """Open at a time; more requests than these wait up to `connect_s`."""
    head_bytes: int = 32 << 10
    headers: int = 128
    body_bytes: int = 64 << 20
    buffer_bytes: int = 256 << 10
    """Of a stream whose reader is slow; reading pauses above it."""
    informational: int = 8
    """Most 1xx answers before the real one."""
