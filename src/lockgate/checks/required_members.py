"""A check that an output says something under each name that it must have."""

from collections.abc import Sequence

from lockgate.domain.call import Draft
from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.verdict import Outcome, Verdict


class RequiredMembersCheck:
    """Fails an output in which a member is missing, null, empty or blank.

    A JSON Schema can demand that a member is there; a small model then likes to fill it with
    spaces. Numbers and booleans always say something.
    """

    def __init__(self, name: str, members: Sequence[str]) -> None:
        self.name = name
        self._members = tuple(members)

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        lacking = [name for name in self._members if _is_blank(draft.output.get(name))]
        if not lacking:
            return Verdict(check=self.name, outcome=Outcome.PASS)
        listed = ", ".join(f"`{name}`" for name in lacking)
        return Verdict(check=self.name, outcome=Outcome.FAIL, reason=f"nothing under {listed}")


def _is_blank(value: Json) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (not isinstance(value, bool | int | float) and not value)
