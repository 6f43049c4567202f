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
