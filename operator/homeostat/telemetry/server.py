"""The operator's own small HTTP server: /metrics, /livez, /readyz. No other page, no secrets, read-only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

FRESH_FOR = 1.0  # seconds


@dataclass(slots=True)
class _Page:
    """The last text of /metrics, and when it was made (seconds of the loop)."""

    text: bytes = b""
    made_at: float = -inf


WritePage = Callable[[], Awaitable[bytes]]
"""Writes the text of /metrics as it is now, without keeping the loop."""
Verdicts = Callable[[], dict[str, bool]]
"""Named conditions, each holding or not; all must hold."""


@asynccontextmanager
async def serving(
    host: str, port: int, write_page: WritePage, *, is_alive: Verdicts, is_ready: Verdicts
) -> AsyncIterator[int]:
    """Serve until the context is left; give the port (useful when 0 was asked for)."""
    app = web.Application()
    app.router.add_get("/metrics", _metrics(write_page))
    app.router.add_get("/livez", _health(is_alive))
    app.router.add_get("/readyz", _health(is_ready))
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _metrics(write_page: WritePage) -> Callable[[web.Request], Awaitable[web.Response]]:
    turn, last = asyncio.Lock(), _Page()

    async def show(_: web.Request) -> web.Response:
        async with turn:  # however many ask, one text is made at a time, and it serves for a second
            now = asyncio.get_running_loop().time()
            if now - last.made_at >= FRESH_FOR:
                last.text = await write_page()
                last.made_at = asyncio.get_running_loop().time()
        return web.Response(body=last.text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return show


def _health(verdicts: Verdicts) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def show(_: web.Request) -> web.Response:
        now = verdicts()
        lines = "".join(f"{'ok  ' if holds else 'FAIL'} {name}\n" for name, holds in sorted(now.items()))
        return web.Response(text=lines or "ok\n", status=200 if all(now.values()) else 503)

    return show
