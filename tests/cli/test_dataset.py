"""`lockgate dataset`: what it stores, finds wrong, masks and makes, and what it refuses."""

import json
from pathlib import Path

import pytest

from lockgate.cli.main import execute


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


def write(name: str, *rows: object) -> None:
    Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def case(text: str, label: str = "x") -> dict[str, object]:
    return {"input": {"text": text}, "expect": label}


LONG = "the build of the service failed because the disk of the runner was full again today"


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_the_same_files_give_the_same_digest_and_what_is_stored_is_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("train.jsonl", case("one"), case("two"))
    write("test.jsonl", case("three"))
    arguments = ["dataset", "import", "t", "train.jsonl", "test.jsonl", "--licence", "CC0-1.0"]
    assert execute([*arguments, "--origin", "the build farm", "--json"]) == 0
    first = json.loads(printed(capsys))
    assert first["licence"] == "CC0-1.0"
    assert [s["rows"] for s in first["lineage"]] == [2, 1]
    assert str(tmp_path) not in json.dumps(first)
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "other"))
    assert execute([*arguments, "--origin", "the build farm", "--json"]) == 0
    assert json.loads(printed(capsys))["digest"] == first["digest"]
    assert execute(["dataset", "show", "t", "--rows", "1"]) == 0
    shown = printed(capsys)
    assert first["digest"] in shown
    assert "2 row(s) of train.jsonl, from the build farm" in shown
    assert '"text":"three"' in shown
    assert execute(["dataset", "show"]) == 0
    assert "CC0-1.0" in printed(capsys)
    assert execute(["dataset", "check", "t"]) == 0
    assert execute(["store", "verify"]) == 0


def test_an_earlier_version_stays_under_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    digests = []
    for text in ("one", "two"):
        write("a.jsonl", case(text))
        execute(["dataset", "import", "t", "a.jsonl", "--licence", "CC0-1.0", "--json"])
        digests.append(json.loads(printed(capsys))["digest"])
    for digest, text in zip(digests, ("one", "two"), strict=True):
        execute(["dataset", "show", f"t/{digest.removeprefix('sha256:')}", "--rows", "1"])
        assert f'"text":"{text}"' in printed(capsys)


def test_lines_that_do_not_fit_stop_the_import_or_are_left_out_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("s.json").write_text('{"required": ["input"]}')
    Path("a.jsonl").write_text(f'{json.dumps(case("one"))}\n{{\n[]\n{{"x": 1}}\n{{"input": NaN}}\n')
    arguments = ["dataset", "import", "t", "a.jsonl", "--licence", "CC0-1.0", "--schema", "s.json"]
    assert execute(arguments) == 2
    err = capsys.readouterr().err
    assert "4 line(s) do not fit" in err
    for line in ("line 2: it is not JSON", "line 3: it is a list", "line 4: .", "`NaN` is no"):
        assert line in err
    assert execute([*arguments, "--leave-out"]) == 0
    capsys.readouterr()
    execute(["dataset", "show", "t"])
    assert "1 row(s) of a.jsonl, 4 left out" in printed(capsys)


def test_a_check_names_duplicates_leakage_and_contradictions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(
        "train.jsonl", case(LONG), case("alone here"), case("twice", "a"), case("twice", "b"),
        {"input": {"text": "no label"}},
    )  # fmt: skip
    write("test.jsonl", case(f"{LONG}!"), case(LONG.replace("again", "once more")), case("new"))
    assert execute(["dataset", "check", "train.jsonl", "test.jsonl", "--threshold", "0.5"]) == 1
    out = printed(capsys)
    assert "conflict: alike, and labelled a, b (train:3, train:4)" in out
    assert "duplicate: the same input is 2 times in train" in out
    assert "near-leakage: nearly the same input is in the splits test, train" in out
    assert "train: 5 row(s), 3 label(s), 1 without" in out
    assert execute(["dataset", "check", "train.jsonl", "test.jsonl", "--json"]) == 1
    found = json.loads(printed(capsys))
    assert found["counts"]["duplicate"] == 1
    assert found["labels"]["train"]["counts"] == {"x": 2, "a": 1, "b": 1}


