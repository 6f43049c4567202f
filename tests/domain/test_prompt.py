from lockgate.domain.inference import Message
from lockgate.domain.prompt import Prompt, Variable

PROMPT = Prompt(
    name="p",
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="{{ a }} and {{ b }}, again {{ a }}; {{a}}"),
    ),
    variables=(Variable(name="a", max_chars=8), Variable(name="b", max_chars=3)),
    max_tokens=10,
)


def test_values_take_the_places_of_their_variables() -> None:
    made = PROMPT.request({"a": "one", "b": "two"})
    assert [message.content for message in made.messages] == [
        "Be brief.",
        "one and two, again one; {{a}}",
    ]
    assert (made.role, made.max_tokens, made.schema) == ("text", 10, None)


def test_a_value_that_looks_like_a_variable_stays_text() -> None:
    made = PROMPT.request({"a": "{{ b }}", "b": "two"})
    assert made.messages[1].content == "{{ b }} and two, again {{ b }}; {{a}}"


def test_a_value_is_cut_where_its_variable_says() -> None:
    assert PROMPT.request({"a": "x" * 99, "b": ""}).messages[1].content.startswith("xxxxxxxx and ,")


def test_the_budget_is_an_upper_bound_in_bytes() -> None:
    worst = PROMPT.request({"a": "😀" * 8, "b": "😀" * 3})
    sent = sum(len(message.content.encode()) for message in worst.messages)
    assert sent + 10 <= PROMPT.budget_tokens
