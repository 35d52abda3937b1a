"""A proxy before the API server that breaks what it is told to: the tests' only way into what the operator sees.

Plain HTTP in front, the real server behind: there it is who a token is of, that of the request before its own, else the
administrator. Answers stream through, so watches and attachments work. A fault meets requests by method and path;
without any, the proxy only counts.
"""

import asyncio
import base64
import json
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"})
PATIENCE = 30
LINGER = 1.0  # seconds: TLS connections are closed by the loop after the session, which aiohttp does not await

Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse
Forward = Callable[[], Awaitable[web.StreamResponse]]
Effect = Callable[[web.Request, Forward], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that the API server answered, whatever the operator heard of it, and when (epoch seconds)."""

    method: str
    path: str
    code: int
    at: float = field(default_factory=time.time, compare=False)


@dataclass(slots=True)
class Fault:
    """What happens to requests that match, so many times."""

    method: str
    path: re.Pattern[str]
    effect: Effect
    times: float
    body: bytes = b""
    has_hit: threading.Event = field(default_factory=threading.Event)

    def meets(self, method: str, path: str, body: bytes) -> bool:
        """Whether a request is met."""
        is_meant = method in self.method.split("|") and self.body in body
        return is_meant and self.times > 0 and bool(self.path.search(path))


class FaultProxy:
    """The proxy, running in a thread of its own. `url` is where it listens."""

    def __init__(self, kubeconfig: Path, token: str = "", host: str = "127.0.0.1") -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self._host = host
        self._server, self._tls = _upstream(kubeconfig, is_administrator=not token)
        self._identity = {"Authorization": f"Bearer {token}"} if token else {}
        self._faults: list[Fault] = []
        self._is_lost: Callable[[dict[str, Any]], bool] = lambda _event: False
        self._bridges: list[tuple[web.Request, list[asyncio.Task[None]]]] = []
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._is_up.wait(PATIENCE), "the proxy did not start"

    def close(self) -> None:
        """End it, and all that hangs on it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    def on(self, method: str, path: str, effect: Effect, times: float = 1, *, body: bytes = b"") -> Fault:
        """Break the next `times` requests of `method` (or `GET|PUT`) whose path matches and that contain `body`."""
        fault = Fault(method, re.compile(path), effect, times, body)
        self._faults.append(fault)
        return fault

    @contextmanager
    def always(self, method: str, path: str, effect: Effect) -> Iterator[Fault]:
        """Break all such requests meanwhile."""
        fault = self.on(method, path, effect, float("inf"))
        try:
            yield fault
        finally:
            fault.times = 0

    @contextmanager
    def losing(self, is_lost: Callable[[dict[str, Any]], bool]) -> Iterator[None]:
        """Lose the events of watches that `is_lost` picks meanwhile."""
        self._is_lost = is_lost
        try:
            yield
        finally:
            self._is_lost = lambda _event: False

    def count(self, method: str, path: str) -> int:
        """Count the requests that the API server granted."""
        return sum(
            one.method == method and bool(re.search(path, one.path)) and 200 <= one.code < 300 for one in self.seen
        )

    # --- serving --------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)) as session:
            self._session = session
            await runner.setup()
            site = web.TCPSite(runner, self._host, 0)
            await site.start()
            self.url = f"http://{self._host}:{runner.addresses[0][1]}"
            self._is_up.set()
            await self._stop.wait()
            await runner.cleanup()
        await asyncio.sleep(LINGER)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        async def forward() -> web.StreamResponse:
            return await self._forward(request)

        body = await request.read()
        fault = next((one for one in self._faults if one.meets(request.method, request.path_qs, body)), None)
        if fault is None:
            return await forward()
        fault.times -= 1
        try:
            return await fault.effect(request, forward)
        finally:
            fault.has_hit.set()

    def _who(self, request: web.Request) -> dict[str, str]:
        told = request.headers.get("Authorization")
        return {"Authorization": told} if told else self._identity

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._bridge(request)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        async with self._session.request(
            request.method,
            self._server + request.raw_path,
            headers=headers | self._who(request),
            data=await request.read() or None,
            ssl=self._tls,
        ) as answer:
            self.seen.append(Seen(request.method, request.path_qs, answer.status))
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
            if "watch=true" not in request.query_string:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            return await self._stream(request, answer, kept)

    async def _bridge(self, request: web.Request) -> web.StreamResponse:
        """Pass a WebSocket on, message by message; it ends when either side does, or `cut` does."""
        protocols = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        try:
            above = await self._session.ws_connect(
                self._server + request.raw_path, protocols=protocols, ssl=self._tls, headers=self._who(request)
            )
        except aiohttp.WSServerHandshakeError as error:
            self.seen.append(Seen(request.method, request.path_qs, error.status))
            return web.Response(status=error.status)
        self.seen.append(Seen(request.method, request.path_qs, 101))
        below = web.WebSocketResponse(protocols=[above.protocol] if above.protocol else [])
        await below.prepare(request)
        ways = [asyncio.create_task(_pass_on(above, below)), asyncio.create_task(_pass_on(below, above))]
        self._bridges.append((request, ways))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await above.close()
        return below

    def cut_bridges(self) -> None:
        """Cut all WebSockets without a word."""

        def cut() -> None:
            for request, ways in self._bridges:
                if request.transport is not None:
                    request.transport.abort()
                for way in ways:
                    way.cancel()
            self._bridges.clear()

        self._loop.call_soon_threadsafe(cut)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Pass a watch on, line by line. It ends when the proxy ends, or either side does."""
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        rest = b""
        async for chunk in answer.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not self._is_lost(json.loads(line)):
                    await response.write(line + b"\n")
        return response


async def _pass_on(source: Socket, to: Socket) -> None:
    async for message in source:
        await to.send_bytes(message.data)


def _upstream(kubeconfig: Path, *, is_administrator: bool) -> tuple[str, ssl.SSLContext]:
    """Read the administrator's kubeconfig: where the API server is, and how to be known there as who that is of."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

    def pem(holder: dict[str, str], name: str) -> bytes:
        if data := holder.get(f"{name}-data"):
            return base64.b64decode(data)
        return (kubeconfig.parent / holder[name]).read_bytes()

    tls = ssl.create_default_context(cadata=pem(cluster, "certificate-authority").decode())
    if not is_administrator:
        return cluster["server"], tls
    with tempfile.NamedTemporaryFile() as both:
        both.write(pem(user, "client-certificate") + b"\n" + pem(user, "client-key"))
        both.flush()
        tls.load_cert_chain(both.name)
    return cluster["server"], tls


# --- effects ------------------------------------------------------------------------------------------------


def instead(do: Callable[[], None]) -> Effect:
    """Do something, such as to kill the sender, and never pass the request on."""

    async def effect(request: web.Request, _forward: Forward) -> web.StreamResponse:
        await asyncio.to_thread(do)
        return await _cut(request)

    return effect


def after(do: Callable[[], None]) -> Effect:
    """Pass the request on, then do something, such as to kill the sender, before it gets the answer."""

    async def effect(request: web.Request, forward: Forward) -> web.StreamResponse:
        await forward()
        await asyncio.to_thread(do)
        return await _cut(request)

    return effect


def answer(code: int, reason: str, **headers: str) -> Effect:
    """Answer as the API server would when it refuses, without asking it."""

    async def effect(_request: web.Request, _forward: Forward) -> web.StreamResponse:
        return web.json_response(_status(code, reason), status=code, headers=headers)

    return effect


def committed_but(code: int, reason: str) -> Effect:
    """Pass the request on, and answer that it went wrong."""

    async def effect(_request: web.Request, forward: Forward) -> web.StreamResponse:
        await forward()
        return web.json_response(_status(code, reason), status=code)

    return effect


async def drop(request: web.Request, _forward: Forward) -> web.StreamResponse:
    """Cut the connection without a word."""
    return await _cut(request)


async def stall(_request: web.Request, _forward: Forward) -> web.StreamResponse:
    """Say nothing, until the sender gives up or the proxy ends."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def expired_watch(_request: web.Request, _forward: Forward) -> web.StreamResponse:
    """Begin a watch, and tell in it that the version asked for is forgotten."""
    event = {"type": "ERROR", "object": _status(410, "Expired")}
    return web.Response(body=json.dumps(event).encode() + b"\n", content_type="application/json")


async def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()  # the lost connection cancels this
    raise AssertionError("unreachable")


def _status(code: int, reason: str) -> dict[str, Any]:
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": f"{reason} (made up by a test)", "reason": reason, "code": code,
    }  # fmt: skip
