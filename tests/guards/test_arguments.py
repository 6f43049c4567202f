"""What comes of the arguments of tool calls: JSON, without what the guards take out."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.guards import arguments
from lockgate.guards.arguments import ArgumentsGuard
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.policy import Policy

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
CARD = 4111111111111111
CANARY = "q7Zp3VtX9LmK2w"
ACTIONS = {
    Category.SECRETS: Action.REDACT,
    Category.PERSONAL: Action.REDACT,
    Category.CANARY: Action.BLOCK,
}
PIPELINE = Pipeline(
    {
        DataClass.INTERNAL: Policy(
            input=ACTIONS, output=ACTIONS, restored=frozenset({Category.PERSONAL})
        ),
        DataClass.PUBLIC: Policy(output=dict.fromkeys(ACTIONS, Action.SHADOW)),
    },
    canaries=(CANARY,),
)


def guard(asked: str = "", data_class: DataClass = DataClass.INTERNAL) -> ArgumentsGuard:
    return PIPELINE.output_arguments(PIPELINE.scan_input(asked, data_class=data_class))


def cleaned(text: str, asked: str = "") -> str:
    one = guard(asked)
    return one.feed(text) + one.finish()


def test_arguments_in_which_nothing_is_found_stay_to_the_byte() -> None:
    text = '{ "path":"a\\/b.py",\t"n": 1.50e+3, "caf\\u00e9": [true, null, "x\\ny"] }'

    assert cleaned(text) == text


def test_a_secret_in_a_string_is_replaced_and_the_rest_stays_to_the_byte() -> None:
    text = json.dumps({"cmd": f'curl -H "X: {TOKEN}" \\ now', "n": 1})

    clean = cleaned(text)

    assert TOKEN not in clean
    assert json.loads(clean) == {"cmd": 'curl -H "X: <secret:github-pat:1>" \\ now', "n": 1}
    assert clean.endswith('", "n": 1}')


def test_a_secret_that_is_written_in_escapes_is_found() -> None:
    text = '{"a": "' + "".join(f"\\u{ord(c):04x}" for c in TOKEN) + '"}'

    assert json.loads(cleaned(text)) == {"a": "<secret:github-pat:1>"}


def test_a_number_that_is_a_card_becomes_a_string() -> None:
    clean = cleaned(json.dumps({"pay": {"card": CARD, "amount": 12}}))

    assert json.loads(clean) == {"pay": {"card": "<personal:payment-card:1>", "amount": 12}}


def test_a_value_that_only_its_name_gives_away_is_replaced() -> None:
    clean = cleaned('{"db": {"client_secret": "k9Zq2Lw8Xr4Tn6Vb1Hs3", "port": 5432}}')

    found = json.loads(clean)
    assert found["db"]["port"] == 5432
    assert found["db"]["client_secret"].startswith("<secret:generic-secret:")


def test_a_name_that_is_a_secret_is_replaced() -> None:
    assert json.loads(cleaned(json.dumps({TOKEN: 1}))) == {"<secret:github-pat:1>": 1}


@pytest.mark.parametrize("text", [f"--token {TOKEN} {{", f'{{"a": "{TOKEN}', f"{TOKEN}", "[NaN]"])
def test_what_is_no_json_is_guarded_as_text(text: str) -> None:
    assert cleaned(text) == text.replace(TOKEN, "<secret:github-pat:1>")


def test_nesting_beyond_what_can_be_read_is_guarded_as_text() -> None:
    text = "[" * 100_000 + TOKEN

    assert cleaned(text).endswith("[<secret:github-pat:1>")


def test_personal_data_of_the_input_comes_back_in_escaped_form() -> None:
    clean = cleaned('{"to": "<personal:email:1>"}', asked="write to jane.doe@firma.de")

    assert clean == '{"to": "jane.doe@firma.de"}'


def test_a_canary_stops_the_arguments() -> None:
    one = guard()

    assert one.feed(f'{{"a": "{CANARY}"}}') + one.finish() == '{"a": "'
    assert one.blocked is not None
    assert one.blocked.rule == "canary-1"


def test_a_canary_in_escapes_stops_the_arguments() -> None:
    one = guard()

    assert one.feed('{"a": "' + "".join(f"\\u{ord(c):04X}" for c in CANARY) + '"}') == ""
    assert one.finish().partition("\\u")[0] in {"", '{"a": "'}
    assert one.blocked is not None


def test_shadows_are_recorded_and_change_nothing() -> None:
    one = guard(data_class=DataClass.PUBLIC)
    text = json.dumps({"a": TOKEN, "client_secret": "k9Zq2Lw8Xr4Tn6Vb1Hs3"})

    assert one.feed(text) + one.finish() == text
    assert [(f.rule, f.action) for f in one.findings] == [
        ("github-pat", Action.SHADOW),
        ("generic-secret", Action.SHADOW),
    ]


def test_arguments_that_are_too_long_to_be_read_are_guarded_as_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arguments, "MOST_PARSED", 300)
    text = json.dumps({"a": f"{'x ' * 200}{TOKEN} {'y ' * 100}"})
    one = guard()

    out = "".join(map(one.feed, text))

    assert TOKEN not in out
    assert out + one.finish() == cleaned(text) == text.replace(TOKEN, "<secret:github-pat:1>")


def test_a_call_that_has_ended_begins_anew() -> None:
    one = guard()

    assert one.feed('{"a": 1}') + one.finish() + one.feed('{"b": 2}') + one.finish() == (
        '{"a": 1}{"b": 2}'
    )


PIECES = st.sampled_from(
    [TOKEN, CANARY[:-1], str(CARD), "jane@firma.de", '"', "\\", "\n", "é", " ", "token", "<", "z"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.lists(PIECES, max_size=4).map("".join) | st.integers() | st.just(CARD) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None


def numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [n for v in value for n in numbers(v)] if isinstance(value, list) else [value]


@settings(max_examples=200, deadline=None)
@given(
    value=VALUES,
    ascii_only=st.booleans(),
    places=st.lists(st.integers(0, 400), max_size=6),
)
@example(value={"a": f'"{TOKEN}"', "b": CARD}, ascii_only=True, places=[3, 11])
def test_arguments_stay_json_of_their_shape_however_they_are_cut(
    value: Any, *, ascii_only: bool, places: Sequence[int]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    cuts = sorted({0, len(text), *(min(place, len(text)) for place in places)})
    one = guard()

    out = "".join(one.feed(text[a:b]) for a, b in pairwise(cuts)) + one.finish()

    assert out == cleaned(text)
    assert TOKEN not in out
    assert shape(json.loads(out)) == shape(value)
    assert CARD not in numbers(json.loads(out))
    if not one.findings:
        assert out == text


def test_the_second_text_of_an_answer_numbers_as_if_it_were_alone() -> None:
    scanned: Scanned = PIPELINE.scan_input("jane@firma.de")
    texts = []
    for text in ("bob@firma.de jane@firma.de", "eve@firma.de"):
        stream = PIPELINE.output_stream(scanned)
        texts.append(stream.whole(text))

    assert texts == ["<personal:email:2> <personal:email:1>", "<personal:email:2>"]
