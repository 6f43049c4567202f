"""Rule 1: the release and all that it pins are there, whole, and what the release says."""

from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.domain.artifact import Kind
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.evidence import PinFacts
from lockgate.domain.gate.matching import listed, matches

_PULL = "fetch it again with `lockgate release pull`, and look with `lockgate release verify`"
_BUILD = "build the release again with `lockgate release build`"


def closure(case: Case) -> Iterator[Finding]:
    """Refuse what is missing, changed, or not what the release document pins."""
    release = case.evidence.release
    flaws = list(release.flaws) or ([] if release.intact else [f"{case.what} is not intact"])
    for flaw in flaws:
        yield deny(Rule.CLOSURE, "release", flaw, hint=_PULL)
    if release.document.get("task") != release.task:
        yield deny(
            Rule.CLOSURE,
            "task",
            f"the release is of the task `{release.document.get('task')}`, not `{release.task}`",
            hint="name the release of this task; see `lockgate release list`",
        )
    pinned = _pinned(release.document.get("pins"))
    found = {(pin.role, pin.name): str(pin.digest) for pin in case.evidence.pins}
    differ = sorted({*pinned.items()} ^ {*found.items()})
    for (role, name), digest in differ:
        side = "the release pins" if pinned.get((role, name)) == digest else "the gate was shown"
        other = (found if side == "the release pins" else pinned).get((role, name), "none")
        yield deny(
            Rule.CLOSURE,
            "pins",
            f"{side} {role} `{name}` as {digest}, on the other side: {other}",
            hint=_BUILD,
        )
    servers = list(_external(case))
    yield from servers
    pins = sorted(case.evidence.pins, key=lambda pin: (pin.role, pin.name, pin.digest))
    broken = [finding for pin in pins for finding in _pin(pin)]
    yield from broken
    if not (flaws or differ or servers or broken):
        count = len(case.evidence.pins)
        yield allow(Rule.CLOSURE, "intact", f"{case.what} and its {count} pins are whole")
        for role, name in sorted(case.external.items()):
            yield allow(
                Rule.CLOSURE, "external", f"{role} `{name}` runs on a server that shows no bytes"
            )


def _external(case: Case) -> Iterator[Finding]:
    patterns = case.external_allowed
    for role, name in sorted(case.external.items()):
        if not matches(name, patterns):
            yield deny(
                Rule.CLOSURE,
                "external",
                f"{role} `{name}` runs on a server that shows no bytes, "
                f"`{case.evidence.environment}` allows of such: {listed(patterns)}",
                hint="pin a model of the local store, or name it in the policy's `external_models`",
            )


def _pinned(pins: Any) -> Mapping[tuple[str, str], str]:
    if not isinstance(pins, list | tuple):
        return {}
    return {
        (str(pin.get("role")), str(pin.get("name"))): str(pin.get("digest"))
        for pin in pins
        if isinstance(pin, Mapping) and pin.get("external") is not True
    }


def _pin(pin: PinFacts) -> Iterator[Finding]:
    what = f"{pin.kind} `{pin.name}`"
    if not pin.found:
        missing = "; ".join(pin.flaws) or "its manifest is not there"
        yield deny(
            Rule.CLOSURE, "missing", f"{what} {pin.digest} is not complete: {missing}", hint=_PULL
        )
        return
    for flaw in pin.flaws or (() if pin.intact else (f"{what} does not match its digest",)):
        yield deny(Rule.CLOSURE, "changed", f"{what} {pin.digest}: {flaw}", hint=_PULL)
    pairs = (
        ("digest", pin.digest, pin.found_digest),
        ("size", pin.size, pin.found_size),
        ("artifact type", pin.artifact_type, pin.found_artifact_type),
    )
    for name, pinned, found in pairs:
        if found is not None and found != pinned:
            yield deny(
                Rule.CLOSURE,
                "descriptor",
                f"{what} is pinned with the {name} `{pinned}`, found: `{found}`",
                hint=_BUILD,
            )
    # Models packed by other tools have other types; everything else is ours.
    ours = pin.kind is not Kind.MODEL
    if ours and pin.artifact_type != pin.kind.artifact_type:
        yield deny(
            Rule.CLOSURE,
            "kind",
            f"{what} has the artifact type `{pin.artifact_type}`, "
            f"a {pin.kind} has `{pin.kind.artifact_type}`",
            hint=_BUILD,
        )
