"""Reads a repository into the task's input. Nothing after this step touches git or files."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.ports import Options
from lockgate.tasks.release_notes import bots, conventional, history, links, own_history, pulls
from lockgate.tasks.release_notes.git import Repository
from lockgate.tasks.release_notes.ranges import Point, Range, Resolver

MAX_COMMITS = 20_000
_MAX_PATHS = 50
_UNSHALLOW = "get the history with `git fetch --unshallow --tags` (in CI: `fetch-depth: 0`)"


def collect(options: Options) -> dict[str, Json]:
    """Return the input that `options` name.

    Raises:
        NotFound: no repository, no such revision, no such file.
        InvalidInput: an empty range, one that a shallow clone cannot show, or too many commits.

    """
    repository = Repository(Path(_text(options, "repo") or "."))
    paths = _texts(options, "path")
    limit = options.get("max-commits", MAX_COMMITS)
    most = limit if isinstance(limit, int) and not isinstance(limit, bool) else MAX_COMMITS
    if most < 1:
        raise InvalidInput(f"`{most}` is no number of commits", hint="give 1 or more")
    listed = _text(options, "prs")
    metadata = pulls.load(Path(listed)) if listed else ()
    place = _place(repository)
    resolver = Resolver(
        repository, _texts(options, "tag-pattern"), paths, shallow=bool(place.boundary)
    )
    found = resolver.resolve(_text(options, "range"))
    rows, date = _commits(repository, found, _pathspecs(paths), most)
    if not rows:
        raise _empty(resolver, found, paths)
    _refuse_cut_history(rows, place)
    if not any(row.get("merge") for row in rows):
        for row in rows:
            row.pop("parents", None)
    remote = _remote(repository)
    given: dict[str, Json] = {
        "repository": _repository(remote, place.name),
        "range": _range(found, date, paths),
        "include_bots": options.get("include-bots") is True,
        "commits": rows,
    }
    if version := _text(options, "version"):
        given["version"] = history.clean_line(version, 100)
    if metadata:
        given["pull_requests"] = list(metadata)
    if found.start is not None and any(_plain(row) for row in rows):
        earlier = own_history.read(repository, found.start.sha, _pathspecs(paths))
        if earlier:
            given["earlier"] = earlier
    return given


class _Place:
    """Where the repository is, and where a shallow clone's history ends."""

    def __init__(self, name: str, boundary: frozenset[str]) -> None:
        self.name = name
        self.boundary = boundary


def _place(repository: Repository) -> _Place:
    said = repository.read(
        ("rev-parse", "--is-shallow-repository", "--git-path", "shallow", "--git-common-dir")
    ).splitlines()
    shallow, cut, common = said[0] == "true", said[1], said[2]
    home = (repository.path / common).resolve()
    name = home.parent.name if home.name == ".git" else home.name.removesuffix(".git")
    if not shallow:
        return _Place(name, frozenset())
    lines = (repository.path / cut).read_text(encoding="ascii").split()
    return _Place(name, frozenset(lines))


def _commits(
    repository: Repository, found: Range, pathspecs: Sequence[str], most: int
) -> tuple[list[dict[str, Json]], str]:
    wanted = (found.end.sha, *((f"^{found.start.sha}",) if found.start else ()))
    command = (*history.ARGUMENTS, f"--max-count={most + 1}", *wanted, "--", *pathspecs)
    with repository.stream(command) as stream:
        records = list(itertools.islice(history.records(stream), most + 1))
    if len(records) > most:
        raise InvalidInput(
            f"the range `{found.expression}` has more than {most} commits",
            hint="name a smaller range, or raise `--max-commits`",
        )
    time = next((r.time for r in records if r.sha == found.end.sha), None)
    if time is None:
        time = int(repository.read(("log", "-1", "--format=%ct", found.end.sha)).strip())
    date = datetime.fromtimestamp(time, tz=UTC).date().isoformat()
    return [_row(record) for record in records], date


