"""Takes a model that another tool packed into the store, as a model of ours.

Raw layers become ours as they are; archives are unpacked, since what is mapped into memory has to
be a file of its own. The other tool's manifest stays beside the files, so what was repacked can be
compared with what it was made of.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from lockgate.domain.artifact import INDEX, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, StorageFailed, UsageError
from lockgate.oci.arrival import take_in
from lockgate.oci.catalogue import Model, ModelFile, OciSource
from lockgate.oci.chunks import ChunkTable
from lockgate.oci.foreign.media_types import Packer, packer_of
from lockgate.oci.foreign.recognise import Foreign, recognise, role_of
from lockgate.oci.foreign.unpack import Unpacked, unpack_part
from lockgate.oci.gguf import Shard
from lockgate.oci.headers.weights import Weights, read_weights, require_harmless
from lockgate.oci.ingest import TABLED_ABOVE
from lockgate.oci.inventory import PullResult
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import SOURCE_MANIFEST, base_role, pack
from lockgate.oci.model_files import problem, stored_model
from lockgate.oci.packing import GGUF_BACKEND, publish
from lockgate.oci.registry.manifests import Fetched
from lockgate.oci.registry.repository import Repository
from lockgate.oci.shards import ordered
from lockgate.oci.shards import role as shard_role
from lockgate.ports import Progress

_TRIES: Final = 3


def foreign_manifest(source: Repository, label: str | Digest) -> tuple[Fetched, Packer] | None:
    """Fetch what a label stands for; None if no other packer of models made it.

    Raises as `Manifests.get`.
    """
    found = source.manifests.get(label)
    if found.media_type == INDEX:
        return None
    packer = packer_of(Manifest.parse(found.data))
    return None if packer is None else (found, packer)


def pull_foreign(
    source: Repository,
    layout: Layout,
    found: tuple[Fetched, Packer],
    name: str,
    progress: Progress,
) -> PullResult:
    """Bring a model of another packer here as `name`. Every blob is hashed by SHA-256.

    Raises:
        Denied: a file runs code when it is loaded, or weights are of no format that is read.
        UsageError: it holds no weights, or a layer cannot be unpacked here.
        Corrupt: some bytes are not those of their digest, or not what their header says.
        NotFound, Unavailable: as `Downloads.fetch`.
        StorageFailed: the disk is full or read-only.

    """
    fetched, packer = found
    manifest = Manifest.parse(fetched.data)
    foreign = recognise(packer, manifest, source.downloads.read(manifest.config))
    layout.prepare()
    if (here := _here(layout, name, fetched.digest)) is not None:
        return here
    brought: set[Digest] = set()
    try:
        result = None
        for _ in range(_TRIES):
            _fetch(source, layout, foreign, brought, progress)
            result = _repack(layout, foreign, fetched, source, name, brought)
            if result is not None:
                break
            # Another process removed a blob between its arrival and its naming.
    except (Corrupt, UsageError):
        _drop_unused(layout, brought)
        raise
    _drop_unused(layout, brought)
    if result is not None:
        return result
    raise StorageFailed(f"the files of `{name}` were removed while it was pulled", hint="again")


def _here(layout: Layout, name: str, source: Digest) -> PullResult | None:
    """Return the model if it was made of that manifest, and every byte of it is right."""
    described = layout.manifests().get(name)
    if described is None:
        return None
    with suppress(Corrupt):
        model = stored_model(layout, name, described.digest)
        whole = not any(problem(file, layout.blob(file.digest)) for file in model.files)
        if isinstance(model.source, OciSource) and model.source.digest == source and whole:
            return PullResult(name=name, digest=described.digest, size=model.size, fetched=False)
    return None


def _fetch(
    source: Repository,
    layout: Layout,
    foreign: Foreign,
    brought: set[Digest],
    progress: Progress,
) -> None:
    blobs = list({part.blob.digest: part.blob for part in foreign.parts}.values())
    progress.start(f"pull {source.place}", sum(blob.size for blob in blobs))
    try:
        for blob in sorted(blobs, key=lambda at: at.size):  # a licence fails before 40 GB do
            # Another packer's annotations claim nothing here: only the digest counts.
            plain = replace(blob, annotations={})
            if take_in(source, layout, plain, advance=progress.advance):
                brought.add(blob.digest)
    finally:
        progress.finish()


def _repack(
    layout: Layout,
    foreign: Foreign,
    fetched: Fetched,
    source: Repository,
    name: str,
    brought: set[Digest],
) -> PullResult | None:
    """Return None if a file went missing meanwhile."""
    found = _in_order([(at, _checked(layout, at)) for at in _unpacked(layout, foreign, brought)])
    weights = next((said for role_, _, said in found if role_ == "weights"), None)
    if weights is None:
        raise Corrupt(
            f"the {foreign.packer} manifest {fetched.digest} holds no weights in its archives",
            hint="nothing was kept",
        )
    files: list[ModelFile] = []
    tables: list[ChunkTable] = []
    for role_, unpacked, _ in found:
        table = _table(unpacked)
        if table is not None:
            tables.append(table)
            layout.put(table.encode())
        files.append(_file(unpacked, _unique(role_, files), table))
    digest = layout.put(fetched.data)
    files.append(
        ModelFile(
            role=SOURCE_MANIFEST, member="manifest.json", digest=digest, size=len(fetched.data)
        )
    )
    origin = OciSource(name=source.name.rpartition("/")[2].lower(), digest=digest)
    packed = pack(_model(name, origin, files, weights, foreign))
    before = layout.manifests().get(name)
    if not publish(layout, name, packed, tables):
        return None
    left = f"; left out: {', '.join(sorted(set(foreign.left_out)))}" if foreign.left_out else ""
    return PullResult(
        name=name,
        digest=packed.digest,
        size=sum(file.size for file in files),
        fetched=before is None or before.digest != packed.digest,
        note=f"packed by {foreign.packer} as {digest}{left}",
    )


def _unpacked(layout: Layout, foreign: Foreign, brought: set[Digest]) -> Sequence[Unpacked]:
    found: list[Unpacked] = []
    for part in foreign.parts:
        for unpacked in unpack_part(layout, part):
            brought.add(unpacked.hashes.digest)
            found.append(unpacked)
    return found


def _checked(layout: Layout, unpacked: Unpacked) -> Weights | None:
    path = layout.blob(unpacked.hashes.digest)
    if role_of(unpacked.path, unpacked.role) in {"weights", "mmproj", "lora"}:
        return read_weights(path, shown=unpacked.path)
    require_harmless(path, shown=unpacked.path)
    return None


def _in_order(
    found: Sequence[tuple[Unpacked, Weights | None]],
) -> Sequence[tuple[str, Unpacked, Weights | None]]:
    """Give each file its role; parts of one model come first, in the order of their headers."""
    roles = [role_of(at.path, at.role) for at, _ in found]
    shards: list[tuple[int, Shard]] = []
    for at, (_, said) in enumerate(found):
        if roles[at] == "weights" and said is not None and said.shard is not None:
            shards.append((at, said.shard))
    places = ordered([(found[at][0].path, shard) for at, shard in shards])
    order = [shards[place][0] for place in places]
    for number, at in enumerate(order, 1):
        roles[at] = shard_role(number)
    rest = [at for at in range(len(found)) if at not in order]
    return [(roles[at], *found[at]) for at in (*order, *rest)]


def _table(unpacked: Unpacked) -> ChunkTable | None:
    hashes = unpacked.hashes
    return ChunkTable.of(hashes.size, hashes.chunks) if hashes.size > TABLED_ABOVE else None


def _unique(role: str, files: Sequence[ModelFile]) -> str:
    count = sum(base_role(file.role) == role for file in files)
    return f"{role}-{count + 1}" if count else role


def _file(unpacked: Unpacked, role: str, table: ChunkTable | None) -> ModelFile:
    return ModelFile(
        role=role,
        member=unpacked.path,
        digest=unpacked.hashes.digest,
        size=unpacked.hashes.size,
        blake3=unpacked.hashes.blake3,
        chunks=None if table is None else Digest.of(table.encode()),
    )


def _model(
    name: str,
    origin: OciSource,
    files: Sequence[ModelFile],
    weights: Weights,
    foreign: Foreign,
) -> Model:
    """Describe it by the weights' own header first: what a config says was typed by somebody."""
    said = foreign.described
    return Model(
        name=name,
        source=origin,
        files=tuple(files),
        backend=GGUF_BACKEND if weights.format == "gguf" else "",
        title=weights.title or said.title or name,
        licence=weights.licence or said.licence,
        architecture=weights.architecture or said.architecture,
        format=weights.format,
        parameters=weights.parameters,
        quantisation=weights.quantisation or said.quantisation,
        context_tokens=weights.context_tokens,
    )


def _drop_unused(layout: Layout, brought: Collection[Digest]) -> None:
    """Delete what was brought and nothing leads to: archives, and all of it after a refusal."""
    # Where a document cannot be read, better some bytes too many than a missing file.
    with layout.lock("index"), suppress(Corrupt):
        used = layout.closure(at.digest for _, at in layout.roots()).all
        for digest in sorted(set(brought) - used):
            layout.discard(layout.blob(digest))
