"""What every report is made of. Results are read again for each: they may be many."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lockgate.evals.results import Result
from lockgate.evals.summary import Summary

TOOL = "lockgate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished run."""

    suite: str
    """The suite's path as people write it."""
    description: str
    version: str
    """Of this program."""
    summary: Summary
    results: Callable[[], Iterator[Result]]
    base: Callable[[], Iterator[Result]] | None = None
    """Results to compare with."""
    notices: tuple[str, ...] = ()
    gate_file: str = ""
    """Where the gates stand, if not in the suite."""
    digests: Callable[[], Mapping[str, str]] = dict
    """Of the suite, the harness and what answered; the dataset's is in the summary."""

    def warnings(self) -> list[str]:
        """Return what kept the run from being whole."""
        summary = self.summary
        found = [f"`{b.place.path}`, line {b.place.line}: {b.problem}" for b in summary.broken]
        if summary.broken_count > len(summary.broken):
            found.append(f"{summary.broken_count - len(summary.broken)} more broken entries")
        found += [
            f"{count} case(s): {reason}" for reason, count in sorted(summary.degraded.items())
        ]
        if summary.interrupted:
            found.append("the run was interrupted: cases are missing")
        return found
