"""Addresses of a repository's web pages, made from its remote's address. Nothing is fetched."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_SCP = re.compile(r"(?:[^@/\s]{1,100}@)?([A-Za-z0-9.-]{1,253}):(?!//)(/?[^\s]{1,500})")
_SAFE = "@/"


@dataclass(frozen=True, slots=True)
class Web:
    """Where a forge shows the repository."""

    url: str
    """Without a final slash, credentials or `.git`."""
    forge: str
    """`github`, `gitlab`, `bitbucket` or `gitea`; they differ in their paths."""

    def compare(self, start: str | None, end: str) -> str:
        """Return the page of the difference; the log of `end` if there is no start."""
        after = quote(end, safe=_SAFE)
        if start is None:
            pages = {"gitlab": "-/commits", "bitbucket": "commits", "gitea": "commits"}
            return f"{self.url}/{pages.get(self.forge, 'commits')}/{after}"
        before = quote(start, safe=_SAFE)
        if self.forge == "gitlab":
            return f"{self.url}/-/compare/{before}...{after}"
        if self.forge == "bitbucket":
            return f"{self.url}/branches/compare/{after}%0D{before}"
        return f"{self.url}/compare/{before}...{after}"

    def commit(self, sha: str) -> str:
        """Return the page of a commit."""
        page = {"gitlab": "-/commit", "bitbucket": "commits"}.get(self.forge, "commit")
        return f"{self.url}/{page}/{sha}"

    def pull(self, number: int) -> str:
        """Return the page of a pull (or merge) request."""
        page = {
            "gitlab": "-/merge_requests",
            "bitbucket": "pull-requests",
            "gitea": "pulls",
        }.get(self.forge, "pull")
        return f"{self.url}/{page}/{number}"

    @property
    def mark(self) -> str:
        """What stands before the number of a pull request."""
        return "!" if self.forge == "gitlab" else "#"


def web(remote: str) -> Web | None:
    """Return the web pages that belong to a remote's address; None for a local path.

    User names, passwords and tokens in the address are left out.
    """
    remote = remote.strip()
    if "://" in remote:
        parts = urlsplit(remote)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if parts.scheme not in {"http", "https", "ssh", "git", "git+ssh"} or not host:
            return None
        scheme = "http" if parts.scheme == "http" else "https"
        where = f"{host}:{port}" if port and parts.scheme in {"http", "https"} else host
        path = parts.path
    else:
        found = _SCP.fullmatch(remote)
        if found is None:
            return None
        scheme, where, path = "https", found[1], found[2]
        host = where
        if len(where) == 1:  # `C:\...` is a path
            return None
    path = path.strip("/").removesuffix(".git").strip("/")
    if not path or not path.isprintable():
        return None
    return Web(f"{scheme}://{where}/{quote(path, safe='/~@')}", _forge(host))


def _forge(host: str) -> str:
    for name in ("gitlab", "bitbucket", "gitea", "forgejo", "codeberg"):
        if name in host.lower():
            return {"forgejo": "gitea", "codeberg": "gitea"}.get(name, name)
    return "github"  # Enterprise servers have any host name; most others follow its paths
