import pytest

from lockgate.domain.call import DataClass, Principal
from lockgate.domain.search import Reading

ANA = Principal(name="hr/ana", scopes=frozenset())


@pytest.mark.parametrize(
    ("reading", "allowed"),
    [
        (Reading(), True),
        (Reading(readers=()), False),
        (Reading(readers=("hr/ana",)), True),
        (Reading(readers=("hr/an",)), False),
        (Reading(readers=("ops/*", "hr/*")), True),
        (Reading(readers=("hr",)), False),
        (Reading(readers=("*",)), True),
        (Reading(classification="public"), True),
        (Reading(classification="internal"), True),
        (Reading(classification="confidential"), False),
        (Reading(readers=("hr/ana",), classification="confidential"), False),
        (Reading(classification="cosmic"), False),
    ],
)
def test_a_document_is_for_its_readers_in_calls_of_its_class(
    reading: Reading, *, allowed: bool
) -> None:
    assert reading.allows(ANA, DataClass.INTERNAL) is allowed
