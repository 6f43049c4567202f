"""Templates as promptfoo renders them: Nunjucks, whose syntax Jinja2 reads too.

Plain `{{ name }}` is filled in here; anything more goes to Jinja2's sandbox, with JavaScript's way
of printing values. Undefined names print nothing.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.evals.javascript import parse, stringify, text_of

MAX_RENDERED = 16 << 20
_ROUNDS = 5
"""How often a variable may stand for another one."""
_PLAIN = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_MARKS = ("{{", "{%", "{#")
_PARTIAL = re.compile(r"\{%[^%\n]*$|\{\{[^}\n]*$|\{#[^#\n]*$", re.MULTILINE)
_RAW = re.compile(r"\{%\s*raw\s*%\}")
_NAMES = re.compile(r"\{\{\s*([A-Za-z_]\w*)|\{%\s*(?:if|for)\s+([A-Za-z_]\w*)")
_LOOP = re.compile(r"\{%\s*for\s+(\w+)\s+in\s+(\w+)")
_RESERVED = frozenset({"true", "false", "none", "null", "not", "loop"})
_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def is_template(text: str) -> bool:
    """Say whether rendering `text` could change it."""
    return any(mark in text for mark in _MARKS)


def render(text: str, variables: Mapping[str, Json]) -> str:
    """Fill in a template.

    Raises:
        InvalidInput: it does not parse, or an expression in it fails.

    """
    if not is_template(text):
        return text
    parts = _parsed(text)
    if parts is None:
        return _rendered(text, variables)
    return "".join(
        part if at % 2 == 0 else text_of(variables.get(part)) for at, part in enumerate(parts)
    )


def render_prompt(text: str, variables: Mapping[str, Json]) -> str:
    """Return what a provider is sent. A prompt that is JSON is filled in value by value."""
    if text.lstrip()[:1] in {"{", "[", '"'}:
        try:
            value = parse(text)
        except ValueError:
            pass
        else:
            return stringify(_filled(value, variables), 2)
    values = {name: _value(value, variables) for name, value in variables.items()}
    return render(_unless_partial(text), values)


def resolve(variables: Mapping[str, Json]) -> dict[str, Json]:
    """Return the variables with the names in them replaced by their values, five rounds at most."""
    found = {
        name: value.removesuffix("\n") if isinstance(value, str) else value
        for name, value in variables.items()
    }
    for _ in range(_ROUNDS):
        done = True
        for name, value in found.items():
            if not isinstance(value, str) or "{{" not in value:
                continue
            named = _PLAIN.search(value)
            if named is None or named[1] not in found:
                continue
            found[name] = _bounded(value.replace(named[0], text_of(found[named[1]]), 1))
            done = False
        if done:
            break
    return found


def _value(value: Json, variables: Mapping[str, Json]) -> Json:
    """Render what is inside a variable, unless it names something unknown: then it is meant so."""
    if not isinstance(value, str) or not is_template(value):
        return value
    if any(name not in variables for name in _names(value)):
        return value
    return render(_unless_partial(value), variables)


def _names(text: str) -> set[str]:
    found = {name for pair in _NAMES.findall(text) for name in pair if name}
    for each, over in _LOOP.findall(text):
        found.discard(each)
        found.add(over)
    return found - _RESERVED - {"env"}


def _unless_partial(text: str) -> str:
    if is_template(text) and _PARTIAL.search(text) and not _RAW.search(text):
        return f"{{% raw %}}{text}{{% endraw %}}"
    return text


def _filled(value: Json, variables: Mapping[str, Json]) -> Json:
    match value:
        case str():
            return render(value, variables)
        case Mapping():
            return {name: _filled(item, variables) for name, item in value.items()}
        case list():
            return [_filled(item, variables) for item in value]
        case _:
            return value


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[str, ...] | None:
    """Return text and names by turns; None if the template has more than names."""
    parts = tuple(_PLAIN.split(text))
    names, texts = parts[1::2], parts[::2]
    if any(is_template(part) for part in texts) or _RESERVED.intersection(names):
        return None
    return parts


def _rendered(text: str, variables: Mapping[str, Json]) -> str:
    from jinja2 import TemplateError  # noqa: PLC0415  plain suites never need it

    try:
        return _bounded(str(_compiled(text).render(variables)))
    except (TemplateError, *_ERRORS) as error:
        raise InvalidInput(f"a template does not render: {error}") from error


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Any:
    return _environment().from_string(text)


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import ChainableUndefined  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    environment = ImmutableSandboxedEnvironment(
        undefined=ChainableUndefined, finalize=_printed, keep_trailing_newline=True
    )
    environment.filters["dump"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":")
    )
    environment.filters["load"] = parse
    return environment


def _printed(value: Any) -> Any:
    from jinja2 import Undefined  # noqa: PLC0415

    return value if isinstance(value, Undefined) else text_of(value)


def _bounded(text: str) -> str:
    if len(text) > MAX_RENDERED:
        raise InvalidInput(f"a template renders to more than {MAX_RENDERED} characters")
    return text
