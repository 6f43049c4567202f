import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from lockgate.domain.call import Answer, Draft, EngineKind
from lockgate.domain.digest import Digest, JsonObject, canonical
from lockgate.domain.inference import Classify, Embed, Generate
from lockgate.domain.task import Case
from lockgate.domain.verdict import Outcome
from lockgate.tasks.release_notes import schema
from lockgate.tasks.release_notes.task import ReleaseNotes
from tasks.release_notes.fakes import (
    FakeModels,
    FakeProgress,
    context,
    echo,
    numbered,
    sha,
    vector,
)
from tasks.release_notes.repos import Repo

TASK = ReleaseNotes()
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "release-notes.schema.json"
OUTPUT = jsonschema_rs.Draft202012Validator(dict(schema.OUTPUT))


def notes_input(*subjects: str, **more: Any) -> dict[str, Any]:
    """Return an input with these subjects, newest first."""
    return {
        "repository": {"name": "tool", "url": "https://github.com/o/tool", "forge": "github"},
        "range": {
            "expression": "v1.0.0..HEAD",
            "start": {"name": "v1.0.0", "sha": sha(999), "tag": "v1.0.0"},
            "end": {"name": "HEAD", "sha": sha(1), "tag": None},
            "date": "2024-05-01",
            "previous_tag": "v1.0.0",
            "paths": [],
        },
        "include_bots": False,
        "commits": [{"sha": sha(n), "subject": text} for n, text in enumerate(subjects, 1)],
        **more,
    }


def run(given: JsonObject, models: FakeModels, progress: FakeProgress | None = None) -> Draft:
    return asyncio.run(TASK.run(given, context(models, progress)))


def answer(draft: Draft, *, call: str = "a") -> Answer:
    return Answer(
        call=call,
        at=datetime(2024, 1, 1, tzinfo=UTC),
        task="release-notes",
        output=draft.output,
        engine=draft.engine,
        degraded=draft.degraded,
        evidence=draft.evidence,
        confidence=draft.confidence,
        release=Digest("0" * 64),
    )


def texts(draft: Draft, section: str) -> list[str]:
    sections: Any = draft.output["sections"]
    return [e["text"] for s in sections if s["id"] == section for e in s["entries"]]


def holds(given: JsonObject, draft: Draft) -> None:
    """Demand what every draft promises."""
    OUTPUT.validate(draft.output)
    verdicts = [check.judge(given, draft) for check in TASK.checks]
    assert [v for v in verdicts if v.outcome != Outcome.PASS] == []


FEATURES = ("feat: add dark mode", "feat: add a parser for YAML", "docs: explain it")


def test_the_notes_of_a_repository_read_as_they_should(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "tool")
    repo.commit("feat: begin", tag="v1.0.0")
    repo.commit("feat(cli)!: rename `--old` (#4)\n\nBREAKING CHANGE: use `--new`")
    repo.commit("fix: stop the crash on <empty> files (#5)")
    repo.commit("Bump x from 1 to 2", author="dependabot[bot] <x@y.z>")
    repo.commit("docs: explain it")
    repo.build().git("remote", "add", "origin", "git@github.com:o/tool.git")
    given = TASK.collect({"repo": str(repo.path)})
    draft = TASK.rules(given, context())
    short = [repo.sha(n)[:7] for n in (1, 2, 3, 4, 5)]
    full = [repo.sha(n) for n in (1, 2, 3, 4, 5)]
    url = "https://github.com/o/tool"

    holds(given, draft)
    assert (
        TASK.render(answer(draft), "markdown")
        == f"""\
## Unreleased

The next release of tool brings 1 breaking change, 1 fix and 1 documentation change since v1.0.0. \
It renames `--old`; stops the crash on \\<empty\\> files.

### Breaking changes

- **cli:** Rename `--old` ([#4]({url}/pull/4), [{short[1]}]({url}/commit/{full[1]}))
  - use `--new`

### Fixed

- Stop the crash on \\<empty\\> files ([#5]({url}/pull/5), [{short[2]}]({url}/commit/{full[2]}))

### Documentation

- Explain it ([{short[4]}]({url}/commit/{full[4]}))

_Left out: 1 commit by bots._

Proposed version: **v2.0.0** (after v1.0.0: 1 breaking change)

Full changelog: [v1.0.0...{short[4]}]({url}/compare/v1.0.0...{full[4]})"""
    )


def test_a_tagged_range_has_its_name_and_date_and_no_proposal() -> None:
    given = notes_input("fix: x")
    given["range"]["end"]["tag"] = "v1.0.1"
    text = TASK.render(answer(TASK.rules(given, context())), "markdown")
    assert text.startswith("## v1.0.1 - 2024-05-01\n")
    assert "Proposed" not in text
    assert "compare/v1.0.0...v1.0.1" in text


