"""Cuts a text down to what still does it: delta debugging.

Zeller and Hildebrandt 2002, "Simplifying and isolating failure-inducing input", IEEE Transactions
on Software Engineering 28(2), algorithm ddmin.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

_WORDS: Final = re.compile(r"\s*\S+\s*")
_FEW: Final = 4
_LONG_WORD: Final = 200


async def minimise(text: str, holds: Callable[[str], Awaitable[bool]], *, most: int) -> str:
    """Return a part of a text for which `holds` still holds, asking at most `most` times.

    By words, and by characters where few words are left. Not necessarily the shortest part.
    """
    left = most

    async def asked(parts: Sequence[str]) -> bool:
        nonlocal left
        if left < 1:
            return False
        left -= 1
        return await holds("".join(parts))

    parts = await _reduced(_WORDS.findall(text) or [text], asked)
    if len(parts) <= _FEW and sum(map(len, parts)) <= _LONG_WORD:
        parts = await _reduced(list("".join(parts)), asked)
    return "".join(parts)


async def _reduced(
    parts: list[str], holds: Callable[[Sequence[str]], Awaitable[bool]]
) -> list[str]:
    pieces = 2
    while len(parts) > 1:
        size = -(-len(parts) // pieces)
        for start in range(0, len(parts), size):
            rest = parts[:start] + parts[start + size :]
            if rest and await holds(rest):
                parts = rest
                pieces = max(2, pieces - 1)
                break
        else:
            if size == 1:
                return parts
            pieces = min(len(parts), 2 * pieces)
    return parts
