"""Reads the folder of a prompt-only task, and writes a new one.

task.toml             name, version, title, model, max_tokens, engine, on_unavailable
system.j2             optional system message
prompt.j2             user message, over the members of the input
rules.json.j2         the deterministic fallback: renders to the output as JSON
input.schema.json     JSON Schema (draft 2020-12) of the input, an object
output.schema.json    JSON Schema of the output, an object; the model's text is held to it
cases.jsonl           evaluation cases: {"name", "input", "expect"}

With a table `[retrieval]` in task.toml (index, query, k, embedder), `prompt.j2` and `system.j2` get
`passages` too: a list of {"id", "document", "text"}.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from lockgate.domain.call import EngineKind
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.domain.task import Case, OnUnavailable
from lockgate.errors import InvalidConfig, UsageError

Choice = TypeVar("Choice", EngineKind, OnUnavailable)

MAX_FILE_BYTES = 1 << 20
MAX_CASES = 10_000
MAX_OUTPUT_TOKENS = 4096
_KEYS: Mapping[str, type] = {
    "name": str,
    "version": str,
    "title": str,
    "model": str,
    "max_tokens": int,
    "engine": str,
    "on_unavailable": str,
    "retrieval": dict,
}
_RETRIEVAL_KEYS: Mapping[str, type] = {"index": str, "query": str, "k": int, "embedder": str}
MOST_PASSAGES = 20
_PASSAGES = "passages"
_FILES = (
    "task.toml",
    "system.j2",
    "prompt.j2",
    "rules.json.j2",
    "input.schema.json",
    "output.schema.json",
)
_REQUIRED = ("name", "version", "title")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What a task searches before it asks its model."""

    index: str
    """Its name without `index/`. Each release pins it."""
    query: str
    """A template over the members of the input."""
    k: int = 4
    """Most passages."""
    embedder: str = ""
    """The model of the index's vectors; empty for an index of words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A prompt-only task as it was read. Nothing in it is executed but its sandboxed templates."""

    path: Path
    name: str
    version: str
    title: str
    model: str
    max_tokens: int
    engine: EngineKind
    on_unavailable: OnUnavailable
    system: str | None
    prompt: str
    rules: str | None
    input_schema: JsonObject
    output_schema: JsonObject
    cases: tuple[Case, ...]
    retrieval: Retrieval | None = None

    @property
    def digest(self) -> Digest:
        """Of what decides the answers; the cases do not."""
        parts: list[Json] = [self.system, self.prompt, self.rules, self.max_tokens]
        if (found := self.retrieval) is not None:
            parts.append([found.index, found.query, found.k, found.embedder])
        return Digest.of(canonical([*parts, self.input_schema, self.output_schema]))


def read(path: Path) -> Folder:
    """Read and check a task's folder.

    Raises:
        InvalidConfig: something is missing or malformed; every problem is listed.

    """
    problems: list[str] = []
    manifest = _manifest(path, problems)
    prompt = _text(path / "prompt.j2", problems, required=True)
    fallback = _choice(manifest, "on_unavailable", OnUnavailable.RULES, problems)
    engine = _choice(manifest, "engine", EngineKind.MODEL, problems)
    rules = _text(
        path / "rules.json.j2",
        problems,
        required=fallback is OnUnavailable.RULES or engine is EngineKind.RULES,
    )
    system = _text(path / "system.j2", problems, required=False)
    input_schema = _object(path / "input.schema.json", problems)
    output_schema = _object(path / "output.schema.json", problems)
    cases = _cases(path / "cases.jsonl", problems)
    max_tokens = manifest.get("max_tokens", 256)
    if isinstance(max_tokens, int) and not 1 <= max_tokens <= MAX_OUTPUT_TOKENS:
        problems.append(
            f"task.toml: max_tokens is {max_tokens}, allowed is 1 to {MAX_OUTPUT_TOKENS}"
        )
    retrieval = _retrieval(manifest.get("retrieval"), input_schema, problems)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise InvalidConfig(f"the task in `{path}` has {len(problems)} problem(s):\n{listed}")
    assert prompt is not None
    assert isinstance(max_tokens, int)
    return Folder(
        path=path,
        name=str(manifest["name"]),
        version=str(manifest["version"]),
        title=str(manifest["title"]),
        model=str(manifest.get("model", "smollm2")),
        max_tokens=max_tokens,
        engine=engine,
        on_unavailable=fallback,
        system=system,
        prompt=prompt,
        rules=rules,
        input_schema=input_schema,
        output_schema=output_schema,
        cases=cases,
        retrieval=retrieval,
    )


def files(path: Path) -> Mapping[str, bytes]:
    """Return the files that decide the answers, by name. The folder was read before.

    Raises:
        InvalidConfig: one of them went missing meanwhile.

    """
    found: dict[str, bytes] = {}
    for name in _FILES:
        target = path / name
        try:
            with target.open("rb") as file:
                found[name] = file.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InvalidConfig(f"`{target}` cannot be read: {error.strerror}") from error
    return found


def unpacked(files: Mapping[str, str]) -> Folder:
    """Return the task whose files, by name, are elsewhere; other names are left out.

    Raises:
        InvalidConfig: something is missing or malformed; every problem is listed.

    """
    with TemporaryDirectory(prefix="lockgate-task-") as name:
        path = Path(name)
        for at in _FILES:
            if at in files:
                (path / at).write_bytes(files[at].encode("utf-8"))
        return read(path)


