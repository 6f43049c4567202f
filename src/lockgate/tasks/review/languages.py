"""Tells what a file is by its path."""

import re
from collections.abc import Mapping

_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "python": (".py", ".pyi", ".pyw"),
    "javascript": (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte"),
    "go": (".go",),
    "java": (".java", ".kt", ".kts", ".scala", ".groovy"),
    "ruby": (".rb", ".rake", ".erb"),
    "php": (".php", ".phtml"),
    "c": (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh"),
    "shell": (".sh", ".bash", ".zsh", ".ksh"),
    "csharp": (".cs",),
    "rust": (".rs",),
}
_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}
_COMMENTS: Mapping[str, tuple[str, ...]] = {
    "python": ("#",),
    "ruby": ("#",),
    "shell": ("#",),
    "php": ("//", "#", "*", "/*"),
}
_SLASHES = ("//", "*", "/*")
_TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests__|spec|specs|testing|testdata|fixtures?|e2e|cypress)/"
    r"|(?:^|/)(?:test_[^/]*|conftest)\.py$"
    r"|[._-](?:test|tests|spec)\.[A-Za-z]{1,5}$"
    r"|(?:Test|Tests|IT|Spec)\.(?:java|kt|scala|groovy|cs|php)$"
)
_GENERATED = re.compile(
    r"(?:^|/)(?:vendor|node_modules|third_party|dist|__snapshots__)/"
    r"|\.(?:min\.(?:js|css)|pb\.go|map|snap|svg)$|_pb2(?:_grpc)?\.py$|[._]generated\."
    r"|(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock"
    r"|Pipfile\.lock|uv\.lock|pdm\.lock|Cargo\.lock|composer\.lock|Gemfile\.lock|go\.sum"
    r"|packages\.lock\.json|gradle\.lockfile|mix\.lock|bun\.lockb?|flake\.lock)$"
)
_DOCS = re.compile(
    r"(?i)(?:^|/)docs?/|\.(?:md|markdown|rst|txt|adoc)$|(?:^|/)(?:readme|changelog|license)"
)
_CONFIGURATION = re.compile(
    r"\.(?:ya?ml|json|toml|ini|cfg|tf|tfvars|hcl|sql|xml|gradle|properties|mod|sum|lock)$"
    r"|(?:^|/)(?:Dockerfile|Containerfile|Makefile|Jenkinsfile|Gemfile|Pipfile)[^/]*$"
)


def language(path: str) -> str | None:
    """Return the programming language of a file; None if it is not one that is known here."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return _BY_SUFFIX.get(name[dot:].lower()) if dot > 0 else None


def comments(name: str) -> tuple[str, ...]:
    """Return how comment lines of a language begin."""
    return _COMMENTS.get(name, _SLASHES)


def is_test(path: str) -> bool:
    """Say whether a file is part of the tests."""
    return _TEST.search(path) is not None


def is_generated(path: str) -> bool:
    """Say whether a file is written by a program: nobody reads it line by line."""
    return _GENERATED.search(path) is not None


def is_documentation(path: str) -> bool:
    """Say whether a file is prose."""
    return _DOCS.search(path) is not None


def is_configuration(path: str) -> bool:
    """Say whether a file configures a build, a pipeline or an infrastructure."""
    return _CONFIGURATION.search(path) is not None
