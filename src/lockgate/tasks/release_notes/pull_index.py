"""Finds the pull request of a commit that does not name one: a small index over their titles."""

from collections.abc import Sequence

from lockgate.ports import Document, Retriever
from lockgate.tasks.release_notes import conventional, squash
from lockgate.tasks.release_notes.commits import Pull

_MOST = 300
"""Searches of one call; each reads every title."""


class PullIndex:
    """The pull requests of a range, by what they say.

    Search proposes, and nearly equal words decide: a wrong number would be worse than none.
    """

    def __init__(self, pulls: Sequence[Pull], retriever: Retriever) -> None:
        self._pulls = {str(pull.number): pull for pull in pulls if pull.title}
        self._documents = [Document(id=name, text=p.title) for name, p in self._pulls.items()]
        self._retriever = retriever
        self._left = _MOST

    def find(self, text: str) -> Pull | None:
        """Return the pull request whose title says the same as `text`."""
        if not self._documents or self._left == 0:
            return None
        self._left -= 1
        for name in self._retriever.search(self._documents, text, limit=1):
            pull = self._pulls[name]
            header = conventional.header(pull.title)
            if squash.alike(header.description if header else pull.title, text):
                return pull
        return None
