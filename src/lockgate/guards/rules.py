"""Reads rules: data in the shape of gitleaks' configuration, with a category and a validator."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lockgate.domain.guard import Category

CATALOGUES = {
    Category.SECRETS: "rules.toml",
    Category.PERSONAL: "personal.toml",
    Category.LINKS: "links.toml",
    Category.PROFANITY: "profanity.toml",
}
"""The file of each category whose rules are patterns."""
_ROUNDING = 1e-9
"""By how much a sum of floats may differ from what it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of thing to find."""

    id: str
    description: str
    regex: str
    """RE2. The group `group` is what is found."""
    keywords: tuple[str, ...]
    """Lower case; the rule is tried only on a text that holds one of them."""
    entropy: float
    """Least Shannon entropy of the secret, in bits a character; 0 asks for none."""
    group: int
    allowed: str
    """RE2. A secret in which it is found is an example, or stands for one that is elsewhere."""
    positives: tuple[str, ...]
    """Templates of texts with a secret; see `expand`."""
    negatives: tuple[str, ...]
    category: Category = Category.SECRETS
    validator: str = ""
    """Name of the function that has the last word; see `lockgate.guards.validators`."""
    place: int = 0
    """In its catalogue. Of two rules that find the same, the one that is listed first names it."""


def load_rules(category: Category = Category.SECRETS) -> tuple[Rule, ...]:
    """Return the package's rules of a category, in the order in which they are tried."""
    text = Path(__file__).with_name(CATALOGUES[category]).read_text("utf-8")
    document = tomllib.loads(text)
    everywhere = document.get("allowlist", {}).get("regexes", ())
    return tuple(
        replace(_rule(rule, category, everywhere), place=place)
        for place, rule in enumerate(document["rules"])
    )


def _rule(rule: Mapping[str, Any], category: Category, everywhere: Sequence[str]) -> Rule:
    allowed = [*everywhere, *rule.get("allowlist", {}).get("regexes", ())]
    return Rule(
        id=rule["id"],
        description=rule["description"],
        regex=rule["regex"],
        keywords=tuple(rule.get("keywords", ())),
        entropy=rule.get("entropy", 0.0),
        group=rule.get("secretGroup", 0),
        allowed="|".join(f"(?:{regex})" for regex in allowed),
        positives=tuple(rule["positives"]),
        negatives=tuple(rule["negatives"]),
        category=category,
        validator=rule.get("validator", ""),
    )


def entropy(text: str) -> float:
    """Return the Shannon entropy of `text` in bits a character (Shannon 1948, section 6)."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


_END = 40
"""Characters of a long text that are looked at first."""


def is_varied(value: bytes, least: float) -> bool:
    """Say whether the Shannon entropy of a text in UTF-8, or of its end, is at least `least`.

    Mostly the number of distinct bytes is enough to tell, without counting each of them: of a long
    text that of its end, so that the longest match costs no more than others.
    """
    if not value.isascii():
        return entropy(value.decode("utf-8", "replace")) >= least
    if len(value) > _END and _entropy_range(_END, len(set(value[-_END:])))[0] >= least:
        return True
    size, distinct = len(value), set(value)
    low, high = _entropy_range(size, len(distinct))
    if high < least or low >= least:
        return low >= least
    return sum(map(_surprises(size).__getitem__, map(value.count, distinct))) >= least


@lru_cache(maxsize=256)
def _surprises(size: int) -> list[float]:
    """Return what a character adds to the entropy of `size` characters, by how often it stands."""
    return [0.0, *(-(n / size) * math.log2(n / size) for n in range(1, size + 1))]


@lru_cache(maxsize=4096)
def _entropy_range(size: int, distinct: int) -> tuple[float, float]:
    """Return the least and the most entropy of `size` characters of which `distinct` differ.

    The least is that of a text in which all but one stand once; the most that of equal shares.
    """
    if distinct <= 1:
        return 0.0, 0.0
    most = size - distinct + 1
    low = -(most / size) * math.log2(most / size) + (distinct - 1) / size * math.log2(size)
    return low - _ROUNDING, math.log2(distinct) + _ROUNDING


def expand(example: str) -> str:
    """Return the text of a positive: each `{CHARSET:N}` is N varied characters of that class."""

    def characters(match: re.Match[str]) -> str:
        allowed = [chr(c) for c in range(33, 127) if re.match(f"[{match[1]}]", chr(c))]
        # A fixed stride that shares no factor with the length visits every character in turn.
        stride = next(s for s in range(len(allowed) // 3 + 1, 99) if math.gcd(s, len(allowed)) == 1)
        return "".join(allowed[(i * stride + i // 7) % len(allowed)] for i in range(int(match[2])))

    return re.sub(r"\{([^{}:]+):(\d+)\}", characters, example)
