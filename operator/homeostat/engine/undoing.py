"""The undo Pod: watches the Lease of its guard, and takes the fault off when nobody holds it up any more (C3, C18).

It needs nothing but the API server. While that does not answer it goes on trying, until the kubelet ends it.
"""

import asyncio
from collections.abc import Awaitable
from enum import Enum, auto
from typing import Protocol

import structlog

from homeostat.core.action import HoldFields, Outcome, Verb
from homeostat.core.guarding.held import Fields, Held, Restorable, read_records, restore
from homeostat.core.guarding.watch import Cause, Watch, watch
from homeostat.core.ref import Ref
from homeostat.kube.guards.lease import GuardLease
from homeostat.ports import Clock, Conflict, Forbidden, Gone, Rejected, Unavailable
from homeostat.side_by_side import read_each

log = structlog.get_logger("homeostat.undo")

LOOK_EVERY = 1.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
FAREWELLS = 10
"""So often it tries to say what it did; the operator that comes back must know."""
TROUBLES = (Unavailable, Forbidden, Rejected, Conflict, Gone)


class Came(Enum):
    """What came of one attempt on one target."""

    RESTORED = auto()
    CLEAN = auto()  # there was nothing to restore
    FAILED = auto()


class Post(Protocol):
    """The Lease of the guard."""

    async def read(self) -> GuardLease | None:
        """Read it; None when it is not there."""
        ...

    async def acknowledge(self, records: str, trouble: str) -> None:
        """Say that these records can be restored, or why they cannot."""
        ...

    async def has_fired(self, cause: str) -> None:
        """Say why the fault is taken off now."""
        ...

    async def is_done(self, cause: str, what: str) -> None:
        """Say what came of it, and why."""
        ...


class Hands(Protocol):
    """Reads and writes what faults hold."""

    async def read(self, ref: Ref) -> Held | None:
        """Read an object; None when it is not there."""
        ...

    async def may_write(self, ref: Ref, fields: Fields) -> bool:
        """Find whether it could be written."""
        ...

    async def perform(self, action: HoldFields) -> Outcome:
        """Set fields and marker."""
        ...


