"""What somebody signs who signs the next trust root."""

from collections.abc import Iterator

from lockgate.domain.instants import instant_text
from lockgate.domain.trust import TrustedKey, TrustRoot

_SHORT = 12


def changes(old: TrustRoot | None, new: TrustRoot) -> Iterator[str]:
    """Say in words how `new` differs from `old`; all that it says if there is no `old`."""
    if old is None:
        yield f"version {new.version}, the first here"
    else:
        yield f"version {old.version} -> {new.version}"
    if old is None or old.expires != new.expires:
        was = "" if old is None else f"{instant_text(old.expires)} -> "
        yield f"expires: {was}{instant_text(new.expires)}"
    if old is None or old.threshold != new.threshold:
        was = "" if old is None else f"{old.threshold} -> "
        yield f"holders of root keys that must sign: {was}{new.threshold}"
    before = {} if old is None else {key.fingerprint: key for key in old.keys}
    after = {key.fingerprint: key for key in new.keys}
    for fingerprint in sorted(before.keys() | after.keys()):
        was_key, is_key = before.get(fingerprint), after.get(fingerprint)
        if was_key != is_key:
            yield f"key {fingerprint[:_SHORT]}: {_said(was_key)} -> {_said(is_key)}"


def _said(key: TrustedKey | None) -> str:
    if key is None:
        return "not named"
    words = [f"`{key.holder}` as {', '.join(sorted(key.roles)) or 'nothing'}"]
    if key.scopes != ("*",):
        words.append(f"for {', '.join(key.scopes)}")
    if key.expires is not None:
        words.append(f"until {instant_text(key.expires)}")
    if key.revoked:
        words.append("REVOKED")
    return " ".join(words)
