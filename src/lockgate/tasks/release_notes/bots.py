"""Tells the commits of machines from those of people, by the names that the machines use."""

_NAMES = frozenset({
    "dependabot", "dependabot-preview", "renovate", "renovate bot", "renovatebot", "greenkeeper",
    "greenkeeperio-bot", "pyup-bot", "pyup.io bot", "snyk-bot", "snyk bot", "github-actions",
    "github actions", "github action", "pre-commit-ci", "semantic-release-bot", "allcontributors",
    "imgbot", "mergify", "codecov", "whitesource bolt", "mend bolt", "k8s-ci-robot", "web-flow",
    "gitlab bot", "gitlab-bot", "depfu", "scala steward", "copybara-service", "weblate",
    "release-please",
})  # fmt: skip
_BRANCHES = ("renovate/", "dependabot/", "pre-commit-ci-update", "snyk-", "greenkeeper/", "pyup-")


def is_bot(name: str, email: str = "") -> bool:
    """Say whether an author is a machine."""
    said = name.strip().lower()
    if said.endswith(("[bot]", "-bot", " bot")) or said in _NAMES:
        return True
    return "[bot]" in email.lower()


def is_bot_branch(branch: str) -> bool:
    """Say whether a branch, without its owner, is one that a machine pushes."""
    return branch.startswith(_BRANCHES)
