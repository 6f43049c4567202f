"""Artifacts that are whole and wrong, in a registry."""

from pathlib import Path

import pytest

from lockgate.domain.artifact import Kind
from lockgate.errors import Corrupt
from lockgate.oci.closure import pull_closure, push_closure
from lockgate.oci.layout import Layout
from lockgate.oci.registry.repository import Repository
from oci.doubles import Counter
from oci.kinds.test_kinds import ALL, put, repacked
from oci.registry.conftest import debian, layout, registry, repository
from oci.registry.samples import as_root

__all__ = ["debian", "layout", "registry", "repository"]  # fixtures


@pytest.mark.parametrize("kind", ALL)
def test_a_pull_checks_what_an_artifact_promises(
    repository: Repository, layout: Layout, tmp_path: Path, kind: Kind
) -> None:
    good = ALL[kind].put(layout, "good")
    bad = repacked(kind, lambda config: put(config, "apiVersion", "lockgate/v2")).put(layout, "bad")
    for at, tag in ((good, "good"), (bad, "bad")):
        push_closure(layout, repository, at.digest, tag=tag, progress=Counter())
    target = Layout(tmp_path / "target")
    source = Repository(repository.registry, repository.name, target)
    pulled = pull_closure(source, target, "good", names=as_root, progress=Counter())
    assert pulled.root == good.digest
    with pytest.raises(Corrupt, match=f"{bad.digest} is not a valid {kind}"):
        pull_closure(source, target, "bad", names=as_root, progress=Counter())
    assert target.manifests()["pulled"].digest == good.digest