def create(path: Path, name: str) -> list[Path]:
    """Write a new task that runs and has a passing case; return its files.

    Raises:
        UsageError: the name is not usable, or something is there already.

    """
    if not name.replace("-", "").isalnum() or not name.islower() or not name.isascii():
        raise UsageError(
            f"`{name}` cannot be a task's name",
            hint="use lower-case letters, digits and hyphens, such as `log-triage`",
        )
    if path.exists():
        raise UsageError(f"`{path}` exists already", hint="choose another name")
    path.mkdir(parents=True)
    written = []
    for source in sorted(_template().iterdir(), key=lambda item: item.name):
        target = path / source.name
        target.write_text(source.read_text("utf-8").replace("@NAME@", name), "utf-8")
        written.append(target)
    return written


def _template() -> resources.abc.Traversable:
    return resources.files("lockgate.tasks.prompt") / "template"


def _manifest(path: Path, problems: list[str]) -> Mapping[str, Json]:
    text = _text(path / "task.toml", problems, required=True)
    if text is None:
        return {}
    try:
        manifest = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"task.toml: not TOML: {error}")
        return {}
    for key, value in manifest.items():
        expected = _KEYS.get(key)
        if expected is None:
            near = get_close_matches(key, _KEYS, n=1)
            problems.append(
                f"task.toml: unknown key `{key}`" + (f", did you mean `{near[0]}`?" if near else "")
            )
        elif type(value) is not expected:
            problems.append(
                f"task.toml: `{key}` is a {type(value).__name__}, not a {expected.__name__}"
            )
    problems.extend(f"task.toml: `{key}` is missing" for key in _REQUIRED if key not in manifest)
    return manifest


def _retrieval(table: Json, schema: JsonObject, problems: list[str]) -> Retrieval | None:
    if not isinstance(table, dict):
        return None
    before = len(problems)
    for key, value in table.items():
        expected = _RETRIEVAL_KEYS.get(key)
        if expected is None:
            problems.append(
                f"task.toml: unknown key `retrieval.{key}`, known are {', '.join(_RETRIEVAL_KEYS)}"
            )
        elif type(value) is not expected:
            problems.append(
                f"task.toml: `retrieval.{key}` is a {type(value).__name__}, "
                f"not a {expected.__name__}"
            )
    problems.extend(
        f"task.toml: `retrieval.{key}` is missing" for key in ("index", "query") if key not in table
    )
    k = table.get("k", 4)
    if isinstance(k, int) and not 1 <= k <= MOST_PASSAGES:
        problems.append(f"task.toml: retrieval.k is {k}, allowed is 1 to {MOST_PASSAGES}")
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and _PASSAGES in properties:
        problems.append(f"input.schema.json: `{_PASSAGES}` is what `[retrieval]` gives")
    if len(problems) > before:
        return None
    assert isinstance(k, int)
    return Retrieval(
        index=str(table["index"]).removeprefix("index/"),
        query=str(table["query"]),
        k=k,
        embedder=str(table.get("embedder", "")),
    )


def _choice(manifest: Mapping[str, Json], key: str, default: Choice, problems: list[str]) -> Choice:
    value = manifest.get(key, default)
    kind = type(default)
    try:
        return kind(str(value))
    except ValueError:
        allowed = " and ".join(f"`{choice}`" for choice in kind)
        problems.append(f"task.toml: {key} is `{value}`, allowed are {allowed}")
        return default


def _text(path: Path, problems: list[str], *, required: bool) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if required:
            problems.append(f"{path.name}: the file is missing")
        return None
    except OSError as error:
        problems.append(f"{path.name}: {error.strerror}")
        return None
    if len(data) > MAX_FILE_BYTES:
        problems.append(f"{path.name}: larger than {MAX_FILE_BYTES} bytes")
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problems.append(f"{path.name}: not UTF-8 at byte {error.start}")
        return None


def _object(path: Path, problems: list[str]) -> JsonObject:
    text = _text(path, problems, required=True)
    if text is None:
        return {}
    value = _parse(text, path.name, problems)
    if not isinstance(value, dict):
        problems.append(f"{path.name}: not a JSON object")
        return {}
    return value


def _cases(path: Path, problems: list[str]) -> tuple[Case, ...]:
    cases: list[Case] = []
    for number, line in enumerate((_text(path, problems, required=False) or "").splitlines(), 1):
        if not line.strip():
            continue
        value = _parse(line, f"{path.name}:{number}", problems)
        match value:
            case {"name": str(name), "input": dict(given), "expect": dict(expect), **rest}:
                if rest:
                    problems.append(f"{path.name}:{number}: unknown member `{next(iter(rest))}`")
                cases.append(Case(name=name, input=given, expect=expect))
            case _:
                problems.append(
                    f"{path.name}:{number}: not an object with `name`, `input` and `expect`"
                )
        if len(cases) > MAX_CASES:
            problems.append(f"{path.name}: more than {MAX_CASES} cases")
            break
    return tuple(cases)


def _parse(text: str, where: str, problems: list[str]) -> Json:
    try:
        value: Json = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        problems.append(f"{where}: not JSON: {error}")
        return None
    return value
