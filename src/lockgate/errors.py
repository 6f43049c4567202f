"""Every error that a person can meet, in one tree.

LockgateError
├── UsageError            the request or the configuration is wrong; retrying will not help
│   ├── InvalidConfig     lockgate.toml does not match its schema
│   ├── InvalidInput      the input of a task is not what the task takes
│   ├── NotFound          no such task, model, revision or audit entry
│   ├── Taken             there is something of that name already
│   ├── Denied            the principal, or a policy, does not allow it
│   └── Unauthenticated   the request says not who is calling, or cannot prove it
├── OverBudget            the call would use more than its budget
├── Unavailable           a dependency failed; the same call may succeed later
│   ├── ModelMissing      the model is not in the local store
│   ├── Overloaded        there is more work than can be done in time
│   ├── TurnedOff         the kill switch stops the model, the task, or everything
│   ├── UpstreamFailed    a model server elsewhere gave no valid answer
│   ├── UpstreamTimeout   a model server elsewhere was too slow
│   └── NoAnswer          every way to an answer failed and the task may not fall back
├── StorageFailed         the disk is full, read-only, or cannot be locked
└── Corrupt               stored bytes do not match their digest, or the audit chain is broken

Programming mistakes are not in this tree: they raise TypeError, ValueError or AssertionError.
"""

from typing import ClassVar

_FREE = frozenset({"connect", "status", "circuit-open", "overloaded"})


class LockgateError(Exception):
    """Base of the tree. `message` says what happened; `hint` says what to do about it."""

    code: ClassVar[str] = "internal"
    """Stable name for machines: in API bodies, `--json` output and the docs' anchors."""

    def __init__(
        self, message: str, *, hint: str | None = None, request_hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.request_hint = request_hint
        """What to do about it for who asked by HTTP, if `hint` names commands and their options."""

    @property
    def advice(self) -> str:
        """The message and the hint in one line: for a reason inside an answer."""
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UsageError(LockgateError):
    """The caller must change something."""

    code = "usage"


class InvalidConfig(UsageError):
    """The configuration file does not match its schema."""

    code = "invalid-config"


class InvalidInput(UsageError):
    """The input is not what the task takes."""

    code = "invalid-input"


class NotFound(UsageError):
    """No such task, model, revision or audit entry."""

    code = "not-found"


class Taken(UsageError):
    """There is something of that name already."""

    code = "taken"


class Denied(UsageError):
    """The principal, or a policy, does not allow it."""

    code = "denied"


class Unauthenticated(UsageError):
    """The request does not say who is calling, or does not prove it."""

    code = "unauthenticated"


class OverBudget(LockgateError):
    """The call would use more than its budget."""

    code = "over-budget"


class Unavailable(LockgateError):
    """A backend, an index or a store did not answer."""

    code = "unavailable"
    why: str = "internal"
    """The kind of failure as metrics count it, such as `timeout`."""
    _idle: ClassVar[bool] = False

    @property
    def is_free(self) -> bool:
        """Whether no work was done: nobody was reached, or whoever was reached said no."""
        return self._idle or self.why in _FREE


class ModelMissing(Unavailable):
    """The model is not in the local store."""

    code = "model-missing"
    _idle = True


class Overloaded(Unavailable):
    """More is asked for than can be done in time."""

    code = "overloaded"
    why = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds after which the same request would get its turn; None: waiting does not help."""


class RequestRefused(Unavailable):
    """The model cannot do what is asked, such as read so long a text or keep to such a schema."""

    code = "request-refused"
    _idle = True


class TurnedOff(Unavailable):
    """Somebody has turned off the model, the task, or everything."""

    code = "turned-off"
    _idle = True


class UpstreamFailed(Unavailable):
    """A model server elsewhere could not be reached, or gave no valid answer."""

    code = "upstream-failed"

    def __init__(self, message: str, *, hint: str | None = None, why: str = "malformed") -> None:
        super().__init__(message, hint=hint)
        self.why = why
        """`connect`, `status`, `truncated` or `malformed`."""


class UpstreamTimeout(Unavailable):
    """A model server elsewhere was slower than its limits allow."""

    code = "upstream-timeout"

    def __init__(self, message: str, *, hint: str | None = None, why: str = "timeout") -> None:
        super().__init__(message, hint=hint)
        self.why = why
        """`connect` if nothing was sent, else `timeout`."""


class NoAnswer(Unavailable):
    """Every way to an answer failed, and the task may not fall back."""

    code = "no-answer"


class StorageFailed(LockgateError):
    """A disk or a database could not take or give the bytes."""

    code = "storage-failed"


class Corrupt(LockgateError):
    """Stored data contradicts itself."""

    code = "corrupt"
