"""Says in sentences what a policy demands of one task in one environment."""

from collections.abc import Iterator

from lockgate.domain.decimals import decimal_text
from lockgate.domain.gate.decision import Rule
from lockgate.domain.gate.matching import listed, span
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import (
    EnvironmentRules,
    FreezeWindow,
    Require,
    RequiredEvaluation,
)

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_REQUIRE = {
    Require.NONE: "anything runs, unsigned local builds too",
    Require.SIGNED: "only a release that a builder signed runs",
    Require.PROMOTED: "only a release that the gate let through runs",
}


def explain(rules: EnvironmentRules) -> Iterator[tuple[Rule, str]]:
    """Yield each demand with the rule that asks for it, in the order of the rules."""
    yield Rule.CLOSURE, "the release and all that it pins are there and whole"
    if rules.external_models is not None:
        yield Rule.CLOSURE, f"models on servers that show no bytes: {listed(rules.external_models)}"
    signed = rules.require is not Require.NONE
    yield (
        Rule.TRUST,
        "a trust root is in force" if signed else "no trust root is needed for signatures",
    )
    if signed:
        yield (
            Rule.SIGNATURES,
            "provenance by a builder, for the release and each pin not named here",
        )
    for kind, claims in sorted(rules.attestations.items()):
        yield Rule.SIGNATURES, f"of each {kind}: {listed(claims)}"
    for evaluation in rules.evaluations:
        yield Rule.EVALUATION, _evaluation(evaluation)
    yield from _duties(rules)
    yield Rule.SAFETY, f"models and adapters in the formats {listed(rules.formats)}; never pickle"
    yield Rule.SAFETY, f"licences {_any(rules.licences)}; safe chat templates"
    yield Rule.COHERENCE, "embedders, adapters, prompt variables and context budgets fit the pins"
    yield Rule.ENVIRONMENT, f"`{rules.require}`: {_REQUIRE[rules.require]}"
    yield from _environment(rules)


def _evaluation(required: RequiredEvaluation) -> str:
    parts = [
        f"`{required.suite}` {required.metric} {required.comparator} "
        f"{decimal_text(required.threshold)} on "
        + (f"`{required.dataset}`" if required.dataset else "the pinned dataset"),
        f"{required.min_samples} samples or more",
    ]
    if required.max_age is not None:
        parts.append(f"at most {span(required.max_age)} old")
    if required.interval_required:
        parts.append("with a confidence interval")
    if required.preregistered:
        parts.append("registered by a policy owner before it is measured")
    if required.max_regression is not None:
        allowance = decimal_text(required.max_regression)
        parts.append(f"worse than what runs there by at most {allowance}")
    if required.harnesses != ("*",):
        parts.append(f"by the harness {listed(required.harnesses)}")
    return ", ".join(parts)


def _duties(rules: EnvironmentRules) -> Iterator[tuple[Rule, str]]:
    if rules.approvals == 0:
        yield Rule.DUTIES, "no approval; a rejection by an approver still refuses"
        return
    text = f"{rules.approvals} approvals by people who neither built nor evaluated it"
    if rules.owners:
        text += f", of {listed(rules.owners)}"
    if rules.approval_max_age is not None:
        text += f", at most {span(rules.approval_max_age)} old"
    yield Rule.DUTIES, text


def _environment(rules: EnvironmentRules) -> Iterator[tuple[Rule, str]]:
    if rules.after:
        yield Rule.ENVIRONMENT, f"after {span(rules.soak)} in `{rules.after}`"
    for window in rules.freezes:
        yield Rule.ENVIRONMENT, f"not {_window(window)} ({window.reason})"
    if rules.verdict_max_age is not None:
        yield Rule.ENVIRONMENT, f"a verdict holds for {span(rules.verdict_max_age)}"
    yield Rule.ENVIRONMENT, f"break-glass may set aside: {listed(rules.break_glass)}"
    for what, patterns in (
        ("models", rules.models),
        ("registries", rules.registries),
        ("destinations of data", rules.destinations),
        ("data classes", rules.data_classes),
    ):
        if patterns != ("*",):
            yield Rule.ENVIRONMENT, f"{what}: {listed(patterns)}"
    if rules.logging_fields:
        yield Rule.ENVIRONMENT, f"audit events record {listed(rules.logging_fields)}"
    if rules.min_retention_days is not None:
        yield Rule.ENVIRONMENT, f"payloads are kept for {rules.min_retention_days} days or more"
    if rules.max_retention_days is not None:
        yield Rule.ENVIRONMENT, f"payloads are kept for {rules.max_retention_days} days at most"


def _window(window: FreezeWindow) -> str:
    if window.starts is not None and window.ends is not None:
        return f"from {instant_text(window.starts)} to {instant_text(window.ends)}"
    days = ", ".join(_DAYS[day] for day in window.weekdays)
    until = "24:00" if window.until_time is None else f"{window.until_time:%H:%M}"
    return f"on {days} from {window.from_time:%H:%M} to {until} UTC"


def _any(patterns: tuple[str, ...]) -> str:
    return "of any kind" if "*" in patterns else listed(patterns)
