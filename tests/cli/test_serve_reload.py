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
    limited = ["[server.limits.'team:*']", "requests_per_minute = 3", "[server.cache]"]
    with mock_model() as mock:
        configure(folder, mock, key="k", more=[*limited, "ttl_s = 600"])
        with serving(folder) as process:
            wait_ready(process)
            with openai.OpenAI(base_url=f"{process.url}/v1", api_key="k", max_retries=0) as client:

                def ask(words: str) -> None:
                    client.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": words}]
                    )

                ask("one")
                ask("two")
                more = [*limited, "ttl_s = 600", "[server]", "drain_s = 5"]
                configure(folder, mock, key="k", more=more)
                process.running.send_signal(signal.SIGHUP)
                process.wait_until_it_says("the configuration was read again")
                ask("one")
                assert len(mock.requests) == 2
                with pytest.raises(openai.RateLimitError) as refused:
                    ask("three")
                assert refused.value.code == "rate-limited"
                limited[1] = "requests_per_minute = 60000"
                configure(folder, mock, key="k", more=[*limited, "ttl_s = 600"])
                process.said.clear()
                process.running.send_signal(signal.SIGHUP)
                process.wait_until_it_says("the configuration was read again")
                # What replicas share of a limit is told to each of them a moment later.
                until = time.monotonic() + 10
                while len(mock.requests) == 2:
                    with suppress(openai.RateLimitError):
                        ask("three")
                    assert time.monotonic() < until
