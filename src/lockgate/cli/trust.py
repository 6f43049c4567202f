"""`lockgate trust`: whose word counts here."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click

from lockgate.cli.files import read_file, write_file
from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.cli.signer import signer
from lockgate.domain.digest import Digest, Json
from lockgate.domain.trust import Role, TrustedKey, TrustRoot
from lockgate.errors import NotFound, UsageError

SHORT = 12
ROLES = [str(role) for role in Role]
_LONGEST_DAYS = 3650


def _signing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write the next version to this file, for others to sign, and accept nothing.",
        ),
        click.option(
            "--passphrase-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Read the passphrase from this file.  [default: `keys.passphrase_env`, or asked]",
        ),
        click.option(
            "--sign", "signing", required=True, metavar="KEY", help="Root key that signs."
        ),
    ):
        command = option(command)
    return command


@click.group()
def trust() -> None:
    """Say whose keys count, in which roles, for which tasks: one signed, versioned document."""


@trust.command("init", epilog=examples("lockgate trust init --sign root --holder ana"))
@_signing_options
@click.option("--holder", required=True, help="Who holds the key: a person or a machine.")
@click.option("--days", type=click.IntRange(1, _LONGEST_DAYS), default=365, show_default=True)
@click.pass_obj
def init_trust(
    session: Session,
    signing: str,
    passphrase_file: Path | None,
    output: Path | None,
    holder: str,
    days: int,
) -> None:
    """Begin a trust root in which one key has the role `root` and no other."""
    from lockgate.app.trust import trust_store, trusted_key

    if trust_store(session.environment).data() is not None:
        raise UsageError(
            "this machine has a trust root already", hint="see it with `lockgate trust show`"
        )
    public = _public(session, signing)
    root = TrustRoot(
        version=1,
        expires=_now() + timedelta(days=days),
        threshold=1,
        keys=(trusted_key(public, holder, [Role.ROOT], [], None),),
    )
    _finish(session, root, signing, passphrase_file, output)


@trust.command(
    "add",
    epilog=examples(
        "lockgate trust add --key build --holder ci --role builder --sign root",
        "lockgate trust add --pem bo.pub --holder bo --role approver --scope review --sign root",
    ),
)
@_signing_options
@click.option("--key", "name", help="A key of this machine.")
@click.option(
    "--pem", type=click.Path(path_type=Path, dir_okay=False), help="A file with a public key."
)
@click.option("--holder", required=True, help="Who holds the key: a person or a machine.")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(ROLES))
@click.option("--scope", "scopes", multiple=True, help="Task that the roles hold for; `team-*`.")
@click.option("--days", type=click.IntRange(1, _LONGEST_DAYS), help="When the key expires.")
@click.option("--threshold", type=click.IntRange(1, 100), help="Root holders that must sign.")
@click.pass_obj
def add_key(session: Session, /, **given: Any) -> None:
    """Let a key count in one or more roles; a key that is named already is changed."""
    from dataclasses import replace

    from lockgate.app.trust import required_root, trusted_key

    if (given["name"] is None) == (given["pem"] is None):
        raise UsageError("give one of `--key` and `--pem`")
    public = _public(session, given["name"]) if given["name"] else _read(given["pem"])
    if given["days"] is not None and Role.ROOT in given["roles"]:
        # Once too few root keys counted, nobody could sign the next version any more.
        raise UsageError(
            "a root key does not expire by itself: the trust root does", hint="leave `--days` out"
        )
    expires = None if given["days"] is None else _now() + timedelta(days=given["days"])
    key = trusted_key(public, given["holder"], given["roles"], given["scopes"], expires)
    root = required_root(session.environment, _now()).with_key(key)
    if given["threshold"] is not None:
        root = replace(root, threshold=given["threshold"])
    _finish(session, root, given["signing"], given["passphrase_file"], given["output"])


@trust.command("revoke", epilog=examples("lockgate trust revoke 1f2e3d4c5b6a --sign root"))
@click.argument("fingerprint")
@_signing_options
@click.pass_obj
def revoke_key(
    session: Session,
    fingerprint: str,
    signing: str,
    passphrase_file: Path | None,
    output: Path | None,
) -> None:
    """Let the key FINGERPRINT count no more: not for what it signed before, either."""
    from dataclasses import replace

    from lockgate.app.trust import required_root

    root = required_root(session.environment, _now())
    found = [k for k in root.keys if k.fingerprint.startswith(fingerprint)]
    if len(fingerprint) < SHORT or len(found) != 1:
        raise NotFound(
            f"the trust root has {len(found)} key(s) `{fingerprint[:64]}`",
            hint=f"give at least {SHORT} digits of one; see `lockgate trust show`",
        )
    changed = root.with_key(replace(found[0], revoked=True))
    _finish(session, changed, signing, passphrase_file, output)


@trust.command("renew", epilog=examples("lockgate trust renew --days 365 --sign root"))
@_signing_options
@click.option("--days", type=click.IntRange(1, _LONGEST_DAYS), default=365, show_default=True)
@click.option("--threshold", type=click.IntRange(1, 100), help="Root holders that must sign.")
@click.pass_obj
def renew_trust(session: Session, /, days: int, threshold: int | None, **given: Any) -> None:
    """Let the trust root hold for longer, even after it has expired."""
    from dataclasses import replace

    from lockgate.app.trust import held_root

    root, _ = held_root(session.environment)
    later = replace(
        root,
        version=root.version + 1,
        expires=_now() + timedelta(days=days),
        threshold=threshold or root.threshold,
    )
    _finish(session, later, given["signing"], given["passphrase_file"], given["output"])


@trust.command("sign", epilog=examples("lockgate trust sign next.json --sign root-bo"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sign", "signing", required=True, metavar="KEY", help="Root key that signs.")
@click.option("--passphrase-file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def sign_trust(session: Session, file: Path, signing: str, passphrase_file: Path | None) -> None:
    """Add a signature to FILE, a version that somebody proposes, and say what it changes here."""
    from lockgate.app.trust import proposed_changes, sign_proposal

    proposal = _read(file)
    for line in proposed_changes(session.environment, proposal):
        words(line)  # before the passphrase: who signs should know what
    write_file(file, sign_proposal(proposal, signer(session, signing, passphrase_file)))
    words(f"signed {file}; next: lockgate trust accept {file}")


@trust.command(
    "accept",
    epilog=examples(
        "lockgate trust accept trust.json",
        "lockgate trust accept trust.json --digest sha256:…",
        "lockgate trust accept 4.json 5.json 6.json",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--digest", help="What the last file must be, as `trust show` says elsewhere.")
@click.pass_obj
def accept_trust(session: Session, files: Sequence[Path], digest: str | None) -> None:
    """Take the last of FILES as the trust root here, if each follows from the one before.

    The first ever is trusted as it comes: give its digest, or compare it with what the holders of
    its keys say. A machine that missed versions needs them all, in order.
    """
    expected = None if digest is None else Digest.parse(digest)
    _accept(session, [_read(file) for file in files], expected)


@trust.command("show", epilog=examples("lockgate trust show", "lockgate trust show --json"))
@click.option("--json", "as_json", is_flag=True, help="Print the document as JSON.")
@click.pass_obj
def show_trust(session: Session, *, as_json: bool) -> None:
    """Show whose keys count here."""
    import json

    from lockgate.app.trust import held_root

    root, digest = held_root(session.environment)
    now = _now()
    if as_json:
        data_json({"digest": str(digest), **json.loads(root.encode())})
        return
    state = "EXPIRED" if now >= root.expires else "holds until"
    data(f"version {root.version}, {state} {root.expires:%Y-%m-%d}")
    data(f"{root.threshold} holder(s) of root keys sign the next version")
    data(f"digest {digest}")
    table(
        ("FINGERPRINT", "HOLDER", "ROLES", "SCOPES", "STATE"),
        [
            (
                key.fingerprint[:SHORT],
                key.holder,
                ", ".join(sorted(key.roles)),
                ", ".join(key.scopes),
                _state(key, now),
            )
            for key in sorted(root.keys, key=lambda k: (k.holder, k.fingerprint))
        ],
    )


@trust.command(
    "export",
    epilog=examples(
        "lockgate trust export -o trust.json", "lockgate trust export --version 4 -o 4.json"
    ),
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File."
)
@click.option("--version", type=click.IntRange(1), help="One that was accepted here before.")
@click.pass_obj
def export_trust(session: Session, output: Path, version: int | None) -> None:
    """Write the trust root to a file, for `lockgate trust accept` on other machines."""
    from lockgate.app.trust import trust_file_of

    write_file(output, trust_file_of(session.environment, version))


def _finish(
    session: Session,
    root: TrustRoot,
    signing: str,
    passphrase_file: Path | None,
    output: Path | None,
) -> None:
    from lockgate.app.trust import propose

    signed = propose(root, [signer(session, signing, passphrase_file)])
    if output is not None:
        write_file(output, signed)
        words(f"version {root.version} is in {output}; next: lockgate trust sign {output}")
        return
    _accept(session, [signed])


def _accept(session: Session, files: Sequence[bytes], expected: Digest | None = None) -> None:
    from lockgate.app.release_names import audited
    from lockgate.app.trust import trust_store

    root = trust_store(session.environment).accept(files, _now(), expected=expected)
    digest = Digest.of(files[-1])
    detail: dict[str, Json] = {"version": root.version, "digest": str(digest)}
    session.run(partial(audited, session.store, "trust.accept", "trust", detail, _now()))
    data(f"the trust root is version {root.version}, with {len(root.keys)} key(s)")
    words(f"digest {digest}")


def _state(key: TrustedKey, now: datetime) -> str:
    if key.revoked:
        return "revoked"
    if key.expires is None:
        return "counts"
    return f"{'EXPIRED' if now >= key.expires else 'until'} {key.expires:%Y-%m-%d}"


def _public(session: Session, name: str) -> bytes:
    from lockgate.app.trust import key_ring

    return key_ring(session.environment).show(name).pem.encode()


def _read(path: Path) -> bytes:
    from lockgate.signing.trust_file import MAX_BYTES

    return read_file(path, MAX_BYTES)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
