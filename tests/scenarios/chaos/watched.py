"""The small cluster with what experiments look at besides: objectives, Prometheus, alerts, humans, and figures."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from homeostat.core.action import Outcome
from homeostat.core.chaos import ChaosSeen
from homeostat.core.chaos.seen import AlertSeen, AnswerSeen, ApprovalSeen, MeasuresSeen, ObjectiveSeen
from homeostat.core.prometheus.answer import Trouble
from scenarios.chaos.world import World

STALE_AFTER = timedelta(seconds=30)


@dataclass
class Objective:
    """An objective that is evaluated at each moment; `silent_since`: its data stopped then."""

    rate: str | None = "0"
    remaining: str | None = "1"
    spent: str | None = None
    silent_since: datetime | None = None

    def seen(self, now: datetime) -> ObjectiveSeen:
        """See it as the engine does."""
        return ObjectiveSeen(
            rate=None if self.rate is None else Decimal(self.rate),
            remaining=None if self.remaining is None else Decimal(self.remaining),
            observed_at=self.silent_since or now,
            stale_after=STALE_AFTER,
            spent_since=None if self.spent is None else Decimal(self.spent),
        )


@dataclass
class Watched(World):
    """The small cluster, watched closely. `value`: what every query gives now; `trouble`: why the last gave nothing."""

    objectives: dict[str, Objective] = field(default_factory=dict)
    value: float | None = 0.0
    answered_at: datetime | None = None  # None: just now
    trouble: Trouble | None = None
    was_never_asked: bool = False
    alerts: tuple[AlertSeen, ...] = ()
    approvals: tuple[ApprovalSeen, ...] = ()
    is_name_vouched: bool = True
    abort_requested: str = ""
    measures: dict[str, MeasuresSeen] = field(default_factory=dict)

    def seen(self, outcomes: dict[str, Outcome] | None = None, **changes: Any) -> ChaosSeen:
        """Observe, as the engine does."""
        parts = (part.promql for part in self.spec.hypothesis)
        answer = AnswerSeen(self.value, self.answered_at or self.now, trouble=self.trouble)
        return replace(
            super().seen(outcomes),
            **{
                "objectives": {name: one.seen(self.now) for name, one in self.objectives.items()},
                "answers": {} if self.was_never_asked else {part.query: answer for part in parts if part},
                "alerts": self.alerts,
                "approvals": self.approvals,
                "is_name_vouched": self.is_name_vouched,
                "abort_requested": self.abort_requested,
                "measures": self.measures,
            }
            | changes,
        )
