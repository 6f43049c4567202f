"""Waiting for what another thread or process does, where it offers nothing to wait on."""

import time
from collections.abc import Callable

_STEP_S = 0.005


def wait_until(ready: Callable[[], bool], most_s: float = 10) -> float:
    """Return after how many seconds it was so; fail after `most_s`, a bound and no measure."""
    began = time.monotonic()
    while not ready():
        assert time.monotonic() < began + most_s, "it never became so"
        time.sleep(_STEP_S)
    return time.monotonic() - began
