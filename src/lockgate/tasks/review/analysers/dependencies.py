"""Dependencies: what comes from where, in manifests and lock files."""

import re
from collections.abc import Iterator, Mapping

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review.change import Change, File
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Rule, line_rule, lines

_MANIFESTS: Mapping[str, str] = {
    "package.json": "npm",
    "pyproject.toml": "python",
    "setup.py": "python",
    "setup.cfg": "python",
    "Pipfile": "python",
    "go.mod": "go",
    "Cargo.toml": "cargo",
    "Gemfile": "ruby",
    "composer.json": "php",
    "pom.xml": "maven",
    "build.gradle": "gradle",
    "build.gradle.kts": "gradle",
    "mix.exs": "elixir",
    "flake.nix": "nix",
}
_LOCKS: Mapping[str, str] = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "yarn.lock": "npm",
    "pnpm-lock.yaml": "npm",
    "bun.lock": "npm",
    "bun.lockb": "npm",
    "poetry.lock": "python",
    "uv.lock": "python",
    "pdm.lock": "python",
    "Pipfile.lock": "python",
    "go.sum": "go",
    "Cargo.lock": "cargo",
    "Gemfile.lock": "ruby",
    "composer.lock": "php",
    "gradle.lockfile": "gradle",
    "mix.lock": "elixir",
    "flake.lock": "nix",
}
_REQUIREMENTS = re.compile(r"(?:^|/)(?:requirements|constraints)[\w./-]*\.(?:txt|in)$")
_SETTINGS = re.compile(r"(?:^|/)(?:\.npmrc|\.yarnrc(?:\.yml)?|pip\.conf|\.pypirc|settings\.xml)$")

_ABOUT = re.compile(
    r'^\s*"(?:repository|homepage|url|bugs|author|license|funding|\$schema|main|types|version)"\s*:'
    r"|^\s*(?:repository|homepage|documentation|version|url)\s*="
)
"""Members that say something of the project itself."""

