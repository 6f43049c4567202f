"""Hashes the finished chunks of a blob in order, while later ones still arrive."""

import hashlib
import threading
from typing import Final

from blake3 import blake3

from lockgate.domain.digest import Digest
from lockgate.oci.chunks import count
from lockgate.oci.registry.partial import Partial

_POLL_SECONDS: Final = 1.0


class Follower(threading.Thread):
    """Takes both digests of a blob. `stop` ends it early."""

    def __init__(self, partial: Partial) -> None:
        super().__init__(name="lockgate-hash", daemon=True)
        self._partial = partial
        self._changed = threading.Condition()
        self._stopped = False
        self._sha256 = hashlib.sha256()
        self._blake3 = blake3()
        self.failure: Exception | None = None

    def notice(self) -> None:
        """Say that one more chunk is finished."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """End without a result."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Follow the blob to its end."""
        try:
            for index in range(count(self._partial.size)):
                if not self._wait_for(index):
                    return
                for block in self._partial.read(index):
                    self._sha256.update(block)
                    self._blake3.update(block)
        except Exception as error:  # noqa: BLE001  handed to the thread that waits for the result
            self.failure = error

    def digests(self) -> tuple[Digest, str]:
        """Wait for the end, and return SHA-256 and `blake3:<hex>`. Every chunk is finished."""
        self.join()
        if self.failure is not None:
            raise self.failure
        return Digest(self._sha256.hexdigest()), f"blake3:{self._blake3.hexdigest()}"

    def _wait_for(self, index: int) -> bool:
        with self._changed:
            while not self._stopped and not self._partial.is_done(index):
                self._changed.wait(_POLL_SECONDS)
            return not self._stopped
