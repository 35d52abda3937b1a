import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from contract.hostile import no_descriptor_left
from homeostat.core.probing.result import Reason
from homeostat.probe.net.address import Guard
from homeostat.probe.net.resolver import Lookup, Resolver, system_lookup

PUBLIC = "203.0.113.7"


class Ticks:
    """A monotonic time that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Names:
    """A name server: answers from a table, and counts how often it was asked."""

    def __init__(self, table: dict[str, tuple[str, ...]]) -> None:
        self.table = table
        self.asked: list[str] = []

    def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        if host not in self.table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.table[host]


@contextmanager
def resolving(lookup: Lookup, monotonic: Callable[[], float]) -> Iterator[Resolver]:
    resolver = Resolver(Guard(), lookup, monotonic)
    try:
        yield resolver
    finally:
        resolver.close()


async def test_an_answer_is_kept_for_a_few_seconds_and_then_asked_for_again() -> None:
    names, ticks = Names({"shop": (PUBLIC,)}), Ticks()
    with resolving(names, ticks) as resolver:
        for _ in range(3):
            assert await resolver.resolve("shop", ticks.now + 5) == (PUBLIC,)
        assert names.asked == ["shop"]
        ticks.now += 5.1
        await resolver.resolve("shop", ticks.now + 5)

    assert names.asked == ["shop", "shop"]


async def test_a_name_that_appears_is_found_after_a_second() -> None:
    names, ticks = Names({}), Ticks()
    with resolving(names, ticks) as resolver:
        assert await resolver.resolve("shop", ticks.now + 5) is Reason.NAME_NOT_RESOLVED
        names.table["shop"] = (PUBLIC,)
        assert await resolver.resolve("shop", ticks.now + 5) is Reason.NAME_NOT_RESOLVED
        ticks.now += 1.1

        assert await resolver.resolve("shop", ticks.now + 5) == (PUBLIC,)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((), Reason.NAME_NOT_RESOLVED),
        ((PUBLIC, "127.0.0.1"), Reason.ADDRESS_NOT_ALLOWED),
        ((PUBLIC,) * 499 + ("169.254.169.254",), Reason.ADDRESS_NOT_ALLOWED),
        ((PUBLIC,) * 500, (PUBLIC,) * 4),
    ],
)
async def test_every_address_of_a_name_is_checked(answers: tuple[str, ...], expected: object) -> None:
    """H9, fault 41: one denied address among many refuses the name; 0 and 500 addresses are answers too."""
    ticks = Ticks()
    with resolving(Names({"shop": answers}), ticks) as resolver:
        assert await resolver.resolve("shop", ticks.now + 5) == expected


async def test_many_probes_of_one_name_ask_once() -> None:
    names, ticks = Names({"shop": (PUBLIC,)}), Ticks()
    with resolving(names, ticks) as resolver:
        found = await asyncio.gather(*(resolver.resolve("shop", ticks.now + 5) for _ in range(100)))

    assert set(found) == {(PUBLIC,)}
    assert names.asked == ["shop"]


async def test_a_name_server_that_hangs_ends_at_the_deadline() -> None:
    """Fault 41: a 30 s resolver costs the probe its timeout, no more; those that got no turn are our own fault."""
    release, ticks = threading.Event(), Ticks()

    def hang(_host: str) -> tuple[str, ...]:
        release.wait(30)
        return (PUBLIC,)

    with resolving(hang, ticks) as resolver:
        hosts = [f"hung-{number}" for number in range(40)]
        async with asyncio.timeout(10):
            found = await asyncio.gather(*(resolver.resolve(host, ticks.now + 0.2) for host in hosts))
        release.set()

    assert found[0] is Reason.TIMEOUT
    assert found[-1] is Reason.OUT_OF_RESOURCES
    assert set(found) == {Reason.TIMEOUT, Reason.OUT_OF_RESOURCES}


async def test_a_literal_address_needs_no_name_server() -> None:
    names, ticks = Names({}), Ticks()
    with resolving(names, ticks) as resolver:
        assert await resolver.resolve(PUBLIC, ticks.now + 5) == (PUBLIC,)
        assert await resolver.resolve("::ffff:a9fe:a9fe", ticks.now + 5) is Reason.ADDRESS_NOT_ALLOWED

    assert names.asked == []


async def test_the_memory_of_names_is_bounded() -> None:
    ticks = Ticks()
    with resolving(Names({}), ticks) as resolver:
        for number in range(5000):
            await resolver.resolve(f"10.1.{number // 256}.{number % 256}", ticks.now + 5)

        assert len(resolver._answers) <= 4096


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".test", "\udc80"])
async def test_a_name_that_cannot_be_asked_for_is_not_resolved(host: str) -> None:
    """Fault 31: a label that is empty, too long or not text."""
    ticks = Ticks()
    resolver = Resolver(Guard(), lambda name: tuple(socket.getaddrinfo(name, None)), ticks)  # type: ignore[arg-type]
    try:
        assert await resolver.resolve(host, ticks.now + 5) is Reason.NAME_NOT_RESOLVED
    finally:
        resolver.close()


async def test_a_name_that_was_slow_once_holds_up_only_its_like() -> None:
    """Fault 41: whoever names servers that take long must not keep others from having theirs looked up."""
    release, ticks = threading.Event(), Ticks()
    hung = [f"hung-{number}" for number in range(40)]

    def lookup(host: str) -> tuple[str, ...]:
        if host.startswith("hung"):
            ticks.now += 2  # each lookup takes long by this clock
            release.wait(30)
        return (PUBLIC,)

    with resolving(lookup, ticks) as resolver:
        release.set()
        for host in hung:
            assert await resolver.resolve(host, ticks.now + 5) == (PUBLIC,)
        release.clear()
        ticks.now += 10
        waiting = [asyncio.ensure_future(resolver.resolve(host, ticks.now + 5)) for host in hung]
        async with asyncio.timeout(10):
            for number in range(40):
                assert await resolver.resolve(f"quick-{number}", ticks.now + 5) == (PUBLIC,)
        release.set()
        await asyncio.gather(*waiting)


async def test_without_room_for_threads_a_name_gets_its_turn_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 24: a limit on processes is our own lack, and does not outlive itself."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names, ticks = Names({"shop": (PUBLIC,), "cart": (PUBLIC,)}), Ticks()
    with resolving(names, ticks) as resolver:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert await resolver.resolve("shop", ticks.now + 0.05) is Reason.OUT_OF_RESOURCES
        assert await resolver.resolve("cart", ticks.now + 5) == (PUBLIC,)
        assert await resolver.resolve("shop", ticks.now + 5) == (PUBLIC,)


async def test_without_files_a_name_is_not_called_unknown() -> None:
    """Fault 23: the system's resolver opens files, and says of a lack of them that there is no such name."""
    with resolving(system_lookup, time.monotonic) as resolver, no_descriptor_left():
        found = await resolver.resolve("localhost", time.monotonic() + 5)

    assert found is Reason.OUT_OF_RESOURCES


def test_a_lookup_that_hangs_does_not_keep_the_process_from_ending() -> None:
    """Fault 41: what cannot be stopped is left behind."""
    program = (
        "import asyncio, time\n"
        "from homeostat.probe.net.address import Guard\n"
        "from homeostat.probe.net.resolver import Resolver\n"
        "async def main():\n"
        "    resolver = Resolver(Guard(), lambda host: time.sleep(60), time.monotonic)\n"
        "    print(await resolver.resolve('shop', time.monotonic() + 0.1))\n"
        "    resolver.close()\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=30, check=True
    )

    assert (ended.stdout, ended.stderr) == (b"Timeout\n", b"")
