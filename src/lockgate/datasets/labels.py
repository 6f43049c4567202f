"""Doubtful answers, what people say of them, and the cases that come of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from lockgate.datasets.agreement import Agreement, kappa
from lockgate.domain.digest import Json, JsonObject, canonical
from lockgate.errors import InvalidInput

CONFIDENCE: Final = 0.6
"""Answers below it are doubtful."""
_ANSWERED: Final = "answered"
_GOOD: Final = "pass"


class Judgement(StrEnum):
    """What a person says of an answer."""

    ACCEPT = "accept"
    CORRECT = "correct"
    """It should have been another, which is given."""
    REJECT = "reject"
    """It is wrong, or the input is; no case comes of it."""


MAX_INPUTS: Final = 100_000
"""Inputs whose last answer is kept for comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An answer that somebody should look at."""

    call: str
    at: str
    reasons: tuple[str, ...]
    confidence: float | None
    input: JsonObject
    output: JsonObject | None
    """None: the call got no answer."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "call": self.call,
            "at": self.at,
            "reasons": list(self.reasons),
            "confidence": self.confidence,
            "input": self.input,
            "output": self.output,
        }

    @classmethod
    def read(cls, row: JsonObject) -> Self:
        """Return the item of a document.

        Raises:
            InvalidInput: it is none.

        """
        given, output, reasons = row.get("input"), row.get("output"), row.get("reasons")
        confidence = row.get("confidence")
        if not (
            isinstance(row.get("call"), str)
            and isinstance(given, dict)
            and (output is None or isinstance(output, dict))
            and isinstance(reasons, list)
        ):
            raise InvalidInput("it is no item of a queue: `call`, `input`, `output`, `reasons`")
        return cls(
            call=str(row["call"]),
            at=str(row.get("at", "")),
            reasons=tuple(str(reason) for reason in reasons),
            confidence=float(confidence) if isinstance(confidence, int | float) else None,
            input=given,
            output=output,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one person said of one answer."""

    call: str
    labeller: str
    judgement: Judgement
    expect: JsonObject | None
    """The right output, where it was corrected."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "call": self.call,
            "labeller": self.labeller,
            "judgement": str(self.judgement),
            "expect": self.expect,
        }

    @classmethod
    def read(cls, row: JsonObject, *, labeller: str = "") -> Self:
        """Return the label of a document; `labeller` stands in where it names none.

        Raises:
            InvalidInput: it is none.

        """
        judgement, expect = row.get("judgement"), row.get("expect")
        if judgement not in set(Judgement):
            known = ", ".join(Judgement)
            raise InvalidInput(f"`judgement` is `{judgement}`, and there are {known}")
        corrected = judgement == Judgement.CORRECT
        if corrected and not isinstance(expect, dict):
            raise InvalidInput("a correction lacks `expect`, the right output as an object")
        name = row.get("labeller") or labeller
        if not isinstance(row.get("call"), str) or not isinstance(name, str) or not name:
            raise InvalidInput("`call` or `labeller` is missing")
        return cls(
            call=str(row["call"]),
            labeller=name,
            judgement=Judgement(str(judgement)),
            expect=expect if corrected and isinstance(expect, dict) else None,
        )


def doubts(detail: JsonObject, output: JsonObject | None, *, below: float) -> list[str]:
    """Return why a call's answer is doubtful, by its audit event; empty if it is not."""
    found: list[str] = []
    if detail.get("outcome") != _ANSWERED:
        return [f"no answer: {detail.get('outcome')}"]
    for attempt in _objects(detail.get("attempts")):
        engine = attempt.get("engine")
        if "error" in attempt:
            found.append(f"the {engine} failed: {attempt.get('reason') or attempt['error']}")
        found += [
            f"check `{verdict.get('check')}` of the {engine}: {verdict.get('reason')}"
            for verdict in _objects(attempt.get("verdicts"))
            if verdict.get("outcome") != _GOOD
        ]
    degraded = detail.get("degraded")
    if isinstance(degraded, list):
        found += [f"degraded: {reason}" for reason in degraded]
    sure = confidence_of(output)
    if sure is not None and sure < below:
        found.append(f"the confidence is {sure:.2f}, below {below:.2f}")
    return list(dict.fromkeys(found))


@dataclass(slots=True)
class Answers:
    """The last answer to each input, so that another release's or engine's other answer shows."""

    _last: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)

    def differing(self, call: str, detail: JsonObject) -> list[str]:
        """Return why an answered call is doubtful beside the one before it to the same input."""
        given, said = detail.get("input"), detail.get("output")
        if detail.get("outcome") != _ANSWERED or not (
            isinstance(given, str) and isinstance(said, str)
        ):
            return []
        now = (call, str(detail.get("release")), str(detail.get("engine")), said)
        before = self._last.pop(given, None)
        if len(self._last) >= MAX_INPUTS:
            del self._last[next(iter(self._last))]
        self._last[given] = now
        if before is None or before[3] == said or before[1:3] == now[1:3]:
            return []
        who = "another release" if before[1] != now[1] else f"the {before[2]}"
        return [f"{who} answered otherwise in the call `{before[0]}`"]


def confidence_of(output: JsonObject | None) -> float | None:
    """Return what an output says of its own confidence."""
    value = output.get("confidence") if output is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def ordered(items: Iterable[Item]) -> list[Item]:
    """Return items, the most doubtful first: by confidence, then by the number of reasons."""
    return sorted(
        items,
        key=lambda i: (
            1.0 if i.confidence is None else i.confidence,
            -len(i.reasons),
            i.call,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What all labels come to."""

    cases: Sequence[JsonObject]
    rejected: int
    disputed: Sequence[str]
    """Calls that people do not agree on: no case until they do."""


def cases_of(items: Sequence[Item], labels: Sequence[Label]) -> Outcome:
    """Return a case for each answer that was accepted or corrected, and by all alike."""
    newest: dict[str, dict[str, Label]] = {}
    for label in labels:
        newest.setdefault(label.call, {})[label.labeller] = label
    cases: list[JsonObject] = []
    disputed: list[str] = []
    rejected = 0
    for item in items:
        said = list(newest.get(item.call, {}).values())
        if not said:
            continue
        wanted = {_expected(item, label) for label in said}
        if len(wanted) > 1:
            disputed.append(item.call)
        elif said[0].judgement is Judgement.REJECT:
            rejected += 1
        else:
            right = said[0].expect if said[0].expect is not None else item.output
            cases.append({"name": f"call {item.call}", "input": item.input, "expect": right})
    return Outcome(cases=cases, rejected=rejected, disputed=disputed)


def agreement(labels: Sequence[Label], first: str, second: str) -> Agreement:
    """Return how far two people agree in their judgements of the answers that both saw.

    Raises:
        InvalidInput: they judged none in common.

    """
    own: dict[str, dict[str, Label]] = {first: {}, second: {}}
    for label in labels:
        if label.labeller in own:
            own[label.labeller][label.call] = label
    common = sorted(own[first].keys() & own[second].keys())
    if not common:
        raise InvalidInput(
            f"`{first}` judged {len(own[first])} answer(s), `{second}` {len(own[second])}: "
            "none in common",
            hint="let the second label the same queue: `--labeller NAME`",
        )
    return kappa(
        [str(own[first][call].judgement) for call in common],
        [str(own[second][call].judgement) for call in common],
    )


def _expected(item: Item, label: Label) -> bytes:
    if label.judgement is Judgement.REJECT:
        return b"reject"
    return canonical(label.expect if label.expect is not None else item.output)


def _objects(value: Json) -> list[Mapping[str, Json]]:
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, Mapping)]
