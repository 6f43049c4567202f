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
