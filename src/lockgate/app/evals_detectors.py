"""What assertions borrow from the guards and the statistics; opened when one first asks."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.evals.assertion import Detectors, Find, Found

if TYPE_CHECKING:
    from lockgate.guards.injection import InjectionGuard
    from lockgate.guards.pipeline import Pipeline


def detectors() -> Detectors:
    """Return the detectors of this installation."""
    return Detectors(
        secrets=_in(Category.SECRETS),
        personal=_in(Category.PERSONAL),
        injection=_orders,
        links=_links,
        ranking=_ranking,
    )


def _in(category: Category) -> Find:
    def find(text: str) -> Sequence[Found]:
        return _scanned(text, category, ())

    return find


def _links(text: str, hosts: Sequence[str]) -> Sequence[Found]:
    return _scanned(text, Category.LINKS, tuple(hosts))


def _scanned(text: str, category: Category, hosts: tuple[str, ...]) -> Sequence[Found]:
    from lockgate.guards.pipeline import Scanned

    stream = _pipeline(category, hosts).output_stream(Scanned(text=""))
    stream.feed(text)
    stream.finish()
    return [Found(each.rule, each.start, each.end) for each in stream.findings]


@cache
def _pipeline(category: Category, hosts: tuple[str, ...]) -> "Pipeline":
    from lockgate.guards.pipeline import Pipeline
    from lockgate.guards.policy import Policy

    policy = Policy(output={category: Action.FLAG}, allowed_hosts=hosts)
    return Pipeline({DataClass.INTERNAL: policy})


@cache
def _injection_guard() -> "InjectionGuard":
    from lockgate.guards.injection import InjectionGuard

    return InjectionGuard()


def _orders(text: str) -> Sequence[Found]:
    # As something that another model will read: stricter than what a user may type.
    suspects = _injection_guard().suspects(text, retrieved=True)
    return [Found(each.rule, each.start, each.end) for each in suspects]


def _ranking(measure: str, ranked: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    from lockgate.statistics.retrieval import mrr_at_k, ndcg_at_k, recall_at_k

    if measure == "ndcg":
        return ndcg_at_k(ranked, grades, k)
    relevant = {name for name, grade in grades.items() if grade > 0}
    return {"recall": recall_at_k, "mrr": mrr_at_k}[measure](ranked, relevant, k)
