"""Reads the secret rules: data in the shape of gitleaks' configuration."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of secret."""

    id: str
    description: str
    regex: str
    """RE2. The group `group` is the secret."""
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


def load_rules() -> tuple[Rule, ...]:
    """Return the rules of the package, in the order in which they are tried."""
    text = Path(__file__).with_name("rules.toml").read_text("utf-8")
    document = tomllib.loads(text)
    everywhere = document["allowlist"]["regexes"]
    return tuple(_rule(rule, everywhere) for rule in document["rules"])


def _rule(rule: Mapping[str, Any], everywhere: Sequence[str]) -> Rule:
    allowed = [*everywhere, *rule.get("allowlist", {}).get("regexes", ())]
    return Rule(
        id=rule["id"],
        description=rule["description"],
        regex=rule["regex"],
        keywords=tuple(rule["keywords"]),
        entropy=rule.get("entropy", 0.0),
        group=rule["secretGroup"],
        allowed="|".join(f"(?:{regex})" for regex in allowed),
        positives=tuple(rule["positives"]),
        negatives=tuple(rule["negatives"]),
    )


def entropy(text: str) -> float:
    """Return the Shannon entropy of `text` in bits a character (Shannon 1948, section 6)."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def expand(example: str) -> str:
    """Return the text of a positive: each `{CHARSET:N}` is N varied characters of that class."""

    def characters(match: re.Match[str]) -> str:
        allowed = [chr(c) for c in range(33, 127) if re.match(f"[{match[1]}]", chr(c))]
        # A fixed stride that shares no factor with the length visits every character in turn.
        stride = next(s for s in range(len(allowed) // 3 + 1, 99) if math.gcd(s, len(allowed)) == 1)
        return "".join(allowed[(i * stride + i // 7) % len(allowed)] for i in range(int(match[2])))

    return re.sub(r"\{([^{}:]+):(\d+)\}", characters, example)
