"""Deterministic guesses at a commit's type, from its subject and its paths; no model.

The types are those of Conventional Commits and the Angular convention. A guess is made by the
first thing that speaks: an explicit tag in the subject, a machine's phrase, paths that are all of
one role, the first verb. The confidences are precisions measured on the older part of the
labelled commits that the classifier is trained on (`bench/commit_types.py` prints them again).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

TYPES = (
    "feat", "fix", "docs", "style", "refactor", "perf", "test", "build", "ci", "chore", "revert",
)  # fmt: skip

MAX_SUBJECT = 300
"""Characters of a subject that are looked at."""
MAX_FILES = 200
"""Paths of a commit that are looked at: a vendored tree says no more in its 20,000th file."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What the rules think; `type` is None when no rule speaks."""

    type: str | None
    confidence: float
    """Share of such guesses that agreed with the author's own label, 0 to 1."""
    reason: str
    """The rule, for a person."""


# --- paths -----------------------------------------------------------------------------------

_CI_DIRS = frozenset(
    {".circleci", ".buildkite", ".azure-pipelines", ".ci", ".teamcity", ".woodpecker"}
)
_CI_NAMES = frozenset({
    ".gitlab-ci.yml", ".travis.yml", "appveyor.yml", ".appveyor.yml", "jenkinsfile", ".drone.yml",
    "azure-pipelines.yml", "bitbucket-pipelines.yml", ".cirrus.yml", "codecov.yml", ".codecov.yml",
    "zuul.yaml", ".zuul.yaml", "cloudbuild.yaml", ".coveralls.yml",
})  # fmt: skip
_TEST_DIRS = frozenset({
    "test", "tests", "__tests__", "spec", "specs", "testing", "testdata", "_testdata", "test-data",
    "__snapshots__", "__mocks__", "__fixtures__", "fixtures", "e2e", "cypress", "testutil",
    "test_fixtures", "integration-tests", "unittests", "snapshots",
})  # fmt: skip
_TEST_NAMES = frozenset({
    "conftest.py", "pytest.ini", "jest.config.js", "jest.config.ts", "vitest.config.ts",
    "karma.conf.js", ".nycrc", ".mocharc.js", ".mocharc.json", ".coveragerc",
})  # fmt: skip
_DOC_DIRS = frozenset({"doc", "docs", "documentation", "website", "man", "wiki", "_docs"})
_DOC_ENDS = frozenset({"md", "rst", "adoc", "mdx", "qmd", "markdown", "asciidoc", "textile"})
_DOC_NAMES = frozenset({
    "readme", "license", "licence", "copying", "notice", "authors", "contributors", "maintainers",
    "mkdocs.yml", ".readthedocs.yml", ".readthedocs.yaml", "license.txt", "readme.txt", "todo",
    "authors.txt", ".all-contributorsrc", "_quarto.yml",
})  # fmt: skip
_LOG_STEMS = frozenset({"changelog", "changes", "history", "news", "releases", "release-notes"})
_BUILD_NAMES = frozenset({
    "package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "pnpm-workspace.yaml",
    "npm-shrinkwrap.json", "bun.lockb", "deno.json", "deno.lock", "lerna.json", "nx.json",
    "turbo.json", "pyproject.toml", "setup.py", "setup.cfg", "poetry.lock", "pdm.lock", "uv.lock",
    "pipfile", "pipfile.lock", "manifest.in", "environment.yml", "tox.ini", "noxfile.py",
    "cargo.toml", "cargo.lock", "go.mod", "go.sum", "go.work", "pom.xml", "build.gradle",
    "build.gradle.kts", "settings.gradle", "gradle.properties", "gradlew", "build.sbt", "gemfile",
    "gemfile.lock", "rakefile", "composer.json", "composer.lock", "mix.exs", "mix.lock",
    "makefile", "gnumakefile", "justfile", "cmakelists.txt", "meson.build", "configure.ac",
    "build.bazel", "workspace", "module.bazel", "dockerfile", ".dockerignore", "flake.nix",
    "flake.lock", "default.nix", "shell.nix", "package.swift", "rollup.config.js",
    "rollup.config.ts", "webpack.config.js", "gulpfile.js", "gruntfile.js", ".npmignore",
    ".goreleaser.yml", ".goreleaser.yaml", "versions.props", "directory.packages.props",
})  # fmt: skip
_BUILD_ENDS = frozenset({"lock", "gradle", "cmake", "bzl", "nix", "gemspec", "podspec", "csproj"})
_META_DIRS = frozenset({".vscode", ".idea", ".husky", ".devcontainer", ".changeset", ".github"})
_META_NAMES = frozenset({
    "codeowners", "renovate.json", "renovate.json5", "dependabot.yml", "ruff.toml", "mypy.ini",
    "eslint.config.js", "eslint.config.mjs", "biome.json", "rustfmt.toml", "clippy.toml",
    "netlify.toml", "vercel.json", "synth.metadata", "synth.py", "release-please-config.json",
})  # fmt: skip
_ASSET_ENDS = frozenset({
    "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "woff", "woff2", "ttf", "mp4", "pdf",
})  # fmt: skip
_EXAMPLE_DIRS = frozenset(
    {"example", "examples", "demo", "demos", "sample", "samples", "playground"}
)
_BUILD_STARTS = ("dockerfile", "docker-compose", "tsconfig", "vite.config", "rollup.config")


