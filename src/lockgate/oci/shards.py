"""GGUF models in several files: which belong together, and in what order.

Format: llama.cpp `tools/gguf-split`. The files are called `NAME-00001-of-00003.gguf`, each header
says which of how many it is, and the first has the keys of the whole.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lockgate.errors import Corrupt, NotFound, UsageError
from lockgate.oci.gguf import Shard

MOST: Final = 512
_NAME: Final = re.compile(r"(.{1,200})-([0-9]{5})-of-([0-9]{5})\.gguf")


def role(number: int) -> str:
    """Return the role of the file with that number, from 1 on."""
    return "weights" if number == 1 else f"shard-{number}"


def beside(path: Path, shard: Shard) -> Sequence[Path]:
    """Return the files of a model, in order, of which `path` is one.

    Raises:
        UsageError: the name is not that of a shard, or says otherwise than its header.
        NotFound: a file is not in the same folder.

    """
    named = _NAME.fullmatch(path.name)
    says = f"{shard.number} of {shard.count}"
    if named is None or (int(named[2]), int(named[3])) != (shard.number, shard.count):
        raise UsageError(
            f"`{path.name}` is file {says} of a model by its header, and not by its name",
            hint=f"call it NAME-{shard.number:05d}-of-{shard.count:05d}.gguf",
        )
    _require_few(shard.count, path.name)
    found = [
        path.with_name(f"{named[1]}-{number:05d}-of-{shard.count:05d}.gguf")
        for number in range(1, shard.count + 1)
    ]
    missing = [other.name for other in found if not other.is_file()]
    if missing:
        raise NotFound(
            f"`{path.name}` is file {says} of a model; {len(missing)} of them not in "
            f"`{path.parent}`: `{missing[0]}`",
            hint="put all of them into one folder",
        )
    return found


def ordered(found: Sequence[tuple[str, Shard]]) -> Sequence[int]:
    """Return the places in `found`, of names with what their headers say, in the model's order.

    Raises:
        Corrupt: the files are not all of one model, each once.

    """
    if not found:
        return ()
    name, first = found[0]
    _require_few(first.count, name)
    places: dict[int, int] = {}
    for at, (other, shard) in enumerate(found):
        if (shard.count, shard.total) != (first.count, first.total):
            raise Corrupt(
                f"`{other}` is of a model in {shard.count} files with {shard.total:,} tensors, "
                f"`{name}` of one in {first.count} with {first.total:,}"
            )
        if shard.number > shard.count:
            raise Corrupt(f"`{other}` is file {shard.number} of {shard.count}")
        if shard.number in places:
            twin = found[places[shard.number]][0]
            raise Corrupt(f"`{other}` and `{twin}` are both file {shard.number} of {shard.count}")
        places[shard.number] = at
    missing = [number for number in range(1, first.count + 1) if number not in places]
    if missing:
        raise Corrupt(
            f"`{name}` is of a model in {first.count} files, and file {missing[0]} is missing",
            hint="fetch or pack all of them",
        )
    tensors = sum(shard.tensors for _, shard in found)
    if tensors != first.total:
        raise Corrupt(
            f"the {first.count} files of the model have {tensors:,} tensors, "
            f"`{name}` says {first.total:,}"
        )
    return [places[number] for number in range(1, first.count + 1)]


def _require_few(count: int, name: str) -> None:
    if count > MOST:
        raise Corrupt(f"`{name}` is of a model in {count:,} files, at most {MOST} are taken in")
