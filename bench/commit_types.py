#!/usr/bin/env python3
"""Test the recipe of the commit-type classifier on commits that it has not seen, beside its peers.

usage: bench/commit_types.py [COMMITS.jsonl.gz]

Time split: in each repository, everything is trained on the oldest 80 % and tested on the newest
20 %. The weights that ship are made by the same recipe (tools/train_commit_types.py) of all the
data, so nothing here can test that very file.
Sections: feat, fix, docs, test+ci, other.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
from lockgate.backends.linear import Head, load
from lockgate.domain.inference import Label, Row
from lockgate.tasks.release_notes import path_rules
from train_commit_types import DATA, Commits, read, train

SECTIONS = {"feat": "feat", "fix": "fix", "docs": "docs", "test": "test+ci", "ci": "test+ci"}
BINS = 10
SPLIT = 0.8
WANTED_SECTIONS = 0.8


def section(name: str) -> str:
    return SECTIONS.get(name, "other")


def line(name: str, truth: Sequence[str], guesses: Sequence[str], more: str = "") -> None:
    """Print one row of the table."""
    right = np.mean([a == b for a, b in zip(truth, guesses, strict=True)])
    macro = f1_score(truth, guesses, average="macro", labels=sorted(set(truth)), zero_division=0)
    sections = np.mean([section(a) == section(b) for a, b in zip(truth, guesses, strict=True)])
    print(f"| {name:<44} | {right:.3f} | {macro:.3f} | {sections:.3f} | {more:<24} |")


def text(row: dict[str, object]) -> str:
    files = row["files"]
    assert isinstance(files, list)
    return f"{row['subject']} {' '.join(path.replace('/', ' ') for path, _, _ in files[:40])}"


def calibration_error(labels: Sequence[Label], truth: Sequence[str]) -> float:
    """Return the expected calibration error over ten bins (Naeini et al. 2015)."""
    confidence = np.array([label.confidence for label in labels])
    right = np.array([top(a) == b for a, b in zip(labels, truth, strict=True)])
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(
        sum(
            abs(confidence[places == b].mean() - right[places == b].mean()) * (places == b).mean()
            for b in set(places)
        )
    )


def top(label: Label) -> str:
    return max(label.probabilities, key=lambda name: label.probabilities[name])


def ours(head: Head, commits: Commits, kept: npt.NDArray[np.bool_], *, counts: bool) -> None:
    """Print the classifier's rows: every commit decided, and only those above the threshold."""
    tokens = [t for t, k in zip(commits.tokens(counts=counts), kept, strict=True) if k]
    truth = list(commits.types[kept])
    labels = [head.judge(Row(tokens=t)) for t in tokens]
    seen = "with line counts" if counts else "paths only"
    error = f"ECE {calibration_error(labels, truth):.3f}"
    line(f"Lockgate, {seen}", truth, [top(label) for label in labels], error)
    decided = [(a, b.label) for a, b in zip(truth, labels, strict=True) if b.label is not None]
    share = f"decides {len(decided) / len(truth):.0%}"
    line(f"Lockgate, {seen}, decided", [a for a, _ in decided], [b for _, b in decided], share)
    surest = sorted(range(len(labels)), key=lambda i: -labels[i].confidence)
    right = np.cumsum([section(top(labels[i])) == section(truth[i]) for i in surest])
    shares = right / np.arange(1, len(right) + 1)
    most = int(np.flatnonzero(shares >= WANTED_SECTIONS).max(initial=-1)) + 1
    guesses = [top(labels[i]) for i in surest[:most]]
    part = f"the surest {most / len(truth):.0%}"
    line(f"Lockgate, {seen}, surest", [truth[i] for i in surest[:most]], guesses, part)
    repositories = commits.repositories[kept]
    for name in sorted(set(repositories)) if counts else ():
        mine = [i for i, r in enumerate(repositories) if r == name]
        guesses = [top(labels[i]) for i in mine]
        line(f"  {name}", [truth[i] for i in mine], guesses, f"{len(mine)} commits")


def main() -> None:
    commits = read(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
    old, new = commits.position < SPLIT, commits.position >= SPLIT
    truth = list(commits.types[new])
    print(f"trained on {old.sum()} commits, tested on {new.sum()} newer ones\n")
    print(f"| {'':<44} | type  | mac-F1| sect. | {'':<24} |")
    print(f"|{'-' * 46}|------:|------:|------:|{'-' * 26}|")
    most = Counter(commits.types[old]).most_common(1)[0][0]
    line("always the commonest type", truth, [most] * len(truth))
    rows = [row for row, kept in zip(commits.rows, new, strict=True) if kept]
    guesses = [
        path_rules.classify(row["subject"], [("M", path) for path, _, _ in row["files"]])
        for row in rows
    ]
    line("path rules and first verb (our rules)", truth, [g.type or most for g in guesses])
    peer = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2), LinearSVC(random_state=7)
    )
    texts = [text(row) for row in commits.rows]
    peer.fit([t for t, k in zip(texts, old, strict=True) if k], commits.types[old])
    line("TF-IDF and linear SVM (scikit-learn)", truth, list(peer.predict([text(r) for r in rows])))
    with tempfile.NamedTemporaryFile() as file:
        file.write(train(commits, until=SPLIT))
        file.flush()
        head = load(Path(file.name))
    for counts in (False, True):
        ours(head, commits, new, counts=counts)


if __name__ == "__main__":
    main()
