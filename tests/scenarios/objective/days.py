"""An objective over days: minutes pass, each with its events, and it is decided on at the end of each."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import ObjectiveState, ServiceLevelObjectiveStatus
from homeostat.core.condition import condition
from homeostat.core.decision import Decision, Event
from homeostat.core.history.window import MINUTE
from homeostat.core.objective.evaluation import ObjectiveSeen, SourceSeen, decide, significance
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance
from minutes import Minutes

START = datetime(2026, 12, 1, tzinfo=UTC)
OBJECTIVE = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
Traffic = Callable[[int], tuple[float, float] | None]
"""Bad and total of a minute since the beginning; None: nobody measured."""


class Days:
    """An objective with its status as it was written, and all that was told."""

    def __init__(self, lived: timedelta = timedelta(0), **spec: Any) -> None:
        """`lived` is how long all was good before the beginning, ten events a minute."""
        self.now = START
        self.written = ServiceLevelObjectiveStatus()
        self.series = Minutes().fill(int((START - lived).timestamp()), int(START.timestamp()), 0, 10)
        self.groups: dict[str, Minutes] = {}
        self.events: list[tuple[timedelta, Event]] = []
        self.writes = 0
        self.stale_after = timedelta(minutes=2)
        self.observed_at: datetime | None = START if lived else None
        self.generation = 0
        self.edit(**spec)

    def edit(self, **spec: Any) -> None:
        """Change the spec; what is not named is as in a plain objective of 99.9 % over 30 days."""
        plain = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": {"events": {}}}
        self.spec = ServiceLevelObjectiveSpec.model_validate(plain | spec)
        self.generation += 1

    @property
    def told(self) -> list[str]:
        return [event.reason for _, event in self.events]

    @property
    def alerts(self) -> list[str]:
        """Name the alerts that fire."""
        return [
            " ".join(str(part) for part in (one.type, one.long or "", one.group) if part) for one in self.written.alerts
        ]

    @property
    def state(self) -> ObjectiveState:
        return self.written.state

    def why(self, type_: str) -> str:
        """Give status and reason of a condition."""
        found = condition(self.written.conditions, type_)
        return f"{found.status.value} {found.reason}" if found else ""

    def live(self, minutes: int, traffic: Traffic, groups: dict[str, Traffic] | None = None) -> "Days":
        """Let minutes pass and decide at the end of each, as the engine would."""
        for number in range(minutes):
            self._count(self.series, traffic(number))
            for name, of_group in (groups or {}).items():
                self._count(self.groups.setdefault(name, Minutes()), of_group(number))
            self.now += timedelta(minutes=1)
            self.look()
        return self

    def _count(self, series: Minutes, counts: tuple[float, float] | None) -> None:
        if counts is not None:
            series.put(int(self.now.timestamp()) // MINUTE, *counts)
            self.observed_at = self.now

    def look(self) -> Decision[ServiceLevelObjectiveStatus]:
        """Decide, a moment before the minute ends, and write what is worth it."""
        moment = self.now - timedelta(seconds=1)
        for series in (self.series, *self.groups.values()):
            series.now = moment.timestamp()
        source = SourceSeen(timedelta(minutes=1), self.observed_at, self.stale_after)
        seen = ObjectiveSeen(OBJECTIVE, self.generation, self.series, dict(self.groups), source)
        decision = decide(self.spec, self.written, seen, moment)
        worth = significance(self.written, decision.status)
        self.writes += worth is not Significance.NOTHING
        if worth is not Significance.NOTHING:
            self.written = ServiceLevelObjectiveStatus.model_validate(decision.status.wire())  # as a restart reads it
        self.events += [(moment - START, event) for event in decision.events]
        return decision


def good(total: float = 10) -> Traffic:
    return lambda _: (0, total)


def bad(share: float = 1.0, total: float = 10) -> Traffic:
    return lambda _: (total * share, total)


def silence(_: int) -> tuple[float, float] | None:
    return None


def alternating(*shares: float) -> Traffic:
    """Have the minutes take turns."""
    return lambda number: (10 * shares[number % len(shares)], 10)


def in_turn(told: Sequence[str], begins: str, ends: str) -> bool:
    """Whether something began and ended by turns."""
    found = [reason for reason in told if reason in {begins, ends}]
    return found == [(begins, ends)[place % 2] for place in range(len(found))]
