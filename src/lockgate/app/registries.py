"""Registries: who we are there, and what moves between them and this machine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lockgate.app.models import layout_of, model_store, release_store
from lockgate.app.trust import trust_store
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Descriptor
from lockgate.domain.digest import Digest
from lockgate.domain.predicates import provenance
from lockgate.domain.trust import Role
from lockgate.errors import LockgateError, UsageError
from lockgate.oci.attestations import BUNDLE
from lockgate.oci.closure import Moved, Names, copy, pull_closure, push_closure
from lockgate.oci.foreign.pull import foreign_manifest, pull_foreign
from lockgate.oci.inventory import PullResult, require_name
from lockgate.oci.models import ModelStore
from lockgate.oci.policies import policies_only
from lockgate.oci.reference import Reference
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.releases import listed_name
from lockgate.oci.remote_models import model_named
from lockgate.oci.remote_tree import Trust
from lockgate.oci.tree import Tree
from lockgate.oci.views.make import attach_view
from lockgate.oci.views.view import View
from lockgate.ports import Progress
from lockgate.signing.attest import verified


def registry_settings(loaded: Loaded, environment: Environment) -> RegistrySettings:
    """Return how registries are spoken to here."""
    variables = environment.variables
    proxies = {
        scheme: address
        for scheme in ("http", "https", "all", "no")
        if (address := variables.get(f"{scheme}_proxy") or variables.get(f"{scheme.upper()}_PROXY"))
    }
    return RegistrySettings(
        insecure=frozenset(loaded.config.registries.insecure),
        auth_files=_auth_files(environment),
        helper_environment=variables,
        ca_file=environment.ca_file,
        proxies=proxies,
        connections=loaded.config.registries.connections,
    )


@contextmanager
def opened(loaded: Loaded, environment: Environment, at: Reference) -> Iterator[Repository]:
    """Open the repository of an address, and close it at the end of the block."""
    with Registry(at.host, registry_settings(loaded, environment)) as registry:
        yield Repository(registry, at.repository, layout_of(environment))


class Registries:
    """Moves models and releases. One object a command."""

    def __init__(
        self, loaded: Loaded, environment: Environment, progress: Progress, now: datetime
    ) -> None:
        self._loaded = loaded
        self._environment = environment
        self._progress = progress
        self._now = now

    def push_model(self, name: str, address: str, views: Sequence[View] = ()) -> Moved:
        """Bring a model of this machine into a registry, under the address's tag or `latest`.

        Each view gets a tag of its own: `TAG-VIEW`.

        Raises:
            ModelMissing, NotFound: it is not here.
            UsageError: the model has no such view.
            And as `push_closure`.

        """
        at = _place_for_tag(address)
        layout = layout_of(self._environment)
        described = model_store(self._loaded, self._environment).keep(name)
        made = {view: attach_view(layout, described.digest, view) for view in views}
        tag = at.tag or "latest"
        moved = self.push(described.digest, str(at), tag=tag)
        with opened(self._loaded, self._environment, at) as target:
            for view, view_at in made.items():
                data = layout.read(view_at.digest)
                target.manifests.put(data, view_at.media_type, tag=f"{tag}-{view}")
        return moved

    def pull_model(self, address: str, name: str | None = None) -> PullResult:
        """Bring a model of a registry here, as `name` or as the last part of its repository.

        What another tool packed is repacked, so its digest here is another one.

        Raises:
            UsageError: what is there is not a model, or the name cannot be taken.
            And as `pull_closure`, and `pull_foreign`.

        """
        at = Reference.parse(address)
        chosen = name or at.repository.rpartition("/")[2]
        models = model_store(self._loaded, self._environment)
        with opened(self._loaded, self._environment, at) as source:
            foreign = foreign_manifest(source, at.digest or at.label)
            if foreign is not None:
                _accept(models, chosen, foreign[0].digest)
                layout = layout_of(self._environment)
                return pull_foreign(source, layout, foreign, chosen, self._progress)
            moved = self._pull(
                source, at, model_named(source, chosen, lambda *asked: _accept(models, *asked))
            )
        return PullResult(name=chosen, digest=moved.root, size=moved.size, fetched=moved.sent > 0)

    def push(self, root: Digest, address: str, *, tag: str = "") -> Moved:
        """Bring a release, or any artifact of the store, into a registry, with its closure.

        Without `tag` the address's own counts. Raises as `push_closure`.
        """
        at = _place_for_tag(address)
        with opened(self._loaded, self._environment, at) as target:
            return push_closure(
                layout_of(self._environment),
                target,
                root,
                tag=tag or at.tag,
                progress=self._progress,
            )

    def push_release(self, digest: Digest, address: str) -> Moved:
        """Bring a release into a registry, under the address's tag or the release's version.

        Raises as `push_closure`.
        """
        at = _place_for_tag(address)
        release = release_store(self._environment).get(digest).release
        return self.push(digest, str(at), tag=at.tag or release.version.replace("+", "_"))

    def pull_release(self, address: str) -> Moved:
        """Bring a release here, with all that it pins and what is said about it.

        Raises:
            UsageError: what is there is not a release.
            And as `pull_closure`.

        """
        at = Reference.parse(address)

        def names(tree: Tree) -> dict[str, Descriptor]:
            if tree.release is None:
                raise UsageError(
                    f"`{address}` is a `{tree.root.manifest.artifact_type[:120]}`, not a release",
                    hint=f"a model is fetched with `lockgate model pull {address}`",
                )
            name = listed_name(tree.release.task, tree.root.digest)
            return {name: tree.root.descriptor}

        with opened(self._loaded, self._environment, at) as source:
            return self._pull(source, at, names)

    def pull_policy(self, address: str) -> Moved:
        """Bring a policy here, with what is said about it.

        Raises:
            UsageError: what is there is not a policy.
            And as `pull_closure`.

        """
        at = Reference.parse(address)
        with opened(self._loaded, self._environment, at) as source:
            return self._pull(source, at, policies_only(address))

    def copy(self, source: str, target: str) -> Moved:
        """Bring an artifact with its closure from one address to another. Raises as `copy`."""
        here, there = Reference.parse(source), _place_for_tag(target)
        settings = registry_settings(self._loaded, self._environment)
        layout = layout_of(self._environment)
        with Registry(here.host, settings) as first, Registry(there.host, settings) as second:
            return copy(
                Repository(first, here.repository, layout),
                Repository(second, there.repository, layout),
                layout,
                here.digest or here.label,
                tag=there.tag or here.tag,
                progress=self._progress,
            )

    def _pull(self, source: Repository, at: Reference, names: Names) -> Moved:
        return pull_closure(
            source,
            layout_of(self._environment),
            at.digest or at.label,
            names=names,
            trusted=self._trusted(),
            progress=self._progress,
        )

    def _trusted(self) -> Trust:
        """Believe the chunk tables of what a trusted builder signed."""
        root = trust_store(self._environment).load(self._now)
        if root is None:
            return lambda _tree, _source: False
        keys = {key.fingerprint: key.pem for key in root.keys}

        def trusted(tree: Tree, source: Repository) -> bool:
            task = tree.release.task if tree.release else ""
            for bundle in _bundles(tree, source):
                try:
                    said = verified(bundle, keys)
                except LockgateError:
                    continue  # whoever signed it does not count here
                key = root.key(said.key)
                about = {subject.digest for subject in said.statement.subjects}
                if (
                    key is not None
                    and not key.may(Role.BUILDER, task, self._now)
                    and said.statement.predicate_type == provenance.PREDICATE_TYPE
                    and tree.root.digest in about
                ):
                    return True
            return False

        return trusted


def _bundles(tree: Tree, source: Repository) -> Iterator[bytes]:
    for node in tree.attached:
        subject = node.manifest.subject
        if (
            node.manifest.artifact_type == BUNDLE
            and subject is not None
            and subject.digest == tree.root.digest
        ):
            for layer in node.manifest.layers:
                yield source.downloads.read(layer)


def _accept(models: ModelStore, name: str, digest: Digest) -> None:
    require_name(name)
    if models.in_catalogue(name) and models.digest(name) != digest:
        raise UsageError(
            f"`{name}` is a model of the catalogue with the digest {models.digest(name)}, the "
            f"registry has {digest}",
            hint="choose another name with `--name`",
        )


def _place_for_tag(address: str) -> Reference:
    at = Reference.parse(address)
    if at.digest is not None:
        raise UsageError(
            f"`{address}` names a digest, and what is pushed has its own",
            hint="give the address with a tag, or without one",
        )
    return at


def _auth_files(environment: Environment) -> tuple[Path, ...]:
    """Return where credentials may be (containers-auth.json(5), docker/cli), first what counts."""
    found = []
    variables = environment.variables
    if named := variables.get("REGISTRY_AUTH_FILE"):
        found.append(Path(named))
    if runtime := variables.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime) / "containers" / "auth.json")
    home = variables.get("HOME")
    if folder := variables.get("DOCKER_CONFIG"):
        found.append(Path(folder) / "config.json")
    elif home:
        found.append(Path(home) / ".docker" / "config.json")
    return tuple(found)
