"""Rule 6: what is in the artifacts: formats, licences, chat templates, bills of materials."""

from collections.abc import Iterator
from typing import Final

from lockgate.domain.artifact import Kind
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.evidence import PinFacts
from lockgate.domain.gate.licence import is_allowed, parse
from lockgate.domain.gate.matching import listed, matches
from lockgate.domain.predicates.bom import PREDICATE_TYPE

EXECUTABLE: Final = frozenset({"pickle", "pytorch", "joblib", "keras-lambda", "elf", "python"})
"""Formats that run code when they are loaded. No policy can allow them."""
WEIGHTS: Final = frozenset({"gguf", "safetensors", "onnx"})

_PASSIVE: Final = frozenset({"json", "text"})
"""What stands beside weights, such as a licence: a list of formats for weights is not about it."""
_WEIGHTED: Final = frozenset({Kind.MODEL, Kind.ADAPTER})


def safety(case: Case) -> Iterator[Finding]:
    """Refuse artifacts that could run code, or that may not be used here."""
    pins = sorted(case.evidence.pins, key=lambda pin: (pin.role, pin.name))
    refusals = [
        finding
        for pin in pins
        for finding in (
            *_formats(case, pin),
            *_licences(case, pin),
            *_template(pin),
            *_bom(case, pin),
        )
    ]
    yield from refusals
    if not refusals:
        yield allow(
            Rule.SAFETY,
            "artifacts",
            f"formats, licences and templates of {len(pins)} pins are fine",
        )


def _formats(case: Case, pin: PinFacts) -> Iterator[Finding]:
    for file in sorted(pin.files, key=lambda file: file.path):
        where = f"{pin.kind} `{pin.name}`: `{file.path}`"
        if file.format in EXECUTABLE:
            yield deny(
                Rule.SAFETY,
                "executable",
                f"{where} is `{file.format}`, which runs code when it is loaded; "
                f"allowed: {listed(case.rules.formats)}",
                hint="convert the model to safetensors or GGUF",
            )
        elif (
            pin.kind in _WEIGHTED
            and file.format not in _PASSIVE
            and not matches(file.format, case.rules.formats)
        ):
            yield deny(
                Rule.SAFETY,
                "format",
                f"{where} is `{file.format}`, allowed: {listed(case.rules.formats)}",
                hint="convert the model, or have the policy's owner allow the format",
            )


def _licences(case: Case, pin: PinFacts) -> Iterator[Finding]:
    allowed = case.rules.licences
    if "*" in allowed:
        return
    what = f"{pin.kind} `{pin.name}`"
    if not pin.licences and pin.kind in _WEIGHTED:
        yield deny(
            Rule.SAFETY,
            "licence",
            f"{what} states no licence, allowed: {listed(allowed)}",
            hint="state its SPDX expression when you import it, and build the release again",
        )
    for text in sorted(pin.licences):
        try:
            permitted = is_allowed(parse(text), allowed)
        except ValueError as error:
            yield deny(
                Rule.SAFETY,
                "licence",
                f"{what} has the licence `{text[:200]}`, which is no SPDX expression: {error}; "
                f"allowed: {listed(allowed)}",
                hint="see https://spdx.org/licenses for the identifiers",
            )
            continue
        if not permitted:
            yield deny(
                Rule.SAFETY,
                "licence",
                f"{what} has the licence `{text}`, allowed: {listed(allowed)}",
                hint="choose another artifact, or have the policy's owner allow the licence",
            )


def _template(pin: PinFacts) -> Iterator[Finding]:
    verdict = pin.chat_template
    if verdict is not None and not verdict.safe:
        yield deny(
            Rule.SAFETY,
            "chat-template",
            f"the chat template of {pin.kind} `{pin.name}` is `unsafe`, required: `safe`: "
            f"{verdict.reason or 'no reason given'}",
            hint="replace the template in the model's file, and import it again",
        )


def _bom(case: Case, pin: PinFacts) -> Iterator[Finding]:
    """Refuse a bill of materials that names other bytes than those that are there."""
    boms = list(case.testimony.about(pin.digest, frozenset))
    weights = {file.digest: file.path for file in pin.files if file.format in WEIGHTS}
    if not boms or any(said.body >= weights.keys() for said in boms):
        return
    absent = sorted(weights.keys() - boms[-1].body)
    yield deny(
        Rule.SAFETY,
        "bom",
        f"{pin.kind} `{pin.name}` has `{weights[absent[0]]}` with {absent[0]}, and the bill of "
        f"materials ({PREDICATE_TYPE}) by `{boms[-1].holder}` names: "
        f"{listed(sorted(str(d) for d in boms[-1].body)[:5])}",
        hint="make the bill of materials of this artifact again",
    )
