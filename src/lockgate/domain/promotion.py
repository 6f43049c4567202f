"""Which release runs where, and who said so. Digests are identities; these are only pointers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.errors import UsageError

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Of an environment and of an alias."""


class Action(StrEnum):
    """How a release came to an environment."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    BREAK_GLASS = "break-glass"
    """A rollback that the gate refused and a person forced, with a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A release that took over a task in an environment."""

    environment: str
    task: str
    release: Digest
    previous: Digest | None
    """What ran there before."""
    action: Action
    at: datetime
    """Aware, UTC."""
    actor: str
    reason: str
    decision: Digest
    """Of the gate's decision document, which is kept as a payload of the audit log."""


def earlier(history: Sequence[Promotion]) -> Digest | None:
    """Return what to go back to: the last release before the one that runs now.

    `history` is of one task in one environment, newest first. A release that was rolled back from
    is no place to go back to, unless it was promoted again since.
    """
    left: set[Digest] = set()
    for promotion in history:
        if promotion.release != history[0].release and promotion.release not in left:
            return promotion.release
        if promotion.action is not Action.PROMOTE and promotion.previous is not None:
            left.add(promotion.previous)
    return None


def running_since(history: Sequence[Promotion], release: Digest) -> datetime | None:
    """Return since when a release runs; None if another one does. Being promoted again is no break.

    `history` as for `earlier`.
    """
    since = None
    for promotion in history:
        if promotion.release != release:
            break
        since = promotion.at
    return since


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a release of a task, which may be moved."""

    task: str
    name: str
    release: Digest
    at: datetime
    actor: str


def checked_name(text: str, what: str) -> str:
    """Return `text` if it can name an environment or an alias.

    Raises:
        UsageError: it cannot.

    """
    if NAME.fullmatch(text) is None:
        raise UsageError(
            f"`{text[:80]}` cannot be the name of {what}", hint=f"names match `{NAME.pattern}`"
        )
    return text
