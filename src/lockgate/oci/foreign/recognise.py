"""Reads another packer's manifest: which layers are the model, and what is said about it.

All of it is decided before anything large is fetched. Names and descriptions come from strangers.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from lockgate.domain.artifact import Descriptor, Manifest
from lockgate.errors import Corrupt, Denied, UsageError
from lockgate.oci.foreign.expand import require_decoder
from lockgate.oci.foreign.media_types import Packer, Wrapping, layer_type

MOST_LAYERS: Final = 512
_TITLES: Final = ("org.cncf.model.filepath", "org.opencontainers.image.title")
_LONGEST: Final = 255
_UNSAFE: Final = frozenset(
    {".bin", ".ckpt", ".h5", ".joblib", ".keras", ".pickle", ".pkl", ".pt", ".pth", ".py", ".so"}
)
"""Suffixes of what runs code when it is loaded. Bytes decide in the end; this saves fetching."""


_NAMES: Final = (
    ("tokenizer.json", "tokenizer.json", "tokenizer"),
    ("config.json", "config.json", "config"),
    ("", ".jinja", "chat-template"),
    ("", ".j2", "chat-template"),
    ("license", "", "license"),
    ("licence", "", "license"),
    ("copying", "", "license"),
    ("notice", "", "license"),
    ("readme", "", "model-card"),
)
"""How a name begins and ends, and what the file is then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer that is taken in."""

    role: str
    """What its files are, unless their names say it better."""
    path: str
    """Of a raw layer's file; empty for archives, which have their own names."""
    wrapping: Wrapping
    blob: Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a packer's config says. What is unknown is empty."""

    title: str = ""
    licence: str = ""
    architecture: str = ""
    parameters: str = ""
    quantisation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A model as another tool packed it."""

    packer: Packer
    parts: tuple[Part, ...]
    described: Described
    left_out: tuple[str, ...]
    """Media types of layers that are not part of a model here."""


def recognise(packer: Packer, manifest: Manifest, config: bytes) -> Foreign:
    """Find the parts of a model.

    Raises:
        UsageError: nothing in it is a model's weights, or a layer cannot be unpacked here.
        Denied: by its name, a file runs code when it is loaded.
        Corrupt: a name leads out of the model's folder, or there are too many layers.

    """
    if len(manifest.layers) > MOST_LAYERS:
        raise Corrupt(
            f"the {packer} manifest has {len(manifest.layers):,} layers, at most {MOST_LAYERS} "
            "are taken in"
        )
    parts: list[Part] = []
    left_out: list[str] = []
    for layer in manifest.layers:
        found = layer_type(layer.media_type)
        if found is None or not found.role:
            left_out.append(layer.media_type[:120])
            continue
        raw = found.wrapping is Wrapping.RAW
        path = _path(layer, found.name) if raw else ""
        require_decoder(found.wrapping, layer.media_type[:120])
        parts.append(Part(role=found.role, path=path, wrapping=found.wrapping, blob=layer))
    if not any(part.role == "weights" for part in parts):
        listed = ", ".join(f"`{at}`" for at in sorted(set(left_out))[:5]) or "none"
        raise UsageError(
            f"the {packer} manifest has no layer with weights; layers that are not known: {listed}",
            hint="name a tag whose model is one GGUF file, or safetensors files",
        )
    return Foreign(
        packer=packer,
        parts=tuple(parts),
        described=_described(packer, config),
        left_out=tuple(left_out),
    )


def inner_path(path: str) -> str:
    """Return a file's path inside a model.

    Raises:
        Corrupt: it is absolute, leads upwards, or has characters that no file's name needs.
        Denied: by its name, the file runs code when it is loaded.

    """
    parts = path.removeprefix("./").split("/")
    if (
        len(path) > _LONGEST
        or not path.isprintable()
        or any(part in {"", ".", ".."} or "\\" in part for part in parts)
    ):
        raise Corrupt(
            f"the model has a file called {path[:120]!r}",
            hint="names are relative, without `..`; nothing was kept",
        )
    if PurePosixPath(path).suffix.lower() in _UNSAFE:
        raise Denied(
            f"the model has the file `{path}`, which runs code when it is loaded",
            hint="have it packed as safetensors or GGUF; nothing was kept",
        )
    return "/".join(parts)


def role_of(path: str, otherwise: str) -> str:
    """Return what a file is by its name, where its layer did not say exactly."""
    name = PurePosixPath(path).name.lower()
    if otherwise not in {"weights", "config", "doc"}:
        return otherwise
    if name.endswith((".gguf", ".safetensors")):
        if "mmproj" in name:
            return "mmproj"
        return "lora" if name.startswith(("adapter", "lora")) else "weights"
    return next((role for begin, end, role in _NAMES if _fits(name, begin, end)), "file")


def _fits(name: str, begin: str, end: str) -> bool:
    return name.startswith(begin) and name.endswith(end)


def _path(layer: Descriptor, otherwise: str) -> str:
    said = next((layer.annotations[key] for key in _TITLES if layer.annotations.get(key)), "")
    return inner_path(said or otherwise or layer.digest.hex)


def _described(packer: Packer, config: bytes) -> Described:
    document = _object(_json(config))
    match packer:
        case Packer.MODELPACK:
            said, model = _object(document.get("descriptor")), _object(document.get("config"))
            return Described(
                title=_text(said.get("title")) or _text(said.get("name")),
                licence=_conjunction(_texts(said.get("licenses"))),
                architecture=_text(model.get("architecture")),
                parameters=_text(model.get("paramSize")),
                quantisation=_text(model.get("quantization")),
            )
        case Packer.KITOPS:
            package, model = _object(document.get("package")), _object(document.get("model"))
            return Described(
                title=_text(model.get("name")) or _text(package.get("name")),
                licence=_text(model.get("license")) or _text(package.get("license")),
            )
        case Packer.DOCKER:
            model = _object(document.get("config"))
            return Described(
                architecture=_text(model.get("architecture")),
                quantisation=_text(model.get("quantization")),
            )
        case Packer.OLLAMA:
            families = _texts(document.get("model_families"))
            return Described(
                architecture=_text(document.get("model_family")) or next(iter(families), ""),
                quantisation=_text(document.get("file_type")),
            )


def _conjunction(licences: Sequence[str]) -> str:
    """Read several licences as all of them: who may do less is never wrong."""
    several = len(licences) > 1
    return " AND ".join(
        f"({text})" if several and " " in text else text for text in sorted(set(licences))
    )


def _json(config: bytes) -> object:
    try:
        found: object = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise Corrupt("the config of the model is not JSON") from error
    return found


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    usable = isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST
    return str(value).strip() if usable else ""


def _texts(value: object) -> Sequence[str]:
    return list(_each(value)) if isinstance(value, list) else ()


def _each(values: Sequence[object]) -> Iterator[str]:
    for value in values[:16]:
        if text := _text(value):
            yield text
