"""A check of how much text an output holds."""

from lockgate.checks.text import texts
from lockgate.domain.call import Draft
from lockgate.domain.digest import JsonObject
from lockgate.domain.verdict import Outcome, Verdict


class LengthCheck:
    """Fails an output whose text, or the text of one member, is too short or too long."""

    def __init__(
        self,
        name: str,
        *,
        max_characters: int,
        min_characters: int = 0,
        member: str | None = None,
    ) -> None:
        if not 0 <= min_characters <= max_characters:
            raise ValueError(f"no length is within {min_characters} and {max_characters}")
        self.name = name
        self._least = min_characters
        self._most = max_characters
        self._member = member

    def judge(self, given: JsonObject, draft: Draft) -> Verdict:
        value = draft.output if self._member is None else draft.output.get(self._member)
        length = sum(map(len, texts(value)))
        if self._least <= length <= self._most:
            return Verdict(check=self.name, outcome=Outcome.PASS)
        what = "the text" if self._member is None else f"`{self._member}`"
        return Verdict(
            check=self.name,
            outcome=Outcome.FAIL,
            reason=f"{what} has {length} characters, allowed are {self._least} to {self._most}",
        )
