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
        while True:
            cause = await self._look()
            if cause is not None:
                return cause
            try:
                await asyncio.wait_for(self._told_to_end.wait(), LOOK_EVERY)
            except TimeoutError:
                continue

    async def _look(self) -> Cause | None:
        """Look at the Lease once; what cannot be read counts as not renewed."""
        try:
            lease = await self._post.read()
        except TROUBLES as error:
            log.warning("the Lease cannot be read", problem=type(error).__name__)
        else:
            if lease is None:
                return Cause.GONE
            self._was_done = bool(lease.done)
            self._watch = watch(self._watch, lease.sight, self._clock.monotonic())
            if lease.fired:
                self._take_in(lease.records)
                return _cause_of(lease.fired)
            await self._acknowledge(lease)
        if self._told_to_end.is_set():
            return Cause.ENDED
        return self._watch.cause(self._clock.monotonic()) if self._watch else None

    async def _acknowledge(self, lease: GuardLease) -> None:
        """Take in what is to be restored, and answer once it is known to be possible."""
        trouble = self._take_in(lease.records)
        if lease.is_ready and not trouble:
            return
        trouble = trouble or await self._obstacle()
        if trouble and trouble == lease.trouble:
            return
        await self._say(self._post.acknowledge(lease.records, trouble))

    def _take_in(self, text: str) -> str:
        """Read the records; give what is wrong with them, "" for nothing."""
        if text == self._text:
            return ""
        try:
            self._records, self._text = read_records(text), text
        except ValueError:
            return "Invalid"
        return ""

    async def _obstacle(self) -> str:
        """Say what would be in the way of restoring; "" when nothing is."""
        for record in self._records:
            try:
                await self._hands.read(record.ref)
                if not await self._hands.may_write(record.ref, record.to):
                    return f"{record.kind}/{record.name}: NoResize"
            except TROUBLES as error:
                return f"{record.kind}/{record.name}: {type(error).__name__}"
        return ""

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
