"""The paragraph at the top: the deterministic one, and what the model is asked for."""

from collections.abc import Mapping, Sequence

from lockgate.domain.digest import JsonObject
from lockgate.domain.inference import Generate, Message
from lockgate.tasks.release_notes.commits import Change

_MAX_TITLE = 120
_MAX_CONTEXT = 300
MAX_CHARACTERS = 700

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

SCHEMA: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary"],
    "properties": {"summary": {"type": "string", "minLength": 20, "maxLength": 320}},
}


def written(
    name: str,
    since: str | None,
    sections: Mapping[str, Sequence[Change]],
    highlights: Sequence[Change],
) -> str:
    """Return the deterministic paragraph. `name` is the release's, `since` the one before."""
    counted = [_count(len(listed), *_NAMES[key]) for key, listed in sections.items()]
    after = f" since {since}" if since else ""
    if not counted:
        return f"{name} brings no changes that people made{after}."
    text = f"{name} brings {_and(counted)}{after}."
    if not highlights:
        return text
    for most in range(len(highlights), 0, -1):
        titles = "; ".join(lowered(c.text) for c in highlights[:most])
        full = f"{text} Highlights: {titles}."
        if len(full) <= MAX_CHARACTERS:
            return full
    return text


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _and(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def lowered(text: str) -> str:
    """Return a title as part of a sentence: shortened, its first word in lower case."""
    if len(text) > _MAX_TITLE:
        text = text[:_MAX_TITLE].rpartition(" ")[0] + " …"
    first = text.partition(" ")[0]
    if first[1:].islower() and first.isalpha():
        text = text[:1].lower() + text[1:]
    return text


def request(highlights: Sequence[Change], context: Sequence[str]) -> Generate:
    """Ask for one or two sentences on the highlights. `context` is what requests say of them."""
    listed = "\n".join(f"- {change.text[:_MAX_TITLE]}" for change in highlights)
    more = "\n".join(f"- {' '.join(text.split())[:_MAX_CONTEXT]}" for text in context)
    question = f"Changes:\n{listed}"
    if more:
        question += f"\n\nDetails:\n{more}"
    return Generate(
        messages=(
            Message(
                role="system",
                content="You write release notes. Summarise the changes in one sentence. "
                "Use only words from the list. Do not add facts, names or numbers.",
            ),
            Message(role="user", content=question),
        ),
        schema=SCHEMA,
        max_tokens=90,
    )
