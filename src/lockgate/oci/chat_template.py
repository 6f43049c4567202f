"""Looks at the chat template that a model brings: it is code of strangers, in Jinja.

It is parsed, never rendered. What could reach out of Jinja's sandbox has the same form every time:
names with underscores in front, and attributes of functions and generators.
"""

from collections.abc import Iterator
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS: Final = 200_000
_FORBIDDEN_NODES: Final = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)


def danger(template: str) -> str:
    """Say why a template must not be rendered; empty if nothing was found."""
    if len(template) > MAX_CHARACTERS:
        return f"it has {len(template):,} characters, at most {MAX_CHARACTERS:,} allowed"
    try:
        environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
        tree = environment.parse(template)
    except (TemplateSyntaxError, RecursionError) as error:
        return f"it does not parse: {str(error)[:200]}"
    return next(_dangers(tree), "")


def _dangers(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all(_FORBIDDEN_NODES):
        yield f"line {node.lineno} loads another template"
    for attribute in tree.find_all(nodes.Getattr):
        if attribute.attr.startswith("_"):
            yield f"line {attribute.lineno} reads the attribute `{attribute.attr[:40]}`"
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const) and str(item.arg.value).startswith("__"):
            yield f"line {item.lineno} reads the item `{str(item.arg.value)[:40]}`"
    for used in tree.find_all(nodes.Filter):
        if used.name == "attr":
            yield f"line {used.lineno} reads an attribute by a computed name"
