"""The models of this machine: what there is, where its files are, whether they are whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lockgate.domain.artifact import MANIFEST, Descriptor
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, ModelMissing, NotFound, StorageFailed, UsageError
from lockgate.oci.catalogue import (
    BuiltinSource,
    Catalogue,
    Model,
)
from lockgate.oci.inventory import ModelInfo, PullResult, State, Verification, require_name
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import config_digest, pack
from lockgate.oci.model_files import listed, problem, problems
from lockgate.oci.settings import ModelSettings
from lockgate.oci.shelf import Shelf
from lockgate.ports import Progress

_TRIES = 3


class ModelStore:
    """Models in one OCI image layout. Implements `ports.ModelFiles`."""

    def __init__(self, root: Path, catalogue: Catalogue, settings: ModelSettings) -> None:
        self._layout = Layout(root)
        self._catalogue = catalogue
        self._settings = settings
        self._shelf = Shelf(self._layout, catalogue, settings)

    @property
    def layout(self) -> Layout:
        """Where its models are, and what releases pin beside them."""
        return self._layout

    def pull(self, name: str, progress: Progress, *, if_missing: bool = False) -> PullResult:
        """Make a model of the catalogue be here.

        What is here already is hashed again, and fetched again if it is damaged; with
        `if_missing`, a look at the sizes is enough.

        Raises:
            NotFound: no such model, or its source does not have it.
            Unavailable: its source does not answer.
            Denied: its source wants credentials.
            Corrupt: its source has other bytes.
            StorageFailed: the disk is full or read-only.

        """
        model = self._catalogue.models.get(name)
        if model is None:
            raise self._shelf.unknown(name)
        if isinstance(model.source, BuiltinSource):
            self._shelf.builtin(model, model.source)
            return _result(model, fetched=False)
        return self._bring(model, progress, trust_sizes=if_missing)

    def pull_file(
        self, path: Path, name: str, progress: Progress, *, link: bool = False
    ) -> PullResult:
        """Take a GGUF file of the user's into the store, under a name of its own.

        With `link`, the store and the user share one read-only file. A file that did not change
        since it was taken in is not read again.

        Raises:
            UsageError: the name is not one, or belongs to the catalogue; or the file changed
                while it was read.
            NotFound: there is no such file.
            Corrupt: it is not a whole GGUF file.
            StorageFailed: the disk is full or read-only.

        """
        require_name(name)
        if name in self._catalogue.models:
            raise UsageError(
                f"`{name}` is a model of the catalogue", hint="choose another name with `--name`"
            )
        if not path.is_file():
            raise NotFound(f"`{path}` is not a file", hint="give the path of a GGUF file")
        # Imported here because only packing needs the second hash function.
        from lockgate.oci.packing import pack_file  # noqa: PLC0415

        return pack_file(self._layout, path, name, link=link, progress=progress)

    def files(self, model: str, digest: Digest | None = None) -> Mapping[str, Path]:
        """Return read-only paths by role, to be mapped in place. Looks at sizes; hashes nothing.

        With `digest`, of the manifest that a release pins, the files are those of that manifest.

        Raises:
            ModelMissing: the model is not here; the hint has the command.
            NotFound: no catalogue knows the model, and it is not here.
            Corrupt: a file is missing or cut off; the hint has the command.

        """
        if digest is not None and digest != self._shelf.known(model):
            return self._shelf.pinned(model, digest)
        found, digest = self._shelf.find(model)
        if isinstance(found.source, BuiltinSource):
            return self._shelf.builtin(found, found.source)
        state = self._shelf.state(found, digest)
        if state is State.PULLED:
            return self._shelf.paths(found)
        if state is State.DAMAGED:
            bad = [f.title for f in found.files if not self._layout.has(f.digest, f.size)]
            raise Corrupt(
                f"the model `{model}` is damaged: {listed(bad) or 'its manifest'} "
                "is missing or has the wrong size",
                hint=self._shelf.repair(model),
            )
        why = "is here in an older version" if state is State.OUTDATED else "is not here"
        raise ModelMissing(f"the model `{model}` {why}", hint=self._shelf.repair(model))

    def digest(self, name: str) -> Digest:
        """Return what a release pins: known before the model is pulled.

        Raises:
            NotFound: no catalogue knows the model, and it is not here.
            Corrupt: only the store knows it, and its manifest is damaged.

        """
        return self._shelf.find(name)[1]

    def manifest(self, name: str) -> Descriptor:
        """Return where the manifest that a release pins is, or would be. Raises as `digest`."""
        model, digest = self._shelf.find(name)
        if name in self._catalogue.models:
            size = len(pack(model).manifest)
        else:
            size = self._layout.manifests()[name].size
        return Descriptor(media_type=MANIFEST, digest=digest, size=size)

    def size(self, name: str) -> int:
        """Return the bytes of a model's files. Raises as `digest`."""
        return self._shelf.find(name)[0].size

    def backend(self, name: str) -> str:
        """Return the name of the backend that a model is made for.

        Raises:
            UsageError: no backend runs its format.
            NotFound, Corrupt: as `digest`.

        """
        model = self._shelf.find(name)[0]
        if not model.backend:
            raise UsageError(
                f"no backend here runs the model `{name}`: its weights are `{model.format}`",
                hint="name a backend that serves it: `tasks.TASK.models.ROLE.backend`",
            )
        return model.backend

    def keep(self, name: str) -> Descriptor:
        """Make a model be in the store itself, where releases are verified and pushed from.

        Models that are part of the package are copied; others must be here.

        Raises:
            ModelMissing, NotFound, Corrupt: as `files`.
            StorageFailed: the disk is full or read-only.

        """
        paths = self.files(name)
        found = self._shelf.find(name)[0]
        described = self.manifest(name)
        if not isinstance(found.source, BuiltinSource):
            return described
        packed = pack(found)
        self._layout.prepare()
        for path in paths.values():
            self._layout.put(path.read_bytes())
        self._layout.put(packed.config)
        self._layout.put(packed.manifest)
        self._layout.name(name, described)
        return described

    def list(self) -> Sequence[ModelInfo]:
        """Return the models of the catalogue and those that were pulled from files, by name."""
        names = {*self._catalogue.models, *self._layout.manifests()}
        found = []
        for name in sorted(names):
            try:
                found.append(self._shelf.info(*self._shelf.find(name)))
            except Corrupt:
                continue  # an image that some other tool put into the layout
        return found

    def show(self, name: str) -> ModelInfo:
        """Return one model. Raises as `digest`."""
        model, digest = self._shelf.find(name)
        info = self._shelf.info(model, digest)
        if name in self._catalogue.models or "weights" not in info.paths:
            return info
        # The manifest has no place for the context length (ModelPack's config is closed).
        from lockgate.oci.headers.weights import read_weights  # noqa: PLC0415

        context = read_weights(info.paths["weights"], shown=name).context_tokens
        return replace(info, model=replace(model, context_tokens=context))

    def verify(self, name: str) -> Verification:
        """Hash every byte of a model that is here.

        Raises:
            ModelMissing: it is not here.
            NotFound: no catalogue knows it, and it is not here.

        """
        model, digest = self._shelf.find(name)
        if isinstance(model.source, BuiltinSource):
            found = problems(model, self._shelf.package_paths(model, model.source))
        elif self._shelf.state(model, digest) in {State.MISSING, State.OUTDATED}:
            raise ModelMissing(f"the model `{name}` is not here", hint=self._shelf.repair(name))
        else:
            found = problems(model, self._shelf.paths(model))
            try:
                self._layout.read(config_digest(self._layout.read(digest)))
            except Corrupt as error:
                found.append(error.message)
        return Verification(name=name, digest=digest, problems=tuple(found))

    def remove(self, name: str) -> int:
        """Take a model away, with what a broken-off pull left. Return the bytes freed.

        Files that another model uses stay.

        Raises:
            NotFound: it is not here.
            UsageError: it is part of the package.

        """
        model = self._catalogue.models.get(name)
        if model is not None and isinstance(model.source, BuiltinSource):
            raise UsageError(f"the model `{name}` is part of the package and cannot be removed")
        partials = [] if model is None else self._shelf.partials(model)
        if name not in self._layout.manifests() and not partials:
            raise NotFound(
                f"the model `{name}` is not in the local store", hint="see `lockgate model list`"
            )
        self._layout.prepare()
        freed = self._layout.forget(name)
        for path in partials:
            with self._layout.lock(path.stem):
                freed += self._layout.discard(path)
        return freed

    def in_catalogue(self, name: str) -> bool:
        """Say whether a catalogue knows where the model comes from."""
        return self._shelf.in_catalogue(name)

    def repair(self, name: str) -> str:
        """Return the command that brings a model back."""
        return self._shelf.repair(name)

    def _bring(self, model: Model, progress: Progress, *, trust_sizes: bool) -> PullResult:
        packed = pack(model)
        if self._shelf.state(model, packed.digest) is State.PULLED and (
            trust_sizes or not self._drop_damaged(model)
        ):
            return _result(model, fetched=False)
        # Imported here because the HTTP client takes longer than everything else in this room,
        # and only a pull needs it.
        from lockgate.oci.sources import Puller  # noqa: PLC0415

        self._layout.prepare()
        puller = Puller(self._layout, self._settings, progress)
        fetched = False
        for _ in range(_TRIES):
            fetched |= puller.fetch(model)
            self._layout.put(packed.config)
            self._layout.put(packed.manifest)
            manifest = Descriptor(
                media_type=MANIFEST, digest=packed.digest, size=len(packed.manifest)
            )
            if self._layout.name(model.name, manifest):
                return _result(model, fetched=fetched)
            # Another process removed a model that shares a file, between fetching and naming.
        raise StorageFailed(
            f"the files of `{model.name}` were removed while it was pulled", hint="pull it again"
        )

    def _drop_damaged(self, model: Model) -> bool:
        """Delete the files that do not match their digests. Return whether there were any."""
        bad = [file for file in model.files if problem(file, self._layout.blob(file.digest))]
        for file in bad:
            self._layout.discard(self._layout.blob(file.digest))
        return bool(bad)


def _result(model: Model, *, fetched: bool) -> PullResult:
    return PullResult(name=model.name, digest=pack(model).digest, size=model.size, fetched=fetched)
