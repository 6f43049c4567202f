"""Secrets and personal data that are made up, each in the form that its rule knows."""

import random
import string
from dataclasses import dataclass

_LETTERS = string.ascii_letters + string.digits
_UPPER = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Seed:
    """A value that must not be found anywhere, and a line in which it stands."""

    kind: str
    value: str
    line: str


def seeds(count: int, seed: int) -> list[Seed]:
    """Return that many different ones, of all kinds in turn."""
    chance = random.Random(seed)  # noqa: S311  repeatable, not secret
    found: dict[str, Seed] = {}
    while len(found) < count:
        each = _KINDS[len(found) % len(_KINDS)](chance)
        found.setdefault(each.value, each)
    return list(found.values())


def _text(chance: random.Random, letters: str, length: int) -> str:
    return "".join(chance.choices(letters, k=length))


def _github(chance: random.Random) -> Seed:
    value = f"ghp_{_text(chance, _LETTERS, 36)}"
    return Seed("github", value, f"the token is {value} for now")


def _aws(chance: random.Random) -> Seed:
    value = f"AKIA{_text(chance, _UPPER, 16)}"
    return Seed("aws", value, f"AWS_ACCESS_KEY_ID={value}")


def _gitlab(chance: random.Random) -> Seed:
    value = f"glpat-{_text(chance, _LETTERS, 20)}"
    return Seed("gitlab", value, f"export TOKEN={value}")


def _stripe(chance: random.Random) -> Seed:
    value = f"sk_live_{_text(chance, _LETTERS, 24)}"
    return Seed("stripe", value, f"charge with {value}")


def _npm(chance: random.Random) -> Seed:
    value = f"npm_{_text(chance, _LETTERS, 36)}"
    return Seed("npm", value, f"//registry/:_authToken={value}")


def _email(chance: random.Random) -> Seed:
    name = _text(chance, string.ascii_lowercase, 12)
    value = f"{name}@{_text(chance, string.ascii_lowercase, 8)}.com"
    return Seed("email", value, f"write to {value} today")


def _phone(chance: random.Random) -> Seed:
    value = f"+44 20 79{_text(chance, string.digits, 2)} {_text(chance, string.digits, 4)}"
    return Seed("phone", value, f"call {value} today")


def _card(chance: random.Random) -> Seed:
    digits = f"4{_text(chance, string.digits, 14)}"
    doubled = [int(d) * 2 if i % 2 == 0 else int(d) for i, d in enumerate(digits)]
    check = -sum(d - 9 if d > 9 else d for d in doubled) % 10
    value = f"{digits}{check}"
    return Seed("card", value, f"pay with {value} please")


def _iban(chance: random.Random) -> Seed:
    body = _text(chance, string.digits, 18)
    check = 98 - int(f"{body}131400") % 97
    value = f"DE{check:02d}{body}"
    return Seed("iban", value, f"to the account {value} please")


_KINDS = (_github, _aws, _gitlab, _stripe, _npm, _email, _phone, _card, _iban)