def test_the_version_that_is_asked_for_is_the_title() -> None:
    draft = TASK.rules(notes_input("fix: x", version="2.0"), context())
    assert (draft.output["title"], draft.output["date"]) == ("2.0", "2024-05-01")


def test_json_is_the_whole_answer_by_the_published_schema_without_call_or_time() -> None:
    draft = TASK.rules(notes_input(*FEATURES), context())
    text = TASK.render(answer(draft), "json")
    value = json.loads(text)

    jsonschema_rs.Draft202012Validator(dict(schema.answer())).validate(value)
    assert value["engine"] == "rules"
    assert value["release"] == f"sha256:{'0' * 64}"
    assert value["evidence"] == [sha(1), sha(2), sha(3)]
    assert text == TASK.render(answer(draft, call="another"), "json")


def test_the_published_schema_is_the_one_that_is_used() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema.answer()


def test_two_runs_give_the_same_bytes() -> None:
    given = notes_input(*FEATURES, "Speed up x", "Make x faster", "Unclear")
    models = {"write": echo, "labels": {"speed": "perf"}, "vectors": {}}
    first, second = (run(given, FakeModels(**models)) for _ in range(2))  # type: ignore[arg-type]
    assert canonical(first.output) == canonical(second.output)


def test_what_has_no_class_stands_under_other() -> None:
    given = notes_input("Lorem ipsum", "Speed things", "feat: x")
    draft = run(given, FakeModels(write=echo, labels={"speed": "perf"}, vectors={}))
    holds(given, draft)
    assert texts(draft, "other") == ["Lorem ipsum"]
    assert texts(draft, "changed") == ["Speed things"]


def test_this_repositorys_own_history_speaks_where_the_classifier_abstains() -> None:
    given = notes_input("Lorem ipsum", earlier={"site": {"docs": 20}})
    given["commits"][0]["files"] = ["M site/a.txt"]
    draft = run(given, FakeModels(write=echo, labels={}, vectors={}))
    assert texts(draft, "documentation") == ["Lorem ipsum"]


def test_near_duplicates_are_folded_with_the_embedder() -> None:
    given = notes_input("feat: speed the parser up", "feat: speed up the parser")
    near = {"Speed the parser up": vector(1, 0.1), "Speed up the parser": vector(1, 0.2)}
    draft = run(given, FakeModels(write=echo, vectors=near))
    holds(given, draft)
    assert texts(draft, "added") == ["Speed up the parser"]
    assert draft.engine is EngineKind.MODEL


def test_clauses_of_the_model_are_taken_if_they_hold_and_replaced_one_by_one() -> None:
    given = notes_input(*FEATURES)
    models = FakeModels(
        write=lambda _: numbered("adds a dark mode", "adds the Kubernetes operator")
    )
    draft = run(given, models)
    holds(given, draft)
    summary: Any = draft.output["summary"]
    assert [p["engine"] for p in summary["parts"]] == ["model", "rules"]
    assert summary["parts"][1]["replaced"]
    assert "adds a dark mode; adds a parser for YAML." in summary["text"]
    assert (draft.engine, draft.degraded) == (EngineKind.MODEL, ())


@pytest.mark.parametrize(
    "reply", ["", "{", "[]", '{"1": 5}', "null", "[" * 5000, '{"summary": "x"}']
)
def test_a_useless_reply_leaves_the_rules_text(reply: str) -> None:
    given = notes_input(*FEATURES)
    draft = run(given, FakeModels(write=lambda _: reply))
    holds(given, draft)
    summary: Any = draft.output["summary"]
    assert summary["engine"] == "rules"
    assert all(part["replaced"] for part in summary["parts"])
    assert draft.engine is EngineKind.RULES


def test_a_reply_that_was_cut_off_is_not_used() -> None:
    draft = run(notes_input(*FEATURES), FakeModels(write=echo, cut_off=True))
    summary: Any = draft.output["summary"]
    assert {part["replaced"] for part in summary["parts"]} == {"the reply was cut off"}


def test_without_models_the_notes_are_the_rules_and_say_why() -> None:
    given = notes_input(*FEATURES, "Speed the parser up", "Speed up the parser")
    draft = run(given, FakeModels())
    ruled = TASK.rules(given, context())
    holds(given, draft)
    assert draft.engine is EngineKind.RULES
    assert [reason.partition(":")[0] for reason in draft.degraded] == [
        "the types were guessed by rules",
        "near duplicates were not looked for",
        "the summary was not phrased by a model",
    ]
    assert draft.output == ruled.output
    assert ruled.degraded == ()


def test_no_model_is_asked_for_what_needs_none() -> None:
    models = FakeModels()
    draft = run(notes_input("feat: add dark mode"), models)
    assert (models.asked, draft.degraded, draft.engine) == ([], (), EngineKind.RULES)


