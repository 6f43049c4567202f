"""How well several gateway processes keep to one limit that they share through a database."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.load import Client, Kind, Plan, Tally, offer
from gateway.process import gateway, upstream
from gateway.scenarios import free_port, settings

_KIND = Kind("all", 1.0, 5.0)
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What passed of too much load."""

    allowed: float
    """Requests, in all."""
    tallies: tuple[Tally, ...]

    @property
    def passed(self) -> int:
        """Requests that were answered, in all."""
        return sum(tally.of_status(200) for tally in self.tallies)

    @property
    def error(self) -> float:
        """By what part too much passed; below 0: too little."""
        return self.passed / self.allowed - 1.0


def shared_limit(
    folder: Path,
    store: str,
    *,
    per_minute: int,
    burst: float,
    loads: tuple[float, ...],
    seconds: float,
) -> Shared:
    """Offer each replica its load, in requests a second, and count what passes."""
    more = (
        f'[store]\nurl = "{store}"\n[server.limits."route:chat"]\n'
        f"requests_per_minute = {per_minute}\nburst = {burst}\n"
    )

    async def measure(ports: list[int]) -> tuple[Tally, ...]:
        clients = [Client(port) for port in ports]
        offers = [
            offer(client, [_KIND], Plan(load, seconds, seed=seed))
            for seed, (client, load) in enumerate(zip(clients, loads, strict=True))
        ]
        tallies = await asyncio.gather(*offers)
        for client in clients:
            client.close()
        return tuple(tallies)

    with ExitStack() as stack:
        model = stack.enter_context(upstream(256, 0.001))
        ports = []
        for number, _ in enumerate(loads):
            ports.append(free_port())
            place = folder / f"replica-{number}"
            stack.enter_context(gateway(place, ports[-1], settings(model, more)))
        tallies = asyncio.run(measure(ports))
    allowed = per_minute * burst + per_minute / _MINUTE_S * seconds
    return Shared(allowed=allowed, tallies=tallies)
