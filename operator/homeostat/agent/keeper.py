"""PID 1 of the agent's container: it keeps the lease, speaks for the fault, and ends it by killing its holder.

There is one way in which a fault ends, SIGKILL to the holder, whether the operator says so, the lease is lost, the time
is over or the container has to go; a crash is no other way. Then the keeper looks whether anything is left, and only
when nothing is does it say Off.
"""

import os
import select
import signal
import time
from contextlib import suppress
from typing import Final

from homeostat.agent.fault import Refused
from homeostat.agent.faults import fault_of
from homeostat.agent.holder import start_holder
from homeostat.agent.lease import FIRST_BEAT_SECONDS, Lease
from homeostat.agent.mail import Mail, say
from homeostat.agent.process import adopt_orphans
from homeostat.core.orders import AgentState, Beat, OffReason, Order, RefusalReason, Said

_LOOK_SECONDS: Final = 0.02
_LONGEST_LOOK: Final = 20.0
_SILENT: Final = "the holder did not answer"
_NEVER_CAME: Final = Said(AgentState.REFUSED, reason=RefusalReason.LEASE, message="the first beat never came")


class Keeper:
    """Keeps one order, from the fork of the holder to its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._mail = Mail(0, order.beat_seconds / 2)
        self._lease: Lease | None = None
        self._is_ready = False
        self._last = Said(AgentState.READY)
        """What the holder said last."""
        self._asked: float | None = None
        """When the first beat that has no answer yet was passed on."""
        self._bell, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_told_to_end = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        adopt_orphans()
        self._holder, self._channel = start_holder(order)
        self._first_beat_until = _now() + FIRST_BEAT_SECONDS
        self._ready_again = 0.0
        """When to say again that it is ready."""

    def keep(self) -> int:
        """Keep the fault until it ends; give the exit code: 0 when nothing of it is left."""
        while True:
            last = self._turn()
            if last is not None:
                return self._close(last)
            self._wait()

    def _turn(self) -> Said | None:
        """Do what is due; give the last word when the fault has to go. The lease is looked at before any old beat."""
        if self._is_told_to_end:
            return self._off(OffReason.ENDED)
        over = self._overdue(_now()) or self._hear() or (self._died() if self._is_holder_gone() else None)
        return over or (self._serve() if self._is_ready else None)

    def _overdue(self, now: float) -> Said | None:
        if self._lease is None:
            return _NEVER_CAME if self._is_ready and now >= self._first_beat_until else None
        reason = self._lease.reason(now)
        if reason is not None:
            return self._off(reason)
        is_silent = self._asked is not None and now - self._asked >= self._lease.length
        return self._off(OffReason.HOLDER_DIED, _SILENT) if is_silent else None

    def _serve(self) -> Said | None:
        """Take beats; until the go comes, say Ready again: who attaches may miss it before the runtime passes it on."""
        last, now = self._take_beats(), _now()
        if last is None and self._lease is None and now >= self._ready_again:
            say(self._last)
            self._ready_again = now + self._order.beat_seconds
        return last

    def _wait_for_the_go(self, now: float) -> None:
        self._is_ready = True
        self._first_beat_until = now + FIRST_BEAT_SECONDS
        self._ready_again = now + self._order.beat_seconds

    def _take_beats(self) -> Said | None:
        for line in self._mail.lines(_now()):
            with suppress(ValueError):  # what is no beat renews nothing
                beat = Beat.read(line)
                if beat.revert:
                    return self._off(OffReason.TOLD)
                self._pass_on(beat)
        return None

    def _pass_on(self, beat: Beat) -> None:
        now = _now()
        if self._lease is None:
            self._lease = Lease(self._order, now)
        self._lease.renew(now)
        self._asked = self._asked or now
        self._channel.beat(beat.number, self._lease.left(now))

    def _hear(self) -> Said | None:
        """Pass on what the holder says; give the last word if it has one, or closed the wire."""
        while (said := self._channel.hear()) is not None:
            if said.state in {AgentState.OFF, AgentState.REFUSED}:
                return said if self._last.state is not AgentState.ON else self._off(OffReason.HOLDER_DIED, said.message)
            self._last = said
            self._asked = None
            say(said)
            if not self._is_ready:
                self._wait_for_the_go(_now())
        return None

    def _died(self) -> Said:
        if (last := self._hear()) is not None:
            return last
        if self._last.state is AgentState.ON:
            return self._off(OffReason.HOLDER_DIED)
        return Said(AgentState.REFUSED, reason=RefusalReason.FAILED, message="the holder died before the fault was on")

    def _off(self, reason: OffReason, message: str = "") -> Said:
        return Said(AgentState.OFF, self._last.mechanism, reason, message, self._last.beat, self._last.counters)

    def _is_holder_gone(self) -> bool:
        """Reap whoever ended, as PID 1 must, and say whether the holder did."""
        while self._holder:
            with suppress(ChildProcessError):
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if pid == self._holder:
                    self._holder = 0
                if pid:
                    continue
            break
        return not self._holder

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.register(self._channel, select.POLLIN)
        now = _now()
        seconds = [self._first_beat_until - now if self._lease is None else self._lease.left(now)]
        if self._is_ready:
            seconds.append(self._mail.register(poll, now))
        if self._is_ready and self._lease is None:
            seconds.append(self._ready_again - now)
        if self._lease is not None and self._asked is not None:
            seconds.append(self._asked + self._lease.length - now)
        poll.poll(max(min(seconds), 0) * 1000 + 1)
        with suppress(BlockingIOError):
            os.read(self._bell, 512)

    def _close(self, last: Said) -> int:
        """End the holder, and say `last` once nothing is left."""
        if self._holder:
            os.kill(self._holder, signal.SIGKILL)
            os.waitpid(self._holder, 0)
        until = _now() + _LONGEST_LOOK
        while left := self._remains():
            if _now() > until:
                say(Said(AgentState.ON, self._last.mechanism, message=f"could not be taken off: {'; '.join(left)}"))
                return 1
            time.sleep(_LOOK_SECONDS)
        say(last)
        return 0

    def _remains(self) -> list[str]:
        if self._lease is None:  # without a beat nothing was begun
            return []
        try:
            return fault_of(self._order).remains()
        except Refused:
            return []
        except OSError as error:
            return [f"cannot look: {error}"]

    def _told_to_end(self, *_: object) -> None:
        self._is_told_to_end = True


def _now() -> float:
    """Give the seconds of the clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
