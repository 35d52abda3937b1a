"""What a client sees of a pod (see pod_program.py), and what the kernel counts of it. Each gives one figure."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import cast

from bench.cluster_api import Failed

UDP, STREAM, WORD, HTTP = 9000, 9001, 9002, 8080
LATE = 3.0  # seconds after which a packet counts as lost
RATE = 1500  # packets a second
BURST = 15
BUFFER = 2**23
CGROUPS = Path("/sys/fs/cgroup")


class Echoes(asyncio.DatagramProtocol):
    """Sends numbered packets, and keeps how long each took to come back."""

    def __init__(self) -> None:
        self.took: dict[int, float] = {}
        self._sent: list[float] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to send with."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's is none by class

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Note an answer."""
        number = int(data)
        self.took.setdefault(number, time.monotonic() - self._sent[number])

    def send(self) -> None:
        """Send the next one."""
        assert self._transport is not None
        self._sent.append(time.monotonic())
        self._transport.sendto(b"%d" % (len(self._sent) - 1))


async def echoes(address: str, times: int, rate: int = RATE, burst: int = BURST) -> list[float]:
    """Send so many packets; give how long those took that came back."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Echoes, remote_addr=(address, UDP))
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    for _ in range(times // burst):
        for _ in range(burst):
            protocol.send()
        await asyncio.sleep(burst / rate)
    give_up_at = time.monotonic() + LATE
    while len(protocol.took) < times // burst * burst and time.monotonic() < give_up_at:  # noqa: ASYNC110 - bounded
        await asyncio.sleep(0.05)
    transport.close()
    return list(protocol.took.values())


async def loss(address: str) -> float:
    """Give the share of packets without an answer, in percent."""
    times = 10_500
    return 100 * (1 - len(await echoes(address, times)) / times)


async def delay(address: str) -> float:
    """Give the median of the time to and fro, in ms."""
    return 1000 * median(await echoes(address, 300, 60, 1))


async def jitter(address: str) -> float:
    """Give half the width of the spread of delays, in ms, taken as even: by its middle half.

    By packets so far apart that none waits for the one before it, since those of one connection keep their order.
    """
    found = await asyncio.gather(*(echoes(address, 60, 6, 1) for _ in range(8)))
    early, _, late = quantiles(one for took in found for one in took)
    return 1000 * (late - early)


async def bandwidth(address: str) -> float:
    """Give what is read in a second after the first, in Mbit of payload."""
    reader, writer = await asyncio.open_connection(address, STREAM, limit=2**20)
    read, began, ends = 0, 0.0, time.monotonic() + 7
    warm_at = time.monotonic() + 1.5
    while (now := time.monotonic()) < ends:
        size = len(await reader.read(2**18))
        if now >= warm_at:
            began = began or now
            read += size if now > began else 0
    took = time.monotonic() - began
    writer.transport.abort()
    return read * 8 / took / 1e6


async def resets(address: str) -> float:
    """Give the share of connections that are reset, in percent."""
    times = 4000
    return 100 * await _share(times, 16, lambda: _is_reset(address))


async def _is_reset(address: str) -> bool:
    """Say a word; a connection may break as soon as it is made."""
    try:
        reader, writer = await asyncio.open_connection(address, WORD)
        writer.write(b"?")
        is_reset = not await reader.read(1)
    except ConnectionError:
        return True
    writer.close()
    return is_reset


async def _share(times: int, workers: int, ask: Callable[[], Awaitable[bool]]) -> float:
    """Ask so often, some at a time; give the share of yes."""
    left, yes = times, 0

    async def work() -> None:
        nonlocal left, yes
        while left > 0:
            left -= 1
            answer = await ask()
            yes += answer

    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(work())
    return yes / times


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[int, bytes]:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: it\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return int(head.split(b" ")[1]), await reader.readexactly(length)


async def statuses(address: str) -> float:
    """Give the share of requests that are not answered with 200, in percent."""

    async def is_bad() -> bool:
        reader, writer = await asyncio.open_connection(address, HTTP)
        try:
            code, _ = await _get(reader, writer, "/")
        finally:
            writer.close()
        return code != 200

    return 100 * await _share(2500, 8, is_bad)


async def http_delay(address: str) -> float:
    """Give the median time of a request, in ms."""
    took = []
    for _ in range(30):
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(address, HTTP)
        await _get(reader, writer, "/")
        took.append(time.monotonic() - began)
        writer.close()
    return 1000 * median(took)


async def _resolved(address: str, name: str, times: int) -> list[float | None]:
    reader, writer = await asyncio.open_connection(address, HTTP)
    found = [json.loads((await _get(reader, writer, f"/resolve?{name}"))[1]) for _ in range(times)]
    writer.close()
    return found


def dns_failures(name: str) -> Callable[[str], Awaitable[float]]:
    """Give the share of lookups that fail, in percent."""

    async def measure(address: str) -> float:
        found = await _resolved(address, name, 100)
        return 100 * sum(one is None for one in found) / len(found)

    return measure


def dns_delay(name: str) -> Callable[[str], Awaitable[float]]:
    """Give the median time of a lookup, in ms."""

    async def measure(address: str) -> float:
        return 1000 * median(one or 0.0 for one in await _resolved(address, name, 15))

    return measure


# --- what the kernel counts of the pod ------------------------------------------------------------------


def _count(uid: str, v1: str, v2: str) -> str:
    """Read a counter of the pod's own cgroup, whichever driver made it."""
    names = (f"pod{uid}", f"pod{uid.replace('-', '_')}.slice")
    roots = (CGROUPS / v1.partition(".")[0], CGROUPS)
    for folder, folders, _ in (step for root in roots if root.is_dir() for step in os.walk(root)):
        for one in folders:
            path = Path(folder, one)
            if one.endswith(names) and any((path / file).is_file() for file in (v1, v2)):
                return next(path / file for file in (v1, v2) if (path / file).is_file()).read_text()
    raise Failed(f"no cgroup of pod {uid} here")


def _cpu_seconds(uid: str) -> float:
    text = _count(uid, "cpuacct.usage", "cpu.stat")
    return int(text) / 1e9 if text.strip().isdigit() else int(text.split()[1]) / 1e6


def cpu_share(uid: str, cores: float) -> Callable[[str], Awaitable[float]]:
    """Give the share of its limit that the pod uses, in percent."""

    async def measure(_address: str) -> float:
        began, used = time.monotonic(), _cpu_seconds(uid)
        await asyncio.sleep(8)
        return 100 * (_cpu_seconds(uid) - used) / (time.monotonic() - began) / cores

    return measure


def memory_used(uid: str) -> Callable[[str], Awaitable[float]]:
    """Give the MiB that the pod uses."""

    async def measure(_address: str) -> float:
        return int(_count(uid, "memory.usage_in_bytes", "memory.current")) / 2**20

    return measure
