"""How these tests ask: the network side of the prober as it is put together for real, allowed on loopback."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

from homeostat.core.probing.request import Request
from homeostat.probe.ending import Ending
from homeostat.probe.net.address import Guard
from homeostat.probe.net.resolver import Lookup, system_lookup
from homeostat.probe.net.tls import Contexts
from homeostat.probe.network import NetworkProbes

LOOPBACK = ("127.0.0.0/8", "::1/128")


@contextmanager
def network(lookup: Lookup = system_lookup, authorities: str = "") -> Iterator[NetworkProbes]:
    """Give a prober's network side that trusts `authorities` (PEM), or the system's."""
    guard = Guard(allow=[ip_network(text) for text in LOOPBACK])
    probes = NetworkProbes(guard, time.time, lookup=lookup, contexts=Contexts(authorities.encode()))
    try:
        yield probes
    finally:
        probes.close()


async def run(probes: NetworkProbes, request: Request, seconds: float = 5.0) -> Ending:
    """Run a probe; the outer limit is the promise that a run ends within its time."""
    async with asyncio.timeout(seconds + 5):
        return await probes.run(request, time.monotonic() + seconds)


async def ask(
    request: Request, seconds: float = 5.0, *, lookup: Lookup = system_lookup, authorities: str = ""
) -> Ending:
    """Run one probe on a prober of its own."""
    with network(lookup, authorities) as probes:
        return await run(probes, request, seconds)
