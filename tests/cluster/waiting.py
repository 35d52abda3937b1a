"""Waiting for what is to come about: the only way in which the stories let time pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 300.0  # seconds: generous, since nothing here is about speed, and some machines are slow
POLL = 0.2


def until(look: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Look until there is something true to see, and give it; `what` says what was missed."""
    give_up_at = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"not within {seconds:.0f} s: {what}"
        time.sleep(POLL)
    return found


async def eventually(look: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE) -> T:
    """Wait until what `look` gives is true, and give it; where others have to go on meanwhile."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(POLL)
    return found
