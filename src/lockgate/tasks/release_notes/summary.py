"""The paragraph at the top, and what the model is asked for."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from lockgate.domain.inference import Generate, Message
from lockgate.domain.prompt import Prompt, Variable
from lockgate.tasks.release_notes import clauses, highlights

MAX_CHARACTERS = 900

_NAMES: Mapping[str, tuple[str, str]] = {
    "breaking": ("breaking change", "breaking changes"),
    "added": ("addition", "additions"),
    "changed": ("change", "changes"),
    "deprecated": ("deprecation", "deprecations"),
    "removed": ("removal", "removals"),
    "fixed": ("fix", "fixes"),
    "security": ("security fix", "security fixes"),
    "documentation": ("documentation change", "documentation changes"),
    "dependencies": ("dependency update", "dependency updates"),
    "internal": ("internal change", "internal changes"),
    "other": ("other change", "other changes"),
}
_EXAMPLE = ("Add dark mode", "Fix crash on empty files", "YAML support in `config.load`")
_REWRITTEN = (
    "adds dark mode",
    "fixes a crash on empty files",
    "supports YAML in `config.load`",
)


def counts(name: str, since: str | None, sizes: Mapping[str, int]) -> str:
    """Say in one sentence how many changes of each kind there are."""
    after = f" since {since}" if since else ""
    found = [_count(number, *_NAMES[key]) for key, number in sizes.items()]
    if not found:
        return f"{name} brings no changes that people made{after}."
    return f"{name} brings {_and(found)}{after}."


def compose(counted: str, clauses: Sequence[str], titles: Sequence[str]) -> str:
    """Return the paragraph: the counts, the clauses, then the titles that make no clause."""
    text = counted
    if clauses:
        text += f" It {'; '.join(clauses)}."
    if titles:
        text += f" {'Also' if clauses else 'Highlights'}: {'; '.join(titles)}."
    return text


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _and(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def request(titles: Sequence[str]) -> Generate:
    """Ask for each title rewritten in the third person, as an object with a key for each."""
    keys = [str(at) for at in range(1, len(titles) + 1)]
    return PROMPT.request(
        {"titles": _numbered(titles)},
        schema={
            "type": "object",
            "additionalProperties": False,
            "required": keys,
            "properties": {
                key: {"type": "string", "maxLength": len(title) + 20}
                for key, title in zip(keys, titles, strict=True)
            },
        },
    )


def _numbered(texts: Sequence[str]) -> str:
    return json.dumps({str(at): text for at, text in enumerate(texts, 1)}, ensure_ascii=False)


PROMPT: Final = Prompt(
    name="highlights",
    messages=(
        Message(
            role="system",
            content="You rewrite titles of changes so that each continues the sentence "
            '"This release ...". Keep the words of each title.',
        ),
        Message(role="user", content=_numbered(_EXAMPLE)),
        Message(role="assistant", content=_numbered(_REWRITTEN)),
        Message(role="user", content="{{ titles }}"),
    ),
    # A quote or a backslash takes two characters in JSON; so do the key and its comma.
    variables=(Variable(name="titles", max_chars=highlights.MOST * (2 * clauses.MAX_TITLE + 16)),),
    max_tokens=200,
)
