"""Says whether a task's calls of now are like those of a reference."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from lockgate import __version__
from lockgate.app.drift_embedding import embedded
from lockgate.app.drift_features import (
    Kind,
    Row,
    categories_of,
    numbers_of,
    vectors_of,
)
from lockgate.app.drift_report import Compared, DriftReport
from lockgate.app.drift_rows import Window, read_calls, read_lines
from lockgate.app.drift_state import SEED, DriftState, Watched, load_state, save_state
from lockgate.app.state import open_store
from lockgate.app.tasks import find_task
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput, NotFound, UsageError
from lockgate.statistics.drift import Shift, kolmogorov_smirnov, psi, psi_of_categories, wasserstein
from lockgate.statistics.drift_gate import Moved, require_stable, watch
from lockgate.statistics.gate import Direction, Gate, GateResult, too_few
from lockgate.statistics.kernel import mmd

_MMD_LIMIT: Final = 0.05
_MMD_MARGIN: Final = 0.1
_MOST_VECTORS: Final = 2_000
_SHOWN: Final = 3
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftOptions:
    """What the command line asks for."""

    task: str
    reference: Path | None = None
    current: Path | None = None
    state: Path | None = None
    """Where the evidence is kept between nights; None: in the state folder."""
    once: bool = False
    """A single look, nothing kept."""
    reset: bool = False
    embed: str = ""
    """The member whose text is embedded and compared, such as `input.text`."""
    days: float = 1.0
    """How many days are "now" when there is no state yet, or for a single look."""
    limit: float = 0.1
    margin: float = 0.15
    confidence: float = 0.95
    min_samples: int = 30
    max_age_days: float | None = None
    max_reference_age_days: float | None = None
    watched_files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """A reference with what it has seen, and the calls of now."""

    state: DriftState
    current: Sequence[Row]
    sequential: bool


async def look(
    loaded: Loaded, environment: Environment, options: DriftOptions, now: datetime
) -> DriftReport:
    """Compare, and count the night; the state is written when all else is done.

    Raises:
        NotFound: there is no such task or file.
        InvalidInput: the state is of another task, or a file was counted before.

    """
    alone = (options.reference is None) is not (options.current is None)
    if alone and (options.current is None or options.state is None):
        raise UsageError(
            "`--reference` and `--current` go together",
            hint="with `--state FILE` of an earlier night, `--current` is enough",
        )
    path = _state_file(environment, options)
    state = None if path is None or options.reset else load_state(path)
    if state is not None and state.task != options.task:
        raise InvalidInput(
            f"`{path}` is the state of `{state.task}`, not of `{options.task}`",
            hint="give each task a file of its own",
        )
    if options.current is not None:
        read = partial(_read_file, loaded, environment, options.embed)
        found, warnings, window = await _of_files(options, state, now, read)
    else:
        if find_task(loaded, options.task) is None:
            raise NotFound(
                f"there is no task `{options.task}`",
                hint="list the tasks with `lockgate task list`",
            )
        async with open_store(loaded, environment) as store:
            after = state.last if state else 0
            window = await read_calls(store, options.task, after=after, embed=options.embed)
        if options.embed:
            window = await embedded(loaded, environment, window)
        found, warnings = _of_calls(options, state, window, now), []
    report = _report(options, found, now=now, window=window, warnings=warnings)
    if path is not None and found.state.features:
        save_state(path, found.state)
    return report


def _state_file(environment: Environment, options: DriftOptions) -> Path | None:
    if options.once:
        return None
    if options.state is not None:
        return options.state
    if options.current is not None:
        return None
    return environment.state_dir / "drift" / f"{options.task}.json"


async def _read_file(loaded: Loaded, environment: Environment, embed: str, path: Path) -> Window:
    window = read_lines(path, embed=embed)
    return await embedded(loaded, environment, window) if embed else window


async def _of_files(
    options: DriftOptions,
    state: DriftState | None,
    now: datetime,
    read: Callable[[Path], Awaitable[Window]],
) -> tuple[_Look, list[str], Window]:
    assert options.current is not None, "the caller has looked"
    current = await read(options.current)
    broken = list(current.broken)
    if state is None:
        if options.reference is None:
            raise UsageError(
                f"`{options.state}` has no reference yet", hint="give one with `--reference FILE`"
            )
        before = await read(options.reference)
        broken += before.broken
        state = DriftState.begun(options.task, before.rows, now=now)
    if current.digest in state.files:
        raise InvalidInput(
            f"`{options.current}` was counted as a night before",
            hint="a night that counts twice is no evidence; give the newest file",
        )
    state.files.append(current.digest)
    state.night(current.rows)
    sequential = options.state is not None and not options.once
    return _Look(state, current.rows, sequential), broken, current


def _of_calls(
    options: DriftOptions, state: DriftState | None, window: Window, now: datetime
) -> _Look:
    if state is not None:
        state.last = window.last
        state.night(window.rows)
        return _Look(state, window.rows, sequential=True)
    since = now - timedelta(days=options.days)
    old = sum(at < since for at in window.at)
    state = DriftState.begun(options.task, window.rows[:old], now=now, last=window.last)
    state.night(window.rows[old:])
    return _Look(state, window.rows[old:], sequential=not options.once)


def _report(
    options: DriftOptions, found: _Look, *, now: datetime, window: Window, warnings: list[str]
) -> DriftReport:
    state = found.state
    gate = Gate(
        metric="",
        direction=Direction.LOWER,
        margin=options.margin,
        confidence=options.confidence,
        min_samples=options.min_samples,
        family=max(1, len(state.features)),
    )
    compared = [_compared(gate, one, found, limit=options.limit) for one in state.features]
    return DriftReport(
        task=options.task,
        version=__version__,
        reference_rows=state.rows,
        current_rows=len(found.current),
        night=state.nights if found.sequential else 0,
        compared=compared if found.current else [],
        stale=list(_stale(options, state, window, now)),
        warnings=warnings,
    )


def _compared(gate: Gate, one: Watched, found: _Look, *, limit: float) -> Compared:
    feature = one.feature
    process = one.process if found.sequential else None
    nights_p = process.p_value if process is not None else None
    base = Compared(
        feature=feature, result=too_few(gate, 0, needed=gate.min_samples), nights_p=nights_p
    )
    match feature.kind:
        case Kind.NUMBER:
            now = numbers_of(feature, found.current)
            gate = replace(gate, metric=f"psi of {feature.name}")
            if len(now) < _FEWEST:
                return replace(base, result=too_few(gate, len(now), needed=gate.min_samples))
            shift = _of_numbers(one.numbers, now)
            tested = kolmogorov_smirnov(one.numbers, now)
            return replace(
                base,
                result=_judged(gate, shift, one, found, limit),
                psi=shift.value,
                ks=tested.statistic,
                ks_p=tested.p_value,
                wasserstein=wasserstein(one.numbers, now),
            )
        case Kind.CATEGORY:
            words = Counter(categories_of(feature, found.current))
            gate = replace(gate, metric=f"psi of {feature.name}")
            if words.total() < _FEWEST:
                return replace(base, result=too_few(gate, words.total(), needed=gate.min_samples))
            shift = psi_of_categories(_padded(one.categories, words), words)
            return replace(
                base,
                result=_judged(gate, shift, one, found, limit),
                psi=shift.value,
                changed=_changed(one.categories, words),
            )
        case Kind.VECTOR:
            vectors = vectors_of(feature, found.current)[-_MOST_VECTORS:]
            gate = replace(gate, metric=f"mmd of {feature.name}", margin=_MMD_MARGIN)
            if len(vectors) < _FEWEST:
                return replace(base, result=too_few(gate, len(vectors), needed=gate.min_samples))
            moved = mmd(one.vectors[-_MOST_VECTORS:], vectors, seed=SEED)
            result = _judged(gate, moved, one, found, _MMD_LIMIT)
            return replace(base, result=result, mmd=moved.value)


def _judged(gate: Gate, moved: Moved, one: Watched, found: _Look, limit: float) -> GateResult:
    if not found.sequential:
        return require_stable(gate, moved, limit=limit)
    result = watch(gate, moved, one.process, limit=limit)
    if result.outcome is Outcome.INCONCLUSIVE and one.process.p_value <= gate.level:
        told = "over all nights it has surely moved; tonight's calls do not say how far"
        return replace(result, reason=f"{result.reason}; {told}")
    return result


def _of_numbers(before: Sequence[float], now: Sequence[float]) -> Shift:
    """Return the index over bins, or over the values themselves where one fills all bins."""
    try:
        return psi(before, now)
    except InvalidInput:
        ordinary = Counter(before).most_common(1)[0][0]
        words = [Counter("=" if x == ordinary else "≠" for x in row) for row in (before, now)]
        return psi_of_categories(_padded(words[0], words[1]), words[1])


def _padded(before: dict[str, int] | Counter[str], now: Counter[str]) -> dict[str, int]:
    """Leave room for a category that was never seen, where there is one alone on both sides."""
    return {**before, "\0": 0} if len({*before, *now}) == 1 else {**before}


def _changed(before: dict[str, int], now: Counter[str]) -> str:
    """Name the categories whose share moved most."""
    old, new = max(1, sum(before.values())), max(1, now.total())
    moves = {name: now[name] / new - before.get(name, 0) / old for name in {*before, *now}}
    most = sorted(moves.items(), key=lambda move: (-abs(move[1]), move[0]))[:_SHOWN]
    return ", ".join(f"{name} {move:+.1%}" for name, move in most if not math.isclose(move, 0))


def _stale(
    options: DriftOptions, state: DriftState, window: Window, now: datetime
) -> Iterator[str]:
    if options.max_age_days is not None and options.current is None:
        newest = window.at[-1] if window.at else None
        if newest is None or now - newest > timedelta(days=options.max_age_days):
            seen = "no new call" if newest is None else f"the newest call is of {newest:%Y-%m-%d}"
            yield f"{seen}, and {options.max_age_days:g} day(s) are allowed"
    if options.max_reference_age_days is not None:
        age = now - state.made
        if age > timedelta(days=options.max_reference_age_days):
            yield (
                f"the reference was taken {age.days} days ago, and "
                f"{options.max_reference_age_days:g} are allowed: take a new one with `--reset`"
            )
    for path in options.watched_files:
        yield from _old_file(path, options, now)


def _old_file(path: Path, options: DriftOptions, now: datetime) -> Iterator[str]:
    allowed = timedelta(days=1.0 if options.max_age_days is None else options.max_age_days)
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except OSError as error:
        yield f"`{path}` cannot be read: {error.strerror}"
        return
    if now - changed > allowed:
        days = (now - changed).total_seconds() / 86_400
        yield f"`{path}` was written {days:.1f} days ago, and {allowed.days} are allowed"
