"""Proving who one is: basic credentials, or a bearer token from the service that a registry names.

Protocol: distribution/distribution, "Token Authentication Specification" and its OAuth2 variant.
"""

import json
import threading
from typing import Final
from urllib.parse import urlencode, urlsplit

from lockgate.errors import Denied
from lockgate.oci.registry.addresses import Guard
from lockgate.oci.registry.answers import (
    FORBIDDEN,
    OK,
    TRANSIENT,
    UNAUTHORISED,
    Answer,
    Interrupted,
    retry_after,
)
from lockgate.oci.registry.challenges import Challenge, parse_challenges
from lockgate.oci.registry.credentials import Credentials, find_credentials
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.registry.transport import Transport

_LONGEST_TOKEN: Final = 1 << 16
_MOST_SCOPES: Final = 8

Scopes = tuple[str, ...]
"""What a request needs, as in `repository:acme/model:pull,push`."""


class Authority:
    """What the registry at one host is told. Safe for several threads."""

    def __init__(
        self, host: str, settings: RegistrySettings, transport: Transport, guard: Guard
    ) -> None:
        self._host = host
        self._settings = settings
        self._transport = transport
        self._guard = guard
        self._lock = threading.Lock()
        self._basic = ""
        self._tokens: dict[Scopes, str] = {}
        self._credentials: Credentials | None = None
        self._looked = False

    def header(self, scopes: Scopes) -> str:
        """Return the Authorization header to send; empty as long as nothing was asked for."""
        return self._tokens.get(scopes) or self._basic

    @property
    def username(self) -> str:
        """Who is asking; empty for nobody."""
        return self._credentials.username if self._credentials else ""

    def renew(self, challenge: str, scopes: Scopes, used: str) -> bool:
        """Meet a challenge that came although `used` was sent. Return whether to try again.

        Raises:
            Denied: the token service refuses, or is in a place where it may not be.
            Interrupted: the token service failed.

        """
        with self._lock:
            if self.header(scopes) != used:
                return True  # another thread was quicker
            offers = {offer.scheme: offer for offer in reversed(parse_challenges(challenge))}
            if "bearer" in offers:
                self._tokens[scopes] = f"Bearer {self._token(offers['bearer'], scopes)}"
                return True
            known = self._known()
            if "basic" not in offers or known is None or used == known.basic:
                return False
            self._basic = known.basic
            return True

    def scrub(self, text: str) -> str:
        """Take secrets out of text that came from a server."""
        known = self._credentials
        secrets = [self._basic.partition(" ")[2], *(known.secrets if known else ())]
        secrets += [token.partition(" ")[2] for token in self._tokens.values()]
        for secret in secrets:
            if secret:
                text = text.replace(secret, "…")
        return text

    def _known(self) -> Credentials | None:
        if not self._looked:
            self._credentials = find_credentials(self._settings, self._host)
            self._looked = True
        return self._credentials

    def _token(self, offer: Challenge, scopes: Scopes) -> str:
        realm = offer.parameters.get("realm", "")
        self._guard.require(realm, "token service")
        known = self._known()
        wanted = _wanted(offer, scopes)
        service = offer.parameters.get("service", "")
        answer = self._ask(realm, known, service, wanted)
        host = urlsplit(realm).netloc
        if answer.status in TRANSIENT:
            raise Interrupted(
                f"the token service `{host}` answered {answer.status}",
                wait_s=retry_after(answer.headers),
            )
        if answer.status in {UNAUTHORISED, FORBIDDEN}:
            who = f"the account `{known.username or 'token'}`" if known else "anonymous access"
            raise Denied(
                f"the token service `{host}` of the registry `{self._host}` refused {who} "
                f"({answer.status}) for `{' '.join(wanted)}`",
                hint=f"log in with an account that may: skopeo login {self._host}",
            )
        token = _read_token(answer)
        if answer.status != OK or not token:
            raise Denied(
                f"the token service `{host}` of the registry `{self._host}` answered "
                f"{answer.status} with no usable token",
                hint="tell whoever runs the registry",
            )
        return token

    def _ask(self, realm: str, known: Credentials | None, service: str, scopes: Scopes) -> Answer:
        # No redirect is followed: the request has credentials.
        if known is not None and known.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": "lockgate",
                "scope": " ".join(scopes),
                "refresh_token": known.identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._transport.send("POST", realm, headers, urlencode(form).encode())
        query = [("scope", scope) for scope in scopes]
        if service:
            query.insert(0, ("service", service))
        if known is not None and known.username:
            query.append(("account", known.username))
        separator = "&" if urlsplit(realm).query else "?"
        url = f"{realm.partition('#')[0]}{separator}{urlencode(query)}"
        return self._transport.send("GET", url, {"Authorization": known.basic} if known else {})


def _wanted(offer: Challenge, scopes: Scopes) -> Scopes:
    asked = offer.parameters.get("scope", "").split(" ")
    extra = [scope for scope in asked if scope and scope not in scopes]
    return (*scopes, *extra[:_MOST_SCOPES])


def _read_token(answer: Answer) -> str:
    try:
        document = json.loads(answer.data)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        return ""
    usable = isinstance(token, str) and len(token) <= _LONGEST_TOKEN
    return token if usable and token.isascii() and token.isprintable() else ""
