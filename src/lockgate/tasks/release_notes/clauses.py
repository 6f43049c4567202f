"""Highlights as clauses that continue `This release …`: made by rules, or judged if a model did."""

from collections.abc import Sequence

from lockgate.tasks.release_notes import grounding, path_rules, subjects

MAX_TITLE = 120
_MISSING = 0.34
_STEM = 5
_LONGER = 40
_PAST = frozenset({
    "added", "allowed", "changed", "disabled", "dropped", "enabled", "fixed", "implemented",
    "improved", "introduced", "moved", "prevented", "reduced", "removed", "renamed", "replaced",
    "updated", "upgraded",
})  # fmt: skip
"""Past forms that begin a title as a verb; `searched`, say, is more often part of a noun."""
_MARKUP = ("](", "<", "**", "```", "\n", "\\")


def by_rules(title: str) -> str | None:
    """Return the title in the third person; None if it does not begin with a verb."""
    title = shortened(title)
    first, _, rest = title.partition(" ")
    word = first.lower()
    if not rest or not first.isalpha():
        return None
    if word == "new" and ":" not in rest:
        return f"brings new {rest}"
    base = path_rules.verb(word)
    if base is None or (word.endswith("ed") and word not in _PAST):
        return None
    if word.endswith("ing") and rest.startswith("of "):
        return None
    return f"{third_person(base)} {rest}"


def third_person(base: str) -> str:
    """Return the third person singular of an English verb's base form."""
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return f"{base}es"
    if base.endswith("y") and base[-2:-1] not in set("aeiou"):
        return f"{base[:-1]}ies"
    return f"{base}s"


def shortened(title: str) -> str:
    """Cut a long title at a word."""
    title = title.rstrip(".")
    if len(title) <= MAX_TITLE:
        return title
    return title[:MAX_TITLE].rpartition(" ")[0] + " …"


def fault(clause: str, title: str, context: Sequence[str] = ()) -> str | None:
    """Say why a generated clause may not stand for a title; None if it may.

    It must begin with the title's verb, keep most of its words and bring none that neither the
    title nor `context` (its pull request's title) has. A small model swaps, repeats and invents.
    """
    if "secret:" in clause or any(mark in clause and mark not in title for mark in _MARKUP):
        return "it holds markup or a placeholder"
    if not clause or len(clause) > len(title) + _LONGER:
        return "it is empty or too long"
    problem = grounding.problem(clause, [title, *context])
    return problem or _unlike(clause, title, context) or _other_verb(clause, title)


def _unlike(clause: str, title: str, context: Sequence[str]) -> str | None:
    wanted, found = _stems(title), _stems(clause)
    known = set(wanted).union(*(_stems(text) for text in context))
    if strange := [stem for stem in found if stem not in known]:
        return f"it brings in `{strange[0]}`"
    if sum(stem not in found for stem in set(wanted)) > _MISSING * len(set(wanted)):
        return "it leaves out too much"
    if len(found) - len(set(found)) > len(wanted) - len(set(wanted)):
        return "it repeats itself"
    return None


def _other_verb(clause: str, title: str) -> str | None:
    verb, own = _verb(clause), _verb(title)
    if verb is None:
        return "it does not begin with a verb"
    return "it has another verb" if own is not None and own != verb else None


def _verb(text: str) -> str | None:
    return path_rules.verb(text.partition(" ")[0].lower())


def _stems(text: str) -> list[str]:
    return [(path_rules.verb(word) or word)[:_STEM] for word in subjects.words(text)]
