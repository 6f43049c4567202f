"""Reads the families of attacks: data of this package."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.redteam.mutations import MUTATIONS

OWASP: Final[Mapping[str, str]] = {
    "LLM01": "Prompt injection",
    "LLM02": "Sensitive information disclosure",
    "LLM03": "Supply chain",
    "LLM04": "Data and model poisoning",
    "LLM05": "Improper output handling",
    "LLM06": "Excessive agency",
    "LLM07": "System prompt leakage",
    "LLM08": "Vector and embedding weaknesses",
    "LLM09": "Misinformation",
    "LLM10": "Unbounded consumption",
}
"""OWASP Top 10 for LLM Applications 2025."""
CALL: Final = "call"
"""The surface of attacks on the call beside its input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Attacks of one kind."""

    id: str
    owasp: str
    title: str
    goals: frozenset[str]
    """The signs that count as success of the family."""
    texts: tuple[str, ...]
    mutations: tuple[str, ...]
    """What the texts may go through."""
    least: int
    """The least number of mutations."""
    on_call: bool
    """Whether it attacks the call rather than the input."""
    secret: bool
    """Whether a secret is planted in the input beside the attack."""


def load_families() -> tuple[Family, ...]:
    """Return the families, in the file's order."""
    text = Path(__file__).with_name("families.toml").read_text("utf-8")
    return tuple(_family(row) for row in tomllib.loads(text)["families"])


def _family(row: Mapping[str, Any]) -> Family:
    mutations = row["mutations"]
    return Family(
        id=row["id"],
        owasp=row["owasp"],
        title=row["title"],
        goals=frozenset(row["goals"]),
        texts=tuple(row["texts"]),
        mutations=tuple(MUTATIONS) if mutations == "any" else tuple(mutations),
        least=row.get("least", 0),
        on_call=row.get("surfaces") == CALL,
        secret=row.get("secret", False),
    )
