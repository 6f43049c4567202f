import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.call import DataClass, EngineKind
from lockgate.domain.digest import Digest
from lockgate.traffic.fallback import Candidate, Obstacle, chain
from lockgate.traffic.kill_switch import Kill, Kills, Leaves, Scope

ALL = frozenset(DataClass)
RULES = Candidate(engine=EngineKind.RULES)
LOCAL = Candidate(
    engine=EngineKind.MODEL, release=Digest.of(b"1"), model="smollm2", backend="llama_cpp"
)
NEXT = Candidate(
    engine=EngineKind.MODEL, release=Digest.of(b"0"), model="smollm1", backend="llama_cpp"
)
HOSTED = Candidate(
    engine=EngineKind.MODEL,
    release=Digest.of(b"1"),
    model="big",
    backend="hosted",
    data_classes=frozenset({DataClass.PUBLIC}),
)
CANDIDATES = (HOSTED, LOCAL, NEXT, RULES)


def off(scope: Scope, name: str = "", leaves: Leaves = Leaves.RULES) -> Kills:
    return Kills((Kill(scope=scope, name=name, leaves=leaves, reason="", actor="ana", at=""),))


def never(backend: str) -> bool:
    return False


def test_public_data_may_take_every_way_in_the_order_given() -> None:
    found = chain(CANDIDATES, DataClass.PUBLIC, task="review", kills=Kills(), is_open=never)
    assert found.candidates == CANDIDATES
    assert found.passed_over == ()


def test_confidential_data_never_falls_back_to_a_backend_that_may_not_have_it() -> None:
    found = chain(
        CANDIDATES,
        DataClass.CONFIDENTIAL,
        task="review",
        kills=off(Scope.MODEL, "smollm2"),
        is_open=lambda backend: backend == "llama_cpp",
    )
    assert found.candidates == (RULES,)
    assert (HOSTED, Obstacle.DATA_CLASS) in found.passed_over


@given(
    st.lists(
        st.builds(
            Candidate,
            engine=st.just(EngineKind.MODEL),
            model=st.sampled_from(["a", "b"]),
            backend=st.sampled_from(["x", "y", "z"]),
            data_classes=st.frozensets(st.sampled_from(DataClass)),
        )
        | st.just(RULES),
        max_size=6,
    ),
    st.sampled_from(DataClass),
    st.sampled_from([Kills(), off(Scope.ALL), off(Scope.TASK, "t"), off(Scope.MODEL, "a")]),
    st.frozensets(st.sampled_from(["x", "y", "z"])),
)
def test_no_chain_crosses_a_data_class_or_revives_what_is_off(
    candidates: list[Candidate], data_class: DataClass, kills: Kills, broken: frozenset[str]
) -> None:
    found = chain(candidates, data_class, task="t", kills=kills, is_open=broken.__contains__)
    for candidate in found.candidates:
        assert data_class in candidate.data_classes
        if candidate.engine is EngineKind.MODEL:
            assert kills.of_task("t") is None
            assert kills.of_model(candidate.model) is None
    assert len(found.candidates) + len(found.passed_over) == len(candidates)


def test_with_a_model_off_the_rest_of_the_chain_stays() -> None:
    kills = off(Scope.MODEL, "smollm2", Leaves.NOTHING)
    found = chain(CANDIDATES, DataClass.INTERNAL, task="review", kills=kills, is_open=never)
    assert found.candidates == (NEXT, RULES)


@pytest.mark.parametrize("kills", [off(Scope.ALL), off(Scope.TASK, "review")])
def test_with_a_task_off_its_rules_stay(kills: Kills) -> None:
    found = chain(CANDIDATES, DataClass.PUBLIC, task="review", kills=kills, is_open=never)
    assert found.candidates == (RULES,)


def test_with_nothing_left_on_nothing_answers() -> None:
    kills = off(Scope.ALL, leaves=Leaves.NOTHING)
    found = chain(CANDIDATES, DataClass.PUBLIC, task="review", kills=kills, is_open=never)
    assert found.candidates == ()


def test_an_open_circuit_is_tried_only_when_nothing_else_is_left() -> None:
    found = chain([LOCAL, RULES], DataClass.PUBLIC, task="t", kills=Kills(), is_open=lambda _: True)
    assert found.candidates == (RULES,)
    alone = chain([LOCAL], DataClass.PUBLIC, task="t", kills=Kills(), is_open=lambda _: True)
    assert alone.candidates == (LOCAL,)


def test_rules_that_refuse_a_data_class_are_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="rules run in this process"):
        Candidate(engine=EngineKind.RULES, data_classes=frozenset())
