import pytest

from lockgate.domain.call import DataClass, Principal
from lockgate.domain.policy import ALL_TASKS, authorise, authorise_egress
from lockgate.errors import Denied


def principal(*scopes: str) -> Principal:
    return Principal(name="ada", scopes=frozenset(scopes))


@pytest.mark.parametrize("scopes", [(ALL_TASKS,), ("task:review",), ("task:x", "task:review")])
def test_the_scope_of_the_task_or_of_all_tasks_lets_in(scopes: tuple[str, ...]) -> None:
    authorise(principal(*scopes), "review")


@pytest.mark.parametrize(
    "scopes", [(), ("task:",), ("task:reviews",), ("review",), ("TASK:review",), ("task:rev*",)]
)
def test_nothing_else_does(scopes: tuple[str, ...]) -> None:
    with pytest.raises(Denied, match="`ada` may not call the task `review`"):
        authorise(principal(*scopes), "review")


def test_a_task_called_star_is_not_every_task() -> None:
    with pytest.raises(Denied):
        authorise(principal("task:review"), "*")


@pytest.mark.parametrize("data_class", list(DataClass))
def test_data_goes_only_where_its_class_is_named(data_class: DataClass) -> None:
    authorise_egress(data_class, "vllm", frozenset({data_class}))
    with pytest.raises(Denied, match="`vllm`"):
        authorise_egress(data_class, "vllm", frozenset(DataClass) - {data_class})


def test_a_backend_that_takes_nothing_says_so() -> None:
    with pytest.raises(Denied, match="takes: nothing"):
        authorise_egress(DataClass.PUBLIC, "vllm", frozenset())
