"""How large the change is and how far it reaches: what nobody can read, nobody reviews.

The bounds follow "Best Kept Secrets of Peer Code Review" (Cohen 2006): past 400 lines a reviewer
finds markedly less.
"""

from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.change import Change, File
from lockgate.tasks.review.rule import Example, Rule, lines

LARGE_LINES = 400
HUGE_LINES = 2_000
MANY_FILES = 50

_ONE = lines("src/app.py", "x = 1")
_LARGE = Rule(
    id="size.large",
    severity=Severity.LOW,
    message=f"More than {LARGE_LINES} lines changed: more than one sitting can review well.",
    help="Split the change into steps that each stand on their own.",
    positives=(Example(path="src/app.py", added=("x = 1",) * (LARGE_LINES + 1)),),
    negatives=(*_ONE, Example(path="uv.lock", added=("x = 1",) * (LARGE_LINES + 1))),
)
_HUGE = Rule(
    id="size.huge",
    severity=Severity.MEDIUM,
    message=f"More than {HUGE_LINES} lines changed: no review of it will be thorough.",
    help="Split the change into steps that each stand on their own.",
    positives=(Example(path="src/app.py", added=("x = 1",) * (HUGE_LINES + 1)),),
    negatives=(Example(path="src/app.py", added=("x = 1",) * (LARGE_LINES + 1)),),
)
_SPREAD = Rule(
    id="size.spread",
    severity=Severity.LOW,
    message=f"More than {MANY_FILES} files changed.",
    help="Separate mechanical changes, such as renames and formatting, from the rest.",
    negatives=_ONE,
)
_OMITTED = Rule(
    id="size.not-analysed",
    severity=Severity.MEDIUM,
    message="Part of the change was past the budget and was not analysed.",
    help="Raise `--max-bytes`, split the change, or look at these files by hand.",
    negatives=_ONE,
)
_CUT = Rule(
    id="size.cut-short",
    severity=Severity.MEDIUM,
    message="The diff of this file ends before its header says: lines are missing.",
    help="Make the diff again, with `git diff --unified=0`, and pass all of it.",
    negatives=_ONE,
)


class Size:
    """Judges size and spread, and says what could not be analysed."""

    rules = (_LARGE, _HUGE, _SPREAD, _OMITTED, _CUT)

    def find(self, change: Change) -> Iterator[Finding]:
        written = [f for f in change.files if not languages.is_generated(f.path)]
        if written:
            largest = max(written, key=_lines)
            total = sum(_lines(file) for file in written)
            if total > HUGE_LINES:
                yield _HUGE.at(largest)
            elif total > LARGE_LINES:
                yield _LARGE.at(largest)
            if len(written) > MANY_FILES:
                yield _SPREAD.at(largest)
        for file in change.files:
            if file.cut_short:
                yield _CUT.at(file)
        if change.omitted.files:
            name = change.omitted.names[0] if change.omitted.names else ""
            message = (
                f"{change.omitted.files} file(s) of {change.omitted.bytes} bytes were past the "
                "budget and were not analysed."
            )
            yield _OMITTED.at(File(path=name, old_path=name), message=message)


def _lines(file: File) -> int:
    return len(file.added) + len(file.removed)
