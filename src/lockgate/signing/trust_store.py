"""The trust root that is accepted on this machine, and those before it.

Each accepted version has a file, `N.root.json`, and `highest` names the last one by number and
digest. So an old file that is put back is noticed, and so is an exchanged one. Who can write to
the folder can change `highest` too: against that helps only a copy elsewhere, such as the digest in
the audit log.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from lockgate.domain.digest import Digest
from lockgate.domain.trust import Proposal, TrustRoot, follow, require_current
from lockgate.errors import Corrupt, Denied, NotFound, UsageError
from lockgate.signing import disk
from lockgate.signing.trust_file import MAX_BYTES, decode, signers

_MARK: Final = "highest"
_END: Final = ".root.json"
_MAX_MARK_BYTES: Final = 100


class _Mark(NamedTuple):
    version: int
    digest: Digest
    """Of the file's bytes."""


class TrustStore:
    """The trust roots in one folder. Several processes may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, now: datetime) -> TrustRoot | None:
        """Return the accepted trust root; None if none was ever accepted.

        Raises:
            Corrupt, NotFound: its file was changed, exchanged or taken away.
            Denied: it has expired, or the keys that signed it have.

        """
        data = self.data()
        if data is None:
            return None
        return follow(None, [_proposal(data, None)], now)

    def held(self) -> TrustRoot | None:
        """Return the accepted trust root even if it has expired. Raises Corrupt, NotFound."""
        data = self.data()
        return None if data is None else decode(data)[0]

    def data(self) -> bytes | None:
        """Return the accepted file as it was accepted; None if none ever was.

        Raises:
            Corrupt, NotFound: the file was changed, exchanged or taken away.

        """
        mark = self._mark()
        if mark is None:
            self._require_nothing_but([])
            return None
        data = disk.take(self._path(mark.version), MAX_BYTES)
        if data is None:
            raise NotFound(
                f"the trust root of version {mark.version} is gone from `{self._folder}`",
                hint=f"put back the file {mark.digest} with `lockgate trust accept FILE`",
            )
        found = Digest.of(data)
        if found != mark.digest:
            try:
                what = f"version {decode(data)[0].version} and"
            except Corrupt:
                what = "no trust root, and"
            raise Corrupt(
                f"`{self._path(mark.version)}` is {what} {found}, accepted here was version "
                f"{mark.version}, {mark.digest}",
                hint="put the accepted file back with `lockgate trust accept FILE`",
            )
        return data

    def history(self) -> Sequence[bytes]:
        """Return the files that were accepted here, the first to the last.

        A machine that has an older one gets from there to the last with them.
        """
        last = self.data()
        if last is None:
            return []
        versions = range(1, decode(last)[0].version)
        files = (disk.take(self._path(version), MAX_BYTES) for version in versions)
        return [*(data for data in files if data is not None), last]

    def accept(
        self, files: Sequence[bytes], now: datetime, *, expected: Digest | None = None
    ) -> TrustRoot:
        """Let files follow the accepted one, in order, and return the last.

        The first file ever is trusted as it comes, unless `expected` names its digest. Files that
        were accepted before are passed over.

        Raises:
            Corrupt: one is not a trust root, or a signature is wrong.
            Denied: one is older, skips a version or lacks signatures; the last has expired; or the
                last is not the `expected` one.

        """
        if not files:
            raise UsageError("no trust root was given")
        last = Digest.of(files[-1])
        if expected is not None and last != expected:
            raise Denied(f"the trust root's file is {last}, expected was {expected}")
        with disk.locked(self._folder):
            mark = self._mark()
            if mark is None:
                self._require_nothing_but(files)
                old, fresh = None, files
            else:
                self._put_back(files, mark)
                old, fresh = self.held(), self._fresh(files, mark)
            if not fresh:
                assert old is not None, "the last file is the accepted one"
                require_current(old, now)
                return old
            proposals = _proposals(old, fresh)
            root = follow(old, proposals, now)
            for data, proposal in zip(fresh, proposals, strict=True):
                disk.put(self._path(proposal.root.version), data, mode=0o644)
            # Last: a version counts from here on, so a kill before leaves the old one whole.
            disk.put(self._folder / _MARK, f"{root.version} {last}\n".encode("ascii"), mode=0o644)
        return root

    def _put_back(self, files: Sequence[bytes], mark: _Mark) -> None:
        """Write the accepted file again if it is given, in case it was damaged or taken away."""
        for data in files:
            if Digest.of(data) == mark.digest:
                disk.put(self._path(mark.version), data, mode=0o644)

    def _fresh(self, files: Sequence[bytes], mark: _Mark) -> Sequence[bytes]:
        """Return the files after those that were accepted here, in the same order, before."""
        for at, data in enumerate(files):
            if Digest.of(data) == mark.digest:
                return files[at + 1 :]
            version = decode(data)[0].version
            # A file past the mark was left by an acceptance that was cut short: it never counted.
            if version > mark.version or disk.take(self._path(version), MAX_BYTES) != data:
                return files[at:]
        return files[-1:]

    def _path(self, version: int) -> Path:
        return self._folder / f"{version}{_END}"

    def _mark(self) -> _Mark | None:
        data = disk.take(self._folder / _MARK, _MAX_MARK_BYTES)
        if data is None:
            return None
        try:
            version, _, digest = data.decode("ascii").removesuffix("\n").partition(" ")
            found = _Mark(int(version), Digest.parse(digest))
        except (ValueError, UsageError) as error:
            raise self._damaged_mark(data) from error
        if data != f"{found.version} {found.digest}\n".encode("ascii"):
            raise self._damaged_mark(data)
        return found

    def _damaged_mark(self, data: bytes) -> Corrupt:
        said = repr(data.decode("ascii", "replace"))[:80]
        return Corrupt(
            f"`{self._folder / _MARK}` is damaged: it says {said}, expected the version "
            "and the digest of the trust root that is accepted here",
            hint="compare the folder with what you accepted; remove it to start anew",
        )

    def _require_nothing_but(self, files: Sequence[bytes]) -> None:
        """Notice that the mark alone was taken away; what is given again may be there."""
        left = [p for p in self._folder.glob(f"*{_END}") if disk.take(p, MAX_BYTES) not in files]
        if left:
            raise Corrupt(
                f"`{self._folder}` has `{max(left).name}`, and `{_MARK}`, which says what was "
                "accepted, is gone",
                hint="compare it with what you accepted; remove the folder to start anew",
            )


def _proposals(old: TrustRoot | None, files: Sequence[bytes]) -> Sequence[Proposal]:
    found: list[Proposal] = []
    for data in files:
        found.append(_proposal(data, old))
        old = found[-1].root
    return found


def _proposal(data: bytes, before: TrustRoot | None) -> Proposal:
    root = decode(data)[0]
    known = signers(data, root)
    if before is not None:
        known |= signers(data, before)
    return Proposal(root=root, signers=sorted(known))
