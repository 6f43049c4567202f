"""`property` and `metamorphic`: what must hold of many inputs, with the smallest that breaks it.

Hypothesis draws the inputs, the same ones each time, and shrinks what fails.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput, LockgateError, UsageError
from lockgate.evals.asking.services import Services
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.assertions import registry
from lockgate.evals.expand import Case
from lockgate.evals.javascript import same, stringify, text_output
from lockgate.evals.template import render_prompt

MAX_EXAMPLES = 1_000
_EXAMPLES = 25
_SHOWN = 400
_HINT = "install the extra: pip install 'lockgate[property]'"


class _Broken(BaseException):
    """Carries an error past Hypothesis, which would take it for a counter-example."""

    def __init__(self, error: LockgateError) -> None:
        super().__init__(str(error))
        self.error = error


async def property(  # noqa: A001  the type's name
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Hold the assertions in `assert` against the answers to inputs drawn from the input schema.

    The schema is the task's, or `schema` of the assertion.
    """
    if not assertion.parts:
        raise invalid(assertion, "has no list `assert`: what must hold of each answer")
    if any(registry.is_asked(part.type) for part in assertion.parts):
        raise invalid(assertion, "holds a type that waits for somebody")
    schema = assertion.options.get("schema") or services.input_schemas.get(
        services.case.provider.id
    )
    if not isinstance(schema, Mapping):
        raise invalid(assertion, "has no `schema`, and its provider is no task")
    strategies = _strategies()

    async def hold(value: Any) -> str:
        case = _with(services.case, value)
        try:
            response = await services.respond(case)
        except UsageError as error:
            return f"the input was refused: {error.message}"
        seen = replace(context, response=response, variables=case.variables)
        for part in assertion.parts:
            graded = registry.grade(part.type)(part, response.output, seen)
            if not graded.passed:
                return graded.reason
        return ""

    return await _searched(assertion, strategies.from_schema(schema), hold)


async def metamorphic(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Change a variable in a way that should not matter: the answer must stay the same.

    The value has `change` (extra-spaces, shuffled-lines, trailing-newlines, upper-case, lower-case,
    appended), `of`, the variable, and `relation`: `equal`, or `contains` the first answer.
    """
    asked = assertion.value
    if not isinstance(asked, Mapping):
        raise invalid(assertion, "must have an object with `change` and `of` as its value")
    name, of, relation = asked.get("change"), asked.get("of"), asked.get("relation", "equal")
    text = services.case.variables.get(str(of))
    strategies = _strategies()
    if name not in strategies.CHANGES:
        known = ", ".join(sorted(strategies.CHANGES))
        raise invalid(assertion, f"has the change `{name!r:.40}`, not one of {known}")
    if not isinstance(text, str):
        raise invalid(assertion, f"changes `{of!r:.40}`, which is no variable with a text")
    if relation not in {"equal", "contains"}:
        raise invalid(assertion, f"has the relation `{relation!r:.40}`, not `equal` or `contains`")
    drawn, change = strategies.CHANGES[str(name)]

    async def hold(value: Any) -> str:
        response = await services.respond(_with(services.case, value))
        if relation == "contains":
            good = text_output(output) in text_output(response.output)
        else:
            good = same(output, response.output)
        return "" if good else f"the answer became {text_output(response.output)[:_SHOWN]!r}"

    return await _searched(assertion, drawn.map(lambda each: {str(of): change(text, each)}), hold)


def _strategies() -> Any:
    try:
        from lockgate.evals.asking import strategies  # noqa: PLC0415  Hypothesis is optional
    except ImportError:
        raise InvalidInput("`property` and `metamorphic` need Hypothesis", hint=_HINT) from None
    return strategies


async def _searched(assertion: Assertion, drawn: Any, hold: Callable[[Any], Any]) -> Graded:
    """Look for an input that breaks a property, in a thread: Hypothesis does not wait."""
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    broken: list[tuple[Any, str]] = []
    count = 0

    @settings(
        max_examples=_examples(assertion),
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(drawn)
    def search(value: Any) -> None:
        nonlocal count
        count += 1
        try:
            reason = asyncio.run_coroutine_threadsafe(hold(value), loop).result()
        except LockgateError as error:
            raise _Broken(error) from None
        if reason:
            broken.append((value, reason))
            raise AssertionError(reason)

    try:
        await asyncio.to_thread(search)
    except _Broken as found:
        raise found.error from None
    except AssertionError:
        pass
    how = f"Hypothesis, {count} inputs"
    if not broken:
        return _turned(assertion, Graded(True, 1.0, f"held for {count} inputs", how))
    value, reason = broken[-1]
    shown = stringify(value)[:_SHOWN]
    return _turned(assertion, Graded(False, 0.0, f"counter-example {shown}: {reason}", how))


def _turned(assertion: Assertion, graded: Graded) -> Graded:
    if not assertion.inverse:
        return graded
    return graded._replace(passed=not graded.passed, score=1 - graded.score)


def _examples(assertion: Assertion) -> int:
    count = assertion.options.get("examples", _EXAMPLES)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_EXAMPLES:
        raise invalid(assertion, f"has `examples` {count!r:.40}, not from 1 to {MAX_EXAMPLES}")
    return count


def _with(case: Case, value: JsonObject) -> Case:
    """Return the case with other variables: as the prompt's, and as a task's whole input."""
    if not isinstance(value, Mapping):
        raise InvalidInput("a drawn input is no object")
    variables = {**case.variables, **value}
    sent = case.sent
    if case.prompt.raw:
        sent = render_prompt(case.prompt.raw, variables)
    return replace(case, variables=variables, sent=sent, provider_output=None)