@lru_cache(maxsize=8192)
def role(path: str) -> str:
    """Say what a file is for, by names alone, the same for every repository.

    One of: ci, test, docs, log (changelogs), build, meta, asset, example, source.
    """
    *folders, name = path[-400:].lower().split("/")
    where = set(folders)
    stem, _, end = name.rpartition(".")
    github = ".github" in where
    claims = (
        ("ci", name in _CI_NAMES or not where.isdisjoint(_CI_DIRS)),
        ("ci", github and not where.isdisjoint({"workflows", "actions"})),
        ("meta", github),
        ("test", _is_test(where, name)),
        ("log", (stem or name) in _LOG_STEMS),
        ("build", name in _BUILD_NAMES or end in _BUILD_ENDS or _is_requirements(folders, name)),
        ("docs", end in _DOC_ENDS or name in _DOC_NAMES or not where.isdisjoint(_DOC_DIRS)),
        ("meta", name in _META_NAMES or name[:1] == "." or not where.isdisjoint(_META_DIRS)),
        ("build", name.startswith(_BUILD_STARTS)),
        ("example", not where.isdisjoint(_EXAMPLE_DIRS)),
        ("asset", end in _ASSET_ENDS),
    )
    return next((claimed for claimed, holds in claims if holds), "source")


def _is_test(where: set[str], name: str) -> bool:
    if not where.isdisjoint(_TEST_DIRS) or name in _TEST_NAMES or name.startswith("test_"):
        return True
    stem = name.partition(".")[0]
    if stem.endswith(("_test", "_tests", "_spec", "-test")):
        return True
    return ".test." in name or ".spec." in name or ".snap" in name


def _is_requirements(folders: Sequence[str], name: str) -> bool:
    if not name.endswith((".txt", ".in")):
        return False
    return name.startswith(("requirements", "constraints")) or "requirements" in folders[-1:]


def roles(paths: Iterable[str]) -> Mapping[str, int]:
    """Count the paths of each role."""
    counted: dict[str, int] = {}
    for path in paths:
        found = role(path)
        counted[found] = counted.get(found, 0) + 1
    return counted


# --- subjects --------------------------------------------------------------------------------

_VERBS: Mapping[tuple[str, float], str] = {
    ("fix", 0.85): (
        "handle ensure prevent resolve respect preserve escape repair guard restore tolerate "
        "unbreak sanitize recover fallback suppress strip load invalidate exclude consider "
        "do_not catch return throw check pass log force stop wait default"
    ),
    ("fix", 0.7): "fix correct avoid ignore skip normalize include import set inline revert adjust",
    ("fix", 0.5): "use replace make improve disable read merge rewrite detect only",
    ("feat", 0.7): "support implement introduce expose provide offer extend integrate export",
    ("feat", 0.6): "add allow accept show print create new emit enable",
    ("refactor", 0.7): (
        "refactor simplify extract rename restructure reorganize reorganise consolidate move "
        "deduplicate dedupe modularize canonicalize port decouple split modernize unify align "
        "encapsulate rework flatten apply abstract change standardize"
    ),
    ("refactor", 0.4): "remove delete drop migrate convert switch",
    ("perf", 0.65): "optimize optimise cache reduce memoize accelerate",
    ("docs", 0.85): "document clarify explain mention note describe reword",
    ("test", 0.8): "xfail deflake test",
    ("style", 0.4): "reformat lint prettify indent",
    ("chore", 0.6): "bump release prepare upgrade pin update cleanup downgrade sync format tidy",
}
_IRREGULAR = {
    "made": "make", "shown": "show", "caught": "catch", "threw": "throw", "bugfix": "fix",
    "bugfixes": "fix", "hotfix": "fix", "clean": "cleanup", "cleaned": "cleanup",
    "cleaning": "cleanup", "don't": "do_not", "dont": "do_not", "doesn't": "do_not",
    "never": "do_not", "rewrote": "rewrite", "rewritten": "rewrite", "documentation": "document",
    "refactorings": "refactor", "tests": "test", "support": "support", "re-add": "restore",
}  # fmt: skip


