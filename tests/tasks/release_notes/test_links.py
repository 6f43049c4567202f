import pytest

from lockgate.tasks.release_notes.links import Web, web


@pytest.mark.parametrize(
    ("remote", "url", "forge"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r", "github"),
        ("git@github.com:o/r.git", "https://github.com/o/r", "github"),
        (
            "ssh://git@gitlab.example.org:2222/g/s/r.git",
            "https://gitlab.example.org/g/s/r",
            "gitlab",
        ),
        ("https://me:tok3n@git.example.org:8443/o/r", "https://git.example.org:8443/o/r", "github"),
        ("https://codeberg.org/o/r/", "https://codeberg.org/o/r", "gitea"),
        ("bitbucket.org:o/r", "https://bitbucket.org/o/r", "bitbucket"),
        ("git://host/o/r.git", "https://host/o/r", "github"),
    ],
)
def test_a_remote_has_web_pages_without_its_credentials(remote: str, url: str, forge: str) -> None:
    assert web(remote) == Web(url, forge)


@pytest.mark.parametrize(
    "remote",
    ["/srv/git/r.git", "../r", "file:///srv/r", "C:\\r", "", "https://", "ext::sh -c x", "https://h:x/o/r"],
)  # fmt: skip
def test_a_local_or_strange_remote_has_none(remote: str) -> None:
    assert web(remote) is None


@pytest.mark.parametrize(
    ("forge", "compare", "pull"),
    [
        ("github", "u/compare/v1...v2", "u/pull/5"),
        ("gitlab", "u/-/compare/v1...v2", "u/-/merge_requests/5"),
        ("bitbucket", "u/branches/compare/v2%0Dv1", "u/pull-requests/5"),
        ("gitea", "u/compare/v1...v2", "u/pulls/5"),
    ],
)
def test_each_forge_has_its_paths(forge: str, compare: str, pull: str) -> None:
    page = Web("u", forge)
    assert (page.compare("v1", "v2"), page.pull(5)) == (compare, pull)


def test_names_in_addresses_are_quoted() -> None:
    assert Web("u", "github").compare("a b", "pkg@1.0") == "u/compare/a%20b...pkg@1.0"
    assert Web("u", "github").compare(None, "v1") == "u/commits/v1"
