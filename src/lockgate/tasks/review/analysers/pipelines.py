"""Pipelines and images: what they run, with which rights, pinned to what.

Sources: GitHub's "Security hardening for GitHub Actions", OWASP's top ten CI/CD risks, the Docker
benchmark of CIS.
"""

import re
from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Example, Rule, line_rule, lines

_PATH = ".github/workflows/ci.yml"
_DOCKER = "Dockerfile"
_PIPELINE = re.compile(
    r"(?:^|/)\.github/(?:workflows|actions)/.+\.ya?ml$|(?:^|/)action\.ya?ml$"
    r"|(?:^|/)\.gitlab-ci(?:\.[\w-]+)?\.ya?ml$|(?:^|/)\.gitlab/ci/|(?:^|/)\.circleci/"
    r"|(?:^|/)azure-pipelines[\w.-]*\.ya?ml$|(?:^|/)bitbucket-pipelines\.yml$|(?:^|/)\.drone\.yml$"
    r"|(?:^|/)Jenkinsfile[^/]*$|(?:^|/)\.travis\.yml$|(?:^|/)\.buildkite/|(?:^|/)\.tekton/"
)
_IMAGE = re.compile(
    r"(?:^|/)(?:Dockerfile|Containerfile)[^/]*$|\.[Dd]ockerfile$"
    r"|(?:^|/)(?:docker-)?compose[\w.-]*\.ya?ml$"
)
_CHANGED = Rule(
    id="ci.changed",
    severity=Severity.LOW,
    message="A pipeline changed: it runs with the repository's rights.",
    help="Check what it runs, with which secrets, and who can start it.",
    positives=lines(_PATH, "name: build"),
    negatives=lines("src/app.py", "name = 1"),
)
_IMAGE_CHANGED = Rule(
    id="docker.changed",
    severity=Severity.LOW,
    message="The build of an image changed.",
    help="Check the base image, what is installed, and the user that it runs as.",
    positives=lines(_DOCKER, "WORKDIR /app"),
    negatives=lines("docs/docker.md", "FROM x"),
)
_REMOVED = Rule(
    id="ci.removed",
    severity=Severity.MEDIUM,
    message="A pipeline was removed, and with it what it checked.",
    help="Say where the same checks run now.",
    positives=(Example(path=_PATH, removed=("a",), headers=("deleted file mode 100644",)),),
    negatives=lines(_PATH, "name: build"),
)
_PIPELINE_RULES = (
    line_rule(
        "ci.unpinned-action",
        Severity.MEDIUM,
        r"^\s*(?:-\s*)?uses:\s*[\"']?[\w.-]+/[\w./-]+@(?:[^0-9a-f\s\"'][^\s\"']*|[0-9a-f]{1,39}"
        r"(?:[^0-9a-f\s\"'][^\s\"']*)?)[\"']?\s*(?:#.*)?$",
        said=(
            "An action is named by a tag or a branch, which its owner can move.",
            "Name it by the full hash of a commit, with the version in a comment.",
        ),
        path=_PATH,
        examples=(
            ("      - uses: actions/checkout@v4", "uses: a/b/c@main", "- uses: a/b@feature-1"),
            (
                f"- uses: actions/checkout@{'0a' * 20} # v4",
                "- uses: ./.github/actions/a",
            ),
        ),
    ),
    line_rule(
        "ci.untrusted-trigger",
        Severity.HIGH,
        r"^\s*(?:-\s*)?(?:pull_request_target|workflow_run)\b|\[[^\]]*\bpull_request_target\b",
        said=(
            "The workflow runs with secrets and write access for changes of anyone.",
            "Use `pull_request`; if it must be this trigger, check out no code of the request.",
        ),
        path=_PATH,
        examples=(("  pull_request_target:", "on: [push, pull_request_target]"), ("  push:",)),
    ),
    line_rule(
        "ci.all-permissions",
        Severity.HIGH,
        r"^\s*permissions:\s*write-all\b",
        said=(
            "The workflow's token gains every right to write.",
            "Give each job only what it needs, beginning with `contents: read`.",
        ),
        path=_PATH,
        examples=(("permissions: write-all",), ("permissions: read-all", "permissions:")),
    ),
    line_rule(
        "ci.permissions",
        Severity.MEDIUM,
        r"^\s*(?:contents|packages|id-token|actions|deployments|security-events|pages)"
        r":\s*[\"']?write\b",
        said=(
            "The workflow's token gains a right to write.",
            "Give it to the one job that needs it, and to no step that runs code of others.",
        ),
        path=_PATH,
        examples=(("  contents: write", "      id-token: write"), ("  contents: read",)),
    ),
    line_rule(
        "ci.injection",
        Severity.HIGH,
        r"\$\{\{[^}]*\bgithub\.(?:head_ref|event\.(?:issue|pull_request|comment|review"
        r"|discussion|head_commit|commits|workflow_run)[\w.*\[\]-]*\.(?:title|body|message|ref"
        r"|label|name|email|head_branch|display_title))",
        said=(
            "Text that anyone can write becomes part of a script.",
            "Pass it through `env:` and quote the variable.",
        ),
        path=_PATH,
        examples=(
            ("run: echo ${{ github.event.issue.title }}", "git checkout ${{ github.head_ref }}"),
            ("run: echo ${{ github.sha }}", "if: github.event.issue.number"),
        ),
    ),
    line_rule(
        "ci.failure-ignored",
        Severity.MEDIUM,
        r"^\s*(?:-\s*)?(?:continue-on-error|allow_failure):\s*true\b"
        r"|\b(?:test|lint|check|audit|scan|verify)\w*\b.*\|\|\s*true\s*$",
        said=(
            "A step may fail without anyone noticing.",
            "Let it fail, or remove the step.",
        ),
        path=_PATH,
        examples=(
            ("    continue-on-error: true", "      run: make test || true"),
            ("    continue-on-error: false", "      run: make test", "  rm a || true"),
        ),
    ),
    line_rule(
        "ci.secrets-exposed",
        Severity.HIGH,
        r"\bsecrets:\s*inherit\b|\$\{\{\s*toJSON\(\s*secrets\s*\)|\becho\b.*\$\{\{\s*secrets\."
        r"|\bACTIONS_ALLOW_UNSECURE_COMMANDS\b",
        said=(
            "Secrets go further than one step needs.",
            "Pass single secrets, through `env:`, to the step that needs them.",
        ),
        path=_PATH,
        examples=(
            ("    secrets: inherit", "echo ${{ secrets.TOKEN }}"),
            ("  TOKEN: ${{ secrets.TOKEN }}",),
        ),
    ),
)
_IMAGE_RULES = (
    line_rule(
        "docker.unpinned",
        Severity.LOW,
        r"(?i)^\s*FROM\s+(?:--platform=\S+\s+)?[a-z0-9][\w./-]*(?::latest)?"
        r"(?:\s+AS\s+\S+)?\s*$|^\s*image:\s*[\"']?[\w./-]+:latest",
        said=(
            "The base image has no fixed version, so builds change by themselves.",
            "Name a version and, best, the digest: `image:1.2@sha256:…`.",
        ),
        path=_DOCKER,
        examples=(
            ("FROM python", "FROM debian:latest AS build", "  image: redis:latest"),
            ("FROM python:3.13-slim", "FROM scratch@sha256:0a", "RUN echo from"),
        ),
    ),
    line_rule(
        "docker.root",
        Severity.MEDIUM,
        r"(?i)^\s*USER\s+(?:root|0)(?::\S+)?\s*$|^\s*user:\s*[\"']?(?:root|0)\b",
        said=(
            "The container runs as root.",
            "Make a user for the program and switch to it last.",
        ),
        path=_DOCKER,
        examples=(("USER root", "USER 0:0"), ("USER app",)),
    ),
    line_rule(
        "docker.host-access",
        Severity.HIGH,
        r"^\s*privileged:\s*true\b|/var/run/docker\.sock|^\s*(?:network_mode|pid|ipc):\s*[\"']?host\b"
        r"|--privileged\b|--security[ =]insecure",
        said=(
            "The container can reach the host.",
            "Give it the one capability or mount that it needs.",
        ),
        path="docker-compose.yml",
        examples=(
            ("    privileged: true", "  - /var/run/docker.sock:/var/run/docker.sock"),
            ("    privileged: false",),
        ),
    ),
    line_rule(
        "docker.remote-add",
        Severity.MEDIUM,
        r"^\s*ADD\s+(?:--(?:chown|chmod|link)\S*\s+)*https?://",
        said=(
            "A file of the network goes into the image unchecked.",
            "Give `ADD` a `--checksum`, or download and check the digest.",
        ),
        path=_DOCKER,
        examples=(
            ("ADD https://example.org/a.tgz /a",),
            ("ADD --checksum=sha256:0a https://example.org/a /a", "COPY a /a"),
        ),
    ),
)


def is_pipeline(path: str) -> bool:
    """Say whether a file is a pipeline."""
    return _PIPELINE.search(path) is not None


def is_image(path: str) -> bool:
    """Say whether a file builds or starts containers."""
    return _IMAGE.search(path) is not None


class Pipelines:
    """Finds changes of pipelines and images, and what is dangerous in them."""

    rules = (_CHANGED, _IMAGE_CHANGED, _REMOVED, *_PIPELINE_RULES, *_IMAGE_RULES)

    def __init__(self) -> None:
        self._pipeline = Matcher(_PIPELINE_RULES, comments=("#", "//"))
        self._image = Matcher(_IMAGE_RULES, comments=("#",))

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            if is_pipeline(file.path):
                yield (_REMOVED if file.status == "deleted" else _CHANGED).at(file)
                matcher = self._pipeline
            elif is_image(file.path):
                yield _IMAGE_CHANGED.at(file)
                matcher = self._image
            else:
                continue
            for rule, line in matcher.find(file.added):
                yield rule.at(file, line)
