from hypothesis import given
from hypothesis import strategies as st

from lockgate.ports import Document
from lockgate.retrieval.lexical import LexicalRetriever

DOCUMENTS = [
    Document(id="cache", text="Fix the cache: the cache key forgot the tenant"),
    Document(id="docs", text="Document the cache"),
    Document(id="ci", text="Run the tests on Arm"),
    Document(id="empty", text=""),
]
SEARCH = LexicalRetriever().search


def test_the_document_with_more_of_the_rarer_words_comes_first() -> None:
    assert SEARCH(DOCUMENTS, "tenant cache key", limit=3) == ["cache", "docs"]


def test_documents_without_a_common_word_are_not_found() -> None:
    assert SEARCH(DOCUMENTS, "quantum", limit=3) == []
    assert SEARCH([], "cache", limit=3) == []


def test_ties_keep_the_order_of_the_documents_and_the_limit_holds() -> None:
    twins = [Document(id=str(i), text="same words") for i in range(9)]

    assert SEARCH(twins, "words", limit=3) == ["0", "1", "2"]


def test_case_does_not_matter() -> None:
    assert SEARCH(DOCUMENTS, "ARM", limit=1) == ["ci"]


def test_a_word_again_counts_less_each_time_and_a_long_document_counts_less() -> None:
    short = Document(id="short", text="cache")
    stuffed = Document(id="stuffed", text="cache " * 50)
    diluted = Document(id="diluted", text="cache " + "filler " * 50)
    rare = Document(id="rare", text="cache tenant " + "filler " * 20)

    assert SEARCH([diluted, short], "cache", limit=2) == ["short", "diluted"]
    # Fifty times the same word is not worth one more word of the query.
    assert SEARCH([stuffed, rare], "cache tenant", limit=2) == ["rare", "stuffed"]


def test_a_rare_word_outweighs_a_frequent_one() -> None:
    documents = [Document(id=str(i), text="cache miss") for i in range(8)]
    documents.append(Document(id="rare", text="tenant miss"))

    assert SEARCH(documents, "cache tenant", limit=1) == ["rare"]


@given(
    texts=st.lists(st.text("ab "), max_size=6),
    query=st.text("ab "),
    limit=st.integers(0, 4),
)
def test_what_is_found_shares_a_word_and_is_found_again(
    texts: list[str], query: str, limit: int
) -> None:
    documents = [Document(id=str(i), text=text) for i, text in enumerate(texts)]

    found = SEARCH(documents, query, limit=limit)

    words = set(query.split())
    sharing = {d.id for d in documents if words & set(d.text.split())}
    assert len(found) == min(limit, len(sharing))
    assert set(found) <= sharing
    assert SEARCH(documents, query, limit=limit) == found
