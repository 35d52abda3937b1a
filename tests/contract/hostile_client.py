"""Probes hostile servers from a process of its own, so that the memory it takes is the prober's alone.

Reads `{name: port}` as JSON from standard input, and runs each kind of request against each server, twice over: once
to warm up, once to measure. Writes what became of the requests, and by how many bytes the process has grown.
"""

import asyncio
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import uvloop

from contract.asking import network, run
from homeostat.core.probing.request import Content, HttpRequest
from homeostat.probe.network import NetworkProbes

SECONDS = 0.3
KINDS: dict[str, dict[str, Any]] = {
    "status": {},
    "content": {"content": Content(contains="")},
    "kept": {"keeps_connection": True},
}


def to(port: int, kind: str) -> HttpRequest:
    """Give the request of a kind."""
    return HttpRequest("shop.test", port, "127.0.0.1", **KINDS[kind])


async def run_all(probes: NetworkProbes, ports: dict[str, int]) -> dict[str, list[tuple[str, int]]]:
    """Give reason and code of each kind of request, by the name of the server."""
    found = {}
    for name, port in ports.items():
        endings = await asyncio.gather(*(run(probes, to(port, kind), SECONDS) for kind in KINDS))
        found[name] = [(str(ending.reason), ending.code) for ending in endings]
    return found


async def main() -> None:
    ports = json.load(sys.stdin)
    with network() as probes:
        await run_all(probes, ports)
        gc.collect()
        forget_peak()
        before, files = resident(), open_files()
        found = await run_all(probes, ports)
        gc.collect()
        grown = {"resident": resident() - before, "peak": peak() - before, "files": open_files() - files}
    json.dump({"found": found, "grown": grown}, sys.stdout)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def forget_peak() -> None:
    """Let `peak` begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def resident() -> int:
    """Give the bytes of memory this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Give the most bytes this process occupied at a time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    uvloop.run(main())