_CHANGED = Rule(
    id="dependency.changed",
    severity=Severity.LOW,
    message="What the project depends on may have changed.",
    help="For each new dependency check its name, its owner, its age and its licence.",
    positives=lines("package.json", '    "left-pad": "^1.3.0",'),
    negatives=lines("src/package.py", "x = 1"),
)
_LOCK_ALONE = Rule(
    id="dependency.lock-alone",
    severity=Severity.MEDIUM,
    message="A lock file changed and its manifest did not: nobody asked for what it pins now.",
    help="Make the lock file again from the manifest and compare, before trusting it.",
    positives=lines("package-lock.json", '      "version": "1.0.1",'),
    negatives=lines("package.json", '    "left-pad": "^1.3.0",'),
)
_MANIFEST_RULES = (
    line_rule(
        "dependency.install-script",
        Severity.HIGH,
        r"^\s*\"(?:pre|post)?install\"\s*:\s*\"",
        said=(
            "A script runs on every machine that installs the package.",
            "Remove it, or read it line by line.",
        ),
        path="package.json",
        examples=(('    "postinstall": "node x.js",',), ('    "test": "node x.js",',)),
    ),
    line_rule(
        "dependency.source",
        Severity.MEDIUM,
        r"(?i)\b(?:git\+(?:https?|ssh|file)|git)://|\"(?:github|gitlab|bitbucket):[\w.-]+/"
        r"|^\s*\"[^\"]+\"\s*:\s*\"(?:https?:|file:|[\w-]+/[\w.-]+#[^\"]*\"\s*,?\s*$)"
        r"|\bgit\s*(?:=|:|=>)\s*[\"']|^\s*replace\s+\S+|^\s*\S+\s+=>\s+\S+"
        r"|^\s*[\w.\[\],-]+\s*@\s*(?:https?|file):",
        said=(
            "A dependency comes from outside the registry.",
            "Use a released version, or pin the commit by its full hash.",
        ),
        path="package.json",
        examples=(
            ('    "a": "git+https://example.org/a.git",', '    "a": "github:me/a",'),
            (
                '    "a": "^1.0.0",',
                '  "homepage": "https://example.org",',
                '  "url": "git+https://example.org/a.git"',
                '    "lint": "eslint src/a.js",',
            ),
        ),
    ),
    line_rule(
        "dependency.unpinned",
        Severity.LOW,
        r"^\s*\"[@\w./-]+\"\s*:\s*\"(?:\*|latest|x|>=?\s*[\d.]+)\"|^\s*[\w-]+\s*=\s*\"\*\"\s*$",
        said=(
            "A dependency may be any version.",
            "Give a range that ends before the next major version.",
        ),
        path="package.json",
        examples=(('    "a": "*",', '    "a": "latest"'), ('    "a": "^1.0.0",',)),
    ),
)
_INDEX_RULES = (
    line_rule(
        "dependency.index",
        Severity.HIGH,
        r"(?i)--(?:extra-)?index-url\b|--find-links\b|--trusted-host\b|\bextra-index-url\s*="
        r"|^\s*index-url\s*=|^\s*(?:@[\w-]+:)?registry\s*=|\bnpmRegistryServer\b"
        r"|^\s*\[\[(?:tool\.(?:uv\.index|poetry\.source|pdm\.source)|source)\]\]"
        r"|^\s*<repository>|\bmaven\s*\{\s*url\b|\bstrict-ssl\s*=\s*false",
        said=(
            "Packages come from another index, which may answer for any name.",
            "Use one index that proxies the others, and pin digests.",
        ),
        path="requirements.txt",
        examples=(
            ("--extra-index-url https://example.org/simple", "[[tool.uv.index]]"),
            ("click==8.2.0",),
        ),
    ),
)
_LOCK_RULES = (
    line_rule(
        "dependency.lock-source",
        Severity.HIGH,
        r"\"resolved\"\s*:\s*\"(?:http://|git\+|file:)|^\s*resolved\s+\"(?:http://|git\+)"
        r"|\btarball:\s*http://|^\s*(?:source|url)\s*=\s*[\"'{].*http://",
        said=(
            "A lock file takes a package from an unencrypted or unusual place.",
            "Make the lock file again with the registry that you trust.",
        ),
        path="package-lock.json",
        examples=(
            ('      "resolved": "http://example.org/a.tgz",',),
            ('      "resolved": "https://registry.example.org/a/-/a-1.0.0.tgz",',),
        ),
    ),
)


class Dependencies:
    """Finds changes of what the project is made from."""

    rules = (_CHANGED, _LOCK_ALONE, *_MANIFEST_RULES, *_INDEX_RULES, *_LOCK_RULES)

    def __init__(self) -> None:
        self._manifest = Matcher((*_MANIFEST_RULES, *_INDEX_RULES), comments=("#", "//"))
        self._settings = Matcher(_INDEX_RULES, comments=("#", ";"))
        self._lock = Matcher(_LOCK_RULES)

    def find(self, change: Change) -> Iterator[Finding]:
        stated = {kind for file in change.files if (kind := _manifest(file))}
        for file in change.files:
            if _manifest(file):
                if file.added or file.removed:
                    yield _CHANGED.at(file)
                matcher = self._manifest
            elif _SETTINGS.search(file.path):
                matcher = self._settings
            elif file.name in _LOCKS:
                if _LOCKS[file.name] not in stated and file.status != "deleted":
                    yield _LOCK_ALONE.at(file)
                matcher = self._lock
            else:
                continue
            for rule, line in matcher.find(file.added):
                if matcher is not self._manifest or not _ABOUT.match(line.text):
                    yield rule.at(file, line)


def _manifest(file: File) -> str | None:
    if _REQUIREMENTS.search(file.path):
        return "python"
    return _MANIFESTS.get(file.name)
