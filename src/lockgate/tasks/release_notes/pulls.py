"""Reads pull request metadata: a file as `gh pr list --json` writes it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput, NotFound
from lockgate.tasks.release_notes import bots, history

FIELDS = "number,title,body,labels,author,mergeCommit"
_HINT = f"write it with `gh pr list --state merged --limit 500 --json {FIELDS}`"
_MAX_BYTES = 64 * 1024 * 1024
_MAX_LABELS = 20
_MAX_BODY = 2_000
_MAX_NUMBER = 2**31


def load(path: Path) -> Sequence[Mapping[str, Json]]:
    """Return the pull requests of a file, ordered by number.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not such a list; the message names the first wrong item.

    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise NotFound(f"cannot read `{path}`: {error.strerror}", hint=_HINT) from error
    if len(data) > _MAX_BYTES:
        raise InvalidInput(f"`{path}` is larger than {_MAX_BYTES} bytes", hint=_HINT)
    try:
        listed = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"`{path}` is not JSON: {error}", hint=_HINT) from error
    if not isinstance(listed, list):
        raise InvalidInput(f"`{path}` holds no list of pull requests", hint=_HINT)
    by_number = {}
    for at, item in enumerate(listed):
        pull = _pull(item, f"`{path}`, item {at}")
        by_number[pull["number"]] = pull
    return [by_number[number] for number in sorted(by_number)]


def _pull(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise InvalidInput(f"{where} is not an object", hint=_HINT)
    number = item.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < _MAX_NUMBER:
        raise InvalidInput(f"{where} has no `number`", hint=_HINT)
    for key, kind in (("title", str), ("body", str), ("labels", list), ("author", dict)):
        if item.get(key) is not None and not isinstance(item[key], kind):
            raise InvalidInput(f"{where}: `{key}` is not a {kind.__name__}", hint=_HINT)
    pull: dict[str, Any] = {"number": number}
    if title := history.clean_line(item.get("title") or "", history.MAX_SUBJECT):
        pull["title"] = title
    if body := history.clean_body(item.get("body") or "")[:_MAX_BODY]:
        pull["body"] = body
    if labels := [name for label in item.get("labels") or () if (name := _name(label))]:
        pull["labels"] = labels[:_MAX_LABELS]
    author = item.get("author") or {}
    if author.get("is_bot") is True or bots.is_bot(str(author.get("login", ""))):
        pull["bot"] = True
    merge = item.get("mergeCommit")
    oid = merge.get("oid") if isinstance(merge, dict) else None
    if isinstance(oid, str):
        pull["commit"] = oid[:64]
    return pull


def _name(label: Any) -> str:
    name = label.get("name") if isinstance(label, dict) else label
    return history.clean_line(name, 100) if isinstance(name, str) else ""
