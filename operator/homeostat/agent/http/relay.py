"""One connection through the relay: what a client says is passed on byte by byte, and the fault meets some requests.

Two tasks carry it, one each way. Requests go one at a time: the next is passed on when the one before has its answer,
so that an answer of ours stands in its place. What cannot be read (TLS, HTTP/2, anything else), and what follows a
switch of protocols, passes untouched until the end. Each way ends by itself, as the ends of the connection do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from homeostat.agent.http.answer import answer_to
from homeostat.agent.http.body import BadChunk, Body
from homeostat.agent.http.ends import End
from homeostat.agent.http.message import Request, Response, Unreadable, read_request, read_response


@dataclass(frozen=True, slots=True)
class Meeting:
    """What a request that is met gets: this status instead of its answer, or its answer so many seconds late."""

    status: int | None
    delay: float


@dataclass(slots=True)
class Tally:
    """What the relay saw: requests, those that the fault met, and connections that it could not read."""

    requests: int = 0
    hit: int = 0
    unread: int = 0


class _Over(Exception):
    """The connection has ended in good order, before the program behind knows."""


class Connection:
    """One client, and the program behind."""

    def __init__(self, client: End, server: End, meet: Callable[[], Meeting | None], tally: Tally) -> None:
        self._client = client
        self._server = server
        self._meet = meet
        self._tally = tally
        self._is_raw = False
        self._awaited: tuple[Request, float] | None = None
        """The request that has no answer yet, and by how many seconds that is to be late."""
        self._is_answered = asyncio.Event()
        self._is_answered.set()

    async def carry(self) -> None:
        """Carry both ways until both have ended."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry_requests())
                group.create_task(self._carry_responses())
        except* _Over:
            pass
        except* OSError:
            self._client.reset()
            self._server.reset()
        finally:
            self._client.close()
            self._server.close()

    async def _carry_requests(self) -> None:
        while (request := await self._next_request()) is not None:
            self._tally.requests += 1
            meeting = self._meet()
            self._tally.hit += meeting is not None
            if meeting is not None and meeting.status is not None:
                if not await self._answer(request, meeting.status):
                    await self._close_after_answer()
            else:
                await self._pass_on(request, meeting.delay if meeting is not None else 0.0)
        await self._pass_all(self._client, self._server)

    async def _next_request(self) -> Request | None:
        """Wait for a head, and for the answer to the one before; None when there is none to read."""
        is_open = True
        while not self._is_raw:
            try:
                request = read_request(self._client.data)
            except Unreadable:
                await self._is_answered.wait()
                self._give_up_reading()
                return None
            if request is not None:
                await self._is_answered.wait()
                self._client.take(len(request.raw))
                return request
            if not is_open:
                return None
            is_open = await self._client.more()
        return None

    async def _pass_on(self, request: Request, delay: float) -> None:
        self._awaited = (request, delay)
        self._is_answered.clear()
        await self._server.send(request.raw)
        if not await self._pass_body(request.body(), self._client, self._server):
            self._give_up_reading()
        if request.may_switch:
            await self._is_answered.wait()

    async def _answer(self, request: Request, status: int) -> bool:
        """Answer in the program's place, once the request is all there; give whether the connection goes on."""
        goes_on = not request.is_last and not request.fields.expects_continue
        if not request.fields.expects_continue:
            goes_on = await self._pass_body(request.body(), self._client, None) and goes_on
        await self._client.send(answer_to(request, status, goes_on=goes_on))
        return goes_on

    async def _close_after_answer(self) -> None:
        """End the connection. What the client still sends is read: else a reset would outrun the answer."""
        self._client.end()
        while await self._client.more():
            self._client.data.clear()
        raise _Over

    async def _carry_responses(self) -> None:
        while await self._server.more():
            while self._server.data and await self._carry_response():
                pass
        self._note_answered()
        await self._client.send(self._server.take(len(self._server.data)))
        self._client.end()

    async def _carry_response(self) -> bool:
        """Pass on what there is; False when a head is not all there."""
        if self._awaited is None or self._is_raw:
            await self._client.send(self._server.take(len(self._server.data)))
            return True
        request, delay = self._awaited
        try:
            response = read_response(self._server.data, request.method)
        except Unreadable:
            self._give_up_reading()
            return True
        if response is None:
            return False
        await self._pass_response(response, delay)
        return True

    async def _pass_response(self, response: Response, delay: float) -> None:
        if not response.is_interim:
            await asyncio.sleep(delay)
        await self._client.send(self._server.take(len(response.raw)))
        if response.is_interim:
            return
        if response.switches:
            self._is_raw = True
        elif not await self._pass_body(response.body(), self._server, self._client):
            self._give_up_reading()
        self._note_answered()

    async def _pass_body(self, body: Body, source: End, target: End | None) -> bool:
        """Pass a body on, or away; False when its end was not found."""
        try:
            while not body.is_over:
                taken = source.take(body.take(source.data))
                if target is not None:
                    await target.send(taken)
                if not taken and not await source.more():
                    return True
        except BadChunk:
            return False
        return True

    async def _pass_all(self, source: End, target: End) -> None:
        await target.send(source.take(len(source.data)))
        while await source.more():
            await target.send(source.take(len(source.data)))
        target.end()

    def _note_answered(self) -> None:
        """Note that no answer is awaited any more."""
        self._awaited = None
        self._is_answered.set()

    def _give_up_reading(self) -> None:
        """Let everything pass from here on."""
        self._tally.unread += not self._is_raw
        self._is_raw = True
        self._note_answered()
