import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.tasks.release_notes.render_markdown import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text - with a dash", "plain text - with a dash"),
        ("keep `a*b_c<d>` code", "keep `a*b_c<d>` code"),
        ("close the <b> tag", "close the \\<b\\> tag"),
        ("<secret:aws-key:1>", "\\<secret:aws-key:1\\>"),
        ("snake_case stays", "snake_case stays"),
        ("fix __init__ here", "fix \\_\\_init\\_\\_ here"),
        ("2 * 3 [x](y)", "2 \\* 3 \\[x\\](y)"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("- no list", "\\- no list"),
        ("ask @octocat now", "ask `@octocat` now"),
        ("update @types/node", "update `@types/node`"),
        ("mail a@b.org", "mail a@b.org"),
        ("see https://x.y/a_b_c?d=*e*", "see https://x.y/a_b_c?d=*e*"),
        ("an &amp; entity", "an \\&amp; entity"),
        ("a lone ` tick", "a lone \\` tick"),
    ],
)
def test_what_authors_wrote_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(alphabet="ab `<>[]()*_#@!|\\~&;1.-+", max_size=40))
def test_no_html_and_no_link_survives(text: str) -> None:
    outside = escape(text).split("`")
    if len(outside) == 1:
        bare = escape(text).replace("\\\\", "")
        for mark in ("<", ">", "[", "]", "*"):
            assert bare.count(mark) == bare.count(f"\\{mark}")


@pytest.mark.parametrize(
    "hidden",
    ["\x1b", "\u202e", "\u2066\u2069", "\u200b", "\ufeff", "\U000e0069\U000e0067", "\x9b", "\r"],
)
def test_characters_that_nobody_sees_are_left_out(hidden: str) -> None:
    assert escape(f"harm{hidden}less") == "harmless"


@pytest.mark.parametrize("text", ["`##vso[task.setvariable x]y`", "##[set-env name=PATH]y"])
def test_no_quoted_text_is_a_command_of_a_pipeline(text: str) -> None:
    shown = escape(text)
    assert "##" not in shown
    assert "# #" in shown or "\\#" in shown


def test_joiners_that_scripts_and_emoji_need_stay() -> None:
    text = "support \U0001f469\u200d\U0001f4bb and \u0645\u06cc\u200c\u062e"
    assert escape(text) == text
