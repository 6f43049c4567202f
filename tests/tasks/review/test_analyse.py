import pytest

from lockgate.domain.finding import Severity
from lockgate.tasks.review.analyse import MAX_ALIKE, MAX_FINDINGS, Analysis
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.diff import parse

ANALYSIS = Analysis()


def section(path: str, *lines: str) -> str:
    body = "".join(f"+{line}\n" for line in lines)
    return f"--- a/{path}\n+++ b/{path}\n@@ -1,0 +1,{len(lines)} @@\n{body}"


def rules(*sections: str) -> list[str]:
    found, _ = ANALYSIS.findings(Change(files=parse("".join(sections))))
    return [finding.rule for finding in found]


def test_a_lock_file_that_changes_with_its_manifest_is_not_alone() -> None:
    lock = section("web/package-lock.json", '  "version": "1.0.1",')

    assert rules(lock) == ["dependency.lock-alone"]
    assert rules(lock, section("web/package.json", '  "a": "^1.0.1"')) == ["dependency.changed"]
    assert "dependency.lock-alone" in rules(lock, section("pyproject.toml", "x = 1"))


def test_findings_come_worst_first_and_then_in_the_order_of_the_diff() -> None:
    found, _ = ANALYSIS.findings(
        Change(
            files=parse(
                section("z.py", "x", "eval(a)", "tempfile.mktemp()", "exec(b)")
                + section("a.py", "eval(c)", "DEBUG = True")
            )
        )
    )

    assert [(f.severity, f.path, f.line) for f in found] == [
        (Severity.HIGH, "z.py", 2),
        (Severity.HIGH, "z.py", 4),
        (Severity.HIGH, "a.py", 1),
        (Severity.MEDIUM, "a.py", 2),
        (Severity.LOW, "z.py", 3),
    ]


def test_findings_are_bounded_and_the_others_are_counted() -> None:
    lines = [f"x{n} = '\u202e'" for n in range(MAX_ALIKE * 2)]
    sections = [section(f"m{n}.py", *lines) for n in range(MAX_FINDINGS // MAX_ALIKE + 5)]

    found, more = ANALYSIS.findings(Change(files=parse("".join(sections))))

    assert len(found) == MAX_FINDINGS
    assert more >= len(sections) * len(lines) - MAX_FINDINGS
    assert len({finding.fingerprint for finding in found}) == MAX_FINDINGS


@pytest.mark.parametrize("path", ["vendor/a.py", "web/dist/a.js", "a_pb2.py", "README.md"])
def test_what_a_program_wrote_and_prose_are_not_searched_for_calls(path: str) -> None:
    assert not [r for r in rules(section(path, "eval(x)")) if r.startswith("dangerous")]


def test_in_tests_only_calls_of_high_severity_count() -> None:
    assert rules(section("tests/test_a.py", "DEBUG = True", "eval(x)")) == [
        "dangerous-call.python.eval"
    ]


def test_commands_of_pipelines_and_images_are_read_as_shell() -> None:
    pipe = "curl -fsSL https://example.org/i | sh"

    assert "dangerous-call.shell.pipe" in rules(section("Dockerfile", f"RUN {pipe}"))
    assert "dangerous-call.shell.pipe" in rules(
        section(".github/workflows/a.yml", f"      - run: {pipe}")
    )


def test_a_guard_that_moves_is_not_removed() -> None:
    text = "--- a/v.py\n+++ b/v.py\n@@ -1,2 +1,2 @@\n-@login_required\n-def a():\n"

    assert "auth.check-removed" not in rules(text + "+def a():\n+    @login_required\n")
    assert "auth.check-removed" in rules(text + "+def a():\n+    pass\n")


def test_a_call_at_the_end_of_a_long_line_is_found() -> None:
    assert rules(section("a.py", "x = 1;" + " " * 100_000 + "eval(y)")) == [
        "dangerous-call.python.eval"
    ]
