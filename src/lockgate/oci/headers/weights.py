"""What a file of weights is and says, whatever its format; files that run code are refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.errors import Denied
from lockgate.oci.formats import format_of
from lockgate.oci.gguf import Shard
from lockgate.oci.gguf import read_header as read_gguf
from lockgate.oci.headers.safetensors import read_header as read_safetensors

RUNS_CODE: Final = frozenset({"pickle", "pytorch", "elf", "python"})
_HINT: Final = "have it packed as safetensors or GGUF; nothing was kept"
_THOUSANDS: Final = ((12, "T"), (9, "B"), (6, "M"), (3, "K"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a header says; what it does not say is empty."""

    format: str
    title: str = ""
    licence: str = ""
    architecture: str = ""
    parameters: str = ""
    """As ModelPack writes them: `135M`, `6.7B`."""
    quantisation: str = ""
    context_tokens: int | None = None
    chat_template: str = ""
    shard: Shard | None = None
    """None if the file is a model by itself, or not GGUF."""


def read_weights(path: Path, *, shown: str) -> Weights:
    """Read the header of a file of weights, all of whose lengths are checked.

    Raises:
        Denied: it is neither GGUF nor safetensors.
        Corrupt: it is damaged or cut off.

    """
    found = format_of(path)
    if found == "gguf":
        said = read_gguf(path, shown=shown)
        return Weights(
            format=found,
            title=said.title,
            licence=said.licence,
            architecture=said.architecture,
            quantisation=said.quantisation,
            context_tokens=said.context_tokens,
            chat_template=said.chat_template,
            shard=said.shard,
        )
    if found == "safetensors":
        header = read_safetensors(path, shown=shown)
        return Weights(
            format=found, parameters=_rounded(header.parameters), quantisation=header.precision
        )
    raise Denied(f"`{shown}` is `{found}`, taken as weights: `gguf`, `safetensors`", hint=_HINT)


def require_harmless(path: Path, *, shown: str) -> None:
    """Refuse a file that runs code when it is loaded. Raises Denied."""
    found = format_of(path)
    if found in RUNS_CODE:
        raise Denied(f"`{shown}` is `{found}`, which runs code when it is loaded", hint=_HINT)


def _rounded(parameters: int) -> str:
    for power, letter in _THOUSANDS:
        if parameters >= 10**power:
            tenths = parameters * 10 // 10**power
            return f"{tenths // 10}{letter}" if tenths % 10 == 0 else f"{tenths / 10}{letter}"
    return ""
