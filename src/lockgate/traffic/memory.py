"""Shared state of replicas that are all in this process: one of them, mostly."""

from collections.abc import Callable


class MemoryState:
    """Implements `ports.SharedState`. What it holds ends with the process."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    async def read(self, name: str) -> str | None:
        return self._texts.get(name)

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        self._texts[name] = change(self._texts.get(name))
