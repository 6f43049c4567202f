"""Cases from a suite: defaults, variables' combinations, repetitions, providers, prompts."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidConfig, InvalidInput
from lockgate.evals.assertion import Assertion
from lockgate.evals.case_files import Broken, read_cases
from lockgate.evals.files import SCHEME, Files
from lockgate.evals.gate.rule import wanted
from lockgate.evals.suite import CaseFile, Place, Prompt, Provider, Suite, TestCase
from lockgate.evals.template import render_prompt, resolve

MAX_COMBINATIONS = 100_000
"""Combinations of one case's variables."""
MAX_CASE_REPEAT = 10_000
_ID_BYTES = 16
COMPARING = "select-best"
"""The type that needs the answers of all columns."""


class Acting(NamedTuple):
    """As whom a case is asked, if not as whoever runs the suite."""

    name: str
    scopes: tuple[str, ...]
    """The tasks that they may call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt for one provider, and what must hold of the answer."""

    id: str
    """Hex. Pairs the same case of two runs: independent of the prompt's text and of assertions."""
    input: str
    """Hex. Changes with all that the result depends on: an old result is kept only for it."""
    name: str
    place: Place
    provider: Provider
    prompt: Prompt
    sent: str
    """The prompt with the variables filled in."""
    variables: Mapping[str, Json]
    assertions: tuple[Assertion, ...]
    threshold: float | None = None
    transform: str = ""
    provider_output: Json = None
    problem: str = ""
    """Why it cannot be asked; nothing if it can."""
    asked: str = ""
    """Hex. Digest of the variables and of what must hold, whoever answers."""
    metadata: JsonObject = field(default_factory=dict)
    peers: "Sequence[Case]" = field(default=(), compare=False, repr=False)
    """All columns of the same case, this one among them, where an assertion compares them."""
    column: int = 0
    """Its place among them."""
    acting: Acting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merged:
    """A test with what it inherits from the suite."""

    test: TestCase
    combinations: Sequence[Mapping[str, Json]]
    repeat: int
    assertions: tuple[Assertion, ...]
    asked: bytes
    """Digest of the assertions."""
    threshold: float | None
    columns: Sequence[tuple[Provider, str, Prompt]]
    transform: str
    around: tuple[str, str]
    """What stands before and behind the prompt."""
    compared: bool
    metadata: JsonObject


