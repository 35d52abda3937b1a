"""The lead beside a busy loop: kept while the loop gives signs of life, lost at once when it is lost."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Semaphore, Thread
from typing import Any

import pytest
from aiohttp import web
from typing_extensions import override

from contract.kube_server import credentials, serving_handler
from contract.lease_server import LeaseServer
from homeostat.core.leadership import Terms
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.credentials import CredentialsError
from homeostat.kube.leases.election_thread import ElectionThread

SHORT = Terms(duration=3.0, deadline=2.0, renew_every=0.1)
LONG_ENOUGH = 35
"""Renewals that take longer than the Lease lasts."""
PATIENCE = 30.0  # seconds
LATE = 0.5  # seconds


class Apart(LeaseServer):
    """Leases behind a loop of their own, so that they are kept while the loop of a test is blocked."""

    def __init__(self) -> None:
        super().__init__()
        self.written = Semaphore(0)

    @override
    def _write(self, path: str, new: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = super()._write(path, new)
        self.written.release()
        return answer


class Late(Apart):
    """Write at once, but answer one of the writes only when another request comes, or late."""

    def __init__(self, late: int) -> None:
        super().__init__()
        self.is_waiting = Event()
        self._late, self._requests = late, asyncio.Condition()

    @override
    async def handle(self, request: web.Request) -> web.StreamResponse:
        async with self._requests:
            self._requests.notify_all()
        answer = await super().handle(request)
        self._late -= request.method != "GET"
        if self._late == 0 and not self.is_waiting.is_set():
            self.is_waiting.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(LATE), self._requests:
                    await self._requests.wait()
        return answer


@contextmanager
def serving(server: Apart) -> Iterator[str]:
    """Serve in a thread; give the URL."""
    loop, stop, url, is_up = asyncio.new_event_loop(), asyncio.Event(), [""], Event()

    async def serve() -> None:
        async with serving_handler(server.handle) as url[0]:
            is_up.set()
            await stop.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(PATIENCE)
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def candidate(url: str, name: str, lost: Event, silent_for: float = 10 * PATIENCE) -> ElectionThread:
    """Make a candidate that sets `lost` when it loses the lead."""
    return ElectionThread(
        lambda: ApiClient(credentials(url)), "homeostat-system", name, SystemClock(),
        lost=lost.set, terms=SHORT, silent_for=silent_for,
    )  # fmt: skip


def block_loop(server: Apart) -> None:
    """Do not let the loop of the test turn until the Lease was renewed for longer than it lasts."""
    for _ in range(LONG_ENOUGH):
        assert server.written.acquire(timeout=PATIENCE)


async def test_a_leader_whose_loop_is_busy_for_longer_than_its_lease_lasts_goes_on_leading() -> None:
    """Loading thousands of objects on a full Node must not cost the lead."""
    server, lost = Apart(), Event()
    with serving(server) as url:
        async with candidate(url, "a", lost) as a:
            await a.acquire()
            async with candidate(url, "b", Event()) as b:
                block_loop(server)

                assert a.is_held()
                assert not b.is_held()
                assert not lost.is_set()
            assert server.lease()["spec"].get("leaseTransitions") in {None, 0}


async def test_a_loop_that_gives_no_sign_of_life_leads_no_longer() -> None:
    """R12: what hangs decides nothing, and must let another one lead; it is ended before that."""
    server, lost = Apart(), Event()
    with serving(server) as url:
        async with candidate(url, "a", lost, silent_for=0.3) as a:
            await a.acquire()
            async with candidate(url, "b", Event()) as b:
                assert lost.wait(PATIENCE)
                assert not a.is_held()

                await b.acquire()
                assert b.is_held()


async def test_a_loop_that_gives_signs_of_life_goes_on_leading() -> None:
    server, lost = Apart(), Event()
    with serving(server) as url:
        async with candidate(url, "a", lost, silent_for=5.0) as a, asyncio.TaskGroup() as tasks:
            await a.acquire()
            beats = tasks.create_task(a.beats())
            await asyncio.to_thread(block_loop, server)

            assert a.is_held()
            assert not lost.is_set()
            beats.cancel()


async def test_a_leader_learns_that_the_lead_is_lost_even_while_its_loop_is_busy() -> None:
    """R12, fault 19: nothing that is under way may go on."""
    server, lost = Apart(), Event()
    with serving(server) as url:
        async with candidate(url, "a", lost) as a:
            await a.acquire()
            server.usurp("somebody-else")

            assert lost.wait(PATIENCE)
            assert not a.is_held()


async def test_a_leader_that_gives_up_lets_the_next_one_lead_at_once() -> None:
    server = Apart()
    with serving(server) as url:
        async with candidate(url, "a", Event()) as a:
            await a.acquire()
            a.give_up()

        assert not a.is_held()
        assert server.lease()["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize("late", [1, 2], ids=["taking the Lease", "renewing it"])
async def test_a_leader_that_gives_up_waits_for_what_it_has_asked_for(late: int) -> None:
    """What is dropped is done all the same: the Lease is newer then than is known, and cannot be given up."""
    server = Late(late)
    with serving(server) as url:
        async with candidate(url, "a", Event()) as a:
            assert await asyncio.to_thread(server.is_waiting.wait, PATIENCE)
            a.give_up()

        assert server.lease()["spec"]["holderIdentity"] == ""


async def test_a_leader_that_ends_without_a_word_does_not_give_its_lead_up() -> None:
    """What ends by a bug may have left something under way: the next one waits until the Lease ends."""
    server = Apart()
    with serving(server) as url:
        async with candidate(url, "a", Event()) as a:
            await a.acquire()

        assert server.lease()["spec"]["holderIdentity"] == "a"


async def test_a_candidate_that_is_told_to_stop_ends_and_leads_never() -> None:
    server = Apart()
    with serving(server) as url:
        async with candidate(url, "a", Event()) as a:
            await a.acquire()
            async with candidate(url, "b", Event()) as b:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(b.acquire(), 0.2)

            assert not b.is_held()
            assert a.is_held()


async def test_a_candidate_that_cannot_even_begin_says_why() -> None:
    """Bad input: credentials that are gone when the thread reads them."""

    def connect() -> ApiClient:
        raise CredentialsError("cannot read the token file")

    async with ElectionThread(connect, "homeostat-system", "a", SystemClock(), lost=Event().set) as election:
        with pytest.raises(CredentialsError):
            await election.acquire()
