"""`lockgate serve` as a process: what SIGHUP leaves as it is."""

import json
import signal
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import openai
import pytest

from cli.test_serve import configure, folder, put, serving, wait_ready
from lockgate.cli.main import execute
from server.serving import CHAT
from upstream.mock_model import mock_model
from waiting import wait_until

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


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            "[server.limits.'route:chatt']\nrequests_per_minute = 1",
            (
                '`server.limits."route:chatt"`: there is no route `chatt` that has limits; '
                "did you mean `chat`?"
            ),
        ),
        ("[server.limits.'route:models']\nrequests_per_minute = 1", "`models` that has limits"),
        (
            (
                "[server.limits.'route:*']\nrequests_per_minute = 1\n"
                "[[server.tracing.rules]]\nroute = 'metrics'\nratio = 0\n"
                "[[server.tracing.rules]]\nroute = 'short:reviews'\nratio = 1"
            ),
            (
                "`server.tracing.rules.1`: there is no route `short:reviews` here; "
                "did you mean `short:review`?"
            ),
        ),
    ],
)
def test_a_limit_or_a_rule_for_a_route_that_there_is_not_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], config: str, said: str
) -> None:
    put(folder, config)
    assert execute(["serve", "--listen", "127.0.0.1:0"]) == 2
    assert said in capsys.readouterr().err


def test_a_fallback_that_is_no_model_here_is_said_at_the_start_and_refuses_nothing(
    folder: Path,
) -> None:
    with mock_model() as mock:
        configure(folder, mock, more=["[server.fallbacks]", 'm = ["spare"]'])
        with serving(folder) as process:
            (warning,) = [line for line in process.said if "spare" in line]
            assert "`server.fallbacks.m` names `spare`, which is no model here" in warning
            wait_ready(process)


def test_what_metrics_have_counted_goes_on_over_a_reload_and_what_is_gone_is_no_gauge(
    folder: Path,
) -> None:
    def metrics() -> str:
        with urlopen(f"{process.url}/metrics", timeout=30) as answer:  # noqa: S310
            page: str = answer.read().decode()
        return page

    with mock_model() as mock:
        configure(folder, mock)
        with serving(folder) as process:
            wait_ready(process)
            for _ in range(2):
                process.ask("/v1/chat/completions", json.dumps(CHAT).encode())
            wait_until(lambda: 'lockgate_requests_total{route="chat",code="200"} 2' in metrics())
            assert 'lockgate_breaker_open{upstream="there"}' in metrics()
            put(folder, "")
            process.running.send_signal(signal.SIGHUP)
            process.wait_until_it_says("the configuration was read again")
            page = metrics()
    assert 'lockgate_requests_total{route="chat",code="200"} 2' in page
    assert 'lockgate_upstream_seconds_count{upstream="there"} 2' in page
    assert 'lockgate_breaker_open{upstream="there"}' not in page
    assert page.count("\nprocess_cpu_seconds_total ") == 1
