from pathlib import Path

import pytest

from lockgate.errors import InvalidInput
from lockgate.evals import junit_reader
from lockgate.evals.junit_reader import read_junit

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest"><testsuite name="a" tests="5">
<testcase classname="t.test_a" name="test_one" time="0.1"/>
<testcase classname="t.test_a" name="test_two"><failure message="no">text</failure></testcase>
<testcase classname="t.test_a" name="test_three"><error/><system-out>x</system-out></testcase>
<testcase classname="t.test_a" name="test_four"><skipped/></testcase>
<testcase name="test_five"><properties><property name="failure" value="1"/></properties></testcase>
</testsuite></testsuites>"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "junit.xml"
    path.write_text(text)
    return path


def test_each_test_is_counted_once_by_how_it_ended(tmp_path: Path) -> None:
    run, data = read_junit(write(tmp_path, REPORT))
    assert run.passed == ("t.test_a::test_one", "test_five")
    assert run.failed == ("t.test_a::test_three", "t.test_a::test_two")
    assert run.skipped == ("t.test_a::test_four",)
    assert data == REPORT.encode()


def test_a_test_that_failed_once_of_two_runs_has_failed(tmp_path: Path) -> None:
    twice = '<testsuite><testcase name="a"/><testcase name="a"><failure/></testcase></testsuite>'
    run, _ = read_junit(write(tmp_path, twice))
    assert (run.passed, run.failed) == ((), ("a",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no element found"),
        ("<testsuite>", "no element found"),
        ("<testsuite/>", "has no test"),
        ("<html><testcase name='a'/></html>", "`html`"),
        (
            "<!DOCTYPE t [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><testsuite><testcase/></testsuite>",
            "document type",
        ),
        ("<testsuite><testcase><testcase/></testcase></testsuite>", "within a testcase"),
        ("{}", "not well-formed"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidInput) as caught:
        read_junit(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_a_report_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(junit_reader, "MOST_TESTS", 3)
    with pytest.raises(InvalidInput, match="more than 3 tests"):
        read_junit(write(tmp_path, REPORT))
    monkeypatch.setattr(junit_reader, "MOST_BYTES", 100)
    with pytest.raises(InvalidInput, match="more than 100 bytes"):
        read_junit(write(tmp_path, REPORT))
    with pytest.raises(InvalidInput, match="No such file"):
        read_junit(tmp_path / "none.xml")
