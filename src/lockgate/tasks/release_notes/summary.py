"""The paragraph at the top, and what the model is asked for."""

import json
from collections.abc import Mapping, Sequence

from lockgate.domain.inference import Generate, Message

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
    return Generate(
        messages=(
            Message(
                role="system",
                content="You rewrite titles of changes so that each continues the sentence "
                '"This release ...". Keep the words of each title.',
            ),
            Message(role="user", content=_numbered(_EXAMPLE)),
            Message(role="assistant", content=_numbered(_REWRITTEN)),
            Message(role="user", content=_numbered(titles)),
        ),
        schema={
            "type": "object",
            "additionalProperties": False,
            "required": keys,
            "properties": {
                key: {"type": "string", "maxLength": len(title) + 20}
                for key, title in zip(keys, titles, strict=True)
            },
        },
        max_tokens=200,
    )


def _numbered(texts: Sequence[str]) -> str:
    return json.dumps({str(at): text for at, text in enumerate(texts, 1)}, ensure_ascii=False)
