"""One agent as its link knows it: what it is asked for, what it has said, and what it is to be told next.

No task and no wire in here; times are seconds of a monotonic clock.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from homeostat.core.orders import AgentState, Beat, Said
from homeostat.core.ref import Ref
from homeostat.engine.objects import Key

ATTENTION: Final = 10.0
"""Seconds for which a link outlives the last time that somebody asked for it."""
SILENCE: Final = 1.2
"""Beats after which an attachment counts as broken when nothing comes back to a beat.

The lease is three of them, and was last renewed a beat before the first that is lost: that leaves 0.8 to attach anew
and beat again. Answers take a fifth of a beat, on a slow machine a whole one.
"""
_RANK: Final = {AgentState.READY: 0, AgentState.ON: 1, AgentState.OFF: 2, AgentState.REFUSED: 2}


@dataclass(slots=True)
class Link:
    """One agent: `held_until` permits beats, `wanted_until` keeps us attached; once told to stop it stays told."""

    pod: Ref
    name: str
    experiment: Key | None = None
    wanted_until: float = 0.0
    held_until: float = 0.0
    is_stopped: bool = False
    is_running: bool = False
    has_ended: bool = False
    is_read: bool = False  # its log was read after it had ended
    said: Said | None = None
    heard_at: datetime | None = None
    beats: int = 0
    beaten_at: float | None = None
    asked_at: float | None = None  # when the first beat went out that nothing was heard after
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """Whether the agent has said its last word."""
        return self.said is not None and _RANK[self.said.state] == _RANK[AgentState.OFF]

    def want(self, now: float) -> None:
        """Keep attached for a while."""
        self.wanted_until = max(self.wanted_until, now + ATTENTION)

    def remember(self, now: float) -> None:
        """Keep what is known of it for as long as if it was wanted until now."""
        self.wanted_until = max(self.wanted_until, now)

    def hold(self, now: float, seconds: float) -> None:
        """Permit beats for `seconds`, unless it was told to stop."""
        self.want(now)
        self.held_until = max(self.held_until, now + seconds)
        self.bell.set()

    def stop(self, now: float) -> None:
        """Permit no beat any more, but to take the fault off, and that at once."""
        self.want(now)
        if not self.is_stopped:
            self.is_stopped, self.beaten_at = True, None
        self.bell.set()

    def is_wanted(self, now: float) -> bool:
        """Whether somebody still asks for it, and it has something to say."""
        return now < self.wanted_until and not self.is_over and not self.is_read

    def may_beat(self, now: float) -> bool:
        """Whether it may be told anything."""
        return self.is_stopped or now < self.held_until

    def attached(self) -> None:
        """Begin anew on another attachment: its first beat is due at once, whatever became of the last one."""
        self.asked_at = self.beaten_at = None

    def heard(self, said: Said) -> None:
        """Note a sign of life. One that still waits for the go has heard no beat: that is no answer."""
        if said.state is not AgentState.READY:
            self.asked_at = None

    def due_in(self, now: float, every: float) -> float:
        """Give the seconds until the next beat."""
        return 0.0 if self.beaten_at is None else max(0.0, self.beaten_at + every - now)

    def next_beat(self, now: float) -> Beat:
        """Give the next beat, as sent at `now`."""
        answered = self.said.beat if self.said else 0
        self.beats = max(self.beats, answered) + 1
        self.beaten_at = now
        self.asked_at = now if self.asked_at is None else self.asked_at
        return Beat(self.beats, revert=self.is_stopped)

    def silent_in(self, now: float, every: float) -> float:
        """Give the seconds until the attachment counts as broken if nothing comes back; 0 when it does."""
        return SILENCE * every if self.asked_at is None else max(0.0, self.asked_at + SILENCE * every - now)

    def take(self, said: Said) -> bool:
        """Take what it says; give whether its state is a new one. What it said before it said more counts no more."""
        before = self.said
        if before is not None and _RANK[said.state] < _RANK[before.state]:
            return False
        self.said = said
        return before is None or before.state is not said.state

    async def rung(self, seconds: float) -> None:
        """Wait until something is asked for, or for `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.bell.wait()
        self.bell.clear()
