from hypothesis import given
from hypothesis import strategies as st

from lockgate.retrieval.chunking import pieces


def test_paragraphs_stay_whole_as_long_as_they_fit() -> None:
    text = "one two\nthree\n\nfour five\n\n\nsix seven eight nine ten"
    assert list(pieces(text, words=5)) == ["one two three four five", "six seven eight nine ten"]
    assert list(pieces(text, words=4)) == [
        "one two three",
        "four five",
        "six seven eight nine",
        "ten",
    ]


@given(text=st.text(alphabet="ab \n", max_size=200), words=st.integers(1, 9))
def test_no_word_is_lost_and_no_piece_is_too_long(text: str, words: int) -> None:
    found = list(pieces(text, words=words))
    assert " ".join(found).split() == text.split()
    assert all(1 <= len(piece.split()) <= words for piece in found)
