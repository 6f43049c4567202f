"""What enters a routine: finite numbers, enough of them, of one case each."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput

Array = npt.NDArray[np.float64]
Numbers = Sequence[float] | Array

_SHOWN: Final = 3


def numbers(values: Numbers, name: str, *, least: int = 1) -> Array:
    """Return one row of finite numbers.

    Raises:
        InvalidInput: a value is NaN, infinite or no number, or there are fewer than `least`.

    """
    try:
        row = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"`{name}` holds something that is not a number: {error}") from error
    if row.ndim != 1:
        raise InvalidInput(f"`{name}` has {row.ndim} dimensions, not 1")
    if row.size < least:
        raise InvalidInput(
            f"`{name}` has {row.size} values, at least {least} are needed",
            hint="check that the cases ran: `lockgate eval`",
        )
    wrong = np.flatnonzero(~np.isfinite(row))
    if wrong.size:
        first = int(wrong[0])
        raise InvalidInput(
            f"`{name}` has {wrong.size} values that are not finite, the first is "
            f"`{row[first]}` at position {first}",
            hint="a case without a score is an error of that case: fix it, or leave it out of both",
        )
    return row


def pairs(candidate: Numbers, baseline: Numbers) -> tuple[Array, Array]:
    """Return two rows of the same length; the places are the cases.

    Raises:
        InvalidInput: the lengths differ, or a row is not made of finite numbers.

    """
    left, right = numbers(candidate, "candidate"), numbers(baseline, "baseline")
    if left.size != right.size:
        raise InvalidInput(
            f"the candidate has {left.size} cases, the baseline {right.size}",
            hint="evaluate both on the same dataset",
        )
    return left, right


def paired_cases(
    candidate: Mapping[str, float], baseline: Mapping[str, float]
) -> tuple[Array, Array]:
    """Return the scores of two runs by case, in the order of the cases' ids.

    Raises:
        InvalidInput: the runs are not of the same cases.

    """
    if candidate.keys() != baseline.keys():
        only = sorted(candidate.keys() ^ baseline.keys())
        raise InvalidInput(
            f"the candidate has {len(candidate)} cases, the baseline {len(baseline)}, and "
            f"{len(only)} are in one of them only: "
            + ", ".join(f"`{case[:80]}`" for case in only[:_SHOWN]),
            hint="evaluate both on the same dataset",
        )
    order = sorted(candidate)
    return pairs([candidate[case] for case in order], [baseline[case] for case in order])


def matrix(values: Sequence[Sequence[float]] | Array, name: str, *, least: int = 2) -> Array:
    """Return finite numbers, one row a sample.

    Raises:
        InvalidInput: rows differ in length, are fewer than `least`, or hold NaN.

    """
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"`{name}` is not a table of numbers: {error}") from error
    if rows.ndim != 2 or rows.shape[0] < least or rows.shape[1] < 1:  # noqa: PLR2004
        raise InvalidInput(f"`{name}` has the shape {rows.shape}, not at least {least} rows")
    if not np.isfinite(rows).all():
        raise InvalidInput(f"`{name}` has values that are not finite")
    return rows


def is_binary(row: Array) -> bool:
    """Say whether every value is 0 or 1."""
    return bool(np.isin(row, (0.0, 1.0)).all())


def checked_confidence(confidence: float) -> float:
    """Return a confidence strictly between 0 and 1.

    Raises:
        InvalidInput: it is outside.

    """
    if not 0 < confidence < 1:
        raise InvalidInput(
            f"the confidence is `{confidence}`, not between 0 and 1",
            hint="0.95 means that 1 verdict in 20 may be wrong",
        )
    return confidence


def checked_counts(successes: int, trials: int) -> None:
    """Let whole numbers with 0 <= successes <= trials and trials >= 1 pass.

    Raises:
        InvalidInput: they are something else.

    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidInput(f"`{successes}` of `{trials}` is not a count of successes")
