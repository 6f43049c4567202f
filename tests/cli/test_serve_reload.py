"""`lockgate serve` as a process: what SIGHUP leaves as it is."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import openai
import pytest

from cli.test_serve import configure, folder, serving, wait_ready
from upstream.mock_model import mock_model

__all__ = ["folder"]


def test_a_limit_and_a_kept_answer_survive_a_reload_that_does_not_concern_them(
    folder: Path,
) -> None:
    limited = ["[server.limits.'team:*']", "requests_per_minute = 100", "[server.cache]"]
    with mock_model() as mock:
        configure(folder, mock, key="k", more=[*limited, "ttl_s = 600"])
        with serving(folder) as process:
            wait_ready(process)
            with openai.OpenAI(base_url=f"{process.url}/v1", api_key="k", max_retries=0) as client:

                def ask(words: str) -> None:
                    client.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": words}]
                    )

                for number in range(40):
                    ask(f"before {number}")
                more = [*limited, "ttl_s = 600", "[server]", "drain_s = 5"]
                configure(folder, mock, key="k", more=more)
                process.running.send_signal(signal.SIGHUP)
                process.wait_until_it_says("the configuration was read again")
                ask("before 1")
                assert len(mock.requests) == 40
                with pytest.raises(openai.RateLimitError) as refused:
                    for number in range(100):
                        ask(f"after {number}")
                assert refused.value.code == "rate-limited"
                # A limit that began again would let a hundred pass; some are earned meanwhile.
                served = len(mock.requests)
                assert served < 40 + 80
                limited[1] = "requests_per_minute = 60000"
                configure(folder, mock, key="k", more=[*limited, "ttl_s = 600"])
                process.said.clear()
                process.running.send_signal(signal.SIGHUP)
                process.wait_until_it_says("the configuration was read again")
                # What replicas share of a limit is told to each of them a moment later.
                until = time.monotonic() + 10
                while len(mock.requests) == served:
                    with suppress(openai.RateLimitError):
                        ask("three")
                    assert time.monotonic() < until
