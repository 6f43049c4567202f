"""`lockgate drift` on files and on an audit log, once and night after night."""

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema_rs
import numpy as np
import pytest

from lockgate.app.drift_rows import text_at
from lockgate.cli.main import execute
from lockgate.domain.audit import Entry
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.ports import Payload
from lockgate.store.sqlite import open_sqlite

SARIF = json.loads((Path(__file__).parents[1] / "assets" / "sarif-2.1.0.json").read_text())
Draw = np.random.Generator


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


def row(draw: Draw, *, size: float = 100.0, bad: float = 0.2, move: float = 0.0) -> dict[str, Json]:
    return {
        "input": {"text": "x" * max(1, int(draw.normal(size, 15)))},
        "output": {
            "kind": "bad" if draw.random() < bad else "good",
            "confidence": float(draw.beta(8, 2)),
            "id": f"{draw.integers(10**9)}",
        },
        "embedding": [float(x) for x in draw.normal(move, 1, 4)],
    }


def lines(name: str, count: int, seed: int, **change: float) -> None:
    draw = np.random.default_rng(seed)
    rows = (json.dumps(row(draw, **change)) for _ in range(count))
    Path(name).write_text("".join(f"{line}\n" for line in rows))


def drift(*arguments: str) -> tuple[int, dict[str, dict[str, object]]]:
    code = execute(["drift", "triage", *arguments, "-o", "d.json"])
    report = json.loads(Path("d.json").read_text())
    return code, {one["feature"]: one for one in report["features"]}


def outcome(found: dict[str, dict[str, object]], name: str) -> object:
    verdict = found[name]["verdict"]
    assert isinstance(verdict, dict)
    return verdict["outcome"]


FILES = ("--reference", "a.jsonl", "--current", "b.jsonl")


def test_calls_of_the_same_law_pass(workplace: Path) -> None:
    lines("a.jsonl", 2000, 1)
    lines("b.jsonl", 2000, 2)
    code, found = drift(*FILES)
    assert code == 0
    assert set(found) == {
        "embedding",
        "input.text.length",
        "output.confidence",
        "output.id.length",
        "output.kind",
        "output.kind.length",
    }


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ({"size": 140.0}, "input.text.length"),
        ({"bad": 0.7}, "output.kind"),
        ({"move": 1.0}, "embedding"),
    ],
)
def test_what_moved_fails_and_the_rest_does_not(
    change: dict[str, float], feature: str, workplace: Path
) -> None:
    lines("a.jsonl", 800, 1)
    lines("b.jsonl", 800, 2, **change)
    code, found = drift(*FILES)
    assert code == 100
    failed = {name for name in found if outcome(found, name) == "fail"}
    assert failed <= {feature, f"{feature}.length"}
    assert feature in failed
    numbers = found[feature]
    assert (numbers["mmd"] is None) is not (feature == "embedding")
    if feature == "input.text.length":
        assert 30 < float(str(numbers["wasserstein"])) < 50
        assert float(str(numbers["ks_p_value"])) < 1e-6
    if feature == "output.kind":
        assert "bad +" in str(numbers["changed"])


def test_too_few_calls_are_inconclusive_and_none_are_nothing(workplace: Path) -> None:
    lines("a.jsonl", 500, 1)
    lines("b.jsonl", 12, 2)
    assert drift(*FILES)[0] == 101
    Path("b.jsonl").write_text("")
    assert drift(*FILES)[0] == 102


