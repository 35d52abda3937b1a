"""Attachments to the containers of fault agents (`ports.AgentWires`): lines in and out, over one WebSocket each.

Each message is one byte that names its stream, and what flows there. What does not flow within a few seconds is a
broken connection: an agent ends by itself when nobody is heard of (C4).
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
import structlog

from homeostat.core.orders import LONGEST_LINE
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import ApiClient, Request
from homeostat.kube.apiserver.resources import POD
from homeostat.ports import Unavailable

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ENDED = range(4)
SEND_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 1.0
LAST_LINES: Final = 20
_SHOWN: Final = 512  # bytes of a line that is no agent's word
_MOST_SHOWN: Final = 20
_STREAMS: Final[Mapping[str, str]] = {"stdin": "true", "stdout": "true", "stderr": "true"}

log = structlog.get_logger("homeostat.attach")


class Lines:
    """Bytes as they come → lines. A line that is too long is nobody's, and dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_too_long = False

    def take(self, data: bytes) -> list[bytes]:
        """Give the lines that are whole by now, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._is_too_long and lines:
            lines, self._is_too_long = lines[1:], False
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._is_too_long = b"", True
        return [line for line in lines if len(line) <= LONGEST_LINE]


class SocketWire:
    """`ports.Wire` on a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, container: str) -> None:
        self._socket = socket
        self._container = container
        self._heard: deque[bytes] = deque()
        self._out = Lines()
        self._shown = 0

    async def send(self, line: bytes) -> None:
        """Write a line to the container's standard input; raises Unavailable when the connection broke."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_bytes(bytes([STDIN]) + line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("the attachment broke") from error

    async def hear(self) -> bytes | None:
        """Wait for the next line of its standard output; None when the connection, or the container, has ended."""
        while not self._heard:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return None
            if message.data[:1] == bytes([ENDED]):
                self._tell(message.data[1:])
                return None
            self._take(message.data[:1], message.data[1:])
        return self._heard.popleft()

    async def close(self) -> None:
        """End the attachment; the container is none the wiser."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close()

    def _take(self, stream: bytes, data: bytes) -> None:
        if stream == bytes([STDOUT]):
            self._heard.extend(self._out.take(data))
        elif data and self._shown < _MOST_SHOWN:
            self._shown += 1
            log.debug("agent complains", container=self._container, text=data[:_SHOWN].decode(errors="replace"))

    def _tell(self, status: bytes) -> None:
        """Say how the attachment ended: a metav1.Status, of which the reason is enough."""
        with suppress(ValueError, AttributeError):
            told = json.loads(status)
            log.debug("attachment ended", container=self._container, status=told.get("status"), why=told.get("reason"))


class ApiAgentWires:
    """`ports.AgentWires` on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @asynccontextmanager
    async def attached(self, pod: Ref, container: str) -> AsyncIterator[SocketWire]:
        """Attach to a container that runs. Raises Gone, Unavailable, Forbidden or Rejected."""
        path = POD.path(pod.namespace, pod.name, "attach")
        wire = SocketWire(
            await self._client.websocket(path, {"container": container, **_STREAMS}, PROTOCOLS), container
        )
        try:
            yield wire
        finally:
            await wire.close()

    async def last_lines(self, pod: Ref, container: str) -> Sequence[bytes]:
        """Read the newest lines of its log, oldest first. Raises Gone, Unavailable, Forbidden or Rejected."""
        path = POD.path(pod.namespace, pod.name, "log")
        query = {"container": container, "tailLines": str(LAST_LINES)}
        answer = await self._client.send(Request("GET", path, query, is_text=True))
        return [line.encode() for line in str(answer["text"]).splitlines() if len(line) <= LONGEST_LINE]
