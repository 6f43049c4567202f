"""Rule 8, in space: what the policy lets run there, where data may go, what must be recorded."""

from collections.abc import Iterator, Mapping

from lockgate.domain.artifact import Kind
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.matching import listed, matches

LOCAL = "local"
"""What the registry of an artifact from the local store is called in a policy."""


def known(case: Case) -> Iterator[Finding]:
    """Refuse an environment that the policy does not know."""
    environment, task = case.evidence.environment, case.evidence.release.task
    if case.policy.rules(task, environment) is None:
        yield deny(
            Rule.ENVIRONMENT,
            "known",
            f"the policy `{case.policy.name}` knows the environments "
            f"{listed(sorted(case.policy.environments))}, not `{environment}`",
            hint="name one of these, or add it to the policy",
        )
    elif case.policy.embedded:
        yield allow(
            Rule.ENVIRONMENT,
            "unsigned",
            "the embedded policy holds: local builds run unsigned, and are marked so",
        )
    else:
        yield allow(
            Rule.ENVIRONMENT,
            "known",
            f"the policy `{case.policy.name}` requires `{case.rules.require}` in `{environment}`",
        )


def allowed(case: Case) -> Iterator[Finding]:
    """Refuse models, registries, destinations and data classes that the policy does not name."""
    rules, there = case.rules, case.evidence.surroundings
    pins = sorted(case.evidence.pins, key=lambda pin: (pin.role, pin.name))
    models = [pin.name for pin in pins if pin.kind is Kind.MODEL]
    models += sorted(set(case.external.values()))
    registries = sorted({pin.repository or LOCAL for pin in pins})
    checks = (
        ("models", "the model", models, rules.models),
        ("registries", "the origin", registries, rules.registries),
        ("destinations", "the destination", sorted(there.destinations), rules.destinations),
        ("data-classes", "the data class", sorted(there.data_classes), rules.data_classes),
    )
    for check, what, values, patterns in checks:
        for value in values:
            if not matches(value, patterns):
                yield deny(
                    Rule.ENVIRONMENT,
                    check,
                    f"{what} `{value}` is not allowed in `{case.evidence.environment}`, "
                    f"allowed: {listed(patterns)}",
                    hint="use an allowed one, or have the policy's owner allow it",
                )


def records(case: Case) -> Iterator[Finding]:
    """Refuse an environment that records less, or keeps it shorter or longer, than required."""
    rules, there = case.rules, case.evidence.surroundings
    missing = sorted(set(rules.logging_fields) - set(there.logging_fields or ()))
    if missing:
        yield deny(
            Rule.ENVIRONMENT,
            "logging",
            f"the audit of `{case.evidence.environment}` lacks {listed(missing)}, it records: "
            f"{listed(sorted(there.logging_fields or ()))}",
            hint="record these fields there",
        )
    least, most, kept = rules.min_retention_days, rules.max_retention_days, there.retention_days
    if least is None and most is None:
        return
    too_short = least is not None and (kept is None or kept < least)
    too_long = most is not None and (kept is None or kept > most)
    if too_short or too_long:
        bounds = f"{least if least is not None else 0} to {most if most is not None else 'any'}"
        yield deny(
            Rule.ENVIRONMENT,
            "retention",
            f"`{case.evidence.environment}` keeps payloads for "
            f"{'an unknown number of' if kept is None else kept} days, required: {bounds}",
            hint="set `audit.payload_retention_days` there",
        )


def quota(case: Case) -> Iterator[Finding]:
    """Refuse a release that needs more memory than is there."""
    requires, there = case.evidence.release.document.get("requires"), case.evidence.surroundings
    if not isinstance(requires, Mapping):
        return
    for key, name, has in (
        ("ramMiB", "memory", there.ram_mib),
        ("vramMiB", "GPU memory", there.vram_mib),
    ):
        needed = requires.get(key)
        if isinstance(needed, int) and has is not None and needed > has:
            yield deny(
                Rule.ENVIRONMENT,
                "quota",
                f"the release needs {needed} MiB of {name}, "
                f"`{case.evidence.environment}` has {has} MiB",
                hint="pin a smaller model, or give the environment more",
            )