def test_broken_lines_are_named_and_degrade_the_look(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines("a.jsonl", 1500, 1)
    lines("b.jsonl", 1500, 2)
    with Path("b.jsonl").open("a") as file:
        file.write("{\n[1]\n\n")
    assert drift(*FILES)[0] == 105
    err = capsys.readouterr().err
    assert "line 1501 is not JSON" in err
    assert "line 1502 is not an object" in err


def test_a_value_that_was_always_the_same_is_watched_too(workplace: Path) -> None:
    Path("a.jsonl").write_text('{"mode": "x", "n": 1}\n' * 400)
    Path("b.jsonl").write_text('{"mode": "x", "n": 1}\n' * 400)
    assert drift(*FILES)[0] == 0
    Path("b.jsonl").write_text('{"mode": "y", "n": 2}\n' * 400)
    code, found = drift(*FILES)
    assert (code, outcome(found, "mode"), outcome(found, "n")) == (100, "fail", "fail")


def test_nights_are_counted_and_a_file_counts_once(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines("a.jsonl", 600, 1)
    lines("b.jsonl", 100, 2)
    state = ("--state", "s.json")
    drift(*FILES, *state)
    kept = Path("s.json").read_bytes()
    assert execute(["drift", "triage", "--current", "b.jsonl", *state]) == 2
    assert "counted as a night before" in capsys.readouterr().err
    assert Path("s.json").read_bytes() == kept
    code, found = 0, dict[str, dict[str, object]]()
    for night in range(3, 7):
        lines("b.jsonl", 100, night, size=150.0)
        code, found = drift("--current", "b.jsonl", *state)
    assert (code, outcome(found, "input.text.length")) == (100, "fail")
    assert float(str(found["input.text.length"]["nights_p_value"])) < 0.001
    assert float(str(found["output.confidence"]["nights_p_value"])) > 0.01
    assert json.loads(Path("d.json").read_text())["night"] == 5


def test_calm_nights_raise_no_alarm(workplace: Path) -> None:
    lines("a.jsonl", 400, 1)
    code, found = 0, dict[str, dict[str, object]]()
    for night in range(10):
        lines("b.jsonl", 60, 100 + night)
        arguments = ("--reference", "a.jsonl") if not night else ()
        code, found = drift(*arguments, "--current", "b.jsonl", "--state", "s.json")
        assert code != 100, (night, found)


NOW = datetime.now(UTC)


def calls(tmp_path: Path, ages: list[float], make: Callable[[int], tuple[str, str]]) -> None:
    """Write calls into the audit log: age in days, and input and kind of each."""

    async def write() -> None:
        path = tmp_path / "state" / "lockgate.db"
        path.parent.mkdir(exist_ok=True)
        async with open_sqlite(path) as store, store.begin() as unit:
            for number, age in enumerate(ages):
                text, kind = make(number)
                given = canonical({"input": {"diff": text}, "redactions": []})
                output = canonical({"risk": kind})
                for content in (given, output):
                    payload = Payload(data=content, expires_at=NOW + timedelta(days=9))
                    await unit.put_payload(Digest.of(content), payload)
                detail: dict[str, Json] = {
                    "outcome": "answered",
                    "engine": "rules",
                    "degraded": [],
                    "input": str(Digest.of(given)),
                    "output": str(Digest.of(output)),
                    "release": None,
                    "usage": {"input_tokens": 0, "output_tokens": 0},
                    "duration_us": 1000,
                }
                await unit.append(
                    Entry(
                        id=f"c{number}-{age}",
                        at=NOW - timedelta(days=age),
                        actor="ana",
                        action="call" if number % 10 else "replay",
                        subject="review",
                        detail=detail,
                    )
                )

    asyncio.run(write())


def review(*arguments: str) -> tuple[int, dict[str, object]]:
    code = execute(["drift", "review", *arguments, "-o", "d.json"])
    return code, json.loads(Path("d.json").read_text())


def test_the_audit_log_gives_reference_and_nights(workplace: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(5)

    def usual(number: int) -> tuple[str, str]:
        return "d" * int(draw.integers(50, 150)), "low" if draw.random() < 0.8 else "high"

    def odd(number: int) -> tuple[str, str]:
        return "d" * int(draw.integers(300, 900)), "high"

    calls(tmp_path, [5.0] * 400 + [0.5] * 400, usual)
    code, report = review()
    assert (report["night"], report["reference_rows"], report["current_rows"]) == (1, 360, 360)
    assert code != 100
    calls(tmp_path, [0.1] * 300, odd)
    code, report = review()
    assert (code, report["night"], report["current_rows"]) == (100, 2, 270)
    code, report = review()
    assert (code, report["night"], report["current_rows"]) == (102, 3, 0)
    code, report = review("--once")
    assert report["night"] == 0


def test_stale_data_fail(workplace: Path, tmp_path: Path) -> None:
    calls(tmp_path, [9.0] * 60 + [4.0] * 60, lambda n: ("d" * (n % 50), "low"))
    code, report = review("--days", "5", "--max-age", "2", "--file", "index.bin")
    assert code == 100
    stale = report["stale"]
    assert isinstance(stale, list)
    assert "the newest call is of" in stale[0]
    assert "`index.bin` cannot be read" in stale[1]
    Path("index.bin").write_text("")
    _, report = review("--reset", "--days", "5", "--max-age", "8", "--file", "index.bin")
    assert report["stale"] == []


def test_reports_are_valid_in_their_formats(workplace: Path) -> None:
    lines("a.jsonl", 400, 1)
    lines("b.jsonl", 400, 2, size=160.0)
    outputs = ["-o", "d.sarif", "-o", "d.xml", "-o", "d.md"]
    assert execute(["drift", "triage", *FILES, *outputs]) == 100
    log = json.loads(Path("d.sarif").read_text())
    jsonschema_rs.validator_for(SARIF).validate(log)
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is True
    suites = ET.fromstring(Path("d.xml").read_text())  # noqa: S314  we wrote it
    assert int(suites.attrib["failures"]) == len(suites.findall(".//failure")) >= 1
    assert "| input.text.length | fail |" in Path("d.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("drift", "nothing"), "there is no task `nothing`"),
        (("drift", "review", "--reference", "a.jsonl"), "go together"),
        (("drift", "review", "--current", "a.jsonl"), "go together"),
        (("drift", "x", "--current", "a.jsonl", "--state", "no.json"), "has no reference yet"),
        (("drift", "x", "--reference", "no", "--current", "a.jsonl"), "cannot be read"),
        (("drift", "x", "--current", "a.jsonl", "--state", "bad.json"), "is not JSON"),
        (("drift", "x", "--current", "a.jsonl", "--state", "list.json"), "is no state"),
        (("drift", "x", "--current", "a.jsonl", "--state", "old.json"), "format of the state"),
        (("drift", "x", "--current", "a.jsonl", "--state", "cut.json"), "is no state"),
        (("drift", "x", "--current", "a.jsonl", "--state", "other.json"), "is the state of `y`"),
        (("drift", "review", "-o", "d.pdf"), "names no kind of report"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], says: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines("a.jsonl", 3, 1)
    whole = {"format": 1, "task": "y", "made": "2026-01-01T00:00:00+00:00", "rows": 1, "last": 0}
    other = {**whole, "nights": 0, "files": [], "features": []}
    for name, content in (
        ("bad.json", "{"),
        ("list.json", "[]"),
        ("old.json", '{"format": 0}'),
        ("cut.json", json.dumps(whole)),
        ("other.json", json.dumps(other)),
    ):
        Path(name).write_text(content)
    assert execute([*arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_text_to_embed_is_a_member_of_a_call_or_the_texts_of_a_list() -> None:
    value: dict[str, Json] = {"input": {"text": "a", "lines": ["b", 3, "c"], "size": 4}}

    found = [text_at(path, value) for path in ("input.text", "input.lines", "input.size", "no.x")]

    assert found == ["a", "b\nc", "", ""]
    assert text_at("", value) == ""
    assert len(text_at("x", {"x": "y" * 9_999})) == 4_000


def test_without_the_model_nothing_is_embedded_and_the_next_step_is_told(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(workplace / "data"))
    lines("a.jsonl", 40, 1)

    arguments = ["--reference", "a.jsonl", "--current", "a.jsonl", "--embed", "input.text"]
    assert execute(["drift", "triage", *arguments]) == 4
    assert "lockgate model pull minilm" in capsys.readouterr().err
