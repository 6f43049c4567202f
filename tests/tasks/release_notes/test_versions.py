import pytest

from lockgate.tasks.release_notes.propose import propose
from lockgate.tasks.release_notes.ranges import best
from lockgate.tasks.release_notes.versions import parse
from tasks.release_notes.fakes import change, sha


@pytest.mark.parametrize(
    ("tag", "kinds", "version", "bump"),
    [
        ("v1.2.3", ("fixed",), "1.2.4", "patch"),
        ("v1.2.3", ("fixed", "added"), "1.3.0", "minor"),
        ("v1.2.3", ("fixed", "breaking"), "2.0.0", "major"),
        ("v1.2.3", ("deprecated",), "1.3.0", "minor"),
        ("v1.2.3", ("internal",), "1.2.4", "patch"),
        ("v1.2.3", (), "1.2.4", "patch"),
        ("0.3.1", ("breaking",), "0.4.0", "minor"),
        ("0.3.1", ("added",), "0.4.0", "minor"),
        ("0.3.1", ("fixed",), "0.3.2", "patch"),
        ("2.0.0-rc.1", ("fixed",), "2.0.0", "patch"),
        ("v1.7", ("fixed",), "1.7.1", "patch"),
        (None, ("added",), "0.1.0", "minor"),
    ],
)
def test_the_next_version_follows_from_what_changed(
    tag: str | None, kinds: tuple[str, ...], version: str, bump: str
) -> None:
    found = propose(tag, {kind: [change("x")] for kind in kinds})
    assert (found.version, found.bump) == (version, bump)


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [("v1.0.0", "v1.1.0"), ("api@1.0.0", "api@1.1.0"), ("go/v1.0.0", "go/v1.1.0")],
)
def test_the_proposed_tag_is_written_as_the_last_one(tag: str, wanted: str) -> None:
    assert propose(tag, {"added": [change("x")]}).tag == wanted


@pytest.mark.parametrize("tag", ["nightly", "2024.11.3", "v2"])
def test_no_version_is_proposed_where_none_can_be(tag: str) -> None:
    found = propose(tag, {"added": [change("x")]})
    assert (found.version, found.tag) == (None, None)
    assert tag in found.reason


def test_the_proposal_cites_what_decides_it() -> None:
    changes = {"breaking": [change("x", 1)], "added": [change("y", 2)]}
    assert propose("v1.0.0", changes).because == (sha(1),)


def test_the_highest_version_names_a_commit_with_several_tags() -> None:
    assert best(["v1.9.0", "v1.10.0-rc.1", "v1.10.0", "latest"]) == "v1.10.0"
    assert best(["a", "b"]) == "b"
    assert best([]) is None


@pytest.mark.parametrize("tag", ["", "v", "1", "1.2.3.4.5.6.7x", "x" * 5000, "01.2.3", "1.2.3 "])
def test_what_names_no_version_is_none(tag: str) -> None:
    assert parse(tag) is None
