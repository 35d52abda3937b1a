"""How a probe asks the API server: within its time, and with every way in which that may fail as a reason."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from homeostat.core.probing.result import Reason
from homeostat.ports import Forbidden, Gone, Unavailable

T = TypeVar("T")


async def ask(answer: Awaitable[T], seconds: float) -> T | Reason:
    """Give the answer, or why there is none within `seconds`. An API that does not answer teaches us nothing."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except (TimeoutError, Unavailable):
        return Reason.API_UNAVAILABLE
    except Forbidden:
        return Reason.NOT_PERMITTED
    except Gone:
        return Reason.TARGET_NOT_FOUND
