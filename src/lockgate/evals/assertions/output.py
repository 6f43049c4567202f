"""An output as text."""

from lockgate.domain.digest import Json
from lockgate.evals.javascript import stringify


def text_output(output: Json) -> str:
    """Return the text, or a structured output as compact JSON."""
    return output if isinstance(output, str) else stringify(output)
