"""An API server on loopback that answers by script, badly where it says so; and a clock that only pauses move."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from homeostat.kube.apiserver.client import ApiClient, Timing
from homeostat.kube.apiserver.credentials import Credentials, FixedIdentity, Identity, IdentitySource

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class ScriptedApi:
    """Plays its behaviours one after the other, the last one for ever."""

    script: list[Behaviour]
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), body))
        behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await behaviour(request)


def answers(code: int, body: Any = None, headers: dict[str, str] | None = None) -> Behaviour:
    """Answer with JSON."""

    async def behave(_request: web.Request) -> web.Response:
        return web.json_response({} if body is None else body, status=code, headers=headers)

    return behave


def refuses(code: int, reason: str, headers: dict[str, str] | None = None, **status: Any) -> Behaviour:
    """Answer with a metav1.Status."""
    return answers(code, {"kind": "Status", "status": "Failure", "reason": reason, "code": code, **status}, headers)


def says(text: str, code: int = 200) -> Behaviour:
    """Answer with a text that may not be JSON."""

    async def behave(_request: web.Request) -> web.Response:
        return web.Response(text=text, status=code)

    return behave


async def truncates(request: web.Request) -> web.StreamResponse:
    """Announce more than is sent, then close."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"items": [')
    if request.transport is not None:
        request.transport.close()
    return response


async def resets(request: web.Request) -> web.StreamResponse:
    """Break the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def hangs(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    return web.Response()


@asynccontextmanager
async def serving(*script: Behaviour) -> AsyncIterator[ScriptedApi]:
    """Serve a script on a free port of loopback."""
    api = ScriptedApi(list(script))
    async with serving_handler(api.handle) as url:
        api.url = url
        yield api


@asynccontextmanager
async def serving_handler(handler: Behaviour) -> AsyncIterator[str]:
    """Serve one handler for every path; gives the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Pauses:
    """Time that passes only in pauses, all of them noted."""

    taken: list[float] = field(default_factory=list)

    def timing(self) -> Timing:
        return Timing(monotonic=lambda: sum(self.taken), sleep=self._sleep, jitter=lambda: 1.0)

    async def _sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


def credentials(url: str, source: IdentitySource | None = None) -> Credentials:
    """Credentials for a plain server on loopback."""
    return Credentials(server=url, source=source or FixedIdentity(Identity(token="known")))  # noqa: S106


def client_of(url: str, pauses: Pauses | None = None, **options: Any) -> ApiClient:
    """A client whose pauses cost no time."""
    return ApiClient(credentials(url), timing=(pauses or Pauses()).timing(), **options)
