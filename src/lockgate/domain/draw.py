"""Draws that a seed decides: the same on every machine and with every version of Python."""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_WORD: Final = 8
_WORDS: Final = 4
_RANGE: Final = 1 << (8 * _WORD)


class Draw:
    """Numbers from SHA-256 over the seed, the names and a counter. Nothing for secrets."""

    def __init__(self, seed: int, *names: str) -> None:
        self._key = "\0".join([str(seed), *names]).encode("utf-8", "backslashreplace")
        self._counter = 0
        self._words: list[int] = []

    def below(self, limit: int) -> int:
        """Return a whole number from 0 up to but not `limit`, each as likely as the others."""
        if limit < 1:
            raise ValueError(f"nothing is below {limit}")
        # Words past the last whole multiple are drawn again, so that no remainder is favoured.
        fair = _RANGE - _RANGE % limit
        while (word := self._word()) >= fair:
            pass
        return word % limit

    def share(self) -> float:
        """Return a number from 0 up to but not 1, in steps of 2^-53."""
        return (self._word() >> 11) / (1 << 53)

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return values[self.below(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return the values in a random order (Fisher and Yates, Durstenfeld 1964)."""
        row = list(values)
        for at in range(len(row) - 1, 0, -1):
            other = self.below(at + 1)
            row[at], row[other] = row[other], row[at]
        return row

    def text(self, alphabet: str, length: int) -> str:
        """Return characters of an alphabet."""
        return "".join(self.pick(alphabet) for _ in range(length))

    def _word(self) -> int:
        if not self._words:
            block = hashlib.sha256(b"%d\0%s" % (self._counter, self._key)).digest()
            self._counter += 1
            self._words = [
                int.from_bytes(block[at * _WORD : (at + 1) * _WORD]) for at in range(_WORDS)
            ]
        return self._words.pop()
