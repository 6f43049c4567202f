"""Reads `promptfooconfig.yaml`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig
from lockgate.evals import formula
from lockgate.evals.case_files import form_of
from lockgate.evals.fields import Problems, items, mapping, text, whole
from lockgate.evals.files import SCHEME, Files, read_text
from lockgate.evals.gate.read import NAME, read_gate
from lockgate.evals.gate.rule import Gate
from lockgate.evals.prompts import read_prompts, read_providers
from lockgate.evals.references import dereferenced
from lockgate.evals.suite import CaseFile, DerivedMetric, Place, Suite, TestCase
from lockgate.evals.test_cases import read_test
from lockgate.evals.yaml_document import document

MAX_REPEAT = 10_000
MAX_CONCURRENCY = 256
_CODE = ("extensions", "nunjucksFilters", "redteam")
_HINT = "names and types are promptfoo's: https://www.promptfoo.dev/docs/configuration/reference/"
_REMOTE = ("http://", "https://", "huggingface://", "az://")


def load_suite(path: Path, *, root: Path) -> Suite:
    """Read a suite. Files of cases are not opened yet.

    Raises:
        InvalidConfig: with every problem and its line.

    """
    folder = path.resolve().parent
    files = Files(folder, root.resolve())
    name = path.name
    value, lines = document(read_text(path.resolve()), name)
    if not isinstance(value, Mapping):
        raise InvalidConfig(f"`{name}` is not a YAML object", hint=_HINT)
    value = dereferenced(value, name)
    assert isinstance(value, Mapping)
    problems = Problems(name, lines, base=1, hint=_HINT)
    shown = files.shown(path.resolve()) if path.resolve().is_relative_to(files.root) else name
    return _Reading(files, shown, problems).suite(value)


def suite_of(value: object, path: Path, *, root: Path, line: int) -> Suite:
    """Return the suite that a program made; `path` and `line` are where it stands.

    Raises:
        InvalidConfig: with every problem.

    """
    if not isinstance(value, Mapping):
        raise InvalidConfig(f"`{path.name}` gives no object as its suite", hint=_HINT)
    files = Files(path.resolve().parent, root.resolve())
    problems = Problems(path.name, base=line, hint=_HINT)
    return _Reading(files, files.shown(path.resolve()), problems).suite(value)


def load_gate(path: Path) -> Gate:
    """Read the `x-gate` of a file that is nobody's suite: a policy.

    Raises:
        InvalidConfig: with every problem and its line.

    """
    value, lines = document(read_text(path.resolve()), path.name)
    if not isinstance(value, Mapping) or NAME not in value:
        raise InvalidConfig(
            f"`{path.name}` has no `{NAME}`", hint="it holds gates and nothing else"
        )
    problems = Problems(path.name, lines, base=1)
    for name in sorted(set(value) - {NAME}):
        problems.add(value, f"`{name}` is no gate: a policy holds `{NAME}` and nothing else")
    gate = read_gate(value, problems)
    problems.check()
    return gate


class _Reading:
    def __init__(self, files: Files, shown: str, problems: Problems) -> None:
        self._files = files
        self._shown = shown
        self._problems = problems

    def suite(self, value: Mapping[str, Json]) -> Suite:
        problems = self._problems
        notices = [f"`{name}` is code and is not run here" for name in _CODE if value.get(name)]
        default = self._default(value)
        options = mapping(value, "evaluateOptions", problems)
        command = mapping(value, "commandLineOptions", problems)
        repeat = whole(options, "repeat", problems, most=MAX_REPEAT) or whole(
            command, "repeat", problems, most=MAX_REPEAT
        )
        concurrency = whole(options, "maxConcurrency", problems, most=MAX_CONCURRENCY) or whole(
            command, "maxConcurrency", problems, most=MAX_CONCURRENCY
        )
        suite = Suite(
            description=text(value, "description", problems),
            folder=self._files.folder,
            prompts=read_prompts(value.get("prompts"), self._files, problems),
            providers=read_providers(value.get("providers", value.get("targets")), problems),
            sources=tuple(self._sources(value, default)),
            default=default,
            metrics=tuple(self._metrics(value)),
            repeat=repeat or 1,
            concurrency=concurrency,
            gate=read_gate(value, problems),
            notices=tuple(notices),
        )
        if not suite.prompts:
            problems.add(value, "there are no `prompts`")
        problems.check()
        return suite

    def _default(self, value: Mapping[str, Json]) -> TestCase:
        found = value.get("defaultTest")
        if isinstance(found, str) and found.startswith(SCHEME):
            found = self._loaded(found)
        if found is None:
            return TestCase(place=Place(path=self._shown, line=1))
        if not isinstance(found, Mapping):
            self._problems.add(value, "`defaultTest` is not an object")
            found = {}
        return read_test(found, self._shown, self._problems)

    def _sources(
        self, value: Mapping[str, Json], default: TestCase
    ) -> Iterator[TestCase | CaseFile]:
        tests = value.get("tests")
        count = 0
        entries = [tests] if isinstance(tests, str | Mapping) else tests
        if entries is not None and not isinstance(entries, list):
            self._problems.add(value, "`tests` is not a list")
            entries = []
        for entry in entries or ():
            count += 1
            if isinstance(entry, Mapping) and isinstance(entry.get("path"), str):
                entry = str(entry["path"])  # noqa: PLW2901
            if isinstance(entry, str):
                yield from self._files_of(entry)
            elif isinstance(entry, Mapping):
                yield read_test(entry, self._shown, self._problems)
            else:
                self._problems.add(value, "an entry of `tests` is neither an object nor a file")
        if not count and value.get("scenarios") is None:
            yield TestCase(place=Place(path=self._shown, line=1))
        for scenario in items(value, "scenarios", self._problems):
            yield from self._scenario(scenario, default)

    def _files_of(self, reference: str) -> Iterator[CaseFile]:
        if reference.startswith(_REMOTE):
            self._problems.add(None, f"`{reference}` is not on this machine: fetch it first")
            return
        try:
            for path in self._files.matching(reference):
                form = form_of(path)
                if form is None:
                    self._problems.add(None, f"`{reference}` is neither CSV, JSON nor YAML")
                    continue
                yield CaseFile(path=path, shown=self._files.shown(path), form=form)
        except InvalidConfig as error:
            self._problems.add(None, error.message)

    def _scenario(self, scenario: Json, default: TestCase) -> Iterator[TestCase]:
        if isinstance(scenario, str) and scenario.startswith(SCHEME):
            scenario = self._loaded(scenario)
        if not isinstance(scenario, Mapping):
            self._problems.add(scenario, "a scenario is not an object")
            return
        config = self._referred(scenario, "config")
        tests = self._referred(scenario, "tests") if scenario.get("tests") is not None else [{}]
        for data in config:
            for test in tests:
                if not isinstance(data, Mapping) or not isinstance(test, Mapping):
                    self._problems.add(scenario, "`config` and `tests` hold objects")
                    continue
                yield self._combined(data, test)

    def _combined(self, data: Mapping[str, Json], test: Mapping[str, Json]) -> TestCase:
        """Return a scenario's case: its data, then its test, which says more."""
        outer = read_test(data, self._shown, self._problems)
        inner = read_test(test, self._shown, self._problems)
        return replace(
            inner,
            place=inner.place if self._problems.lines.of(test) else outer.place,
            description=inner.description or outer.description,
            variables={**outer.variables, **inner.variables},
            options={**outer.options, **inner.options},
            metadata={**outer.metadata, **inner.metadata},
            assertions=(*outer.assertions, *inner.assertions),
            threshold=outer.threshold if inner.threshold is None else inner.threshold,
            provider_output=inner.provider_output or outer.provider_output,
        )

    def _referred(self, holder: Mapping[str, Json], name: str) -> list[Json]:
        """Return a list whose entries may be files with lists."""
        found = holder.get(name)
        listed: list[Json] = []
        for entry in [found] if isinstance(found, str) else items(holder, name, self._problems):
            if isinstance(entry, str) and entry.startswith(SCHEME):
                loaded = self._loaded(entry)
                listed.extend(loaded if isinstance(loaded, list) else [loaded])
            else:
                listed.append(entry)
        return listed

    def _loaded(self, reference: str) -> Json:
        try:
            return self._files.value(reference)
        except InvalidConfig as error:
            self._problems.add(None, error.message)
            return None

    def _metrics(self, value: Mapping[str, Json]) -> Iterator[DerivedMetric]:
        for entry in items(value, "derivedMetrics", self._problems):
            if not isinstance(entry, Mapping):
                self._problems.add(value, "a derived metric is not an object")
                continue
            name, code = text(entry, "name", self._problems), text(entry, "value", self._problems)
            problem = formula.problem(code)
            if not name or problem:
                self._problems.add(
                    entry, f"the derived metric `{name}` is `{code[:80]}`: {problem or 'no name'}"
                )
                continue
            yield DerivedMetric(name=name, formula=code)
