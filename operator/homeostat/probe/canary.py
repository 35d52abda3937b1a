"""The canary of the self-connectivity guard (H8): something that is there whenever our own network is."""

import asyncio
from collections.abc import Awaitable, Callable

Canary = Callable[[float], Awaitable[bool]]
"""Says, within so many seconds, whether we have a network."""


def canary_at(host: str, port: int) -> Canary:
    """Make a canary of a TCP port, such as the API server's: an answer of any kind, a refusal too, is a network."""

    async def answers(seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(host, port)
        except ConnectionError:
            return True
        except OSError:
            return False
        writer.transport.abort()
        return True

    return answers
