"""Looks at templates without rendering them: what they read, and whether they may be rendered."""

from jinja2 import TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lockgate.errors import Corrupt
from lockgate.oci.chat_template import danger


def variables(template: str, name: str) -> frozenset[str]:
    """Return the variables that a template reads.

    Raises:
        Corrupt: it does not parse, or could reach out of the sandbox.

    """
    if reason := danger(template):
        raise Corrupt(f"the template `{name}` may not be rendered: {reason}")
    environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
    try:
        return frozenset(meta.find_undeclared_variables(environment.parse(template)))
    except (TemplateSyntaxError, RecursionError) as error:
        raise Corrupt(f"the template `{name}` does not compile: {str(error)[:200]}") from error
