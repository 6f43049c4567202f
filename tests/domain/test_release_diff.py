from dataclasses import replace

from lockgate.domain.artifact import Kind
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin, Release
from lockgate.domain.release_diff import changed_pins, differences, text_differences


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