def test_the_same_row_in_two_splits_leaks(capsys: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", case("one"), case("two"))
    write("b.jsonl", case("two", "y"))
    assert execute(["dataset", "check", "train=a.jsonl", "test=b.jsonl"]) == 1
    out = printed(capsys)
    assert "leakage: the same input is in the splits test, train (train:2, test:1)" in out
    assert "conflict" in out


def test_rows_that_differ_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    write("a.jsonl", *(case(f"case number {n} about {n * 7919}", f"l{n % 2}") for n in range(50)))
    assert execute(["dataset", "check", "a.jsonl"]) == 0
    assert "balance 1.00" in printed(capsys)


def test_personal_data_and_secrets_are_masked_the_same_everywhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = "gh" + "p_" + "Zk3nQ8vL2xR7tW5yB1mD9sF4hJ6cP0aGqEuI"
    write(
        "a.jsonl",
        {"author": "Ana Lopez", "text": "ana@corp.com, 10.1.2.3"},
        {"author": "Bo Berg", "text": f"ana@corp.com TOKEN={token}; Bo Berg was here"},
    )
    Path("key").write_bytes(b"k" * 32)
    arguments = ["dataset", "anonymise", "a.jsonl", "--key", "key", "--name", "author"]
    assert execute([*arguments, "-o", "b.jsonl"]) == 0
    assert "2 email" in printed(capsys)
    first, second = map(json.loads, Path("b.jsonl").read_text().splitlines())
    assert first["text"].split(",")[0] == second["text"].split()[0]
    assert second["author"] in second["text"]
    for personal in ("Ana", "corp.com", "10.1", "Berg", token):
        assert personal not in Path("b.jsonl").read_text()
    assert execute([*arguments, "-o", "c.jsonl"]) == 0
    assert Path("c.jsonl").read_bytes() == Path("b.jsonl").read_bytes()


def test_made_rows_can_be_imported(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    Path("s.json").write_text(json.dumps(schema))
    synth = ["dataset", "synth", "--rows", "30", "-o", "m.jsonl"]
    assert execute([*synth, "--schema", "s.json"]) == 0
    licence = ["--licence", "CC0-1.0", "--schema", "s.json"]
    assert execute(["dataset", "import", "made", "test=m.jsonl", *licence]) == 0
    Path("m.jsonl").rename("seen.jsonl")
    assert execute([*synth, "--like", "seen.jsonl"]) == 0
    assert len(Path("m.jsonl").read_text().splitlines()) == 30


def test_csv_and_json_are_read_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.csv").write_text('input,expect\n"a, b",x\nc,y\nd\n')
    Path("b.json").write_text('[{"input": "e", "expect": "x"}, 7]')
    assert execute(["dataset", "check", "a.csv", "b.json"]) == 1
    out = printed(capsys)
    assert "a.csv:4: it has 1 columns, the head 2" in out
    assert "b.json:2: it is a int, not an object" in out
    assert "a: 2 row(s)" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("import", "T x", "a.jsonl", "--licence", "x"), "cannot be the name of a dataset"),
        (("import", "t", "Bad!=a.jsonl", "--licence", "x"), "cannot be the name of a split"),
        (("import", "t", "a.jsonl", "--licence", " "), "is no licence"),
        (("import", "t", "a.jsonl"), "missing option '--licence'"),
        (("import", "t", "no.jsonl", "--licence", "x"), "cannot be read"),
        (("import", "t", "a.txt", "--licence", "x"), "ends in `.txt`"),
        (("import", "t", "latin.jsonl", "--licence", "x"), "line 2 is not UTF-8"),
        (("import", "t", "empty.jsonl", "--licence", "x"), "no row is left"),
        (("import", "t", "a.jsonl", "a=a.jsonl", "--licence", "x"), "given twice"),
        (("import", "t", "a.jsonl", "--licence", "x", "--schema", "a.txt"), "is not JSON"),
        (("check", "nothing"), "there is no dataset `nothing` here; there are: none"),
        (("show", "nothing"), "there is no dataset `nothing`"),
        (("anonymise", "a.jsonl", "--key", "no", "-o", "b"), "head -c 32 /dev/urandom"),
        (("anonymise", "a.jsonl", "--key", "short", "-o", "b"), "the key has 1 bytes"),
        (("anonymise", "broken.jsonl", "--key", "key", "-o", "b"), "line 1: it is not JSON"),
        (("synth", "-o", "b"), "give either"),
        (("synth", "--like", "empty.jsonl", "-o", "b"), "no rows to learn"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a.jsonl", case("one"))
    Path("a.txt").write_text("x")
    Path("empty.jsonl").write_text("\n")
    Path("broken.jsonl").write_text("{\n")
    Path("latin.jsonl").write_bytes(b"{}\n\xff\n")
    Path("short").write_bytes(b"k")
    Path("key").write_bytes(b"k" * 32)
    assert execute(["dataset", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert not Path("b").exists()
