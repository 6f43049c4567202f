"""Retries for the whole process, as a share of its traffic."""

SHARE = 0.1
MOST_RETRIES = 2
"""Of one call at one place: what failed three times is not to use up what others may need."""
_MOST_SAVED = 100.0


class RetryBudget:
    """Each first attempt earns a part of a retry, each retry spends a whole one.

    Retries are never more than `share` of the first attempts, however many calls fail: a storm of
    retries is what turns a slow upstream into a dead one. Nothing is earned in advance, so a quiet
    process has few. The form is that of Finagle's retry budget.
    """

    __slots__ = ("_most", "_saved", "_share")

    def __init__(self, *, share: float = SHARE, most_saved: float = _MOST_SAVED) -> None:
        """`most_saved` bounds the retries that a long quiet time may have saved up."""
        if not 0 <= share <= 1 or most_saved < 1:
            raise ValueError(f"not a retry budget: share {share}, most saved {most_saved}")
        self._share = share
        self._most = most_saved
        self._saved = 0.0

    def attempted(self) -> None:
        """Note a first attempt. Not to be called for retries."""
        if self._saved < self._most:
            self._saved += self._share

    def may_retry(self) -> bool:
        """Say whether one retry may be made, and spend it."""
        if self._saved < 1.0 - 1e-9:
            return False
        self._saved -= 1.0
        return True
