"""Assertions on tool calls, and on what a provider's guardrails said."""

from collections.abc import Iterator, Mapping, Sequence

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number, verdict
from lockgate.evals.assertions.json_schema import SchemaRefused, violations
from lockgate.evals.javascript import number_text, parse, text_output, trim

_RESULT, _ERROR = "MCP Tool Result", "MCP Tool Error"
_MAX_SHOWN = 500


def is_valid_openai_tools_call(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for tool calls that the provider's `tools` admit. `not-` changes nothing here."""
    text = text_output(output)
    if _ERROR in text or _RESULT in text:
        return verdict(_ERROR not in text, "an MCP tool call failed")
    calls = (
        output.get("tool_calls")
        if isinstance(output, Mapping) and "tool_calls" in output
        else output
    )
    if (
        not isinstance(calls, Sequence)
        or isinstance(calls, str)
        or not calls
        or any(_call(call) is None for call in calls)
    ):
        return Graded(False, 0.0, f"no valid-looking tool calls: {text[:_MAX_SHOWN]}")
    if not context.tools:
        return Graded(False, 0.0, "the provider has no tools, and the output calls some")
    known = [
        tool["function"]
        for tool in context.tools
        if isinstance(tool, Mapping) and tool.get("type") == "function" and "function" in tool
    ]
    for call in calls:
        problem = _problem(assertion, _call(call), known)
        if problem:
            return Graded(False, 0.0, problem)
    return verdict(True, "")


def is_valid_function_call(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for a function call that the provider's `functions` admit. `not-` changes nothing."""
    call = (
        output.get("function_call")
        if isinstance(output, Mapping) and "function_call" in output
        else output
    )
    if not _is_call(call):
        return Graded(
            False, 0.0, f"no valid-looking function call: {text_output(output)[:_MAX_SHOWN]}"
        )
    problem = _problem(assertion, call, context.functions or ())
    return verdict(not problem, problem)


def tool_call_f1(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Compare the names of the called tools with the expected ones; 1 without a threshold."""
    value = assertion.value
    if isinstance(value, str):
        expected = {trim(name) for name in value.split(",")}
    elif isinstance(value, Sequence) and value:
        expected = {number_text(n) if isinstance(n, int | float) else str(n) for n in value}
    else:
        raise invalid(assertion, "must have names of tools as its value")
    called = set(_names(output))
    shared = len(expected & called)
    precision = shared / len(called) if called else 0.0
    recall = shared / len(expected)
    score = 2 * precision * recall / (precision + recall) if shared else 0.0
    limit = number(assertion, 1)
    return Graded(
        (score >= limit) is not assertion.inverse,
        score,
        f"tool call F1 {score:.3f}, threshold {number_text(limit)}; expected "
        f"[{', '.join(sorted(expected))}], called [{', '.join(sorted(called)) or '(none)'}]",
    )


def guardrails(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask that the provider's guardrails flagged nothing."""
    said = context.response.guardrails or {}
    if not said.get("flagged"):
        return verdict(not assertion.inverse, "no guardrail blocked the content")
    where = (
        "prompt"
        if said.get("flaggedInput")
        else "output"
        if said.get("flaggedOutput")
        else "content"
    )
    return verdict(
        assertion.inverse, str(said.get("reason") or f"the {where} failed safety checks")
    )


def _call(call: Json) -> Json:
    """Return the function of a tool call; None if it is none."""
    found = call.get("function") if isinstance(call, Mapping) else None
    return found if _is_call(found) else None


def _is_call(call: Json) -> bool:
    return (
        isinstance(call, Mapping)
        and isinstance(call.get("name"), str)
        and isinstance(call.get("arguments"), str)
    )


def _problem(assertion: Assertion, call: Json, known: Sequence[Json]) -> str:
    """Say why the call is not one of a known function; nothing if it is."""
    assert isinstance(call, Mapping)
    name, arguments = str(call["name"]), str(call["arguments"])
    try:
        given = parse(arguments)
    except ValueError as error:
        return f"the arguments of `{name}` are not JSON: {error}"
    schema = next(
        (f.get("parameters") for f in known if isinstance(f, Mapping) and f.get("name") == name),
        None,
    )
    if not schema:
        return f"`{name}` was called, and there is no function of that name"
    try:
        problems = violations(schema, given)
    except SchemaRefused as error:
        return f"the schema of `{name}` is not valid: {error}"
    return (
        f"the call of `{name}` does not match its schema: {'; '.join(problems)}" if problems else ""
    )


def _names(output: Json) -> Iterator[str]:
    """Yield the names of called tools in the shapes of OpenAI, Anthropic and Google."""
    if isinstance(output, str):
        yield from _named_in_text(output)
    elif isinstance(output, Mapping):
        yield from _named_in_object(output)
    elif isinstance(output, Sequence):
        for item in output:
            if isinstance(item, Mapping):
                yield from _named_in_item(item)


def _named_in_text(text: str) -> Iterator[str]:
    try:
        yield from _names(_structured(parse(text)))
    except ValueError:
        for line in text.split("\n"):
            part = trim(line)
            if part.startswith(("{", "[")):
                try:
                    yield from _names(_structured(parse(part)))
                except ValueError:
                    continue


def _structured(value: Json) -> Json:
    # A JSON text within a JSON text would nest without end; a string names no tool by itself.
    return None if isinstance(value, str) else value


def _named_in_object(output: Mapping[str, Json]) -> Iterator[str]:
    calls = output.get("tool_calls")
    if isinstance(calls, Sequence) and not isinstance(calls, str):
        for call in calls:
            if isinstance(call, Mapping):
                yield from _texts(_member(call, "function"), call.get("name"))
        return
    if output.get("type") == "tool_use" and isinstance(output.get("name"), str):
        yield from _texts(output["name"])
    elif isinstance(output.get("functionCall"), Mapping):
        yield from _texts(_member(output, "functionCall"))
    else:
        nested = output.get("toolCall")
        calls = nested.get("functionCalls") if isinstance(nested, Mapping) else None
        if isinstance(calls, Sequence) and not isinstance(calls, str):
            yield from _texts(*(c.get("name") for c in calls if isinstance(c, Mapping)))


def _named_in_item(item: Mapping[str, Json]) -> Iterator[str]:
    if item.get("type") == "tool_use" and isinstance(item.get("name"), str):
        yield from _texts(item["name"])
    elif isinstance(item.get("functionCall"), Mapping):
        yield from _texts(_member(item, "functionCall"))
    elif isinstance(item.get("function"), Mapping):
        yield from _texts(_member(item, "function"))
    else:
        yield from _texts(item.get("name"))


def _member(holder: Mapping[str, Json], name: str) -> Json:
    found = holder.get(name)
    return found.get("name") if isinstance(found, Mapping) else None


def _texts(*values: Json) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))
