"""What holds faults up in the world beside the operator: agents in pods, and a guard; each undoes by itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.core.action import KeepGuard
from homeostat.core.chaos.seen import AgentSeen
from homeostat.core.cluster import AgentContainer
from homeostat.core.guarding.watch import GuardSeen
from homeostat.core.orders import AgentState, OffReason, Order, RefusalReason, Said

STARTS_IN = timedelta(seconds=1)
LEASE = timedelta(seconds=3)


@dataclass
class Agent:
    """An ephemeral container with its process: it holds the fault while beats come, and not beyond its deadline."""

    name: str
    order: Order
    began_at: datetime
    refuses: RefusalReason | None = None
    stuck: str = ""  # why its container does not start
    is_deaf: bool = False  # it can no longer be told anything
    on_since: datetime | None = None
    beats_until: datetime | None = None
    word: Said | None = None
    heard_at: datetime | None = None
    exit_code: int | None = None
    is_linked: bool = True
    was_told: bool = False  # to begin, by the operator that is there now

    @property
    def is_on(self) -> bool:
        """Whether the fault is on."""
        return self.on_since is not None and self.exit_code is None

    def seen(self) -> AgentSeen:
        """Show what the API server and the link tell."""
        said = self.word if self.is_linked else None
        return AgentSeen(self._container(), said, self.heard_at if said else None, self.was_told)

    def tick(self, now: datetime) -> None:
        """Let time pass in the container."""
        if self.exit_code is not None or self.stuck or now < self.began_at + STARTS_IN:
            return
        if self.refuses is not None:
            self._end(AgentState.REFUSED, self.refuses, now)
        elif self.on_since is None or self.beats_until is None:
            self._say(Said(AgentState.READY, "a mechanism"), now)
        elif now - self.beats_until >= LEASE:
            self._end(AgentState.OFF, OffReason.LEASE, self.beats_until + LEASE)
        elif now - self.on_since >= timedelta(seconds=self.order.seconds):
            self._end(AgentState.OFF, OffReason.DEADLINE, now)
        else:
            self._say(Said(AgentState.ON, "a mechanism", beat=1, counters={"packets": 1}), min(now, self.beats_until))

    def beat(self, now: datetime, seconds: float) -> None:
        """Beat for it, as the link does after HoldAgent."""
        self.is_linked = True
        if self.exit_code is not None or self.word is None or self.is_deaf or self.refuses is not None:
            return
        self.was_told = True
        self.on_since = self.on_since or now
        self.beats_until = now + timedelta(seconds=seconds)
        if self.order.fault == "containerKill":
            self.exit_code = 137
        elif self.order.fault == "processKill":
            self._end(AgentState.OFF, OffReason.DONE, now)
        else:
            self.tick(now)

    def stop(self, now: datetime) -> None:
        """Beat no more, and tell it to end."""
        self.cut(now)
        if self.exit_code is None and self.word is not None and not self.is_deaf:
            self._end(AgentState.OFF, OffReason.TOLD, now)

    def cut(self, now: datetime) -> None:
        """Lose the link: the operator died."""
        if self.beats_until is not None:
            self.beats_until = min(self.beats_until, now)

    def _say(self, said: Said, now: datetime) -> None:
        self.word, self.heard_at = said, now

    def _end(self, state: AgentState, reason: str, now: datetime) -> None:
        self._say(Said(state, "a mechanism", reason), now)
        self.exit_code = 0

    def _container(self) -> AgentContainer:
        if self.exit_code is not None:
            return AgentContainer(self.name, "Ended", "Completed", self.exit_code)
        state = "Waiting" if self.stuck or self.word is None else "Running"
        return AgentContainer(self.name, state, self.stuck)


@dataclass
class Guard:
    """A Lease and a Pod: once the Pod runs, it restores when the Lease is not renewed or the deadline passes."""

    kept: KeepGuard
    began_at: datetime
    renewed_at: datetime
    trouble: str = ""
    has_fired: bool = False

    def renew(self, action: KeepGuard, now: datetime) -> None:
        """Renew the Lease; records are never exchanged."""
        self.kept = action if action.records == self.kept.records else self.kept
        self.renewed_at = now

    def is_ready(self, now: datetime) -> bool:
        """Whether the Pod runs."""
        return not self.trouble and now >= self.began_at + STARTS_IN

    def must_restore(self, now: datetime) -> bool:
        """Whether nobody seems to be there any more."""
        is_lost = now - self.renewed_at > timedelta(seconds=self.kept.seconds)
        return self.is_ready(now) and (is_lost or now > self.kept.deadline)

    def seen(self, now: datetime) -> GuardSeen:
        """Show what the API server tells."""
        ready_for = self.kept.records if self.is_ready(now) else ""
        return GuardSeen(ready_for, self.has_fired, self.trouble, self.renewed_at)
