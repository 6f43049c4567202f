"""Versions in tag names, and the next one by Semantic Versioning 2.0.0."""

import re
from dataclasses import dataclass
from typing import Literal

Bump = Literal["major", "minor", "patch"]

# semver.org, "Is there a suggested regular expression"; here with an optional patch number, since
# tags such as `v1.7` are common, and with the prefixes of monorepos (`pkg@1.2.3`, `pkg/v1.2.3`).
_VERSION = re.compile(
    r"(?P<prefix>(?:.{0,100}[@/_-])?[vV]?)"
    r"(?P<major>0|[1-9][0-9]{0,9})\.(?P<minor>0|[1-9][0-9]{0,9})"
    r"(?:\.(?P<patch>0|[1-9][0-9]{0,9}))?"
    r"(?P<pre>(?:-[0-9A-Za-z.-]{1,60}|(?:a|b|rc|\.dev)[0-9]{1,6}))?"
    r"(?:\+[0-9A-Za-z.-]{1,60})?"
)
_CALENDAR_YEAR = 1990


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version as a tag names it."""

    prefix: str
    """What stands before the number: `v`, `pkg@`, or nothing."""
    major: int
    minor: int
    patch: int
    pre: str = ""

    @property
    def order(self) -> tuple[int, int, int, bool, tuple[tuple[int, str], ...]]:
        """A key that sorts as precedence does (semver.org, 11)."""
        pieces = re.findall(r"[0-9]{1,18}|[A-Za-z]+", self.pre)
        numbers = tuple((int(p), "") if p.isdigit() else (-1, p) for p in pieces)
        return (self.major, self.minor, self.patch, not self.pre, numbers)

    @property
    def calendar(self) -> bool:
        """Whether the number is a date, which no rule of semver can raise."""
        return self.major >= _CALENDAR_YEAR

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{self.pre}"


def parse(tag: str) -> Version | None:
    """Read the version in a tag's name; None if there is none."""
    found = _VERSION.fullmatch(tag[:200])
    if found is None:
        return None
    return Version(
        prefix=found["prefix"],
        major=int(found["major"]),
        minor=int(found["minor"]),
        patch=int(found["patch"] or 0),
        pre=found["pre"] or "",
    )


def following(version: Version, bump: Bump) -> tuple[Version, Bump]:
    """Return the next version and the step that was taken.

    Below 1.0.0 anything may change (semver.org, 4), so that a breaking change raises the minor
    number; leaving 0.y.z is a decision for people. A pre-release is followed by its release.
    """
    if version.pre:
        core = Version(
            prefix=version.prefix,
            major=version.major,
            minor=version.minor,
            patch=version.patch,
        )
        return core, bump
    if version.major == 0 and bump == "major":
        bump = "minor"
    major, minor, patch = version.major, version.minor, version.patch
    if bump == "major":
        numbers = (major + 1, 0, 0)
    elif bump == "minor":
        numbers = (major, minor + 1, 0)
    else:
        numbers = (major, minor, patch + 1)
    raised = Version(prefix=version.prefix, major=numbers[0], minor=numbers[1], patch=numbers[2])
    return raised, bump
