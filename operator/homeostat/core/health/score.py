"""How healthy, from 0 to 100: a check, the service it speaks for, a namespace, the cluster (H7). Whole numbers only.

    check      Healthy 100; Degraded half of the share of endpoints that passed, 0 to 50; Unhealthy 0; else none
    service    mean of its checks, by criticality: Critical 8, High 4, Medium 2, Low 1;
               at most 49 while a Critical check of it is Unhealthy
    namespace  mean of its services, each with the weight of its most critical check; likewise the cluster
    trend      that of a tenth of the weight, after what improves is set against what worsens

A check that is Unknown or Suspended has no score and moves none: it lowers the coverage (`known` of `total`).
Means are rounded down, so that 100 means that all is well, and are made of what is shown one level below.
docs/scores.md has the reasons and an example.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from homeostat.api.health_check import Criticality, HealthState, Trend

WEIGHTS = {Criticality.CRITICAL: 8, Criticality.HIGH: 4, Criticality.MEDIUM: 2, Criticality.LOW: 1}

_DIRECTIONS = {Trend.IMPROVING: 1, Trend.STABLE: 0, Trend.WORSENING: -1}
_DOWN_AT_MOST = 49
"""A service that fails where it is critical must not look better than one that is Degraded."""
_TREND_SHARE = 10
"""A tenth of the weight must agree on a trend."""


class Mark(NamedTuple):
    """What one check brings into the score of its service."""

    criticality: Criticality
    state: HealthState
    score: int | None
    trend: Trend | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The score of several checks: None when none of them is known. `known` of `total` checks have one.

    `weight` is that of the most critical check that is known, 0 without one.
    """

    value: int | None
    trend: Trend | None
    weight: int
    known: int
    total: int


def check_score(state: HealthState, passing: int, total: int) -> int | None:
    """Score a check by its state and by the endpoints that passed last (below 0 when nobody has counted)."""
    if state is HealthState.HEALTHY:
        return 100
    if state is HealthState.UNHEALTHY:
        return 0
    if state is not HealthState.DEGRADED:
        return None
    return 50 if total < 0 else 50 * passing // max(total, 1)


def service_of(serves: str, check: str) -> str:
    """Give the service a check is scored with: one whose `spec.service` is empty is a service by its own name."""
    return serves or check


class Tally:
    """Weighted scores added up one by one, whether of a service's checks or of services; nothing of them is kept."""

    __slots__ = ("_balance", "_heaviest", "_is_down", "_known", "_scores", "_total", "_trending", "_weights")

    def __init__(self) -> None:
        self._known = self._total = self._heaviest = 0
        self._weights = self._scores = 0
        self._trending = self._balance = 0
        self._is_down = False

    def add_check(self, mark: Mark) -> None:
        """Add a check of a service."""
        self._total += 1
        if mark.score is None:
            return
        self._known += 1
        self._weigh(WEIGHTS[mark.criticality], mark.score, mark.trend)
        if mark.state is HealthState.UNHEALTHY and mark.criticality is Criticality.CRITICAL:
            self._is_down = True

    def add_service(self, score: Score) -> None:
        """Add a service of a namespace or of the cluster."""
        self._total += score.total
        self._known += score.known
        if score.value is not None:
            self._weigh(score.weight, score.value, score.trend)

    def score(self) -> Score:
        """Give what all that was added amounts to."""
        value = self._scores // self._weights if self._weights else None
        if value is not None and self._is_down:
            value = min(value, _DOWN_AT_MOST)
        return Score(value, self._trend(), self._heaviest, self._known, self._total)

    def _weigh(self, weight: int, score: int, trend: Trend | None) -> None:
        self._heaviest = max(self._heaviest, weight)
        self._weights += weight
        self._scores += weight * score
        if trend is not None:
            self._trending += weight
            self._balance += weight * _DIRECTIONS[trend]

    def _trend(self) -> Trend | None:
        """Give the trend that outweighs its opposite by a tenth of all; None when nobody has one."""
        if not self._trending:
            return None
        if _TREND_SHARE * abs(self._balance) < self._trending:
            return Trend.STABLE
        return Trend.IMPROVING if self._balance > 0 else Trend.WORSENING


def service_score(marks: Iterable[Mark]) -> Score:
    """Score a service by its checks, in whatever order."""
    tally = Tally()
    for mark in marks:
        tally.add_check(mark)
    return tally.score()


def overall_score(services: Iterable[Score]) -> Score:
    """Score a namespace or the cluster by its services, in whatever order."""
    tally = Tally()
    for service in services:
        tally.add_service(service)
    return tally.score()
