"""Asks the operator's own Prometheus what promql triggers ask, in its own time and never while a decision waits.

Every query is asked once for all policies that have it, often enough for the least patient of them. What is known is
when it was true: a Prometheus that is away leaves the last answer as old as it is, so that it goes stale (R12).
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from homeostat.core.prometheus.answer import Failure, Trouble, Vector
from homeostat.core.prometheus.comparing import Comparison
from homeostat.core.recovery.alerting import accused_by
from homeostat.core.schedule import phase
from homeostat.engine.crew import Crew
from homeostat.engine.objects import Key
from homeostat.engine.timetable import Timetable
from homeostat.ports import Clock, Prometheus

log = structlog.get_logger("homeostat.recovery")

SOONEST, LATEST = 5.0, 15.0
"""Seconds between two questions, at least and at most."""
ASKS_WITHIN_AGE: Final = 4
"""How often a query is asked within the age in which its answer counts: one or two that get lost are no gap."""
AT_ONCE: Final = 8

_AWAY: Final = frozenset({Trouble.UNREACHABLE, Trouble.TIMEOUT, Trouble.UNAVAILABLE, Trouble.NOT_PERMITTED})
_WHY: Final = {
    Trouble.NOT_CONFIGURED: "no Prometheus is configured (setting prometheus_url)",
    Trouble.INVALID_QUERY: "Prometheus cannot work the query out",
    Trouble.TOO_LARGE: "the query gives more than one value",
    Trouble.NOT_PERMITTED: "Prometheus does not let the operator ask",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a query: its one value as of `at`, or why there is none.

    `at` is None when nothing was ever answered. Nothing of what came over the wire is in `problem`. `trouble`: why the
    newest question got no answer, whatever was answered before.
    """

    value: float | None
    at: datetime | None
    problem: str = ""
    accused: frozenset[str] = frozenset()
    trouble: Trouble | None = None


NOT_ASKED = Reading(None, None, "Prometheus was not asked yet")


@dataclass(slots=True, eq=False)
class _Asked:
    """One query. Compared by identity."""

    query: str
    reading: Reading = NOT_ASKED
    askers: dict[Key, "_Asker"] = field(default_factory=dict)
    is_busy: bool = False

    @property
    def every(self) -> float:
        """Seconds between two questions: what the least patient policy needs."""
        return min((asker.every for asker in self.askers.values()), default=LATEST)


class _Asker(NamedTuple):
    """What one policy compares the value of a query with, and how often it needs to be asked (s)."""

    comparisons: tuple[Comparison, ...]
    every: float


class Queries:
    """Keeps the answers to all queries, and wakes the policies and experiments for which one means something else."""

    def __init__(self, prometheus: Prometheus, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._wake = wake
        self._asked: dict[str, _Asked] = {}
        self._of: dict[Key, frozenset[str]] = {}
        self._crew: Crew[_Asked] = Crew(self._ask, AT_ONCE)
        self.timetable: Timetable[_Asked] = Timetable(clock, self._start)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with self._crew:
            self.timetable.open()
            try:
                await asyncio.Event().wait()
            finally:
                self.timetable.close()

    def open(self, key: Key, wanted: Iterable[tuple[str, Comparison, timedelta]]) -> None:
        """Ask what a new or edited policy asks: (query, what its value is compared with, how old an answer may be)."""
        askers: dict[str, _Asker] = {}
        for query, comparison, age in wanted:
            every = min(max(age.total_seconds() / ASKS_WITHIN_AGE, SOONEST), LATEST)
            known = askers.get(query, _Asker((), LATEST))
            askers[query] = _Asker((*known.comparisons, comparison), min(known.every, every))
        for query in self._of.pop(key, frozenset()) - askers.keys():
            self._drop(key, query)
        for query, asker in askers.items():
            self._add(key, query, asker)
        if askers:
            self._of[key] = frozenset(askers)

    def close(self, key: Key) -> None:
        """Ask nothing more for a policy."""
        self.open(key, ())

    def reading(self, query: str) -> Reading:
        """Give what is known of a query."""
        known = self._asked.get(query)
        return NOT_ASKED if known is None else known.reading

    def _add(self, key: Key, query: str, asker: _Asker) -> None:
        asked = self._asked.get(query)
        if asked is None:
            asked = self._asked[query] = _Asked(query)
            self.timetable.add(asked, self._clock.monotonic() + phase(query, 1.0))
        asked.askers[key] = asker

    def _drop(self, key: Key, query: str) -> None:
        asked = self._asked[query]
        asked.askers.pop(key, None)
        if not asked.askers:
            del self._asked[query]
            self.timetable.forget(asked)

    def _start(self, asked: _Asked, _due: float) -> None:
        self.timetable.add(asked, self._clock.monotonic() + asked.every)
        if not asked.is_busy:
            asked.is_busy = True
            self._crew.put(asked)

    async def _ask(self, asked: _Asked) -> None:
        try:
            at = self._clock.now()
            answer = await self._prometheus.query("", asked.query, at.timestamp())
            self._take(asked, _read(answer, at, asked.reading))
        except Exception:  # a bug in one query spares the others
            log.exception("bug", what="promql trigger")
        finally:
            asked.is_busy = False

    def _take(self, asked: _Asked, reading: Reading) -> None:
        before, asked.reading = asked.reading, reading
        for key, asker in asked.askers.items():
            if any(_meaning(before, one) != _meaning(reading, one) for one in asker.comparisons):
                self._wake(key)


def _meaning(reading: Reading, comparison: Comparison) -> tuple[bool | None, str]:
    return None if reading.value is None else comparison.holds(reading.value), reading.problem


def _read(answer: Vector | Failure, at: datetime, before: Reading) -> Reading:
    """Take in an answer. One that did not come leaves what was known before, as old as it is."""
    if isinstance(answer, Failure):
        if answer.trouble in _AWAY and before.at is not None:
            return replace(before, trouble=answer.trouble)
        why = _WHY.get(answer.trouble, "Prometheus does not answer")
        return Reading(None, None if answer.trouble in _AWAY else at, why, trouble=answer.trouble)
    problem = _fault(answer)
    if problem:
        return Reading(None, at, problem)
    [sample] = answer.samples
    return Reading(sample.value, at, accused=accused_by(sample.labels))


def _fault(answer: Vector) -> str:
    """Say why an answer is not one value."""
    if answer.is_partial:
        return "Prometheus says that its answer is not whole"
    if len(answer.samples) != 1:
        return "the query gives more than one value" if answer.samples else "the query gives no value"
    return "" if math.isfinite(answer.samples[0].value) else "the query gives no number"
