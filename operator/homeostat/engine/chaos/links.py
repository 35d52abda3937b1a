"""The links to fault agents: each stays attached to one agent while somebody asks for it, and beats while permitted.

An agent's fault is on only as long as it is beaten for, so this is the operator's own half of the dead-man lease (C4).
A link beats once a second while two things hold: the experiment permitted it within the last seconds (HoldAgent), and
this replica leads. Nothing else is kept: an operator that was restarted attaches anew to the agents on record, and its
first permission makes the link. An operator that is told to stop decides nothing more, so permissions run out within
seconds; so does the lease, unless the next leader's permission comes first.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from homeostat.core.orders import Said
from homeostat.core.ref import Ref
from homeostat.engine.chaos.link import Link
from homeostat.engine.crew import Crew
from homeostat.engine.objects import Key
from homeostat.ports import AgentWires, Clock, Forbidden, Gone, Rejected, Unavailable, Wire

log = structlog.get_logger("homeostat.agents")

MOST_LINKS: Final = 1000
EVERY: Final = 1.0
"""Seconds between beats."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
FAREWELL: Final = 0.05
"""Beats for which the other end of an attachment may take its leave: one that is broken never does."""
CATCH_UP_SECONDS: Final = 5.0
REMEMBERED: Final = 600.0
"""Seconds for which an agent's last word is remembered after nobody asked for it."""


class Heard(NamedTuple):
    """What an agent said last, and when."""

    said: Said | None
    at: datetime | None


