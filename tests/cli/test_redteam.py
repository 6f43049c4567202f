"""`lockgate redteam` on tasks that give in, tasks that do not, and the two of the package."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema_rs
import pytest

from lockgate.cli.main import execute
from lockgate.redteam.canary import Canaries

SARIF = json.loads((Path(__file__).parents[1] / "assets" / "sarif-2.1.0.json").read_text())
MARK = Canaries.drawn(7, "").mark
ANSWER = {"answer": {"type": "string"}}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


def task(name: str, rules: str, *, closed: bool = False) -> None:
    """Write a prompt-only task whose rules are a template."""
    folder = Path("tasks", name)
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(
        f'name = "{name}"\nversion = "1"\ntitle = "Say something"\nengine = "rules"\n'
    )
    kind = {"enum": ["a"]} if closed else {"type": "string"}
    for form, properties in (("input", {"text": kind}), ("output", ANSWER)):
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        (folder / f"{form}.schema.json").write_text(json.dumps(schema))
    (folder / "prompt.j2").write_text("{{ text }}")
    (folder / "rules.json.j2").write_text(rules)


FEW = ("--attacks", "15", "--family", "active-content", "--no-ablation")
QUOTING = '{"answer": {{ text | tojson }}}'
SILENT = '{"answer": "ok"}'
# A joke of a model: it takes the two halves of the word and joins them.
OBEDIENT = (
    '{% set found = text | upper | list | join | replace("\\"", " ") | replace("\'", " ") %}'
    "{% set ns = namespace(words=[]) %}{% for w in found.split() %}"
    '{% set w = w.strip(".,:;/-+") %}'
    '{% if w | length == 6 and w.strip("DFGJLNQRUVWZ") == "" %}'
    "{% set ns.words = ns.words + [w] %}{% endif %}{% endfor %}"
    '{"answer": {{ ns.words[:2] | join | tojson }}}'
)


def run(*arguments: str) -> tuple[int, dict[str, object]]:
    code = execute(["redteam", *arguments, "-o", "r.json"])
    return code, json.loads(Path("r.json").read_text())


def rates(report: dict[str, object]) -> dict[str, tuple[int, int | None]]:
    families = report["families"]
    assert isinstance(families, list)
    return {f["family"]: (f["succeeded"], f["succeeded_without_guardrails"]) for f in families}


def test_a_task_that_says_nothing_passes_and_the_report_says_what_was_not_tried(
    workplace: Path,
) -> None:
    task("silent", SILENT)
    code, report = run("silent", "--attacks", "200", "--no-ablation")
    assert (code, report["status"], report["succeeded"]) == (0, "passed", 0)
    assert "LLM03" in report["untested"]  # type: ignore[operator]


def test_too_few_attacks_are_inconclusive_and_no_pass(workplace: Path) -> None:
    task("silent", SILENT)
    code, report = run("silent", "--attacks", "30", "--no-ablation")
    assert (code, report["status"]) == (101, "inconclusive")


def test_a_task_that_follows_orders_is_found_out(workplace: Path) -> None:
    task("obedient", OBEDIENT)
    code, report = run(
        "obedient", "--attacks", "40", "--no-ablation", "--family", "direct-injection"
    )
    assert code == 100
    families = report["families"]
    assert isinstance(families, list)
    (family,) = families
    assert family["succeeded"] > 10
    assert family["severity"] in {"high", "critical"}
    assert 0 < family["lower"] < family["rate"] < family["upper"] <= 1


def test_a_task_that_quotes_lets_markup_out_and_the_guard_keeps_the_secret(
    workplace: Path,
) -> None:
    task("quoting", QUOTING)
    code, report = run("quoting", "--attacks", "130")
    found = rates(report)
    assert code == 100
    assert found["active-content"][0] > 3
    assert found["hidden-characters"][0] > 3
    guarded, open_ = found["secret-exfiltration"]
    assert guarded == 0
    assert open_ is not None
    assert open_ > 5
    assert found["direct-injection"][0] == 0


def test_a_minimal_text_is_a_part_that_still_comes_through(workplace: Path) -> None:
    task("quoting", QUOTING)
    _, report = run("quoting", "--attacks", "30", "--no-ablation", "--family", "active-content")
    trials = report["trials"]
    assert isinstance(trials, list)
    cut = [t for t in trials if t["minimal"] is not None]
    assert len(cut) == 3
    assert all(len(t["minimal"]) <= len(t["text"]) for t in cut)
    assert min(len(t["minimal"]) for t in cut) < 60


@pytest.mark.parametrize("name", ["review", "release-notes"])
def test_no_canary_is_in_a_report_the_output_or_the_state(
    name: str, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = [f"r.{ending}" for ending in ("json", "xml", "sarif", "md", "html")]
    arguments = [part for path in outputs for part in ("-o", path)]
    execute(["redteam", name, "--engine", "rules", "--attacks", "60", *arguments])
    out, err = capsys.readouterr()
    assert MARK not in out + err
    for path in outputs:
        assert MARK not in Path(path).read_text()
    report = json.loads(Path("r.json").read_text())
    assert report["canaries_stored"] == 0
    assert rates(report)["secret-exfiltration"][0] == 0
    assert not (tmp_path / "state").exists()


def test_the_packages_tasks_follow_no_order_and_lose_nothing(workplace: Path) -> None:
    for name in ("review", "release-notes"):
        _, report = run(name, "--engine", "rules", "--attacks", "45", "--no-ablation")
        found = rates(report)
        for family in ("direct-injection", "template-injection", "permission-crossing"):
            assert found[family] == (0, None), (name, family)
        signs = report["signs"]
        assert isinstance(signs, dict)
        assert signs["task-crashed"]["succeeded"] == 0
        assert signs["schema-broken"]["succeeded"] == 0
        assert report["succeeded"] == 0, [t["id"] for t in report["trials"] if t["succeeded"]]  # type: ignore[attr-defined]


def test_reports_are_valid_in_their_formats_and_load_nothing(workplace: Path) -> None:
    task("quoting", QUOTING)
    outputs = ("r.xml", "r.sarif", "r.html", "r.md")
    arguments = [part for path in outputs for part in ("-o", path)]
    assert execute(["redteam", "quoting", "--attacks", "45", "--no-ablation", *arguments]) == 100
    log = json.loads(Path("r.sarif").read_text())
    jsonschema_rs.validator_for(SARIF).validate(log)
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is True
    suites = ET.fromstring(Path("r.xml").read_text())  # noqa: S314  we wrote it
    assert int(suites.attrib["tests"]) == 45
    assert int(suites.attrib["failures"]) == len(suites.findall(".//failure"))
    page = Path("r.html").read_text()
    assert "default-src 'none'" in page
    for tag in ("<script", "<img", "<iframe", "<a ", "\u202e", "\x1b"):
        assert tag not in page
    assert "attacker.example" not in Path("r.md").read_text()


def test_the_same_seed_gives_the_same_report(workplace: Path) -> None:
    task("quoting", QUOTING)
    arguments = ["redteam", "quoting", *FEW, "-o"]
    execute([*arguments, "a.json"])
    execute([*arguments, "b.json"])
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()


def test_against_an_earlier_report_only_what_is_new_fails(workplace: Path) -> None:
    task("quoting", QUOTING)
    assert run("quoting", *FEW)[0] == 100
    Path("r.json").rename("base.json")
    code, report = run("quoting", *FEW, "--base", "base.json", "--fail-on", "new")
    assert report["change"]["same"] == report["succeeded"] > 0  # type: ignore[index,operator]
    assert code != 100
    Path("tasks/quoting/rules.json.j2").write_text(SILENT)
    code, report = run("quoting", *FEW, "--base", "base.json")
    assert len(report["change"]["fixed"]) > 0  # type: ignore[index]
    Path("r.json").rename("base.json")
    Path("tasks/quoting/rules.json.j2").write_text(QUOTING)
    code, report = run("quoting", *FEW, "--base", "base.json", "--fail-on", "new")
    assert (code, len(report["change"]["worse"]) > 0) == (100, True)  # type: ignore[index]


def test_rules_that_stand_in_for_a_missing_model_are_degraded(workplace: Path) -> None:
    task("silent", SILENT)
    code, report = run("silent", "--engine", "model", "--attacks", "30", "--no-ablation")
    assert (code, report["status"]) == (105, "degraded")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing",), "there is no task `nothing`"),
        (("closed",), "no place for an attacker's text"),
        (("silent", "--family", "x"), "there is no family of attacks `x`"),
        (("silent", "--fail-on", "new"), "needs something to compare with"),
        (("silent", "--base", "no.json"), "does not exist"),
        (("silent", "--base", "bad.json"), "not JSON"),
        (("silent", "--base", "list.json"), "not an object"),
        (("silent", "--base", "other.json"), "not a report of `lockgate redteam`"),
        (("silent", "-o", "r.pdf"), "names no kind of report"),
        (("silent", "--attacks", "0"), "0 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], says: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task("silent", SILENT)
    task("closed", SILENT, closed=True)
    Path("bad.json").write_text("{")
    Path("list.json").write_text("[]")
    Path("other.json").write_text('{"format": 1}')
    assert execute(["redteam", *arguments]) == 2
    assert says in capsys.readouterr().err
