"""Our prober as a process of its own, for `bench.probe`: asks a URL N times, 64 at once, with every safety feature on.

Run as `python -m bench.asking new|keepalive URL N CA`; prints {"cpu_seconds", "probes", "rss_mib"}. `%d` in the URL
stands for a number from 1 to 32.
"""

import asyncio
import json
import resource
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from itertools import repeat
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from homeostat.core.probing.request import HttpRequest, Tls
from homeostat.core.probing.result import Verdict
from homeostat.engine.clock import SystemClock
from homeostat.probe.net.address import Guard
from homeostat.probe.network import NetworkProbes
from homeostat.probe.prober import Probes
from homeostat.probe.promql import PromqlProbe

AT_ONCE = 64
ADDRESSES = 32


def used() -> float:
    """Give the CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def ask(mode: str, url: str, count: int, authority: str) -> dict[str, Any]:
    """Send the probes; give what they cost."""
    nobody = cast("Any", None)
    network = NetworkProbes(Guard(allow=[ip_network("127.0.0.0/8")]), lambda: SystemClock().now().timestamp())
    probes = Probes(network, cluster=nobody, secrets=nobody, jobs=nobody, promql=PromqlProbe(None))
    requests = [_request(url.replace("%d", str(number + 1)), mode, authority) for number in range(ADDRESSES)]
    turns = repeat(None, count)

    async def work(first: int, turns: Iterator[None]) -> None:
        for turn, _ in enumerate(turns, first):
            result = await probes.probe(requests[turn % ADDRESSES], 10.0)
            assert result.verdict is Verdict.PASS, result

    before = used()
    async with asyncio.TaskGroup() as group:
        for first in range(AT_ONCE):
            group.create_task(work(first, turns))
    spent = used() - before
    probes.close()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_seconds": spent, "probes": count, "rss_mib": rss}


def _request(url: str, mode: str, authority: str) -> HttpRequest:
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    return HttpRequest(
        host=parts.hostname or "",
        port=parts.port or 0,
        address=parts.hostname or "",
        is_tls=is_tls,
        target=parts.path or "/",
        tls=Tls(ca=Path(authority).read_bytes()) if is_tls else None,
        keeps_connection=mode == "keepalive",
    )


if __name__ == "__main__":
    mode, url, count, authority = sys.argv[1:]
    print(json.dumps(uvloop.run(ask(mode, url, int(count), authority))))
