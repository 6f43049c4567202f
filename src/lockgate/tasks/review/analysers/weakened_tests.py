"""Tests that are removed, skipped or made to ask for less."""

import re
from collections.abc import Iterator

import re2

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.change import Change, File
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Example, Rule, line_rule

_PATH = "tests/test_app.py"
_CODE = re.compile(r"(?:^|/)(?:fixtures?|testdata|__snapshots__)/")
_TEST = (
    r"^\s*(?:async\s+)?def\s+test_?\w*\s*\(|^\s*(?:it|test|specify)(?:\.each\b.*)?\s*\(\s*[\"'`]"
    r"|^func\s+(?:Test|Fuzz)\w*\s*\(|^\s*@(?:Test|ParameterizedTest)\b|^\s*#\[(?:tokio::)?test\]"
    r"|^\s*(?:it|specify)\s+[\"']|^\s*(?:public\s+)?function\s+test\w+\s*\(|^\s*\[(?:Fact|Test)\]"
)
_ASSERTION = (
    r"^\s*assert\b|\bself\.assert\w+\(|\bexpect\s*\(|\bassert(?:Equals|That|True|Equal)?\s*\("
    r"|\b(?:require|assert)\.\w+\(t\b|\bassert(?:_eq|_ne)?!\s*\(|\bt\.(?:Error|Fatal)f?\("
)
_DELETED = Rule(
    id="tests.deleted",
    severity=Severity.MEDIUM,
    message="A file of tests was deleted.",
    help="Say where the same behaviour is tested now.",
    positives=(
        Example(path=_PATH, removed=("def test_a():",), headers=("deleted file mode 100644",)),
    ),
    negatives=(
        Example(path="src/a.py", removed=("x",), headers=("deleted file mode 100644",)),
        Example(path=_PATH, added=("x = 1",)),
    ),
)
_REMOVED = Rule(
    id="tests.removed",
    severity=Severity.MEDIUM,
    message="Tests were removed, and not as many were added to this file.",
    help="Say where the same behaviour is tested now.",
    pattern=_TEST,
    positives=(
        Example(path=_PATH, removed=("def test_a() -> None:",)),
        Example(path="src/a.test.ts", removed=('  it("adds", () => {',)),
    ),
    negatives=(
        Example(path=_PATH, removed=("def test_a():",), added=("def test_b():",)),
        Example(path=_PATH, removed=("    def test_a():",), added=("def test_a():",)),
    ),
)
_WEAKENED = Rule(
    id="tests.fewer-assertions",
    severity=Severity.LOW,
    message="Assertions were removed, and not as many were added to this file.",
    help="Check that the tests still fail when the behaviour is wrong.",
    pattern=_ASSERTION,
    positives=(Example(path=_PATH, removed=("    assert a == 1",)),),
    negatives=(
        Example(path=_PATH, removed=("    assert a == 1",), added=("    assert a == 2",)),
        Example(path="src/app.py", removed=("    assert a == 1",)),
    ),
)
_ADDED = (
    line_rule(
        "tests.skipped",
        Severity.MEDIUM,
        r"@(?:pytest\.mark\.(?:skip|skipif|xfail)|unittest\.skip\w*|skip|Disabled|Ignore)\b"
        r"|\bpytest\.(?:skip|xfail)\s*\(|\bself\.skipTest\s*\("
        r"|(?:^|[^\w.])(?:it|test|describe|context|suite)\.(?:skip|todo)\b"
        r"|(?:^|[^\w.])x(?:it|test|describe)\s*\(|\bt\.Skip(?:f|Now)?\s*\(|^\s*#\[ignore\b"
        r"|\bmarkTestSkipped\s*\(|^\s*(?:skip|pending)\s+[\"']|\[Fact\(Skip\s*=",
        said=(
            "A test is skipped or may fail.",
            "Repair the test; if it must wait, name the issue that it waits for.",
        ),
        path=_PATH,
        examples=(
            ("@pytest.mark.skip", "    it.skip('adds', () => {", "  xit('adds', f)", "t.Skip()"),
            ("def test_skip_button():", "iterator.skip(3)", "@pytest.mark.parametrize('a', [])"),
        ),
    ),
    line_rule(
        "tests.only",
        Severity.MEDIUM,
        r"(?:^|[^\w.])(?:it|test|describe|context|suite)\.only\b|(?:^|[^\w.])f(?:it|describe)\s*\(",
        said=("One test runs and the others do not.", "Remove the focus."),
        path="src/app.test.ts",
        examples=(("describe.only('a', () => {", "fit('a', f)"), ("it('a', f)", "bestfit(x)")),
    ),
    line_rule(
        "tests.vacuous",
        Severity.MEDIUM,
        r"^\s*assert\s+True\s*(?:#.*)?$|\bassertTrue\s*\(\s*[Tt]rue\s*\)"
        r"|\bexpect\s*\(\s*true\s*\)\.to(?:Be|Equal)\s*\(\s*true\s*\)",
        said=("An assertion can never fail.", "Assert what the code must do."),
        path=_PATH,
        examples=(("    assert True", "expect(true).toBe(true)"), ("    assert True in values",)),
    ),
)


class WeakenedTests:
    """Compares what tests lose with what they gain."""

    rules = (_DELETED, _REMOVED, _WEAKENED, *_ADDED)

    def __init__(self) -> None:
        self._added = Matcher(_ADDED, comments=("//", "*", "/*"))

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            if not _tests(file):
                continue
            if file.status == "deleted":
                yield _DELETED.at(file)
                continue
            for rule, line in self._added.find(file.added):
                yield rule.at(file, line)
            for rule in (_REMOVED, _WEAKENED):
                yield from _lost(rule, file)


def _tests(file: File) -> bool:
    path = file.path
    known = languages.language(path) is not None
    return known and languages.is_test(path) and not _CODE.search(path)


def _lost(rule: Rule, file: File) -> Iterator[Finding]:
    if not file.removed:
        return
    pattern = re2.compile(rule.pattern)
    lost = [line for line in file.removed if pattern.search(line.text)]
    if len(lost) <= sum(pattern.search(line.text) is not None for line in file.added):
        return
    gone = {line.text.strip() for line in file.gone}
    first = next((line for line in lost if line.text.strip() in gone), lost[0])
    yield rule.at(file, first)
