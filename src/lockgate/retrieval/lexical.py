"""Finds documents by their words: BM25 over a handful of documents, indexed for each search."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from lockgate.ports import Document

K1 = 1.2
B = 0.75
_WORD = re.compile(r"\w+")


class LexicalRetriever:
    """Implements `ports.Retriever` with Okapi BM25.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009),
    section 3.2, with the inverse document frequency kept above zero.
    """

    def search(self, documents: Sequence[Document], query: str, *, limit: int) -> list[str]:
        """Return the ids of the best documents that share a word with the query."""
        counts = [Counter(_words(d.text)) for d in documents]
        lengths = [sum(c.values()) for c in counts]
        average = sum(lengths) / len(lengths) if lengths else 0.0
        terms = {
            term: math.log1p((len(documents) - n + 0.5) / (n + 0.5))
            for term in dict.fromkeys(_words(query))
            if (n := sum(term in c for c in counts))
        }

        def score(position: int) -> float:
            norm = K1 * (1 - B + B * lengths[position] / average)
            return sum(
                weight * f * (K1 + 1) / (f + norm)
                for term, weight in terms.items()
                if (f := counts[position][term])
            )

        scored = [(score(i), i) for i in range(len(documents)) if lengths[i]]
        best = sorted((-s, i) for s, i in scored if s > 0)  # ties keep the documents' order
        return [documents[i].id for _, i in best[:limit]]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
