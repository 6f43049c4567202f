"""`python`: code of the suite, where the command line allows it."""

from lockgate.domain.digest import Json
from lockgate.evals.asking.services import Services
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.assertions.script import graded


async def python(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Run the value: an expression, a function's body, or `file://NAME.py:FUNCTION`."""
    if not isinstance(assertion.value, str) or not assertion.value.strip():
        raise invalid(assertion, "must have Python as its value")
    if services.run_code is None:
        raise invalid(assertion, "is code: run with --allow-code if you trust the suite")
    found = await services.run_code(
        assertion.value,
        {
            "output": output,
            "context": {
                "vars": dict(context.variables),
                "prompt": context.prompt,
                "config": assertion.options.get("config"),
            },
        },
    )
    return graded(assertion, found, assertion.value)._replace(method="Python of the suite")
