"""A tar file whose members begin on 4 KiB boundaries, and a reader that trusts none.

Formats: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Extended Header"; GNU tar's
base-256 sizes are read, since other tools write them. A `comment` record pads each member, so that
its bytes can be cloned or mapped in place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from lockgate.errors import Corrupt

_SECTOR: Final = 512
_PAGE: Final = 4096
_OCTAL_SIZE: Final = 8**11  # what does not fit in 11 octal digits stands in a pax record
_MOST_RECORDS: Final = 64 << 10
_END: Final = bytes(2 * _SECTOR)
_FILE, _FOLDER, _EXTENDED = b"0", b"5", b"x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A regular file of an archive: where its bytes are."""

    name: str
    offset: int
    size: int


def header(name: str, size: int, offset: int) -> bytes:
    """Return what stands before a member's bytes when the header begins at `offset`."""
    records = b"" if size < _OCTAL_SIZE else _record(b"size", b"%d" % size)
    # A pax header, its records, the member's own header; then the page is full.
    need = 2 * _SECTOR + len(records)
    room = -(offset + need) % _PAGE
    while room < len(b"16 comment=\n"):
        room += _PAGE
    records += _record_of_length(b"comment", room)
    extended = _ustar("PaxHeaders/" + name, len(records), _EXTENDED)
    return extended + records + _ustar(name, size if size < _OCTAL_SIZE else 0, _FILE)


def padding(size: int) -> bytes:
    """Return what follows a member's bytes."""
    return bytes(-size % _SECTOR)


def end() -> bytes:
    """Return what ends an archive."""
    return _END


def members(file: BinaryIO, size: int, *, most: int) -> Iterator[Member]:
    """Find the regular files of an archive of `size` bytes; reads headers only.

    Folders are passed over. Two end marks, or the end of the file, end it.

    Raises:
        Corrupt: a header is damaged or cut off, or names a link, a device, or anything else that
            is neither a file nor a folder; a member reaches past the end; there are more than
            `most`.

    """
    at = count = 0
    records: Mapping[bytes, bytes] = {}
    while at < size:
        block = _at(file, at, _SECTOR)
        if not any(block):
            return
        raw, length, kind = _parse(block, at)
        length = _number(records.get(b"size"), length, at)
        name = _text(records.get(b"path", raw), at)
        count += 1
        if count > 2 * most:
            raise Corrupt(f"the archive has more than {most:,} members")
        begin = at + _SECTOR
        if begin + length > size:
            raise Corrupt(
                f"the archive is cut off: `{name[:120]}` at byte {at:,} needs {length:,} bytes, "
                f"{size - begin:,} are there"
            )
        records = {}
        if kind == _EXTENDED:
            records = _records(_bounded(file, begin, length, name), at)
        elif kind in {_FILE, b"\0"}:
            yield Member(name=name, offset=begin, size=length)
        elif kind != _FOLDER or length:
            raise Corrupt(
                f"the archive holds `{name[:120]}`, which is neither a file nor a folder "
                f"(type `{kind.decode('latin-1')}`)"
            )
        at = begin + length + -length % _SECTOR


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise Corrupt(f"the archive is cut off at byte {offset + len(data):,}")
    return data


def _bounded(file: BinaryIO, offset: int, size: int, name: str) -> bytes:
    if size > _MOST_RECORDS:
        raise Corrupt(
            f"the archive's extended header for `{name[:120]}` has {size:,} bytes, "
            f"at most {_MOST_RECORDS:,} allowed"
        )
    return _at(file, offset, size)


def _parse(block: bytes, at: int) -> tuple[bytes, int, bytes]:
    # POSIX.1-2017 pax, "ustar Header Block": name 0+100, size 124+12, chksum 148+8, typeflag 156,
    # magic 257+6, prefix 345+155.
    checksum = sum(block[:148]) + sum(b" " * 8) + sum(block[156:])
    if _octal(block[148:156], at) != checksum or block[257:262] != b"ustar":
        raise Corrupt(f"the archive is damaged: byte {at:,} begins no tar header")
    name, prefix = block[:100].split(b"\0")[0], block[345:500].split(b"\0")[0]
    if prefix and block[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return name, _size(block[124:136], at), block[156:157]


def _size(field: bytes, at: int) -> int:
    # GNU tar: a first byte of 0x80 says that the rest is the number, big-endian.
    return int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field, at)  # noqa: PLR2004


def _octal(field: bytes, at: int) -> int:
    digits = field.strip(b" \0")
    if not digits or not set(digits) <= set(b"01234567"):
        raise Corrupt(f"the archive is damaged: the header at byte {at:,} has no octal number")
    return int(digits, 8)


def _records(data: bytes, at: int) -> Mapping[bytes, bytes]:
    """Read records of the form `LENGTH KEYWORD=VALUE`, each with a line feed at its end."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        digits = data[position:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        record = data[position : position + length]
        keyword, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not length or len(record) != length or record[-1:] != b"\n" or not equals:
            raise Corrupt(f"the archive is damaged: the extended header at byte {at:,}")
        found[keyword] = value
        position += length
    return found


def _number(value: bytes | None, otherwise: int, at: int) -> int:
    if value is None:
        return otherwise
    if not value.isdigit() or len(value) > len(str(2**63)):
        raise Corrupt(f"the archive is damaged: the extended header at byte {at:,} has no size")
    return int(value)


def _text(name: bytes, at: int) -> str:
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as error:
        raise Corrupt(f"the archive holds a name at byte {at:,} that is not ASCII") from error


def _record(keyword: bytes, value: bytes) -> bytes:
    length = bare = len(keyword) + len(value) + 3
    while len(str(length)) + bare != length:
        length = len(str(length)) + bare
    return b"%d %s=%s\n" % (length, keyword, value)


def _record_of_length(keyword: bytes, length: int) -> bytes:
    fixed = len(str(length)) + len(keyword) + 3
    return b"%d %s=%s\n" % (length, keyword, b"." * (length - fixed))


def _ustar(name: str, size: int, kind: bytes) -> bytes:
    encoded = name.encode("ascii")
    assert len(encoded) <= 100, "longer names need a prefix"  # noqa: PLR2004  POSIX: the field
    block = bytearray(_SECTOR)
    for at, field in (
        (0, encoded),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"%011o\0" % size),
        (136, b"%011o\0" % 0),
        (148, b" " * 8),
        (156, kind),
        (257, b"ustar\00000"),
    ):
        block[at : at + len(field)] = field
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