class Expansion:
    """Makes the cases of a suite one by one, so that a million need no memory."""

    def __init__(self, suite: Suite, files: Files, *, release: str = "") -> None:
        """Take a suite. `release` names what answers; a result for another one is no result."""
        self._suite = suite
        self._files = files
        self._seen: dict[bytes, int] = {}
        self._columns = [
            (provider, str(at), prompt)
            for provider in suite.providers
            for at, prompt in enumerate(suite.prompts)
            if _allows(provider.prompts, prompt)
        ]
        noted = wanted(suite.gate.rules)
        self._fixed = _key(
            release,
            [[p.id, p.config, p.transform] for p in suite.providers],
            [sorted(names) for names in (noted.slices, noted.measures, noted.truths, noted.paths)],
            [noted.confidence, noted.features],
        )
        self._default_assertions = _assertions_key(suite.default.assertions)

    def __iter__(self) -> Iterator[Case | Broken]:
        """Yield the cases, and in their places the entries that are broken.

        Raises:
            InvalidConfig: a file of cases cannot be read at all.

        """
        self._seen.clear()
        for source in self._suite.sources:
            if isinstance(source, CaseFile):
                for found in read_cases(source):
                    if isinstance(found, Broken):
                        yield found
                    else:
                        yield from self._cases(found)
            else:
                yield from self._cases(source)

    def _cases(self, test: TestCase) -> Iterator[Case | Broken]:
        try:
            merged = self._merged(test)
        except InvalidConfig as error:
            yield Broken(test.place, error.message)
            return
        for number in range(merged.repeat):
            for values in merged.combinations:
                # A row is whole before its first case is asked: others may be asked with it.
                yield from self._row(merged, values, number)

    def _merged(self, test: TestCase) -> _Merged:
        """Return a test with what it inherits."""
        default = self._suite.default
        options = {**default.options, **test.options} if test.options else default.options
        variables = {**default.variables, **test.variables}
        inherited = () if options.get("disableDefaultAsserts") is True else default.assertions
        assertions = (*inherited, *test.assertions)
        return _Merged(
            test=test,
            combinations=[variables]
            if options.get("disableVarExpansion")
            else self._combinations(variables),
            repeat=_repeat(
                test.options.get("repeat", default.options.get("repeat")), self._suite.repeat
            ),
            assertions=assertions,
            asked=(self._default_assertions if inherited else b"")
            + _assertions_key(test.assertions),
            threshold=default.threshold if test.threshold is None else test.threshold,
            columns=[
                column
                for column in self._columns
                if _named(_first(test.providers, default.providers), column[0])
                and _allows(_first(test.prompts, default.prompts), column[2])
            ],
            transform=str(options.get("transform") or options.get("postprocess") or ""),
            around=(str(options.get("prefix") or ""), str(options.get("suffix") or "")),
            compared=any(each.type == COMPARING for each in assertions),
            metadata={**default.metadata, **test.metadata} if default.metadata else test.metadata,
        )

    def _row(self, merged: _Merged, values: Mapping[str, Json], number: int) -> list[Case]:
        """Return the cases of one combination of variables: one a provider and prompt."""
        test, asked = merged.test, merged.asked
        variables, problem = self._resolved(values)
        kept = (asked, merged.threshold, merged.transform)
        case = _key(variables, *kept, test.description).hex()[: 2 * _ID_BYTES]
        prefix, suffix = merged.around
        row: list[Case] = []
        for provider, column, prompt in merged.columns:
            sent = ""
            if not problem:
                sent, problem = _sent(f"{prefix}{prompt.raw}{suffix}", variables)
            inputs = (self._fixed, provider.id, sent, *kept, variables, test.provider_output)
            made = Case(
                id=self._id(provider.name, column, number, values, test.description),
                input=_key(*inputs).hex()[: 2 * _ID_BYTES],
                name=test.description or _title(values) or prompt.label,
                place=test.place,
                provider=provider,
                prompt=prompt,
                sent=sent,
                variables=variables,
                assertions=merged.assertions,
                threshold=merged.threshold,
                transform=merged.transform,
                provider_output=test.provider_output,
                problem=problem,
                asked=case,
                metadata=merged.metadata,
                peers=row if merged.compared else (),
                column=len(row),
            )
            row.append(made)
        return row

    def _id(
        self, provider: str, column: str, number: int, values: Mapping[str, Json], description: str
    ) -> str:
        key = _key(provider, column, number, values, description)[:_ID_BYTES]
        count = self._seen.get(key, 0)
        self._seen[key] = count + 1
        return (key if not count else _key(key, count)[:_ID_BYTES]).hex()

    def _resolved(self, values: Mapping[str, Json]) -> tuple[Mapping[str, Json], str]:
        """Return the variables with files read and names in them replaced, or why that fails."""
        try:
            read = {
                name: self._files.variable(value)
                if isinstance(value, str) and value.startswith(SCHEME)
                else value
                for name, value in values.items()
            }
            return resolve(read), ""
        except (InvalidConfig, InvalidInput) as error:
            return dict(values), error.message

    def _combinations(self, variables: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
        """Return each combination of the values that are lists of texts or patterns of files."""
        combinations: list[dict[str, Json]] = [{}]
        for name, value in variables.items():
            values: Sequence[Json] = [value]
            if isinstance(value, str) and value.startswith(SCHEME):
                folder = self._files.folder
                found = self._files.matching(value)
                values = [f"{SCHEME}{_relative(path, folder)}" for path in found]
            elif isinstance(value, list) and value and isinstance(value[0], str):
                values = value
            if len(combinations) * len(values) > MAX_COMBINATIONS:
                raise InvalidConfig(f"the variables have more than {MAX_COMBINATIONS} combinations")
            if len(values) == 1:
                for each in combinations:
                    each[name] = values[0]
            else:
                combinations = [{**each, name: item} for each in combinations for item in values]
        return combinations


def _first(
    own: tuple[str, ...] | None, inherited: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    return inherited if own is None else own


def _relative(path: object, folder: object) -> str:
    text, base = str(path), f"{folder}/"
    return text.removeprefix(base)


def _sent(raw: str, variables: Mapping[str, Json]) -> tuple[str, str]:
    try:
        return render_prompt(raw, variables), ""
    except InvalidInput as error:
        return "", error.message


def _repeat(value: Json, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CASE_REPEAT:
        raise InvalidConfig(f"`repeat` is {value}, not a whole number from 1 to {MAX_CASE_REPEAT}")
    return value


def _allows(labels: tuple[str, ...] | None, prompt: Prompt) -> bool:
    """Match labels and ids: whole, with a final `*`, or as a group before a colon."""
    if labels is None:
        return True
    names = [name for name in (prompt.label, prompt.id) if name]
    return any(
        name == wanted
        or name.startswith(f"{wanted}:")
        or (wanted.endswith("*") and name.startswith(wanted[:-1]))
        for wanted in labels
        for name in names
    )


def _named(wanted: tuple[str, ...] | None, provider: Provider) -> bool:
    if wanted is None:
        return True
    names = {provider.id, provider.label}
    return any(
        name in names
        or (name.endswith("*") and any(n.startswith(name[:-1]) for n in names if n))
        or provider.id.startswith(f"{name}:")
        for name in wanted
    )


def _title(values: Mapping[str, Json]) -> str:
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    return shown if len(shown) <= 80 else f"{shown[:79]}…"  # noqa: PLR2004


def _assertions_key(assertions: Sequence[Assertion]) -> bytes:
    if not assertions:
        return b"-"
    asked = [
        [
            *(a.type, a.inverse, a.value, a.threshold, a.weight, a.metric, a.options),
            _assertions_key(a.parts).hex(),
        ]
        for a in assertions
    ]
    return _key(asked)


def _key(*parts: object) -> bytes:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else dict(value)  # type: ignore[call-overload]


def estimate(suite: Suite) -> int:
    """Return about how many cases a suite has, without reading the cases of its files."""
    columns = sum(_allows(p.prompts, prompt) for p in suite.providers for prompt in suite.prompts)
    entries = 0
    for source in suite.sources:
        if isinstance(source, CaseFile):
            entries += _lines(source)
            continue
        combinations = 1
        for value in {**suite.default.variables, **source.variables}.values():
            if isinstance(value, list) and value and isinstance(value[0], str):
                combinations *= len(value)
        repeat = source.options.get("repeat")
        entries += combinations * (repeat if isinstance(repeat, int) else suite.repeat)
    return entries * columns


def _lines(file: CaseFile) -> int:
    count = 0
    try:
        with file.path.open("rb") as opened:
            while data := opened.read(1 << 20):
                count += data.count(b"\n")
    except OSError:
        return 0
    return count
