from pathlib import Path

import pytest

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.policy import INJECTION_RULES, Policy
from lockgate.guards.rules import CATALOGUES, expand, load_rules
from lockgate.guards.secrets import SecretGuard
from lockgate.guards.stream import GRID, MAX_MATCH

SECRETS = {Category.SECRETS: Action.REDACT}
PIPELINE = Pipeline({DataClass.INTERNAL: Policy(input=SECRETS, output=SECRETS)})
TEXTS = [expand(p) for rule in load_rules() for p in rule.positives]
LONG = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7" * 2000


@pytest.mark.parametrize("text", TEXTS)
def test_the_pipeline_takes_the_same_secrets_as_the_guard_of_tasks(text: str) -> None:
    given = f"before {text}\nafter"

    assert PIPELINE.scan_input(given).text == SecretGuard().sanitise(given).value


@pytest.mark.parametrize("text", TEXTS)
def test_no_secret_leaves_a_stream_of_single_characters(text: str) -> None:
    stream = PIPELINE.output_stream(Scanned(text=""))

    out = "".join(map(stream.feed, f"{text}\n")) + stream.finish()

    assert out == PIPELINE.scan_input(f"{text}\n").text
    assert "<secret:" in out


def test_what_can_begin_no_secret_is_let_through_at_once() -> None:
    stream = PIPELINE.output_stream(Scanned(text=""))

    out = [stream.feed(chunk) for chunk in ("Plain ", "words ", "need ", "no ", "patience.")]

    assert "".join(out).startswith("Plain words need no")
    assert stream.held <= len("patience.")


def test_a_secret_without_an_end_is_replaced_once_and_its_rest_is_dropped() -> None:
    stream = PIPELINE.output_stream(Scanned(text=""))

    out = stream.feed(f"token {LONG}") + stream.feed(" and more text") + stream.finish()

    assert out == "token <secret:github-pat:1> and more text"
    assert stream.held <= MAX_MATCH + GRID


def test_a_long_key_inside_something_without_an_end_is_taken_whole() -> None:
    body = "\n".join(
        "MIIEpAIBAAKCAQEA7bq3Zx9Yw2Vt8Ur5Ts1Qp4On7Ml0Kj3Ih6Gf9Ed2Cb5Az8" for _ in range(90)
    )
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    policy = Policy(output={**SECRETS, Category.LINKS: Action.REDACT})
    guard = Pipeline({DataClass.INTERNAL: policy}).output_stream(Scanned(text=""))

    out = "".join(map(guard.feed, f"<img {'x ' * 3000}\n{key}\nend")) + guard.finish()

    assert "MIIEpAIBAAKCAQEA" not in out
    assert out.endswith("\nend")


def test_a_lone_surrogate_does_not_stop_the_search() -> None:
    text = f"caf\udce9 {TEXTS[2]} \ud800"

    assert PIPELINE.scan_input(text).text == "caf\ufffd token <secret:github-pat:1> \ufffd"


def test_the_docs_name_every_rule_that_a_configuration_may_name() -> None:
    docs = (Path(__file__).parents[2] / "docs/concepts/guards.md").read_text("utf-8")
    named = [r.id for c in CATALOGUES if c is not Category.SECRETS for r in load_rules(c)]

    assert [rule for rule in (*named, *INJECTION_RULES) if f"`{rule}`" not in docs] == []
