"""A registry: requests with credentials, redirects and patience."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import urllib3

from lockgate.errors import Denied, Unavailable
from lockgate.oci.registry.addresses import Guard, Resolve, resolve
from lockgate.oci.registry.answers import (
    REDIRECTS,
    TRANSIENT,
    UNAUTHORISED,
    Answer,
    Interrupted,
    explanation,
    retry_after,
)
from lockgate.oci.registry.auth import Authority, Scopes
from lockgate.oci.registry.patience import Patience, Pause
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.registry.transport import Body, Transport, place, read_answer

_MOST_REDIRECTS: Final = 5
_MOST_RENEWALS: Final = 2
_FOLLOWING: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked."""

    method: str
    url: str
    """A path of this registry, or the address that it named for an upload."""
    scopes: Scopes
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Body | bytes] | None = None
    """Makes the body: once an attempt."""


class Registry:
    """One registry. Safe for several threads; close it at the end."""

    def __init__(
        self,
        host: str,
        settings: RegistrySettings,
        *,
        pause: Pause | None = None,
        resolver: Resolve = resolve,
    ) -> None:
        self.host = host
        self.settings = settings
        self._stopped = threading.Event()
        self._reading: set[urllib3.BaseHTTPResponse] = set()
        self.pause: Pause = pause or self._stopped.wait
        self._origin = f"{settings.scheme(host)}://{host}"
        self._transport = Transport(settings)
        self._guard = Guard(host, settings, resolver=resolver)
        self._authority = Authority(host, settings, self._transport, self._guard)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def stop(self) -> None:
        """End the work of all threads: for somebody who does not want to wait for it."""
        self._stopped.set()
        for response in tuple(self._reading):
            with suppress(ValueError, RuntimeError, OSError):
                response.shutdown()

    def resume(self) -> None:
        """Allow work again. Not right after `stop`: a thread may still have to notice."""
        self._stopped.clear()

    def require_running(self) -> None:
        """Raise Unavailable after `stop`."""
        if self._stopped.is_set():
            raise Unavailable(f"the work with `{self.host}` was given up", hint="run it again")

    @contextmanager
    def reading(self, response: urllib3.BaseHTTPResponse) -> Iterator[None]:
        """Let `stop` end the reading of an answer, which may wait for its bytes."""
        self._reading.add(response)
        try:
            self.require_running()  # `stop` may have looked before the answer was added
            yield
        finally:
            self._reading.discard(response)

    def patience(self, url: str) -> Patience:
        """Return a counter of failures for work on one address."""
        return Patience(place(self.absolute(url)), self.pause)

    def absolute(self, url: str, base: str = "") -> str:
        """Return the address that a path, or what an answer said, stands for."""
        return urljoin(base or f"{self._origin}/", url)

    def ask(self, request: Request) -> Answer:
        """Send a request with a small answer; wait for a registry that cannot answer now.

        Raises:
            Denied: the registry wants other credentials, or sends us where we may not go.
            Unavailable: it failed too often.
            UsageError: the answer is not one of a registry.

        """
        patience = self.patience(request.url)
        while True:
            try:
                return self.ask_once(request)
            except Interrupted as reason:
                patience.wait(reason)

    def ask_once(self, request: Request) -> Answer:
        """Send a request with a small answer. Raises Interrupted too."""
        answer = read_answer(self.open(request), self.absolute(request.url))
        return self.whole(answer)

    def whole(self, answer: Answer) -> Answer:
        """Return the answer without secrets that it echoes. Raises Interrupted for 429 and 5xx."""
        if answer.status in TRANSIENT:
            said = self._authority.scrub(explanation(answer.data))
            raise Interrupted(
                f"the server answered {answer.status}{f' ({said})' if said else ''}",
                wait_s=retry_after(answer.headers),
            )
        if answer.status < 400:  # noqa: PLR2004  RFC 9110 15: from here on it is an error
            return answer
        scrubbed = self._authority.scrub(answer.data.decode("utf-8", "replace")).encode()
        return Answer(
            status=answer.status, headers=answer.headers, data=scrubbed, place=answer.place
        )

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """Send a request once, with credentials; the caller reads and releases the answer.

        Raises:
            Denied: the registry wants other credentials, or sends us where we may not go.
            Interrupted: the connection, or the token service, failed.

        """
        self.require_running()
        url = self.absolute(request.url)
        answer = None
        for _ in range(_MOST_RENEWALS + 1):
            used = self._authority.header(request.scopes)
            response, own = self._follow(request, url, used)
            if response.status != UNAUTHORISED or not own:
                return response
            challenge = response.headers.get("www-authenticate", "")
            answer = read_answer(response, url)
            if not self._authority.renew(challenge, request.scopes, used):
                break
        assert answer is not None, "only a refusal leads here"
        raise self._refused(answer, request)

    def _follow(
        self, request: Request, url: str, authorization: str
    ) -> tuple[urllib3.BaseHTTPResponse, bool]:
        """Return the answer at the end of the redirects, and whether this registry gave it."""
        own = self._is_own(url)
        if not own:
            self._guard.require(url, "upload address")
        for _ in range(_MOST_REDIRECTS):
            headers = dict(request.headers)
            if own and authorization:
                headers["Authorization"] = authorization
            body = request.body() if request.body else None
            response = self._transport.open(request.method, url, headers, body)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or request.method not in _FOLLOWING or not location:
                return response, own
            read_answer(response, url)
            url = urljoin(url, location)
            self._guard.require(url, "redirect target")
            own = self._is_own(url)
        raise Denied(
            f"{place(self.absolute(request.url))} redirects more than {_MOST_REDIRECTS} times, "
            f"last to `{place(url)}`",
            hint="tell whoever runs the registry",
        )

    def _is_own(self, url: str) -> bool:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}".lower() == self._origin

    def _refused(self, answer: Answer, request: Request) -> Denied:
        who = self._authority.username
        if who:
            what = f"refused the credentials of `{who}`"
        elif self._authority.header(request.scopes):
            what = "refused its own token"
        else:
            what = "wants credentials, and none are stored for it"
        said = self._authority.scrub(explanation(answer.data))
        return Denied(
            f"the registry `{self.host}` {what} for {request.method} {answer.place}: "
            f"{answer.status}{f' ({said})' if said else ''}",
            hint=f"log in with an account that may: skopeo login {self.host}",
        )