def test_the_text_model_never_sees_more_than_the_highlights() -> None:
    models = FakeModels(write=echo, labels={}, vectors={})
    run(notes_input(*FEATURES, "feat: c d", "feat: e f", "feat: g h", "feat: i j"), models)
    kinds = [type(request) for request in models.asked]
    assert kinds.count(Generate) == 1
    assert kinds.count(Embed) <= 1
    assert kinds.count(Classify) == 0


def test_long_ranges_tell_how_far_they_are_and_short_ones_do_not() -> None:
    subjects = [f"feat: add {word} parser part" for word in map(_word, range(60))]
    modelled, ruled, short = FakeProgress(), FakeProgress(), FakeProgress()
    run(notes_input(*subjects), FakeModels(write=echo, vectors={}), modelled)
    TASK.rules(notes_input(*subjects), context(progress=ruled))
    run(notes_input(*subjects[:9]), FakeModels(write=echo, vectors={}), short)
    assert (modelled.finished, modelled.done, modelled.total) == (True, 100, 100)
    assert (ruled.finished, ruled.done, ruled.total) == (True, 100, 100)
    assert (short.finished, short.total) == (False, 0)


@pytest.mark.parametrize("case", TASK.spec.cases, ids=lambda case: case.name)
def test_the_evaluation_cases_hold(case: Case) -> None:
    jsonschema_rs.Draft202012Validator(dict(TASK.spec.input_schema)).validate(case.input)
    for draft in (TASK.rules(case.input, context()), run(case.input, FakeModels(write=echo))):
        holds(case.input, draft)
        assert _within(case.expect, draft.output)


def _within(expected: Any, found: Any) -> bool:
    if isinstance(expected, dict):
        return all(_within(value, found[key]) for key, value in expected.items())
    return bool(expected == found)


def _word(number: int) -> str:
    return "".join(chr(97 + int(digit)) for digit in f"{number:03}")


_SUBJECT = st.one_of(
    st.text(max_size=60).map(lambda s: " ".join(s.split())),
    st.sampled_from(
        [
            "feat: x", "fix(a)!: y", 'Revert "feat: x"', "Revert #3", "Merge branch 'x'",
            "Merge pull request #3 from a/b", "fixup! feat: x", "v1.2.3", "Bump x from 1 to 2",
            "Speed up it (#3)", "Speed it up (#3)", "- x", "<b>", "`", "[x](y)",
        ]
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@forall(
    st.lists(
        st.tuples(_SUBJECT, st.booleans(), st.sampled_from(["", "* feat: z\n* fix: w"])),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_the_commits_say_nothing_is_lost(rows: list[tuple[str, bool, str]]) -> None:
    given = notes_input(*(subject for subject, _, _ in rows))
    for row, (_, bot, body) in zip(given["commits"], rows, strict=True):
        row |= {"bot": bot, "body": body}
    draft = TASK.rules(given, context())
    holds(given, draft)
    assert TASK.render(answer(draft), "markdown")
    assert TASK.render(answer(draft), "json")


def test_a_range_of_20_000_commits_is_covered(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "big")
    for n in range(20_000):
        repo.commit(f"{'fix' if n % 3 else 'Change'}: thing {n}", files={})
    given = TASK.collect({"repo": str(repo.build().path)})
    draft = TASK.rules(given, context())
    holds(given, draft)
    assert draft.output["coverage"] == {"commits": 20_000, "represented": 20_000, "omitted": 0}


def test_a_very_long_range_is_classified_in_parts_and_says_what_was_not_done() -> None:
    models = FakeModels(labels={"speed": "perf"}, vectors={})
    draft = run(notes_input(*(f"Speed up part {n}" for n in range(3_001))), models)
    assert texts(draft, "changed")[-1] == "Speed up part 3000"
    assert len([r for r in models.asked if isinstance(r, Classify)]) == 12
    assert not any(isinstance(r, Embed) for r in models.asked)
    assert any("3001 changes are too many" in reason for reason in draft.degraded)


def test_subjects_and_paths_that_are_not_utf_8_come_through(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    repo.commit(b"feat: caf\xe9\n\nb\xff", files={b"d/\xe9.py": "1"})
    given = TASK.collect({"repo": str(repo.build().path)})
    draft = TASK.rules(given, context())
    holds(given, draft)
    TASK.render(answer(draft), "markdown").encode()
    assert texts(draft, "added") == ["Caf\ufffd"]


def test_a_secret_in_a_message_stays_a_placeholder() -> None:
    given = notes_input("feat: add <secret:aws-key:1>", "feat: use <secret:aws-key:1>")
    models = FakeModels(write=lambda _: numbered("adds <secret:aws-key:1>", "uses it"))
    draft = run(given, models)
    holds(given, draft)
    summary: Any = draft.output["summary"]
    assert {part["engine"] for part in summary["parts"]} == {"rules"}
    assert "\\<secret:aws-key:1\\>" in TASK.render(answer(draft), "markdown")
