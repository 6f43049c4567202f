"""The behaviour of a prompt-only task: render, generate under the schema, parse."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lockgate.domain.call import Answer, Draft, EngineKind
from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.inference import Generate, Message
from lockgate.domain.search import Passage
from lockgate.domain.task import Option, TaskSpec
from lockgate.domain.verdict import Verdict
from lockgate.errors import InvalidConfig, InvalidInput, NoAnswer, Unavailable
from lockgate.ports import Check, Context, Options
from lockgate.tasks.prompt.folder import Folder

MAX_INPUT_BYTES = 16 << 20
_RENDER_ERRORS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What an expression in a template can raise, beside the template engine's own errors."""


class PromptTask:
    """Implements `ports.Task` from a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, keep_trailing_newline=False
        )
        try:
            self._prompt = environment.from_string(folder.prompt)
            self._system = environment.from_string(folder.system) if folder.system else None
            self._rules = environment.from_string(folder.rules) if folder.rules else None
            retrieval = folder.retrieval
            self._query = environment.from_string(retrieval.query) if retrieval else None
        except TemplateError as error:
            raise InvalidConfig(
                f"a template of the task in `{folder.path}` does not parse: {error}"
            ) from error

    @property
    def spec(self) -> TaskSpec:
        folder = self._folder
        return TaskSpec(
            name=folder.name,
            version=folder.version,
            title=folder.title,
            input_schema=folder.input_schema,
            output_schema=folder.output_schema,
            roles=_roles(folder),
            indexes=(folder.retrieval.index,) if folder.retrieval else (),
            formats=("json", "markdown"),
            options=_options(folder.input_schema),
            engine=folder.engine,
            on_unavailable=folder.on_unavailable,
            cases=folder.cases,
            plain="text" if "text" in _properties(folder.input_schema) else None,
        )

    @property
    def checks(self) -> Sequence[Check]:
        return ()

    def collect(self, options: Options) -> JsonObject:
        """Take the members from options, a JSON file, or text from a file or standard input."""
        if path := options.get("input"):
            return _read_object(Path(str(path)))
        members = {
            name: value
            for name, value in options.items()
            if name in _properties(self._folder.input_schema) and value is not None
        }
        if "text" in _properties(self._folder.input_schema) and "text" not in members:
            file = options.get("file")
            members["text"] = _read_text(Path(str(file)) if file else None)
        return members

    async def run(self, given: JsonObject, context: Context) -> Draft:
        passages = await self._passages(given, context)
        given = self._with(passages, given)
        messages = [Message(role="user", content=self._render(self._prompt, given))]
        if self._system:
            messages.insert(0, Message(role="system", content=self._render(self._system, given)))
        completion = await context.models.generate(
            Generate(
                messages=tuple(messages),
                max_tokens=self._folder.max_tokens,
                schema=self._folder.output_schema,
                logprobs=True,
            )
        )
        try:
            output = json.loads(completion.text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise Unavailable(
                f"the model's text is not JSON ({completion.finish_reason}): {error}",
                hint="raise `max_tokens` in task.toml if it was cut off",
            ) from error
        if not isinstance(output, dict):
            raise Unavailable("the model's text is JSON, but not an object")
        confidence = (
            math.exp(math.fsum(completion.logprobs) / len(completion.logprobs))
            if completion.logprobs
            else None
        )
        evidence = ("input", *(passage.id for passage in passages))
        return Draft(output=output, evidence=evidence, confidence=confidence)

    def rules(self, given: JsonObject, context: Context) -> Draft:
        if self._rules is None:
            raise NoAnswer(
                f"the task `{self._folder.name}` has no rules",
                hint="add `rules.json.j2` to its folder",
            )
        text = self._render(self._rules, self._with((), given))
        try:
            output = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise NoAnswer(
                f"`rules.json.j2` of `{self._folder.name}` did not give JSON: {error}"
            ) from error
        if not isinstance(output, dict):
            raise NoAnswer(f"`rules.json.j2` of `{self._folder.name}` did not give an object")
        return Draft(output=output, evidence=("input",), engine=EngineKind.RULES)

    def render(self, answer: Answer, form: str) -> str:
        if form == "markdown":
            return "\n".join(f"- **{name}**: {_inline(v)}" for name, v in answer.output.items())
        return json.dumps(answer.document, ensure_ascii=False, indent=2)

    def gate(self, answer: Answer, options: Options) -> Verdict | None:
        return None

    async def _passages(self, given: JsonObject, context: Context) -> Sequence[Passage]:
        wanted = self._folder.retrieval
        if wanted is None:
            return ()
        if context.passages is None:
            raise Unavailable(f"nothing searches `{wanted.index}` here")
        query = self._render(self._query, given)
        return await context.passages.find(wanted.index, query, limit=wanted.k)

    def _with(self, passages: Sequence[Passage], given: JsonObject) -> JsonObject:
        """Return the templates' variables. Rules search nothing: they do without a model."""
        if self._folder.retrieval is None:
            return given
        listed: list[Json] = [
            {"id": at.id, "document": at.document, "text": at.text} for at in passages
        ]
        return {**given, "passages": listed}

    def _render(self, template: object, given: JsonObject) -> str:
        try:
            text = template.render(given)  # type: ignore[attr-defined]
        except _RENDER_ERRORS as error:
            raise NoAnswer(
                f"a template of `{self._folder.name}` failed: {error}",
                hint=f"run `lockgate task check {self._folder.name}`",
            ) from error
        return str(text)


def _roles(folder: Folder) -> tuple[tuple[str, str], ...]:
    text = ("text", folder.model)
    if folder.retrieval is None or not folder.retrieval.embedder:
        return (text,)
    return (text, ("embedder", folder.retrieval.embedder))


def _properties(schema: JsonObject) -> Mapping[str, Json]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _options(schema: JsonObject) -> tuple[Option, ...]:
    options = [
        Option(name="input", kind="path", help="JSON file with the whole input.", metavar="FILE")
    ]
    for name, property_schema in _properties(schema).items():
        detail = property_schema if isinstance(property_schema, Mapping) else {}
        described = str(detail.get("description", f"Member `{name}` of the input."))
        match detail.get("type"):
            case "string":
                options.append(Option(name=name, help=described))
            case "integer":
                options.append(Option(name=name, help=described, kind="integer"))
            case "boolean":
                options.append(Option(name=name, help=described, kind="flag"))
            case _:
                pass  # arrays and objects come through --input
    if "text" in _properties(schema):
        options.append(
            Option(
                name="file",
                kind="path",
                positional=True,
                help="File with the text; `-` or nothing is standard input.",
            )
        )
    return tuple(options)


def _read_text(path: Path | None) -> str:
    name = "standard input" if path is None or str(path) == "-" else str(path)
    try:
        if path is None or str(path) == "-":
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"`{name}` cannot be read: {error.strerror}") from error
    if len(data) > MAX_INPUT_BYTES:
        raise InvalidInput(
            f"`{name}` is larger than {MAX_INPUT_BYTES} bytes", hint="give the part that matters"
        )
    return data.decode("utf-8", "replace")


def _read_object(path: Path) -> JsonObject:
    try:
        value = json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput(f"`{path}` is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"`{path}` is JSON, but not an object")
    return value


def _inline(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