class AgentLinks:
    """All links, by the pod's uid and the container's name. `wake` is told of experiments of which an agent changed."""

    def __init__(
        self, wires: AgentWires, clock: Clock, may_act: Callable[[], bool], wake: Callable[[Key], None],
        every: float = EVERY,
    ) -> None:  # fmt: skip
        self._wires = wires
        self._clock = clock
        self._may_act = may_act
        self._wake = wake
        self._every = every
        self._links: dict[tuple[str, str], Link] = {}
        self._crew = Crew(self._keep, MOST_LINKS)

    async def run(self) -> None:
        """Keep links until cancelled."""
        async with self._crew:
            await asyncio.Event().wait()

    # --- what is asked for --------------------------------------------------------------------------------

    def attend(self, pod: Ref, name: str, experiment: Key | None = None) -> None:
        """Hear what an agent says, for a while, and wake its experiment by it."""
        link = self._link(pod, name)
        link.experiment = experiment or link.experiment
        link.want(self._clock.monotonic())
        self._start(link)

    async def recall(self, pod: Ref, name: str, experiment: Key) -> None:
        """Read the last word of an agent that has ended and that nobody here has heard.

        Only the first reading is waited for. While a log cannot be read, others are beaten for by what follows.
        """
        link = self._link(pod, name)
        link.experiment = experiment
        link.remember(self._clock.monotonic())
        is_first, link.has_ended = not link.has_ended, True
        if is_first:
            await self._read_back(link)
        else:
            self._set_going(link)

    def hold(self, pod: Ref, name: str, seconds: float) -> None:
        """Beat for an agent, for so many seconds from now."""
        link = self._link(pod, name)
        link.hold(self._clock.monotonic(), seconds)
        self._start(link)

    def stop(self, pod: Ref, name: str) -> None:
        """Beat no more, and tell the agent to take the fault off."""
        link = self._link(pod, name)
        link.stop(self._clock.monotonic())
        self._start(link)

    def knows(self, uid: str, name: str) -> bool:
        """Whether nothing is to be recalled: we lately heard an agent's last word, or read all that it left."""
        link = self._links.get((uid, name))
        return link is not None and (link.is_over or link.is_read)

    def was_told(self, uid: str, name: str) -> bool:
        """Whether we sent an agent a beat, of which the first ever lets it begin; to be permitted is not enough."""
        link = self._links.get((uid, name))
        return link is not None and link.beats > 0

    def heard(self, uid: str, name: str) -> Heard:
        """Give what an agent said last."""
        link = self._links.get((uid, name))
        return Heard(link.said, link.heard_at) if link else Heard(None, None)

    def _link(self, pod: Ref, name: str) -> Link:
        self._forget_old()
        return self._links.setdefault((pod.uid, name), Link(pod, name))

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - REMEMBERED
        old = [key for key, link in self._links.items() if not link.is_running and link.wanted_until < oldest]
        for key in old:
            del self._links[key]

    def _start(self, link: Link) -> None:
        if link.is_wanted(self._clock.monotonic()):
            self._set_going(link)

    def _set_going(self, link: Link) -> None:
        if not link.is_running:
            link.is_running = True
            self._crew.put(link)

    # --- one link -----------------------------------------------------------------------------------------

    async def _keep(self, link: Link) -> None:
        """Stay attached while it is wanted; a connection that breaks is made again."""
        pause = FIRST_PAUSE
        try:
            if link.has_ended:
                await self._read_back(link)
            while link.is_wanted(self._clock.monotonic()):
                was_heard = await self._attach(link)
                if not link.is_wanted(self._clock.monotonic()):
                    break
                pause = FIRST_PAUSE if was_heard else min(LONGEST_PAUSE, pause * 2)
                await asyncio.sleep(pause * self._every)
        except Exception:  # a bug in one link spares the others: its agent ends by itself
            log.exception("bug", **_names(link))
        finally:
            link.is_running = False

    async def _attach(self, link: Link) -> bool:
        """Attach once, for as long as it lasts; give whether anything was heard.

        An attachment that broke has to be made again in time: that one looks back while it beats. But an agent that is
        over refuses it, or lets it end before a word is heard.
        """
        was_heard = is_broken = False
        try:
            async with asyncio.timeout(None) as leaving, self._wires.attached(link.pod, link.name) as wire:
                link.attached()
                was_heard = await self._converse(link, wire)
                is_broken = was_heard or not link.silent_in(self._clock.monotonic(), self._every)
                leaving.reschedule(asyncio.get_running_loop().time() + FAREWELL * self._every)
        except TimeoutError:
            log.debug("attachment left without a farewell", **_names(link))
        except Unavailable as error:
            log.debug("agent not reached", **_names(link), error=str(error))
            return was_heard
        except (Forbidden, Gone, Rejected) as error:
            log.debug("agent not reached", **_names(link), error=str(error))
        if not is_broken and not link.is_over:
            await self._catch_up(link)
        return was_heard

    async def _converse(self, link: Link, wire: Wire) -> bool:
        """Beat and listen side by side, until either has a reason to end; give whether anything was heard."""
        was_heard = False
        async with asyncio.TaskGroup() as group:
            aside = group.create_task(self._beat(link, wire)), group.create_task(self._catch_up(link))
            while not link.is_over and (line := await wire.hear()) is not None:
                was_heard = self._take(link, [line]) or was_heard
            for task in aside:
                task.cancel()
        return was_heard

    async def _beat(self, link: Link, wire: Wire) -> None:
        """Beat while it is permitted; close the wire when nobody wants it or nobody answers."""
        while link.is_wanted(now := self._clock.monotonic()) and (patience := link.silent_in(now, self._every)):
            wait = link.due_in(now, self._every)
            if link.may_beat(now) and self._may_act() and not wait:
                try:
                    await wire.send(link.next_beat(now).line())
                except Unavailable:
                    break
                continue
            await link.rung(min(wait or self._every, patience))
        await wire.close()

    async def _read_back(self, link: Link) -> None:
        """Read the log of an agent that has ended: nothing can come after it."""
        link.is_read = await self._catch_up(link) or link.is_read

    async def _catch_up(self, link: Link) -> bool:
        """Read what it said while nobody listened, perhaps its last word; say whether that could be read."""
        with suppress(Unavailable, Forbidden, Gone, Rejected, TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS):
                lines = await self._wires.last_lines(link.pod, link.name)
            self._take(link, lines, is_old=True)
            return True
        return False

    def _take(self, link: Link, lines: Iterable[bytes], *, is_old: bool = False) -> bool:
        """Take the newest word of `lines`; give whether there is one.

        An old one proves no life, unless it is the first or the last of all.
        """
        said = _newest(lines)
        if said is None:
            return False
        is_new = link.take(said)
        if is_new or not is_old:
            link.heard_at = self._clock.now()
            link.heard(said)
        if link.is_over:
            link.bell.set()
        if is_new:
            log.info("agent", **_names(link), state=said.state.value, reason=said.reason, message=said.message)
            if link.experiment is not None:
                self._wake(link.experiment)
        return True


def _newest(lines: Iterable[bytes]) -> Said | None:
    """Give the last line that is an agent's word, and not somebody's complaint on the way."""
    newest = None
    for line in lines:
        with suppress(ValueError):
            newest = Said.read(line)
    return newest


def _names(link: Link) -> dict[str, str]:
    return {"namespace": link.pod.namespace, "pod": link.pod.name, "container": link.name}
