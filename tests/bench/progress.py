"""What a benchmark says while it runs, and how it waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bench.cluster_api import Failed

T = TypeVar("T")

POLL = 0.2
BEGAN = time.monotonic()


def say(text: str) -> None:
    """Print one line of progress with the time that has passed."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


async def until(what: str, look: Callable[[], Awaitable[T | None]], seconds: float = 120) -> T:
    """Look until there is something to see, and give it."""
    give_up_at = time.monotonic() + seconds
    while not (found := await look()):
        if time.monotonic() > give_up_at:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(POLL)
    return found