@cache
def _verbs() -> tuple[Mapping[str, str], Mapping[str, tuple[str, float]]]:
    """Return each known form of a verb with its base, and each base with its type."""
    known = {base: said for said, words in _VERBS.items() for base in words.split()}
    forms: dict[str, str] = {}
    for base in known:
        stems = [base[:-1]] if base.endswith("e") else [base]
        if base[-1] in "bdgklmnprt" and base[-2] in "aeiou":
            stems.append(base + base[-1])
        forms |= dict.fromkeys((base, base + "s", base + "es"), base)
        for stem in stems:
            forms |= {stem + "ed": base, stem + "ing": base}
        if base.endswith("y"):
            forms |= {base[:-1] + "ies": base, base[:-1] + "ied": base}
    return forms | _IRREGULAR, known


def verb(word: str) -> str | None:
    """Return the base form of a verb that subjects begin with; None for any other word."""
    return _verbs()[0].get(word)


_NOISE = re.compile(
    r"\((?:#|gh-|!)[0-9]{1,9}\)|\[(?:skip ci|ci skip|no ci)\]|https?://[^\s)]{1,200}",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:\[([^\]]{1,40})\]|([A-Za-z][\w./*-]{0,40}(?:\([^)]{1,40}\))?)!?:(?=\s))\s*"
)
_WORD = re.compile(r"[a-z][a-z'-]{0,30}")


def normalise(subject: str) -> str:
    """Return a subject without pull request numbers, addresses and CI switches, bounded."""
    return " ".join(_NOISE.sub(" ", subject[: 2 * MAX_SUBJECT]).split())[:MAX_SUBJECT]


def lead(subject: str) -> tuple[str | None, str]:
    """Split a normalised subject into its label (`parser:`, `[docs]`; else None) and the rest."""
    found = _LABEL.match(subject)
    if found is None or found.end() == len(subject):
        return None, subject
    return (found.group(1) or found.group(2)).lower(), subject[found.end() :]


_TAGS: Mapping[str, str] = {
    name: kind
    for kind, names in {
        "feat": "feat feature feats features enhancement",
        "fix": "fix bugfix hotfix bug fixes",
        "docs": "docs doc documentation readme docstring docstrings",
        "style": "style styles formatting",
        "refactor": "refactor refactoring",
        "perf": "perf performance",
        "test": "test tests testing",
        "build": "build packaging",
        "ci": "ci github-actions workflow workflows travis",
        "chore": "chore deps dependencies dependabot release pre-commit.ci bot",
    }.items()
    for name in names.split()
}

_PHRASES: tuple[tuple[str, str, float, str], ...] = (
    ("revert", r'^(?:revert|reapply)\s+"', 0.95, "reverts a commit"),
    (
        "chore",
        r"^(?:(?:release|version|publish|tag)\W{0,3})?v?[0-9]+\.[0-9]+(?:\.[0-9]+)?\S{0,20}(?:\s|$)",
        0.95,
        "a version number",
    ),
    (
        "chore",
        (
            r"^(?:prepare|start|begin|cut|bump|update|set)\b.{0,40}"
            r"\b(?:release|versions?|dev(?:elopment)?)\b|^version bump|^bump to |^release\b"
        ),
        0.9,
        "prepares a release",
    ),
    (
        "chore",
        (
            r"^(?:bump|updat|upgrad|pin|relock|refresh|downgrad)\S{0,4}\s.{0,80}"
            r"(?:\b(?:dep|deps|dependency|dependencies|lock ?file|lockfiles|devdependencies)\b"
            r"|\s(?:from|to|->|→)\s{1,2}\^?~?v?[0-9])"
            r"|^lock file maintenance|autoupdate"
        ),
        0.8,
        "updates dependencies",
    ),
)
_LATE: tuple[tuple[str, str, float, str], ...] = (
    (
        "perf",
        r"\b(?:perf|performance|faster|speed(?:s|ed|ing)? up|speedup|memory usage|allocations?)\b",
        0.65,
        "speaks of speed",
    ),
    (
        "docs",
        (
            r"\b(?:docs?|documentation|readme|docstrings?|jsdoc|tutorial)\b"
            r"|\b(?:comment|typo)s?\b.{0,20}\bdoc"
        ),
        0.6,
        "speaks of documentation",
    ),
    ("test", r"\b(?:unit ?tests?|tests?|test cases?|flaky)\b", 0.5, "speaks of tests"),
    ("ci", r"\b(?:ci|github actions?|workflows?|travis|circleci)\b", 0.5, "speaks of CI"),
    (
        "style",
        r"\b(?:whitespaces?|pep ?8|flake8|black|prettier|formatting|reformat\w{0,4}|isort)\b",
        0.45,
        "speaks of layout",
    ),
)
_BROKEN = re.compile(
    r"\b(?:fix(?:es|ed)?|bugs?|crash\w{0,3}|missing|broken|incorrect(?:ly)?|correctly|properly|"
    r"wrong(?:ly)?|errors?|fail(?:s|ed|ure|ures|ing)?|should|no longer|regression|leak|race|"
    r"deadlock|panic|invalid|"
    r"typos?|always|not|cannot|can't|null|undefined)\b"
)


@cache
def _patterns() -> tuple[re.Pattern[str], Mapping[str, tuple[str, float, str]], re.Pattern[str]]:
    """Compile the phrases, each list into one alternation whose groups name the rule."""
    early = "|".join(f"(?P<p{n}>{row[1]})" for n, row in enumerate(_PHRASES))
    late = "|".join(f"(?P<l{n}>{row[1]})" for n, row in enumerate(_LATE))
    said = {f"p{n}": (row[0], row[2], row[3]) for n, row in enumerate(_PHRASES)}
    said |= {f"l{n}": (row[0], row[2], row[3]) for n, row in enumerate(_LATE)}
    return re.compile(early), said, re.compile(late)


# --- the rules -------------------------------------------------------------------------------

_SOLE: Mapping[str, tuple[str, float]] = {
    "docs": ("docs", 0.92),
    "test": ("test", 0.85),
    "ci": ("ci", 0.6),
}


def classify(subject: str, files: Sequence[tuple[str, str]]) -> Guess:
    """Guess the type of a commit whose subject states none.

    `files` are (status letter, path). The subject may carry any noise; case does not matter.
    """
    text = normalise(subject)
    label, rest = lead(text)
    return classify_parts(label, rest.lower(), roles(path for _, path in files[:MAX_FILES]))


def classify_parts(label: str | None, text: str, counted: Mapping[str, int]) -> Guess:
    """`classify` for a subject that is already split and in lower case, and counted roles."""
    if label is not None:
        tag = _TAGS.get(label.partition("(")[0])
        if tag is not None:
            return Guess(tag, 0.9, f"labelled `{label}`")
    early, said, late = _patterns()
    found = early.search(text)
    if found is not None:
        return Guess(*said[found.lastgroup or ""])
    kinds = set(counted)
    sole = _sole(kinds, text)
    if sole is not None:
        return sole
    found = late.search(text)
    if found is not None and not (found.lastgroup == "l2" and "source" in kinds):
        return Guess(*said[found.lastgroup or ""])
    return _by_verb(text, kinds)


def _sole(kinds: set[str], text: str) -> Guess | None:
    """Judge by paths that are all of one role; images and examples side with what they are by."""
    main = kinds - {"asset", "example"} or kinds
    if len(main) == 1:
        (only,) = main
        if only in _SOLE:
            return Guess(*_SOLE[only], f"only {only} files")
    if main == {"docs", "log"}:
        return Guess("docs", 0.75, "only documents")
    if main <= {"log", "build"} and "log" in main:
        writes = text.startswith(("add", "fix")) and main == {"log"}
        return (
            Guess("docs", 0.6, "only the changelog")
            if writes
            else Guess("chore", 0.75, "only the changelog")
        )
    if main and main <= {"build", "meta", "ci"}:
        if main <= {"ci", "meta"} and "ci" in main:
            return Guess("ci", 0.45, "only CI and settings")
        return Guess("chore", 0.6, "only build files and settings")
    return None


def _by_verb(text: str, kinds: set[str]) -> Guess:
    found = _WORD.search(text)
    first = found.group() if found else ""
    base = verb(first)
    if base is not None:
        kind, confidence = _verbs()[1].get(base, ("", 0.0))
        if base == "add" and "source" not in kinds and "test" in kinds:
            return Guess("test", 0.5, "adds tests")
        return Guess(kind, confidence, f"begins with `{first}`")
    if _BROKEN.search(text):
        return Guess("fix", 0.7, "speaks of a fault")
    if kinds & {"source", "example"}:
        # Subjects without a verb name what was wrong far more often than what is new.
        return (
            Guess("fix", 0.6, "names a part of the code")
            if "test" in kinds
            else Guess(None, 0.0, "no rule")
        )
    return Guess(None, 0.0, "no rule")
