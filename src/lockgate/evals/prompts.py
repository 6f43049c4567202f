"""The `prompts` and `providers` of a suite."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig
from lockgate.evals.fields import Problems, mapping, text, texts
from lockgate.evals.files import SCHEME, Files, read_text
from lockgate.evals.javascript import stringify, trim
from lockgate.evals.suite import Prompt, Provider
from lockgate.evals.transform import transform_problem
from lockgate.evals.yaml_document import plain

_DELIMITER = "---"
_FILE = re.compile(r"[^\n]{1,1000}\.(txt|json|jsonl|ya?ml|md|j2)\Z")
_PROVIDER = frozenset({"id", "label", "config", "prompts", "transform", "delay", "env"})


def read_prompts(found: Json, files: Files, problems: Problems) -> tuple[Prompt, ...]:
    """Return the prompts: texts, files, or objects with `id`, `label` and `raw`."""
    entries: list[Json] = []
    if isinstance(found, Mapping):  # an object: names to labels
        entries = [{"id": name, "label": label} for name, label in found.items()]
    elif isinstance(found, str):
        entries = [found]
    elif isinstance(found, Sequence):
        entries = list(found)
    prompts: list[Prompt] = []
    for entry in entries:
        try:
            prompts.extend(_prompts(entry, files, problems))
        except InvalidConfig as error:
            problems.add(entry if isinstance(entry, Mapping) else found, error.message)
    return tuple(prompts)


def read_providers(found: Json, problems: Problems) -> tuple[Provider, ...]:
    """Return the providers: ids, objects with an `id`, or objects under their id."""
    if found is None:
        return ()
    entries = [found] if isinstance(found, str | Mapping) else found
    if not isinstance(entries, Sequence):
        problems.add(None, "`providers` is not a list")
        return ()
    providers: list[Provider] = []
    for entry in entries:
        if isinstance(entry, str):
            providers.append(Provider(id=entry))
        elif isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            providers.append(_provider(entry, str(entry["id"]), problems))
        elif isinstance(entry, Mapping) and len(entry) == 1:
            name, options = next(iter(entry.items()))
            inner = options if isinstance(options, Mapping) else {}
            providers.append(_provider(inner, str(inner.get("id") or name), problems))
        else:
            problems.add(entry, "a provider has no `id`")
    return tuple(providers)


def _provider(entry: Mapping[str, Json], id_: str, problems: Problems) -> Provider:
    code = entry.get("transform")
    if code is not None and (problem := transform_problem(code)):
        problems.add(entry, f"`transform`: {problem}")
    return Provider(
        id=id_,
        label=text(entry, "label", problems),
        config=mapping(entry, "config", problems),
        prompts=texts(entry, "prompts", problems),
        transform=code if isinstance(code, str) else "",
    )


def _prompts(entry: Json, files: Files, problems: Problems) -> Iterator[Prompt]:
    if isinstance(entry, str):
        if entry.startswith(SCHEME) or (_FILE.match(entry) and _is_file(entry, files)):
            yield from _from_files(entry, files, "")
        else:
            yield Prompt(raw=entry, label=entry)
        return
    if not isinstance(entry, Mapping):
        problems.add(entry, "a prompt is neither text nor an object")
        return
    label = text(entry, "label", problems)
    raw = entry.get("raw")
    if raw is not None:
        body = raw if isinstance(raw, str) else stringify(raw)
        yield Prompt(raw=body, label=label or body, id=text(entry, "id", problems))
        return
    named = text(entry, "id", problems) or text(entry, "file", problems)
    if not named:
        problems.add(entry, "a prompt has neither `raw` nor `id`")
    elif named.startswith(SCHEME) or _is_file(named, files):
        yield from _from_files(named, files, label)
    else:
        yield Prompt(raw=named, label=label or named)


def _is_file(name: str, files: Files) -> bool:
    try:
        return files.resolve(name).is_file()
    except (InvalidConfig, OSError):
        return False


def _from_files(reference: str, files: Files, label: str) -> Iterator[Prompt]:
    for path in files.matching(reference):
        body = read_text(path)
        shown = label or files.shown(path)
        if path.suffix == ".txt":
            parts = _split(body)
            for part in parts:
                yield Prompt(raw=part, label=shown if len(parts) == 1 else f"{shown}: {part}")
        elif path.suffix == ".jsonl":
            for line in filter(None, map(trim, body.splitlines())):
                yield Prompt(raw=line, label=f"{shown}: {line}")
        elif path.suffix in {".yaml", ".yml"}:
            yield Prompt(raw=json.dumps(plain(body), ensure_ascii=False), label=shown)
        else:
            yield Prompt(raw=trim(body), label=shown)


def _split(body: str) -> list[str]:
    """Cut at the lines that are three dashes."""
    parts: list[list[str]] = [[]]
    for line in body.splitlines():
        if trim(line) == _DELIMITER:
            parts.append([])
        else:
            parts[-1].append(line)
    return [joined for part in parts if (joined := trim("\n".join(part)))]
