"""What a change touches of a suite: the base is read from git as it was, and compared case by case.

Not by the paths that changed: a file may be named anywhere, and a changed comment touches nothing.
"""

import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from lockgate.app.evals_models import models_of
from lockgate.app.evals_suites import Found, find_suite, tasks_of
from lockgate.app.tasks import find_task
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded, load
from lockgate.domain.digest import Digest
from lockgate.domain.release import Release
from lockgate.domain.release_diff import differences
from lockgate.errors import InvalidConfig, LockgateError, NotFound, UsageError
from lockgate.evals.expand import Case, Expansion

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore

_TIMEOUT_S = 120
_SHOWN = 20
_DATASET = "eval-dataset"
"""The pin of a task's cases: each of them is compared by itself."""


class Targeted(Protocol):
    """What of the command line's options says which suite is meant."""

    @property
    def target(self) -> str: ...
    @property
    def providers(self) -> tuple[str, ...]: ...


@dataclass(slots=True)
class Changes:
    """Says of each case why it is touched, and counts."""

    base: str
    """The commit."""
    before: Mapping[str, tuple[str, Digest, str]]
    """By case: what was asked, what was sent, and to whom."""
    providers: Mapping[str, Sequence[str]]
    """By provider id: what changed of what answers."""
    whole: str = ""
    """Why every case is touched."""
    reasons: Counter[str] = field(default_factory=Counter[str])
    untouched: int = 0

    def touches(self, case: Case) -> bool:
        """Say whether a case must run, and count why."""
        reason = self._reason(case)
        if reason:
            self.reasons[reason] += 1
        else:
            self.untouched += 1
        return bool(reason)

    def told(self) -> tuple[str, ...]:
        """Return what ran and why, for people."""
        listed = [
            f"since {self.base[:12]}: {count} case(s) run: {reason}"
            for reason, count in self.reasons.most_common(_SHOWN)
        ]
        return (*listed, f"since {self.base[:12]}: {self.untouched} case(s) are untouched")

    def _reason(self, case: Case) -> str:  # noqa: PLR0911  a table, the first that holds
        if self.whole:
            return self.whole
        changed = self.providers.get(case.provider.id)
        if changed:
            return f"`{case.provider.id}` changed: {'; '.join(changed[:_SHOWN])}"
        old = self.before.get(case.id)
        if old is None:
            return "the case is new"
        if old[0] != case.asked:
            return "the case, or what must hold of its answer, changed"
        if old[1] != _sent(case):
            return f"the prompt `{case.prompt.label[:60]}` changed"
        if old[2] != _provider(case):
            return f"the configuration of `{case.provider.id}` changed"
        return ""


def changes_since(
    base: str, loaded: Loaded, environment: Environment, found: Found, options: Targeted
) -> Changes:
    """Return what has changed since a commit, with the files of the working tree as they are.

    Raises:
        NotFound: there is no such commit, or this is no git repository.

    """
    here = Path.cwd().resolve()
    top = Path(_git(here, "rev-parse", "--show-toplevel")).resolve()
    commit = _git(here, "rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}")
    with _tree(top, commit) as tree:
        there = tree / here.relative_to(top)
        try:
            old_loaded = _loaded_there(loaded, top, tree, there)
            old = find_suite(old_loaded, options.target, here=there)
        except (LockgateError, OSError) as error:
            whole = f"there was no such suite: {error}"
            return Changes(base=commit, before={}, providers={}, whole=whole)
        # The command line may have put other providers in place of the suite's own, then as now.
        suite = (
            replace(old.suite, providers=found.suite.providers) if options.providers else old.suite
        )
        before = {
            case.id: (case.asked, _sent(case), _provider(case))
            for case in Expansion(suite, old.files)
            if isinstance(case, Case)
        }
        providers = _providers(loaded, old_loaded, environment, found)
    return Changes(base=commit, before=before, providers=providers)


def _loaded_there(loaded: Loaded, top: Path, tree: Path, there: Path) -> Loaded:
    if loaded.path is not None and loaded.path.resolve().is_relative_to(top):
        path = tree / loaded.path.resolve().relative_to(top)
        return load(path if path.is_file() else None, start=there)
    return loaded if loaded.path is not None else load(None, start=there)


def _providers(
    loaded: Loaded, old: Loaded, environment: Environment, found: Found
) -> Mapping[str, Sequence[str]]:
    """Compare releases: prompt, schemas, models, code, budget."""
    from lockgate.app.models import model_store

    changed: dict[str, Sequence[str]] = {}
    for name, task in tasks_of(loaded, found.suite).items():
        now = _release(loaded, model_store(loaded, environment), task.spec.name)
        before = _release(old, model_store(old, environment), task.spec.name)
        if before is None or now is None:
            changed[name] = ["the task is new"]
        elif listed := _differences(before, now):
            changed[name] = listed
    stores = (partial(model_store, each, environment) for each in (loaded, old))
    now_models, old_models = (models_of(found.suite, store) for store in stores)
    for name, digest in now_models.items():
        if old_models[name] != digest:
            changed[name] = [f"the model, {_short(str(old_models[name]))} became `{digest}`"]
    return changed


def _differences(before: Release, now: Release) -> list[str]:
    return [
        f"{each.what}, {_short(each.before)} became {_short(each.after)}"
        for each in differences(before, now)
        if not each.what.startswith(f"pin {_DATASET}")
    ]


def _release(loaded: Loaded, models: "ModelStore", name: str) -> Release | None:
    from lockgate.app.releases import release_of

    try:
        task = find_task(loaded, name)
    except InvalidConfig:
        return None
    return None if task is None else release_of(loaded, models, task.spec)


def _short(text: str | None) -> str:
    return "nothing" if text is None else f"`{text[:60]}`"


def _sent(case: Case) -> Digest:
    return Digest.of(case.sent.encode("utf-8", "surrogatepass"))


def _provider(case: Case) -> str:
    provider = case.provider
    return f"{provider.id} {provider.config!r} {provider.transform}"


@contextmanager
def _tree(top: Path, commit: str) -> Iterator[Path]:
    """Give a folder with the files of a commit."""
    with TemporaryDirectory(prefix="lockgate-base-") as name:
        folder = Path(name).resolve()
        archive = folder / "base.tar"
        tree = folder / "tree"
        tree.mkdir()
        _git(top, "archive", "--format=tar", f"--output={archive}", commit)
        with tarfile.open(archive) as opened:
            opened.extractall(tree, filter=_inside)  # noqa: S202  filtered, and written by git
        yield tree


def _inside(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Leave out links that lead elsewhere: they are not read as part of a suite, either."""
    try:
        return tarfile.data_filter(member, path)
    except tarfile.FilterError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except FileNotFoundError:
        raise UsageError("git is not installed", hint="apt-get install git") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git gave nothing in {_TIMEOUT_S} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise NotFound(
            f"git: {said[-1] if said else 'failed'}",
            hint="give a commit that is here; a shallow clone may lack it: git fetch --unshallow",
        )
    return done.stdout.strip()
