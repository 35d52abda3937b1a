"""What is known of each objective that Prometheus feeds, and of each Prometheus: how far it was asked, what went wrong.

Troubles of one objective hold back only that one; a Prometheus rests when nobody gets an answer from it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.history.window import HOUR, MINUTE
from homeostat.core.objective.seen import SourceSeen
from homeostat.core.prometheus.answer import Failure, Trouble
from homeostat.core.prometheus.collecting import MOST_POINTS, Memory, Problem, Segment, explain, not_asked_yet
from homeostat.core.prometheus.queries import Part, Queries, Query, Unit, period_of, queries_of
from homeostat.engine.objects import Key

FEWEST_POINTS: Final = 24
"""Points of time that a range query asks for when more are too many for Prometheus."""
RECORDED: Final = '{__name__=~"homeostat:slo_(bad|total):rate5m"}'
"""What the rules of objectives record: bad and all events a second."""
NAMESPACE_LABEL: Final = "homeostat_namespace"
OBJECTIVE_LABEL: Final = "homeostat_slo"
RECORDED_BAD: Final = "homeostat:slo_bad:rate5m"
RECORDED_TOTAL: Final = "homeostat:slo_total:rate5m"

_POINTS_OF_MANY: Final = 120  # where an answer has many series
_LONGEST_REST: Final = 300.0  # seconds, of an objective
_FIRST_REST, _LAST_REST = 10.0, 60.0  # seconds, of a Prometheus
_SUSPICIOUS: Final = 3  # objectives without an answer in a row
_PATIENCE: Final = 2  # failures in a row before less is asked for at once
_MOST_TRIES: Final = 5
_GRACE: Final = timedelta(minutes=2)  # what an answer may take beyond two periods
_OF_A_SERVER: Final = frozenset({Trouble.UNREACHABLE, Trouble.TIMEOUT, Trouble.UNAVAILABLE})
_NO_REACH: Final = frozenset({Trouble.UNREACHABLE, Trouble.NOT_PERMITTED, Trouble.NOT_CONFIGURED})


@dataclass(slots=True, eq=False)
class Source:
    """An objective that Prometheus feeds. Compared by identity: an edit makes a new one, the old one's answers drop.

    `asked_until` (epoch s) is None until anything was asked; `opened_at` is when counting went on after a restart.
    """

    key: Key
    uid: str
    indicator: PrometheusIndicator
    reach: int
    is_recorded: bool
    asked_until: int | None
    opened_at: datetime | None
    memory: Memory | None = None
    observed_until: int | None = None
    clamped_at: int | None = None
    problem: Problem | None = None
    is_of_part: bool = False  # whether the query of bad or good events has the problem, not that of all
    is_answered: bool = False  # whether there was an answer about what happens now
    is_on: bool = True
    is_known: bool = False  # whether we know up to when it was counted
    patient_until: float = 0.0
    is_busy: bool = False
    failures: int = 0
    rests_until: float = 0.0
    owed: tuple[Segment, ...] = ()  # of a window that became longer
    is_owing: bool = False  # whether somebody sees to that
    owed_failures: int = 0
    most_points: int = field(init=False)
    queries: Queries = field(init=False)
    period: int = field(init=False)

    def __post_init__(self) -> None:
        self.queries = queries_of(self.indicator)
        self.period = period_of(self.indicator.resolution)
        is_plain = not self.queries.groups and not self.queries.has_counters
        self.most_points = MOST_POINTS if is_plain else _POINTS_OF_MANY

    @property
    def url(self) -> str:
        """Whom to ask."""
        return self.indicator.url

    @property
    def recorded(self) -> Queries:
        """What the rules of this objective record, as queries."""
        rate = Query("", Unit.RATE)
        return Queries(rate, Part.BAD, rate, self.queries.groups)

    def seen(self, now: datetime) -> SourceSeen:
        """Say how fresh the data is, and what is wrong."""
        reason, message, is_valid = self._complaint()
        observed = self.observed_until
        interval = timedelta(seconds=MINUTE if self.is_recorded else self.period)
        return SourceSeen(
            interval=interval,
            observed_at=self.opened_at if observed is None else datetime.fromtimestamp(observed, UTC),
            stale_after=2 * timedelta(seconds=self.period) + _GRACE,
            reason=reason,
            message=message,
            is_valid=is_valid,
            is_clamped=self.clamped_at is not None and now.timestamp() - self.clamped_at < HOUR,
        )

    def _complaint(self) -> tuple[str, str, bool]:
        """Say what is wrong, and whether the indicator is valid all the same."""
        if self.problem is not None:
            return explain(self.problem, self.indicator, is_of_part=self.is_of_part)
        return ("", "", True) if self.is_answered else (*not_asked_yet(self.indicator), True)

    def fail(self, failure: Failure, segment: Segment, monotonic: float) -> None:
        """Take note that a segment was asked for in vain; ask for less at once where it may be too much."""
        trouble = failure.trouble
        self.problem, self.is_of_part = trouble, failure.is_of_part
        self.failures += 1
        rest = min(self.period * (2 ** min(self.failures - 1, 10) - 1), _LONGEST_REST)
        self.rests_until = monotonic + rest
        has_several = segment.end - segment.start > segment.step
        if trouble in _NO_REACH or not has_several or self.failures % _PATIENCE:
            return
        if self.most_points > FEWEST_POINTS:
            self.most_points = max(FEWEST_POINTS, self.most_points // 4)
        else:  # history that Prometheus cannot give must not keep us from what happens now
            self.asked_until = segment.end

    def settle(self, segment: Segment) -> None:
        """Take note that a segment of the past is owed no more."""
        self.owed = tuple(one for one in self.owed if one != segment)
        self.owed_failures = 0

    def fail_to_settle(self, segment: Segment, trouble: Trouble) -> None:
        """Take note that a segment of the past was asked for in vain; give it up when that happens again and again."""
        self.owed_failures += trouble not in _NO_REACH
        if self.owed_failures >= _MOST_TRIES:
            self.settle(segment)

    def succeed(self) -> None:
        """Take note of an answer."""
        self.failures, self.rests_until = 0, 0.0
        if isinstance(self.problem, Trouble):
            self.problem = None

    def go_back(self, now: int) -> None:
        """Go back to what has data when the clock went back: what was asked of the future taught nothing."""
        if self.asked_until is None or self.asked_until <= now or (self.observed_until or 0) > now:
            return
        self.asked_until = self.observed_until or now // self.period * self.period


@dataclass(slots=True, eq=False)
class Shared:
    """What rules recorded in one Prometheus, asked for all objectives at once."""

    url: str
    asked_until: int | None = None
    is_busy: bool = False


@dataclass(slots=True)
class Server:
    """A Prometheus: whether it may be asked, and what is wrong with it."""

    trouble: Trouble | None = None
    rests_until: float = 0.0
    _rest: float = 0.0
    _is_tried: bool = False
    _failed: set[Key | str] = field(default_factory=set)

    def may_ask(self, monotonic: float) -> bool:
        """Say whether to ask now. After a rest one goes ahead, and the others wait for what comes of it."""
        if monotonic < self.rests_until:
            return False
        if self.trouble is not None:
            self._is_tried, self.rests_until = True, monotonic + self._rest
        return True

    def succeed(self) -> None:
        """Take note of an answer."""
        self.trouble, self.rests_until, self._rest, self._is_tried = None, 0.0, 0.0, False
        self._failed.clear()

    def fail(self, who: Key | str, trouble: Trouble, monotonic: float) -> None:
        """Rest when it cannot be reached, or when several objectives in a row got no answer; each time longer."""
        if trouble not in _OF_A_SERVER or (self.trouble is not None and not self._is_tried):
            return
        self._failed.add(who)
        if trouble is not Trouble.UNREACHABLE and len(self._failed) < _SUSPICIOUS:
            return
        self._is_tried = False
        self._rest = min(max(_FIRST_REST, 2 * self._rest), _LAST_REST)
        self.trouble, self.rests_until = trouble, monotonic + self._rest
