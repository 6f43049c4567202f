"""Runs the gateway that is in TensorZero's wheel, and prints where it listens.

usage: PYTHON_OF_ITS_FOLDER tensorzero_gateway.py SETTINGS

Its port cannot be chosen.
"""

import signal
import sys

from tensorzero import tensorzero  # type: ignore[import-not-found]  # only in its own folder


def main() -> None:
    gateway = tensorzero._start_http_gateway(  # noqa: SLF001  the wheel has no other way in
        config_file=sys.argv[1],
        clickhouse_url=None,
        postgres_url=None,
        valkey_url=None,
        async_setup=False,
    )
    print(f"listens: {gateway.base_url}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