def _row(record: history.Record) -> dict[str, Json]:
    """Return a commit as input. What is empty is left out: each member costs time downstream."""
    row: dict[str, Json] = {"sha": record.sha, "subject": record.subject}
    if record.body:
        row["body"] = record.body
    if record.files:
        row["files"] = list(record.files)
    if record.more_files:
        row["more_files"] = record.more_files
    if record.parents:
        row["parents"] = list(record.parents)
    if len(record.parents) > 1:
        row["merge"] = True
    if bots.is_bot(record.author, record.email):
        row["bot"] = True
    return row


def _plain(row: Mapping[str, Json]) -> bool:
    if row.get("merge") or row.get("bot"):
        return False
    return conventional.header(str(row["subject"])) is None


def _refuse_cut_history(rows: Sequence[Mapping[str, Json]], place: _Place) -> None:
    if not place.boundary:
        return
    cut = next((row["sha"] for row in rows if row["sha"] in place.boundary), None)
    if cut is not None:
        raise InvalidInput(
            f"the clone is shallow: its history ends at `{str(cut)[:12]}`, inside the range",
            hint=_UNSHALLOW,
        )


def _empty(resolver: Resolver, found: Range, paths: Sequence[str]) -> InvalidInput:
    start = found.start
    if start is not None and start.sha != found.end.sha and resolver.is_ancestor(found.end, start):
        return InvalidInput(
            f"the range `{found.expression}` has no commits: "
            f"`{found.end.name}` is older than `{start.name}`",
            hint=f"turn it round: `--range {found.end.name}..{start.name}`",
        )
    touching = f" that touch `{'`, `'.join(paths)}`" if paths else ""
    return InvalidInput(
        f"the range `{found.expression}` has no commits{touching}",
        hint="name another with `--range v1..v2`; see `git log --oneline`",
    )


def _range(found: Range, date: str, paths: Sequence[str]) -> dict[str, Json]:
    return {
        "expression": found.expression,
        "start": _point(found.start) if found.start else None,
        "end": _point(found.end),
        "date": date,
        "previous_tag": found.previous_tag,
        "paths": list(paths),
    }


def _point(point: Point) -> dict[str, Json]:
    return {"name": point.name, "sha": point.sha, "tag": point.tag}


def _repository(remote: links.Web | None, name: str) -> dict[str, Json]:
    if remote is None:
        return {"name": history.clean_line(name, 200), "url": None, "forge": None}
    return {
        "name": remote.url.rpartition("/")[2],
        "url": remote.url,
        "forge": remote.forge,
    }


def _remote(repository: Repository) -> links.Web | None:
    """Return the web pages of `origin`, or of the first remote that has any."""
    found: dict[str, links.Web] = {}
    for name, address in _remotes(repository):
        page = links.web(address)
        if page is not None:
            found.setdefault(name, page)
    return found.get("origin") or next((found[name] for name in sorted(found)), None)


def _remotes(repository: Repository) -> Iterator[tuple[str, str]]:
    for line in repository.read(("remote", "--verbose")).splitlines():
        name, _, rest = line.partition("\t")
        if rest.endswith(" (fetch)"):
            yield name, rest.removesuffix(" (fetch)")


def _pathspecs(paths: Sequence[str]) -> Sequence[str]:
    """Return paths as git takes them: from the top, and literal unless they hold a wildcard."""
    return [
        f":(top,{'glob' if any(c in path for c in '*?[') else 'literal'}){path.strip('/')}"
        for path in paths
    ]


def _text(options: Options, name: str) -> str | None:
    value = options.get(name)
    return value if isinstance(value, str) else None


def _texts(options: Options, name: str) -> Sequence[str]:
    value = options.get(name)
    if value is None or isinstance(value, bool | int):
        return ()
    texts = [value] if isinstance(value, str) else list(value)
    for text in texts:
        if not text.strip("/") or not text.isprintable():
            raise InvalidInput(f"`--{name} {text}` is empty", hint="name a folder or a file")
    if len(texts) > _MAX_PATHS:
        raise InvalidInput(
            f"`--{name}` is given {len(texts)} times", hint=f"give it at most {_MAX_PATHS} times"
        )
    return texts
