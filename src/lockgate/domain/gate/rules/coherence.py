"""Rule 7: the parts of the release fit each other."""

from collections.abc import Iterator
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.evidence import PinFacts
from lockgate.domain.gate.matching import listed

TEXT_ROLES: Final = frozenset({"model", "text"})
"""Roles of models that take a prompt, where the prompt names none."""


def coherence(case: Case) -> Iterator[Finding]:
    """Refuse parts that were made for other parts than those that are pinned."""
    pins = sorted(case.evidence.pins, key=lambda pin: (pin.role, pin.name))
    models = [pin for pin in pins if pin.kind is Kind.MODEL]
    refusals = [
        finding
        for pin in pins
        for finding in (
            *_made_with(pin, models, "embedder", pin.embedder),
            *_made_with(pin, models, "base", pin.base),
            *_variables(pin),
            *_context(case, pin, models),
        )
    ]
    yield from refusals
    if not refusals:
        yield allow(
            Rule.COHERENCE,
            "pins",
            "embedders, adapters, prompt variables and context budgets fit the pinned models",
        )


def _made_with(
    pin: PinFacts, models: list[PinFacts], check: str, needed: Digest | None
) -> Iterator[Finding]:
    if needed is None or any(model.digest == needed for model in models):
        return
    pinned = [f"{model.name} {model.digest}" for model in models]
    verb = "was built with the embedder" if check == "embedder" else "adapts the model"
    yield deny(
        Rule.COHERENCE,
        check,
        f"{pin.kind} `{pin.name}` {verb} {needed}, the release pins the models: {listed(pinned)}",
        hint=f"pin that model, or make the {pin.kind} again with the pinned one",
    )


def _variables(pin: PinFacts) -> Iterator[Finding]:
    missing = sorted(set(pin.variables_required) - set(pin.variables_provided))
    if missing:
        yield deny(
            Rule.COHERENCE,
            "variables",
            f"{pin.kind} `{pin.name}` reads {listed(missing)}, the task provides: "
            f"{listed(sorted(pin.variables_provided))}",
            hint="add the variables to the task's input schema, or take them out of the prompt",
        )


def _context(case: Case, pin: PinFacts, models: list[PinFacts]) -> Iterator[Finding]:
    if pin.budget_tokens is None:
        return
    roles = {pin.runs_on} if pin.runs_on else TEXT_ROLES
    takers = [model for model in models if model.role in roles]
    if pin.runs_on and not takers and pin.runs_on not in case.external:
        yield deny(
            Rule.COHERENCE,
            "model",
            f"{pin.kind} `{pin.name}` runs on the model of the role `{pin.runs_on}`, the release "
            f"has the roles: {listed(model.role for model in models)}",
            hint="pin a model for that role",
        )
    for model in takers:
        if model.context_tokens is not None and model.context_tokens < pin.budget_tokens:
            yield deny(
                Rule.COHERENCE,
                "context",
                f"{pin.kind} `{pin.name}` may need {pin.budget_tokens} tokens, the model "
                f"`{model.name}` takes {model.context_tokens}",
                hint="shorten the prompt or its answer, or pin a model with a longer context",
            )
