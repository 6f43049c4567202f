"""What models there are, in the catalogue and in the store, and where their files are."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, ModelMissing, NotFound
from lockgate.oci.catalogue import BuiltinSource, Catalogue, Model, OciSource, PypiSource
from lockgate.oci.inventory import ModelInfo, State
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import SOURCE_MANIFEST, config_digest, pack, unpack
from lockgate.oci.model_files import listed, problems, stored_model
from lockgate.oci.settings import ModelSettings

_UNFINISHED: Final = ("part", "etag", "tmp")


class Shelf:
    """Knows models by name and by digest. Changes nothing."""

    def __init__(self, layout: Layout, catalogue: Catalogue, settings: ModelSettings) -> None:
        self._layout = layout
        self._catalogue = catalogue
        self._settings = settings
        self._checked: set[str] = set()

    def find(self, name: str) -> tuple[Model, Digest]:
        """Return a model of the catalogue, or of the store alone, with its digest.

        Raises NotFound, and Corrupt if its manifest is damaged.
        """
        model = self._catalogue.models.get(name)
        if model is not None:
            return model, pack(model).digest
        descriptor = self._layout.manifests().get(name)
        if descriptor is None:
            raise self.unknown(name)
        model = stored_model(self._layout, name, descriptor.digest)
        return model, descriptor.digest

    def state(self, model: Model, digest: Digest) -> State:
        """Say whether a model can be used. Looks at sizes."""
        if isinstance(model.source, BuiltinSource):
            return State.BUILTIN
        descriptor = self._layout.manifests().get(model.name)
        if descriptor is None:
            return State.MISSING
        if descriptor.digest != digest:
            return State.OUTDATED
        whole = self._layout.has(digest, descriptor.size) and all(
            self._layout.has(file.digest, file.size) for file in model.files
        )
        return State.PULLED if whole else State.DAMAGED

    def info(self, model: Model, digest: Digest) -> ModelInfo:
        """Return what is known of a model."""
        state = self.state(model, digest)
        paths: Mapping[str, Path] = {}
        if isinstance(model.source, BuiltinSource):
            paths = self.package_paths(model, model.source)
        elif state is State.PULLED:
            paths = self.paths(model)
        return ModelInfo(model=model, state=state, digest=digest, paths=paths)

    def paths(self, model: Model) -> Mapping[str, Path]:
        """Return where the files are, by role."""
        return {file.role: self._layout.blob(file.digest) for file in model.files}

    def package_paths(self, model: Model, source: BuiltinSource) -> Mapping[str, Path]:
        """Return where the files of a model of the package are, by role."""
        folder = self._settings.package_root / source.path
        return {file.role: folder / file.member for file in model.files}

    def builtin(self, model: Model, source: BuiltinSource) -> Mapping[str, Path]:
        """Return the paths of files in the package; hashed at the first use in a process."""
        paths = self.package_paths(model, source)
        if model.name not in self._checked:
            found = problems(model, paths)
            if found:
                raise Corrupt(
                    f"the built-in model `{model.name}` is damaged: {found[0]}",
                    hint="install lockgate again",
                )
            self._checked.add(model.name)
        return paths

    def pinned(self, name: str, digest: Digest) -> Mapping[str, Path]:
        """Return the files of a manifest that a release brought here, by its digest alone."""
        if not self._layout.blob(digest).exists():
            raise ModelMissing(
                f"the release pins the model `{name}` as {digest}, which is not here; "
                f"`{name}` is {self.known(name) or 'unknown'}",
                hint="pull the release that pins it: lockgate release pull oci://…",
            )
        manifest = self._layout.read(digest)
        files = unpack(manifest, self._layout.read(config_digest(manifest))).files
        bad = [file.title for file in files if not self._layout.has(file.digest, file.size)]
        if bad:
            raise Corrupt(
                f"the model `{name}` ({digest}) is damaged: {listed(bad)} is missing or has the "
                "wrong size",
                hint="pull the release that pins it again",
            )
        return {file.role: self._layout.blob(file.digest) for file in files}

    def known(self, name: str) -> Digest | None:
        """Return what a name stands for; None if nobody knows it."""
        try:
            return self.find(name)[1]
        except NotFound:
            return None

    def in_catalogue(self, name: str) -> bool:
        """Say whether a catalogue knows where the model comes from."""
        return name in self._catalogue.models

    def repair(self, name: str) -> str:
        """Return the command that brings a model back."""
        if self.in_catalogue(name):
            return f"lockgate model pull {name}"
        with suppress(NotFound, Corrupt):
            model = self.find(name)[0]
            if isinstance(model.source, OciSource):
                repacked = any(file.role == SOURCE_MANIFEST for file in model.files)
                if not repacked:
                    return f"lockgate model quantise {model.source.name} --name {name}"
                return f"lockgate model pull oci://… --name {name}"
        return f"lockgate model pull PATH --name {name}"

    def partials(self, model: Model) -> Sequence[Path]:
        """Return what broken-off pulls of a model left."""
        digests = {file.digest for file in model.files}
        if isinstance(model.source, PypiSource):
            digests.add(model.source.digest)
        names = [f"{digest.hex}.{end}" for digest in sorted(digests) for end in _UNFINISHED]
        return [path for name in names if (path := self._layout.ingest / name).exists()]

    def unknown(self, name: str) -> NotFound:
        """Return the error for a name that nobody knows."""
        close = get_close_matches(name, self._catalogue.models, n=1)
        return NotFound(
            f"no model is called `{name[:80]}`",
            hint=f"did you mean `{close[0]}`?" if close else "see `lockgate model list`",
        )
