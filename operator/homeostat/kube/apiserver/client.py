"""A thin client of the API server: JSON dicts in and out, one session, bounded patience.

Errors are those of `ports`: 409 → Conflict, 404 → Gone, 401 and 403 → Forbidden, 400 and 422 → Rejected, anything
that patience did not cure → Unavailable. **After Unavailable a write may or may not have happened: read again.**
aiohttp itself repeats a GET or DELETE whose kept-alive connection was closed: our DELETEs name a uid, so it may.
Request bodies, answers and tokens are never logged and never part of an error, except the message of a Rejected.
"""

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from homeostat.kube.apiserver.answers import Answer, Expired, Fate, error_of, may_try_again
from homeostat.kube.apiserver.credentials import Credentials, Identity
from homeostat.kube.apiserver.gate import OpenGate, Urgency, WriteGate
from homeostat.ports import UNTRACED, Tracer

JSON = "application/json"
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

WEBSOCKET_MESSAGE = 64 * 1024
"""The longest message that is taken from a WebSocket, in bytes."""
PAGE, METADATA_PAGE = 100, 500
"""Objects of a page: whole ones may be 1.5 MB each, of which somebody may have made many."""
_READS = frozenset({"GET", "HEAD"})
_encode = json.JSONEncoder(separators=(",", ":")).encode
Count = Callable[[str, str], None]
"""Told of each attempt: (method, status class)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request is tried: `timeout` per attempt, `total` for all with their pauses, in seconds."""

    timeout: float = 10.0
    total: float = 20.0
    first_pause: float = 0.2
    longest_pause: float = 5.0

    def pause(self, attempt: int, jitter: float) -> float:
        """Give the pause after attempt 0, 1, 2 …: doubling, with full jitter (0 ≤ `jitter` < 1) on the upper half."""
        whole = min(self.longest_pause, self.first_pause * 2 ** min(attempt, 16))
        return float(whole * (0.5 + jitter / 2))


