"""Compares two releases of this machine: their documents, their artifacts, what is said of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from lockgate.app.attesting import gather
from lockgate.app.models import layout_of, release_store
from lockgate.app.trust import trust_store
from lockgate.config.environment import Environment
from lockgate.domain.digest import Digest
from lockgate.domain.predicates.evaluation import PREDICATE_TYPE, Evaluation
from lockgate.domain.release import Release
from lockgate.domain.release_diff import (
    Difference,
    Score,
    changed_pins,
    differences,
    licence_differences,
    score_differences,
    text_differences,
)
from lockgate.domain.trust import Role
from lockgate.errors import Corrupt
from lockgate.oci.releases import StoredRelease


def compare(
    before: StoredRelease, after: StoredRelease, environment: Environment, now: datetime
) -> Sequence[Difference]:
    """Return what changes from one release to the other.

    Raises:
        Corrupt: an artifact is damaged, or the trust root is.

    """
    releases = release_store(environment)
    found = list(differences(before.release, after.release))
    for one, other in changed_pins(before.release, after.release):
        found += text_differences(one.role, releases.texts(one), releases.texts(other))
    licences = (_licences(stored.release, environment) for stored in (before, after))
    found += licence_differences(*licences)
    scores = (_scores(stored, environment, now) for stored in (before, after))
    found += score_differences(*scores)
    return found


def _licences(release: Release, environment: Environment) -> Mapping[str, str]:
    releases = release_store(environment)
    by_role: dict[str, set[str]] = {}
    for pin in release.pins:
        licence = releases.licence(pin)
        if licence:
            by_role.setdefault(pin.role, set()).add(licence)
    return {role: ", ".join(sorted(found)) for role, found in by_role.items()}


def _scores(stored: StoredRelease, environment: Environment, now: datetime) -> Mapping[str, Score]:
    """Return the newest word of evaluators whom the trust root names."""
    trust = trust_store(environment).load(now)
    attestations, _ = gather(layout_of(environment), [stored.digest], trust)
    newest: dict[str, tuple[datetime, Digest, Score]] = {}
    for said in attestations:
        key = None if trust is None else trust.key(said.key)
        if said.statement.predicate_type != PREDICATE_TYPE or key is None:
            continue
        if key.may(Role.EVALUATOR, stored.release.task, now):
            continue
        try:
            evaluation = Evaluation.read(said.statement.predicate)
        except Corrupt:
            continue  # a gate says so; here it counts for nothing
        for claim in evaluation.claims:
            name = f"{evaluation.suite} {claim.metric}"
            score = Score(
                value=claim.value,
                interval=None
                if claim.interval is None
                else (claim.interval.lower, claim.interval.upper),
                samples=evaluation.sample_size,
                dataset=evaluation.dataset,
            )
            entry = (evaluation.evaluated_at, said.digest, score)
            if name not in newest or entry[:2] > newest[name][:2]:
                newest[name] = entry
    return {name: score for name, (_, _, score) in newest.items()}
