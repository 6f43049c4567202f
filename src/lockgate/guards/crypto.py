"""Checksums of cryptocurrency addresses: Base58Check, Bech32 (BIP 173, 350), EIP-55."""

import hashlib

_BASE58 = {
    c: i for i, c in enumerate(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_BECH32 = {c: i for i, c in enumerate(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_ENDS = (1, 0x2BC830A3)
_PAYLOAD = 25
_MASK = (1 << 64) - 1
_RATE = 136
_LANES = 17
_ROUNDS = 24


def bitcoin(value: bytes) -> bool:
    """Say whether an address has the checksum of Base58Check, version 0 or 5."""
    number = 0
    for character in value:
        number = number * 58 + _BASE58[character]
    if number.bit_length() > _PAYLOAD * 8:
        return False
    raw = number.to_bytes(_PAYLOAD, "big")
    digest = hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()
    return raw[0] in (0, 5) and digest[:4] == raw[-4:]


def bech32(value: bytes) -> bool:
    """Say whether a SegWit address, version 0 or later, has its checksum."""
    text = value.lower()
    prefix, _, data = text.rpartition(b"1")
    checksum = 1
    expanded = [c >> 5 for c in prefix] + [0] + [c & 31 for c in prefix]
    for part in [*expanded, *(_BECH32[c] for c in data)]:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ part
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum in _BECH32_ENDS


def ethereum(value: bytes) -> bool:
    """Say whether the letters' case is the checksum; one case alone says nothing (EIP-55)."""
    text = value[2:]
    lower = text.lower()
    if text in (lower, text.upper()):
        return len(set(lower)) > 4
    nibbles = keccak256(lower).hex()
    return all(
        c < 65 or (c < 97) == (nibble > "7") for c, nibble in zip(text, nibbles, strict=False)
    )


def keccak256(message: bytes) -> bytes:
    """Return Keccak-256 of up to 135 bytes, with the padding that came before SHA-3."""
    padded = bytearray(message + b"\x01" + bytes(_RATE - len(message) - 1))
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for i in range(_LANES):
        lanes[i % 5][i // 5] = int.from_bytes(padded[8 * i : 8 * i + 8], "little")
    lfsr = 1
    for _ in range(_ROUNDS):
        lfsr = _round(lanes, lfsr)
    return b"".join(lanes[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def _round(a: list[list[int]], lfsr: int) -> int:
    """Do one round of Keccak-f[1600] in place: theta, rho and pi, chi, iota (FIPS 202, 3.2)."""
    c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
    d = [c[(x + 4) % 5] ^ _turned(c[(x + 1) % 5], 1) for x in range(5)]
    for x in range(5):
        for y in range(5):
            a[x][y] ^= d[x]
    x, y, current = 1, 0, a[1][0]
    for t in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        current, a[x][y] = a[x][y], _turned(current, (t + 1) * (t + 2) // 2)
    for y in range(5):
        row = [a[x][y] for x in range(5)]
        for x in range(5):
            a[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5] & _MASK)
    for j in range(7):
        lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256
        if lfsr & 2:
            a[0][0] ^= 1 << ((1 << j) - 1)
    return lfsr


def _turned(lane: int, bits: int) -> int:
    bits %= 64
    return (lane << bits | lane >> (64 - bits)) & _MASK