@dataclass(frozen=True, slots=True)
class Timing:
    """The client's only ways to know and to spend time, and its dice."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


def _count_nothing(_method: str, _status_class: str) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request; `path` is absolute and encoded, `timeout` (seconds) overrides the client's per attempt.

    `is_text`: the answer is no JSON; it comes as {"text": …}.
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Any = None
    content_type: str = JSON
    accept: str = JSON
    timeout: float | None = None
    urgency: Urgency = Urgency.STATUS
    is_text: bool = False

    @property
    def name(self) -> str:
        """What errors call it: nothing of its query or body."""
        return f"{self.method} {self.path}"

    @property
    def facts(self) -> dict[str, str]:
        """What traces say of it: the method and the kind of objects, nothing of their names, its query or body."""
        return {"http.request.method": self.method, "homeostat.resource": resource_of(self.path)}

    @property
    def is_write(self) -> bool:
        """Whether it may change anything."""
        return self.method not in _READS


class ApiClient:
    """One connection pool to one API server. Use as `async with`."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        gate: WriteGate | None = None,
        count: Count = _count_nothing,
        patience: Patience | None = None,
        timing: Timing | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self.credentials = credentials
        self.tracer = tracer
        self._gate = gate or OpenGate()
        self._count = count
        self._patience = patience or Patience()
        self._timing = timing or Timing()
        self._session: aiohttp.ClientSession | None = None
        self._sockets: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._tls_of: Identity | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True, trust_env=False)
        # WebSockets stay open: among the others they would use up the connections for requests
        self._sockets = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._session, self._sockets):
            if session is not None:
                await session.close()

    async def request(  # noqa: PLR0913 - the parts of an HTTP request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - any JSON
        content_type: str = JSON,
        timeout: float | None = None,  # noqa: ASYNC109 - a budget per attempt, kept inside
        urgency: Urgency = Urgency.STATUS,
    ) -> dict[str, Any]:
        """Send one request and give the JSON object of the answer; raises the exceptions of `ports`."""
        call = Request(method, path, query, body, content_type, timeout=timeout, urgency=urgency)
        return await self.send(call)

    async def send(self, request: Request) -> dict[str, Any]:
        """Send a request, again where that can help and do no harm, until patience ends."""
        if not self.tracer.is_on:
            return await self._send_patiently(request)
        with self.tracer.span("api request", request.facts):
            return await self._send_patiently(request)

    async def _send_patiently(self, request: Request) -> dict[str, Any]:
        timing, give_up_at = self._timing, self._timing.monotonic() + self._patience.total
        attempt = 0
        while True:
            answer = await self._send_as_known(request)
            if answer.is_good:
                return answer.body
            pause = self._patience.pause(attempt, timing.jitter())
            pause = max(pause, answer.retry_after or 0.0)
            is_hopeless = not may_try_again(answer, is_write=request.is_write)
            if is_hopeless or timing.monotonic() + pause > give_up_at:
                raise error_of(answer, request.name)
            await timing.sleep(pause)
            attempt += 1

    async def pages(
        self, path: str, *, query: Mapping[str, str] | None = None, accept: str = JSON
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """List a collection page by page.

        When the listing expires under way (410) it starts again, once: objects then come twice, the later being
        the newer. Raises Unavailable when it expires again.
        """
        token, restarts = "", 0
        while True:
            try:
                page = await self.send(Request("GET", path, _page_query(query, token, accept), accept=accept))
            except Expired:
                if restarts or not token:
                    raise
                token, restarts = "", 1
                continue
            yield page.get("items") or []
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    async def collect(self, path: str, *, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """List a whole collection, each object once."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        async for page in self.pages(path, query=query):
            for item in page:
                found[item["metadata"].get("namespace", ""), item["metadata"]["name"]] = item
        return list(found.values())

    async def websocket(
        self, path: str, query: Mapping[str, str], protocols: Sequence[str]
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket, which the caller closes; raises the exceptions of `ports`. It is tried once."""
        opened = await self._upgrade(path, query, protocols, await self.credentials.source.identity(renew=False))
        if isinstance(opened, Answer) and opened.code == 401:  # noqa: PLR2004
            renewed = await self.credentials.source.identity(renew=True)
            opened = await self._upgrade(path, query, protocols, renewed)
        if isinstance(opened, Answer):
            raise error_of(opened, f"GET {path}")
        return opened

    async def _upgrade(
        self, path: str, query: Mapping[str, str], protocols: Sequence[str], identity: Identity
    ) -> aiohttp.ClientWebSocketResponse | Answer:
        """Do the handshake; what is no WebSocket then is an Answer that says why."""
        opened = await self._shake_hands(path, query, protocols, identity)
        self._count("GET", opened.status_class if isinstance(opened, Answer) else "1xx")
        return opened

    async def _shake_hands(
        self, path: str, query: Mapping[str, str], protocols: Sequence[str], identity: Identity
    ) -> aiohttp.ClientWebSocketResponse | Answer:
        if self._sockets is None:
            raise RuntimeError("the client is not open: use `async with`")
        try:
            async with asyncio.timeout(self._patience.timeout):
                return await self._sockets.ws_connect(
                    self.credentials.server + path,
                    params=query,
                    protocols=protocols,
                    headers=_headers(Request("GET", path), identity),
                    ssl=self._tls_for(identity),
                    server_hostname=self.credentials.tls_server_name,
                    max_msg_size=WEBSOCKET_MESSAGE,
                )
        except aiohttp.WSServerHandshakeError as error:
            return Answer(Fate.ANSWERED, error.status)
        except aiohttp.ClientConnectorError:
            self._tls = None
            return Answer(Fate.NOT_SENT)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Answer(Fate.UNKNOWN)

    async def _send_as_known(self, request: Request) -> Answer:
        """Send with the identity at hand; when the server does not know it (401), renew it once and send again."""
        answer = await self._send_once(request, await self.credentials.source.identity(renew=False))
        if answer.code == 401:  # noqa: PLR2004
            renewed = await self.credentials.source.identity(renew=True)
            answer = await self._send_once(request, renewed)
        return answer

    async def _send_once(self, request: Request, identity: Identity) -> Answer:
        if request.is_write:
            await self._gate.pass_(request.urgency)
        answer = await self._exchange(request, identity)
        self._count(request.method, answer.status_class)
        self.tracer.event("answered", {"http.response.status_code": answer.code or 0})
        return answer

    async def _exchange(self, request: Request, identity: Identity) -> Answer:
        """Do one HTTP exchange; whatever breaks becomes an Answer that says what may have happened."""
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with`")
        seconds = request.timeout or self._patience.timeout
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=seconds / 2)
        try:
            async with self._session.request(
                request.method,
                self.credentials.server + request.path,
                params=request.query,
                data=None if request.body is None else _encode(request.body),
                headers=_headers(request, identity),
                timeout=timeout,
                ssl=self._tls_for(identity),
                server_hostname=self.credentials.tls_server_name,
                allow_redirects=False,
            ) as response:
                raw = await response.read()
                if request.is_text and response.ok:
                    return Answer(Fate.ANSWERED, response.status, {"text": raw.decode(errors="replace")})
                return _read(response.status, response.headers, raw)
        except aiohttp.ClientConnectorError:
            self._tls = None  # perhaps the CA or our certificate was rotated
            return Answer(Fate.NOT_SENT)
        except aiohttp.ConnectionTimeoutError:
            return Answer(Fate.NOT_SENT)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Answer(Fate.UNKNOWN)

    def _tls_for(self, identity: Identity) -> ssl.SSLContext | bool:
        if not self.credentials.server.startswith("https:"):
            return True
        if self._tls is None or self._tls_of is not identity:
            self._tls, self._tls_of = self.credentials.tls_context(identity), identity
        return self._tls


def resource_of(path: str) -> str:
    """Give the resource that a path is about, with its subresource: `deployments/scale`, `namespaces`, `version`."""
    parts = path.strip("/").split("/")
    rest = parts[{"api": 2, "apis": 3}.get(parts[0], 0) :]
    if len(rest) > 2 and rest[0] == "namespaces":  # noqa: PLR2004 - namespaces, a name, and what is in it
        rest = rest[2:]
    return "/".join((rest[0], *rest[2:3])) if rest else path


def _headers(request: Request, identity: Identity) -> dict[str, str]:
    headers = {"Accept": request.accept, "User-Agent": "homeostat"}
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    if identity.token:
        headers["Authorization"] = f"Bearer {identity.token}"
    return headers


def _read(code: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    """Make an Answer of what came; a success that is not a JSON object counts as none at all."""
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        body = None
    if isinstance(body, dict):
        return Answer(Fate.ANSWERED, code, body, _retry_after(headers))
    fate = Fate.UNKNOWN if 200 <= code < 300 else Fate.ANSWERED  # noqa: PLR2004 - 2xx
    return Answer(fate, code, {}, _retry_after(headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _page_query(query: Mapping[str, str] | None, token: str, accept: str) -> dict[str, str]:
    paged = {**(query or {}), "limit": str(METADATA_PAGE if accept == METADATA_LIST else PAGE)}
    if not token:
        return paged
    paged.pop("resourceVersion", None)  # a continue token already says which version it reads
    return paged | {"continue": token}
