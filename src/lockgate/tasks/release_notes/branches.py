"""Finds the commits that each merge brought in."""

from collections.abc import Mapping, Sequence

from lockgate.tasks.release_notes.commits import Commit


def brought_in(commits: Sequence[Commit]) -> Mapping[str, Sequence[str]]:
    """Return, for each merge on the main line, the commits of its branch, newest first.

    `commits` are newest first; the main line is the chain of first parents of the first. A commit
    belongs to the oldest merge that reaches it.
    """
    if not any(commit.merge for commit in commits):
        return {}
    known = {commit.sha: commit for commit in commits}
    line: list[Commit] = []
    at: str | None = commits[0].sha
    while at in known:
        line.append(known[at])
        at = known[at].parents[0] if known[at].parents else None
    seen = {commit.sha for commit in line}
    rank = {commit.sha: n for n, commit in enumerate(commits)}
    found: dict[str, list[str]] = {}
    for merge in reversed(line):
        if not merge.merge:
            continue
        waiting = [p for p in merge.parents[1:] if p in known and p not in seen]
        branch: list[str] = []
        while waiting:
            sha = waiting.pop()
            if sha in seen:
                continue
            seen.add(sha)
            branch.append(sha)
            waiting += [p for p in known[sha].parents if p in known and p not in seen]
        found[merge.sha] = sorted(branch, key=rank.__getitem__)
    return found
