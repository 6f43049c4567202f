import pytest

from lockgate.domain.report.commands import inert


@pytest.mark.parametrize(
    "text",
    ["##vso[task.setvariable variable=a]b", "x ##[set-env name=PATH]y", "###[a]", "##VSO[a]"],
)
def test_a_command_is_taken_apart(text: str) -> None:
    assert "##[" not in inert(text)
    assert "##vso[" not in inert(text).casefold()
    assert inert(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "## Heading", "a ## b [c]", "##", "#[a]", "##vsox["])
def test_other_text_stays(text: str) -> None:
    assert inert(text) == text
