"""A plugin of pytest that collects suites written in Python: files named `*.eval.py`.

Such a file has a function `suite()` that returns what a promptfooconfig.yaml holds. An assertion's
value may be a function of output and context: `{"type": "python", "value": check}`. Each case is a
test; all cases of a file that were not deselected are asked in one run, as `lockgate eval` asks.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lockgate.app.evals_suites import Found
    from lockgate.evals.expand import Case
    from lockgate.evals.results import Result

ENDING = ".eval.py"
_KEY = "function "


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `lockgate eval` takes."""
    group = parser.getgroup("lockgate")
    group.addoption("--lockgate-engine", choices=("rules", "model"), help="What answers in tasks.")
    group.addoption("--lockgate-playback", metavar="FOLDER", help="Recorded inferences.")
    group.addoption("--lockgate-record", metavar="FOLDER", help="Record inferences here.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect files of the ending `.eval.py`."""
    if not file_path.name.endswith(ENDING):
        return None
    collector: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
    return collector


class CaseFailed(Exception):
    """A case did not pass."""

    def __init__(self, result: "Result") -> None:
        super().__init__(result.reason)
        self.result = result


class SuiteFile(pytest.File):
    """A suite in Python."""

    functions: dict[str, Callable[..., Any]]
    found: "Found"
    results: "dict[str, Result] | None" = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each case."""
        from lockgate.evals.case_files import Broken
        from lockgate.evals.expand import Expansion

        self.functions = {}
        self.found = self._loaded()
        names: dict[str, int] = {}
        for case in Expansion(self.found.suite, self.found.files):
            if isinstance(case, Broken):
                raise self.CollectError(case.message)
            count = names[case.name] = names.get(case.name, 0) + 1
            name = case.name if count == 1 else f"{case.name} ({count})"
            yield CaseItem.from_parent(self, name=name, case=case)

    def outcome(self, case: "Case") -> "Result":
        """Return the result of a case; the first one asked runs all of them."""
        if self.results is None:
            chosen = {
                item.case.id
                for item in self.session.items
                if isinstance(item, CaseItem) and item.parent is self
            }
            self.results = {each.id: each for each in self._run(chosen)}
        return self.results[case.id]

    def _loaded(self) -> "Found":
        from lockgate.app.evals_suites import Found
        from lockgate.domain.digest import Digest
        from lockgate.errors import LockgateError
        from lockgate.evals.files import Files
        from lockgate.evals.load import suite_of

        spec = spec_from_file_location(self.path.name.replace(".", "_"), self.path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        make = getattr(module, "suite", None)
        if not callable(make):
            raise self.CollectError(f"{self.path.name} has no function `suite`")
        root = self.config.rootpath.resolve()
        root = root if self.path.resolve().is_relative_to(root) else self.path.resolve().parent
        try:
            suite = suite_of(
                self._named(make()), self.path, root=root, line=make.__code__.co_firstlineno
            )
        except LockgateError as error:
            raise self.CollectError(error.advice) from None
        return Found(
            suite=suite,
            shown=self.path.resolve().relative_to(root).as_posix(),
            files=Files(self.path.resolve().parent, root),
            digest=Digest.of(self.path.read_bytes()),
            path=self.path,
        )

    def _named(self, value: Any) -> Any:
        """Return a suite with functions replaced by names that `_call` knows."""
        if callable(value):
            name = f"{_KEY}{len(self.functions)} {getattr(value, '__name__', 'function')}"
            self.functions[name] = value
            return name
        if isinstance(value, Mapping):
            return {str(name): self._named(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._named(each) for each in value]
        return value

    async def _call(self, code: str, given: Mapping[str, Any]) -> Any:
        from lockgate.errors import InvalidInput

        function = self.functions.get(code)
        if function is None:
            raise InvalidInput("give a function as the value of `python` in a suite of pytest")
        try:
            return function(given["output"], given["context"])
        except AssertionError as error:
            return {"pass": False, "score": 0, "reason": str(error) or "the assertion is false"}

    def _run(self, chosen: set[str]) -> "list[Result]":
        import asyncio

        from lockgate.app.evals import Chosen, EvalOptions, evaluate_found
        from lockgate.cli.output import Silence
        from lockgate.cli.session import Session
        from lockgate.config.environment import Environment

        session = Session(Environment.read(os.environ))  # noqa: TID251  the edge hands it over
        option = self.config.getoption
        record, playback = option("--lockgate-record"), option("--lockgate-playback")
        options = EvalOptions(
            target=self.found.shown,
            engine=option("--lockgate-engine"),
            record=Path(record) if record else None,
            playback=Path(playback) if playback else None,
            allow_code=True,
        )
        choice = Chosen(select=lambda case: case.id in chosen, run_code=self._call)
        report = asyncio.run(
            evaluate_found(
                session.loaded, session.environment, self.found, options, Silence(), chosen=choice
            )
        )
        return list(report.results())


class CaseItem(pytest.Item):
    """One case as a test."""

    def __init__(self, *, case: "Case", **members: Any) -> None:
        super().__init__(**members)
        self.case = case

    def runtest(self) -> None:
        """Fail unless the case passes."""
        from lockgate.evals.results import Outcome

        assert isinstance(self.parent, SuiteFile)
        result = self.parent.outcome(self.case)
        if result.outcome is not Outcome.PASSED:
            raise CaseFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what the case says; a traceback would show only this plugin."""
        if not isinstance(excinfo.value, CaseFailed):
            return super().repr_failure(excinfo, style)
        result = excinfo.value.result
        lines = [f"{result.outcome}: {result.reason}"]
        lines += [
            f"  {part['type']}: {part.get('reason', '')}"
            for part in result.assertions
            if not part["passed"]
        ]
        return "\n".join([*lines, f"output: {str(result.output)[:2_000]}"])

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the case stands."""
        return self.path, self.case.place.line - 1, self.name
