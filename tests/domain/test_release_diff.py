from dataclasses import replace
from decimal import Decimal

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin, Release
from lockgate.domain.release_diff import (
    Score,
    changed_pins,
    differences,
    licence_differences,
    score_differences,
    text_differences,
)


def pin(role: str, name: str, content: bytes) -> Pin:
    return Pin(role=role, name=name, digest=Digest.of(content), kind=Kind.PROMPT, size=1)


BEFORE = Release(
    task="triage",
    version="1",
    code={"version": "0.1.0"},
    pins=(pin("prompt", "prompt", b"1"), pin("text", "tiny", b"2")),
    decoding={"seed": 7},
)


def test_equal_releases_do_not_differ() -> None:
    assert differences(BEFORE, replace(BEFORE, pins=BEFORE.pins[::-1])) == []


def test_every_part_that_changed_is_named_once_with_both_values() -> None:
    after = replace(
        BEFORE,
        version="2",
        code={"version": "0.2.0"},
        pins=(BEFORE.pins[0], pin("text", "other", b"3"), pin("policy", "house", b"4")),
        decoding={"seed": 8, "temperature": 0},
        runtime={"diskMiB": 3},
    )

    found = {d.what: (d.before, d.after) for d in differences(BEFORE, after)}

    assert found == {
        "version": ("1", "2"),
        "code.version": ("0.1.0", "0.2.0"),
        "pin policy": (None, f"house, {Digest.of(b'4')}"),
        "pin text": (f"tiny, {Digest.of(b'2')}", f"other, {Digest.of(b'3')}"),
        "decoding.seed": ("7", "8"),
        "decoding.temperature": (None, "0"),
        "runtime.diskMiB": (None, "3"),
    }


def test_two_pins_of_one_role_are_told_apart_by_name() -> None:
    two = replace(BEFORE, pins=(pin("guard", "a", b"1"), pin("guard", "b", b"2")))
    changed = replace(two, pins=(pin("guard", "a", b"1"), pin("guard", "b", b"3")))

    assert [d.what for d in differences(two, changed)] == ["pin guard/b"]
    assert changed_pins(two, changed) == [(two.pins[1], changed.pins[1])]


def test_texts_are_compared_line_by_line() -> None:
    (found,) = text_differences(
        "prompt", {"p": "a\nb\n", "same": "x"}, {"p": "a\nc\n", "same": "x"}
    )

    assert (found.what, found.before, found.after) == ("prompt/p", "p", "p")
    assert found.lines == ("--- p", "+++ p", "@@ -1,2 +1,2 @@", " a", "-b", "+c")


def test_a_text_that_came_or_went_says_so() -> None:
    (gone,) = text_differences("prompt", {"p": "a"}, {})
    assert (gone.before, gone.after) == ("p", None)


def test_a_huge_text_is_counted_and_not_compared() -> None:
    (found,) = text_differences("prompt", {"p": "a\n" * 15_000}, {"p": "b\n" * 15_000})
    assert found.lines == ("15,000 lines became 15,000",)


def score(value: str, *, dataset: str = "cases", samples: int = 100) -> Score:
    low, high = Decimal(value) - Decimal("0.1"), Decimal(value) + Decimal("0.05")
    return Score(
        value=Decimal(value),
        interval=(low, high),
        samples=samples,
        dataset=Digest.of(dataset.encode()),
    )


def test_evaluations_on_one_dataset_are_subtracted() -> None:
    (found,) = score_differences({"core accuracy": score("0.9")}, {"core accuracy": score("0.87")})
    assert found.what == "evaluation core accuracy (-0.0300)"
    assert found.before == "0.9000 [0.8000, 0.9500] on 100 case(s)"
    assert found.after == "0.8700 [0.7700, 0.9200] on 100 case(s)"


def test_evaluations_on_two_datasets_are_not_subtracted() -> None:
    other = score("0.95", dataset="easier cases")
    (found,) = score_differences({"core accuracy": score("0.9")}, {"core accuracy": other})
    assert "datasets differ" in found.what
    assert other.dataset.hex[:12] in found.what
    assert "0.05" not in found.what


def test_an_evaluation_that_one_release_lacks_is_shown() -> None:
    (found,) = score_differences({}, {"core accuracy": score("0.9")})
    assert (found.before, found.after) == (None, "0.9000 [0.8000, 0.9500] on 100 case(s)")
    assert not list(score_differences({"a b": score("0.9")}, {"a b": score("0.9")}))


def test_a_licence_that_changes_is_named_by_its_role() -> None:
    (found,) = licence_differences(
        {"text": "MIT", "embed": "MIT"}, {"text": "GPL-3.0-only", "embed": "MIT"}
    )
    assert (found.what, found.before, found.after) == ("licence text", "MIT", "GPL-3.0-only")
