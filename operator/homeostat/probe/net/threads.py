"""Threads for what blocks and cannot be stopped: nobody waits for them, not even at the end of the process.

An executor's threads are joined when the interpreter exits: one lookup that hangs would keep us from ending.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class DaemonThreads(Generic[T]):
    """At most `most` threads, started as they are needed. Call `close` once at the end."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._waiting: SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Have work done, in its turn."""
        future: Future[T] = Future()
        self._waiting.put((future, work))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            self._start()
        return future

    def close(self) -> None:
        """Cancel what has not begun. The threads end by themselves, once they are done with what they do."""
        with suppress(Empty):
            while (waiting := self._waiting.get_nowait()) is not None:
                waiting[0].cancel()
        for _ in self._threads:
            self._waiting.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._labour, name=f"{self._name}-{len(self._threads)}", daemon=True)
        with suppress(RuntimeError):  # no room for another: the work waits for those there are, or the next
            thread.start()
            self._threads.append(thread)

    def _labour(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            future, work = waiting
            if future.set_running_or_notify_cancel():
                _do(work, future)
            del waiting, future, work  # a thread that waits holds nothing
            self._idle.release()


def _do(work: Callable[[], T], future: "Future[T]") -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits is told
        future.set_exception(error)
    else:
        future.set_result(result)
