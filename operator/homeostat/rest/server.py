"""Our API on a port of its own: /api/v1. Whoever asks gets JSON, within bounds of size, time and number."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from typing_extensions import override

from homeostat.rest import routes
from homeostat.rest.answers import LATER, SOON, Trouble, answer, away, trouble_answer
from homeostat.rest.body import BODIES, Bodies
from homeostat.rest.certificate import ServerCertificate
from homeostat.rest.desk import Desk, NotServing

log = structlog.get_logger("homeostat.rest")

MOST_CONNECTIONS, MOST_AT_ONCE = 1024, 256
IDLE_FOR = 30.0
"""Seconds that a connection may take to send the head of a request, or to send the next one."""
LINGER_FOR = 2.0
"""Seconds that a body which nobody wants is drained, so that the client can read why."""
ANSWER_WITHIN = 60.0  # seconds
LAST_ANSWERS = 3.0  # seconds that a stop leaves to requests under way

GetDesk = Callable[[], Desk | NotServing]
"""Gives what is served now; a replica that does not lead or has not loaded says so."""
CountRequest = Callable[[str, str], None]
"""Told of each request: (route, status class)."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ROUTE = web.RequestKey("_ROUTE", str)
_SAID = {
    NotServing.NOT_LEADER: "This replica stands by; another one leads.",
    NotServing.NOT_READY: "This replica has not loaded yet.",
}


@asynccontextmanager
async def serving_api(
    host: str,
    port: int,
    desk: GetDesk,
    *,
    certificate: ServerCertificate | None = None,
    count: CountRequest = lambda _route, _status: None,
) -> AsyncIterator[int]:
    """Serve until the context is left; give the port (useful when 0 was asked for)."""
    runner = web.AppRunner(
        _application(desk, count), access_log=None, handle_signals=False, shutdown_timeout=LAST_ANSWERS
    )
    await runner.setup()
    loop, handler = asyncio.get_running_loop(), runner.server
    if handler is None:
        raise RuntimeError("the runner was not set up")
    connection = partial(
        _Connection,
        handler,
        loop=loop,
        keepalive_timeout=IDLE_FOR,
        lingering_time=LINGER_FOR,
        access_log=None,  # type: ignore[arg-type] # None is no log, says its documentation
        auto_decompress=False,
    )
    server = await loop.create_server(
        connection,
        host,
        port,
        ssl=certificate.context if certificate else None,
        ssl_handshake_timeout=IDLE_FOR if certificate else None,
    )
    if certificate is not None:
        certificate.keep_fresh()
    try:
        yield _port_of(server.sockets)
    finally:
        if certificate is not None:
            certificate.close()
        server.close()
        await runner.cleanup()


def _port_of(sockets: "tuple[socket.socket, ...]") -> int:
    return int(sockets[0].getsockname()[1])


def _application(desk: GetDesk, count: CountRequest) -> web.Application:
    gate = _Gate(desk, count)
    app = web.Application(middlewares=[gate.answer_errors])
    app[BODIES] = Bodies()
    objective = "/api/v1/slo/{namespace}/{name}"
    for method, path, name, route in (
        ("POST", f"{objective}/events", "events", routes.push_events),
        ("GET", objective, "slo", routes.show_objective),
        ("GET", "/api/v1/slo", "slo", routes.list_objectives),
        ("GET", "/api/v1/alerts", "alerts", routes.list_alerts),
        ("POST", "/api/v1/alerts/{namespace}", "told", routes.tell_alerts),
    ):
        app.router.add_route(method, path, gate.guarded(name, route), expect_handler=_expect)
    return app


async def _expect(request: web.Request) -> None:
    """Say nothing yet to a client that asks before it sends its body: it is told once it is let in."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise Trouble(HTTPStatus.EXPECTATION_FAILED, "ExpectationFailed", "Only 100-continue can be expected.")


class _Gate:
    """What every request passes: a place, somebody who serves, a time limit; whatever fails is told as JSON."""

    def __init__(self, desk: GetDesk, count: CountRequest) -> None:
        self._desk = desk
        self._count = count
        self._inside = 0

    def guarded(self, name: str, route: routes.Route) -> Handler:
        """Make a handler of a route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request[_ROUTE] = name
            desk = self._desk()
            if isinstance(desk, NotServing):
                raise _elsewhere(desk)
            if self._inside >= MOST_AT_ONCE:
                told = "Too many requests at the same time."
                raise Trouble(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", told, headers={"Retry-After": SOON})
            self._inside += 1
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    return await route(request, desk)
            finally:
                self._inside -= 1

        return handle

    @property
    def answer_errors(self) -> Any:  # noqa: ANN401 - aiohttp's own type of a middleware
        """Answer whatever goes wrong in the one form that errors have."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await self._answered(request, handler)
            self._count(request.get(_ROUTE, "none"), f"{response.status // 100}xx")
            return response

        return middleware

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Trouble as trouble:
            return trouble_answer(trouble)
        except web.HTTPException as error:
            return _plain(error)
        except ConnectionError:
            raise  # nobody is there to be answered
        except TimeoutError:
            response = trouble_answer(away("TooSlow", "This took too long: repeat with the same key."))
        except Exception:
            log.exception("request failed", route=request.get(_ROUTE, "none"))
            response = answer(_INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR)
        if routes.BEGUN in request:
            raise ConnectionError("half an answer is on its way: the client sees that it is not whole")
        return response


def _elsewhere(standing: NotServing) -> Trouble:
    """Make the error of a replica that serves nobody. A client that kept the connection would come back to it."""
    headers = {"Retry-After": LATER, "Connection": "close"}
    return Trouble(HTTPStatus.SERVICE_UNAVAILABLE, standing, _SAID[standing], headers=headers)


_INTERNAL = {"error": {"reason": "Internal", "message": "This is a bug of ours, and is in our log."}}


def _plain(error: web.HTTPException) -> web.Response:
    """Put what the router refuses into our form: no such path, or not with this method."""
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": error.headers.get("Allow", "")}
        told = Trouble(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", "Not with this method.", headers=headers)
    elif error.status == HTTPStatus.NOT_FOUND:
        told = Trouble(HTTPStatus.NOT_FOUND, "UnknownPath", "There is nothing at this path.")
    else:
        told = Trouble(HTTPStatus(error.status), "BadRequest", "This cannot be answered.")
    return trouble_answer(told)


class _Connection(web.RequestHandler):  # type: ignore[type-arg,unused-ignore]
    """One connection: refused when there are too many, and answered with JSON even when it speaks no HTTP."""

    __slots__ = ()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._manager is not None and len(self._manager.connections) >= MOST_CONNECTIONS:
            transport.close()
            return
        super().connection_made(transport)

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        if not isinstance(exc, ConnectionError) and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed", error=type(exc).__name__)
        bad = Trouble(HTTPStatus(status), "BadRequest", "This is no HTTP request that can be read.")
        response = trouble_answer(bad)
        response.force_close()
        return response
