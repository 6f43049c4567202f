"""What a request passes through at the gateway, each stage by what the edge needs of it.

Every method is called on the hot path: synchronous, in memory, no waiting.
"""

from collections.abc import Set as AbstractSet
from typing import Protocol

from lockgate.domain.call import Principal
from lockgate.domain.digest import JsonObject


class Caller(Protocol):
    """Who is calling, and what that caller may reach."""

    @property
    def key(self) -> str: ...

    @property
    def team(self) -> str: ...

    @property
    def roles(self) -> AbstractSet[str]: ...

    @property
    def principal(self) -> Principal:
        """The caller as the engine and the audit log know it."""
        ...

    def may(self, kind: str, name: str) -> bool:
        """Say whether a scope names this task, model or route, or all of them."""
        ...


class Authenticator(Protocol):
    """Says who is calling."""

    def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> Caller:
        """Return the caller that the headers prove.

        Raises:
            Unauthenticated: they prove none.

        """
        ...


class AuditSink(Protocol):
    """Takes audit events of calls that are no task's; they are written in groups."""

    @property
    def records(self) -> bool:
        """Whether it wants any: what nobody reads need not be put together."""
        ...

    @property
    def waiting(self) -> int:
        """How many events are not written yet."""
        ...

    def refuse_if_full(self) -> None:
        """Refuse a call that could not be recorded. Asked before the call is made.

        Raises:
            Unavailable: too many events wait to be written.

        """
        ...

    def note(self, call: str, actor: str, subject: str, detail: JsonObject) -> None:
        """Queue the event of one call, by its id."""
        ...
