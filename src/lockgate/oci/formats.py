"""What a file is, by its first bytes: a name proves nothing."""

import json
import pickletools
import zipfile
from pathlib import Path
from typing import Final

_HEAD: Final = 4096
_PICKLE_PROTOCOLS: Final = range(2, 6)
_MAX_HEADER: Final = 100 << 20  # safetensors refuses longer headers itself
_MAX_TEXT_PICKLE: Final = 16 << 20
_MAX_MEMBERS: Final = 10_000


def format_of(path: Path) -> str:
    """Return `gguf`, `safetensors`, `pickle`, `pytorch`, `elf`, `zip`, `json`, `text` or `binary`.

    Formats that run code when they are loaded are recognised first.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - 1))
        last = file.read(1)
    if head[:4] == b"\x7fELF":
        return "elf"
    if _is_pickle(path, head, last, size):
        return "pickle"
    if head[:2] == b"PK":
        return _archive(path)
    if head[:4] == b"GGUF":
        return "gguf"
    return "safetensors" if _is_safetensors(head, size) else _text(head)


def _is_pickle(path: Path, head: bytes, last: bytes, size: int) -> bool:
    if last != b".":  # STOP
        return False
    # Protocol 2 and later begin with PROTO; earlier ones have no magic.
    begins = head[:1] == b"\x80" and head[1] in _PICKLE_PROTOCOLS
    return begins or _is_text_pickle(path, size)


def _is_text_pickle(path: Path, size: int) -> bool:
    """Say whether a small file is a pickle of protocol 0 or 1, which has no magic. Runs nothing."""
    if size > _MAX_TEXT_PICKLE:
        return False
    at = -1
    try:
        for _, _, position in pickletools.genops(path.read_bytes()):
            at = position or 0
    except (ValueError, KeyError, IndexError, OverflowError):
        return False
    return at == size - 1


def _archive(path: Path) -> str:
    """Tell PyTorch's archives, which hold a pickle, from others."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:_MAX_MEMBERS]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return "zip"
    return "pytorch" if any(name.endswith((".pkl", ".pickle")) for name in names) else "zip"


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and 2 <= length <= min(_MAX_HEADER, size - 8) and head[8:9] == b"{"  # noqa: PLR2004


def _text(head: bytes) -> str:
    if b"\0" in head:
        return "binary"
    try:
        # The cut may go through a character: at most three bytes of it are left.
        text = head.decode("utf-8") if len(head) < _HEAD else head[:-3].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return "binary"
    first = text.partition("\n")[0]
    if first.startswith(("import ", "from ")) or (first.startswith("#!") and "python" in first):
        return "python"
    if not text.lstrip().startswith(("{", "[")):
        return "text"
    if len(head) < _HEAD:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return "text"
    return "json"
