"""`is-xml` and `contains-xml`, with names of elements that must be there or without.

`is-xml` is well-formedness with namespaces, by expat; a DTD's internal subset is refused, so no
entity ever grows. `contains-xml` looks for balanced elements in a text and reads them leniently.
"""

from collections.abc import Mapping, Sequence
from xml.parsers import expat

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, verdict
from lockgate.evals.assertions.element_tree import TooDeep, Tree, Value, has_path
from lockgate.evals.assertions.xml_scan import elements_in, lenient_tree
from lockgate.evals.javascript import text_of, text_output, trim

_SEPARATOR = "\x1f"


def is_xml(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for one well-formed document."""
    required = _required(assertion)
    try:
        tree = _parsed(text_output(output))
    except (expat.ExpatError, ValueError) as error:
        return verdict(assertion.inverse, f"not well-formed XML: {error}")
    missing = [path for path in required if not has_path(tree, path)]
    return verdict(
        (not missing) is not assertion.inverse,
        f"the XML lacks {', '.join(missing)}" if missing else "the output is XML",
    )


def contains_xml(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for an element that closes."""
    required = _required(assertion)
    text = text_output(output)
    found = any(_fits(text[start:end], required) for start, end in elements_in(text))
    return verdict(
        found is not assertion.inverse,
        "the output contains XML" if found else "no XML that meets the requirements in the output",
    )


def _fits(text: str, required: Sequence[str]) -> bool:
    if not required:
        return True
    try:
        tree = lenient_tree(text)
    except TooDeep:
        return False
    return all(has_path(tree, path) for path in required)


def _required(assertion: Assertion) -> Sequence[str]:
    value = assertion.value
    if isinstance(value, Mapping) and value:
        value = value.get("requiredElements")
        if not isinstance(value, list):
            raise invalid(assertion, "must have names of elements, or `requiredElements`")
    if isinstance(value, str):
        return [trim(part) for part in value.split(",")]
    return [text_of(item) for item in value] if isinstance(value, list) else ()


def _parsed(text: str) -> Value:
    tree = Tree()
    parser = expat.ParserCreate("utf-8", _SEPARATOR)
    parser.namespace_prefixes = True
    parser.ordered_attributes = True
    parser.buffer_text = True

    def start(name: str, attributes: Sequence[str]) -> None:
        tree.start(_prefixed(name), [_prefixed(a) for a in attributes[::2]])

    def doctype(_name: str, _system: str | None, _public: str | None, internal: int) -> None:
        if internal:
            raise ValueError("an internal DTD subset is not supported")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: tree.end()
    parser.CharacterDataHandler = tree.text
    parser.ProcessingInstructionHandler = lambda target, _data: tree.instruction(target)
    parser.XmlDeclHandler = lambda *_: tree.instruction("xml")
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(text.removeprefix("\ufeff").encode("utf-8"), True)
    return tree.whole()


def _prefixed(name: str) -> str:
    """Return `prefix:local` from expat's triple of namespace, local name and prefix."""
    parts = name.split(_SEPARATOR)
    return f"{parts[2]}:{parts[1]}" if len(parts) > 2 else parts[-1]  # noqa: PLR2004
