import asyncio

from lockgate.redteam.minimise import minimise


def test_what_is_needed_is_all_that_is_left() -> None:
    async def holds(text: str) -> bool:
        return "bad" in text and "thing" in text

    text = "one two bad three four five thing six seven"
    found = asyncio.run(minimise(text, holds, most=200))
    assert "bad" in found
    assert "thing" in found
    assert len(found) <= len("bad thing ")


def test_a_single_character_is_found_in_a_word() -> None:
    async def holds(text: str) -> bool:
        return "\u200b" in text

    assert asyncio.run(minimise("abc\u200bdef", holds, most=100)) == "\u200b"


def test_no_more_is_asked_than_allowed_and_the_result_still_holds() -> None:
    asked = []

    async def holds(text: str) -> bool:
        asked.append(text)
        return text.count("x") > 40

    text = "x " * 100
    found = asyncio.run(minimise(text, holds, most=7))
    assert len(asked) <= 7
    assert found.count("x") > 40


def test_a_text_that_cannot_be_cut_stays_as_it_is() -> None:
    async def never(text: str) -> bool:
        return False

    assert asyncio.run(minimise("a b c", never, most=50)) == "a b c"