class Undo:
    """One guard on watch. `told_to_end` is set when the Pod is told to end."""

    def __init__(self, post: Post, hands: Hands, clock: Clock, told_to_end: asyncio.Event) -> None:
        self._post = post
        self._hands = hands
        self._clock = clock
        self._told_to_end = told_to_end
        self._watch: Watch | None = None
        self._text = ""
        self._records: tuple[Restorable, ...] = ()
        self._was_done = False
        self._check: asyncio.Task[str] | None = None

    async def run(self) -> None:
        """Watch until there is a cause, take the fault off, and say so."""
        cause = await self._next_cause()
        if self._was_done:
            return
        log.warning("taking the fault off", cause=cause.value, targets=len(self._records))
        await self._say(self._post.has_fired(cause.value))
        restored = await self.restore()
        log.warning("the fault is off", restored=restored, targets=len(self._records))
        for _ in range(FAREWELLS):
            if await self._say(self._post.is_done(cause.value, f"{restored} of {len(self._records)} restored")):
                return
            await asyncio.sleep(FIRST_PAUSE)

    async def restore(self) -> int:
        """Take the fault off every target, however long that takes; give how many still held it."""
        left, restored, pause = list(self._records), 0, FIRST_PAUSE
        while left:
            tried = [(record, await self._attempt(record)) for record in left]
            restored += sum(came is Came.RESTORED for _, came in tried)
            left = [record for record, came in tried if came is Came.FAILED]
            if left:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
        return restored

    async def _attempt(self, record: Restorable) -> Came:
        """Try to restore one target."""
        try:
            held = await self._hands.read(record.ref)
            action = restore(record, held, f"guard-{record.uid}")
            if action is None:
                return Came.CLEAN
            outcome = await self._hands.perform(action)
        except TROUBLES as error:
            log.warning("not restored yet", kind=record.kind, name=record.name, problem=type(error).__name__)
            return Came.FAILED
        return Came.RESTORED if outcome.verb is Verb.DONE else Came.FAILED

    # --- on watch ---------------------------------------------------------------------------------------

    async def _next_cause(self) -> Cause:
        told = asyncio.create_task(self._told_to_end.wait())
        try:
            while True:
                cause = await self._look()
                if cause is not None:
                    return cause
                await self._pause(told)
        finally:
            told.cancel()
            self._drop_check()

    async def _pause(self, told: asyncio.Task[bool]) -> None:
        """Wait until the next look is due: at once when it is told to end, and when a check has its answer."""
        awaited: set[asyncio.Task[bool] | asyncio.Task[str]] = {told}
        if self._check is not None and not self._check.done():
            awaited.add(self._check)
        await asyncio.wait(awaited, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)

    async def _look(self) -> Cause | None:
        """Look at the Lease once, and judge it as of then; what cannot be read counts as not renewed."""
        looked_at = self._clock.monotonic()
        try:
            lease = await self._post.read()
        except TROUBLES as error:
            log.warning("the Lease cannot be read", problem=type(error).__name__)
            return self._cause(looked_at)
        if lease is None:
            return Cause.GONE
        self._was_done = bool(lease.done)
        self._watch = watch(self._watch, lease.sight, self._clock.monotonic())
        if lease.fired:
            self._take_in(lease.records)
            return _cause_of(lease.fired)
        trouble = self._take_in(lease.records)
        cause = self._cause(looked_at)
        if cause is None:
            await self._acknowledge(lease, trouble)
        return cause

    def _cause(self, looked_at: float) -> Cause | None:
        """Say why to restore now, by what the look that began then has shown."""
        if self._told_to_end.is_set():
            return Cause.ENDED
        return self._watch.cause(self._clock.monotonic(), looked_at) if self._watch else None

    async def _acknowledge(self, lease: GuardLease, trouble: str) -> None:
        """Answer once it is known whether the records can be restored."""
        if lease.is_ready and not trouble:
            return
        answer = trouble or self._checked()
        if answer is None or (answer and answer == lease.trouble):
            return
        await self._say(self._post.acknowledge(lease.records, answer))

    def _checked(self) -> str | None:
        """Say what would be in the way of restoring, "" for nothing; None until that is found out.

        It is found out beside the looks: they must not wait for many targets of a slow API server (C4, C18).
        """
        if self._check is None:
            self._check = asyncio.create_task(self._obstacle())
        if not self._check.done():
            return None
        check, self._check = self._check, None
        return check.result()

    def _drop_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _take_in(self, text: str) -> str:
        """Read the records; give what is wrong with them, "" for nothing."""
        if text == self._text:
            return ""
        try:
            self._records, self._text = read_records(text), text
        except ValueError:
            return "Invalid"
        self._drop_check()  # it was about other records
        return ""

    async def _obstacle(self) -> str:
        """Say what would be in the way of restoring; "" when nothing is."""
        troubles = await read_each(self._trouble_of, self._records)
        return next(filter(None, troubles), "")

    async def _trouble_of(self, record: Restorable) -> str:
        """Say what would be in the way of restoring one target; "" when nothing is."""
        try:
            await self._hands.read(record.ref)
            may_write = await self._hands.may_write(record.ref, record.to)
        except TROUBLES as error:
            return f"{record.kind}/{record.name}: {type(error).__name__}"
        return "" if may_write else f"{record.kind}/{record.name}: NoResize"

    async def _say(self, saying: Awaitable[None]) -> bool:
        """Answer on the Lease if that can be, and say whether it could: it never keeps a fault on."""
        try:
            await saying
        except Gone:
            return True  # nobody is there to be told
        except TROUBLES as error:
            log.warning("could not answer on the Lease", problem=type(error).__name__)
            return False
        return True


def _cause_of(text: str) -> Cause:
    """Read why an earlier life of this guard began to restore."""
    return next((cause for cause in Cause if cause.value == text), Cause.ENDED)
