"""The election in a thread of its own: however busy the operator's event loop is, its Lease is renewed in time.

Loading thousands of objects keeps a loop busy for longer than a Lease lasts where the CPU is short. Renewed by that
loop the lead would be lost, and the next one to lead would have all of it before itself again, for ever.

It is no less safe than an election on the loop (R12): the Lease is renewed, and its loss noticed, by the same code, and
`lost` is called at once, even while the loop is busy. And a loop that gave no sign of life for `SILENT_FOR` is no
leader: its Lease is not renewed any more, so that it ends by itself within the deadline.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from threading import Thread
from types import TracebackType
from typing import Self

from homeostat.core.leadership import Terms
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.leases.election import Leadership
from homeostat.ports import Clock

SILENT_FOR = 30.0
"""Seconds: what a decision saw so long ago it does not act on either."""
BEAT_EVERY = 1.0  # seconds
_LAST_WORDS = 15.0  # seconds that the thread has to end

_log = logging.getLogger(__name__)


class ElectionThread:
    """One candidate for the lead, beside an event loop. Use as `async with`, then as `Leadership`.

    `connect` makes a client for the thread alone. `lost` is called in the thread when the lead is lost. `is_held` may
    be asked from anywhere; `beats` runs on the loop that is to lead, and is its sign of life.
    """

    def __init__(  # noqa: PLR0913 - as the candidate
        self,
        connect: Callable[[], AbstractAsyncContextManager[ApiClient]],
        namespace: str,
        identity: str,
        clock: Clock,
        *,
        lost: Callable[[], object],
        terms: Terms | None = None,
        silent_for: float = SILENT_FOR,
    ) -> None:
        self._connect = connect
        self._namespace, self._identity, self._terms = namespace, identity, terms
        self._clock = clock
        self._lost = lost
        self._silent_for = silent_for
        self._beat_at = clock.monotonic()
        self._leadership: Leadership | None = None
        self._won: Future[None] = Future()
        self._won.set_running_or_notify_cancel()  # whoever waits for it may give up, the election goes on
        self._is_given_up = False
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = Thread(target=self._run, name="election", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with suppress(RuntimeError):  # its loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, _LAST_WORDS)

    async def acquire(self) -> None:
        """Wait until this process leads."""
        await asyncio.wrap_future(self._won)

    def is_held(self) -> bool:
        """Whether this process leads now."""
        return self._leadership is not None and self._leadership.is_held()

    async def beats(self) -> None:
        """Give signs of life, for ever."""
        while True:
            self._beat_at = self._clock.monotonic()
            await asyncio.sleep(BEAT_EVERY)

    def give_up(self) -> None:
        """Have the lead given up when the context is left: nothing is done any more, the next one need not wait."""
        self._is_given_up = True

    # --- in the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._stand())
        except Exception as error:  # noqa: BLE001 - whoever waits for the lead is told, or nobody leads
            if not self._won.done():
                self._won.set_exception(error)
                return
            _log.exception("bug")
            self._lost()

    async def _stand(self) -> None:
        """Be a candidate until it is told to stop."""
        async with self._connect() as client, asyncio.TaskGroup() as tasks:
            self._leadership = Leadership(
                client, self._namespace, self._identity, self._clock, terms=self._terms, may_renew=self._is_alive
            )
            leading = tasks.create_task(self._lead(self._leadership))
            await self._stop.wait()
            if self._is_given_up:
                await self._leadership.settled()
            leading.cancel()
            if self._is_given_up:
                await self._leadership.release()

    async def _lead(self, leadership: Leadership) -> None:
        await leadership.acquire()
        self._beat_at = self._clock.monotonic()
        self._won.set_result(None)
        await leadership.hold()
        self._lost()

    def _is_alive(self) -> bool:
        return self._clock.monotonic() - self._beat_at < self._silent_for
