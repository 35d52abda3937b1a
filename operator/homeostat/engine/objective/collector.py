"""Asks Prometheus for the counts of objectives, minute by minute, and for what was missed once it answers again.

Every objective is asked for when its period is over and Prometheus has had time to scrape, each at a moment of its own
within the next minute; what is asked for are always whole minutes. A history is taken up by workers of its own, so
that nobody's present waits for another's past; so are users' own Prometheis, so that no tarpit holds up the
operator's. Objectives whose rules Prometheus evaluates are asked for all at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple, Protocol

import structlog

from homeostat.api.objective_indicator import MOST_GROUPS, PrometheusIndicator
from homeostat.core.history.window import HOUR, MINUTE, Bucket
from homeostat.core.objective.seen import SourceSeen
from homeostat.core.prometheus.answer import Failure, Matrix, Sample, Trouble, Vector
from homeostat.core.prometheus.collecting import (
    MOST_SERIES,
    Finding,
    Points,
    Problem,
    Reading,
    Segment,
    count_up,
    entries,
    extension,
    is_too_large,
    needs_start,
    points_of,
    read,
    segments,
)
from homeostat.core.prometheus.queries import Query, Unit
from homeostat.core.schedule import phase
from homeostat.engine.crew import Crew
from homeostat.engine.objective.prometheus_sources import (
    NAMESPACE_LABEL,
    OBJECTIVE_LABEL,
    RECORDED,
    RECORDED_BAD,
    RECORDED_TOTAL,
    Server,
    Shared,
    Source,
)
from homeostat.engine.objects import Key
from homeostat.engine.timetable import Timetable
from homeostat.ports import Clock, Prometheus

log = structlog.get_logger("homeostat.collector")

SETTLE: Final = 5.0
"""Seconds after the end of a period from which on it is asked for: what was scraped in it is there then."""
SPREAD: Final = 50.0
"""Seconds over which the objectives of a minute are spread."""
EARLY: Final = 30.0
"""Seconds within which a new objective is asked for first."""
PAUSE: Final = 0.1
"""Seconds between two queries for the history of an objective."""
HISTORY_SECONDS: Final = 120.0
"""Seconds that we wait for history to be taken up: a store that is lost must not keep us from counting."""
LOOK_AGAIN: Final = 1.0

MOST_RECORDED_SERIES: Final = 40_000
"""Series that rules may have recorded in one Prometheus, two for each objective or group, to be read all at once."""

_LATE: Final = 1.0  # second by which a timer may ring early
_PAST_SHARE: Final = 4  # one worker of so many takes up history


class Books(Protocol):
    """Where counts go; the Meters. `minute` is since the epoch."""

    def groups(self, key: Key, /) -> tuple[str, ...]:
        """Name the groups that are counted."""
        ...

    def add(self, key: Key, group: str, minute: int, bad: float, total: float, /) -> bool:
        """Count in a minute; say whether that could be done."""
        ...

    def put(self, key: Key, group: str, bucket: Bucket, /) -> bool:
        """Take up a bucket, if it is fuller than what is there."""
        ...

    def series_name(self, key: Key, group: str, /) -> str | None:
        """Name a series."""
        ...

    def last_counted(self, key: Key, /) -> float | None:
        """Give where the newest data ends (epoch s)."""
        ...

    def is_recalled(self, key: Key, /) -> bool:
        """Whether history was taken up: before that nobody knows what was counted."""
        ...


class _Answers(NamedTuple):
    part: Points
    total: Points
    is_partial: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """Segments of an objective to ask for, in order. `is_owed`: of the past, beside what happens now."""

    source: Source
    segments: tuple[Segment, ...]
    is_owed: bool = False


class Collector:
    """Feeds `meters`, and wakes an objective when there is news of it.

    At most `concurrency` queries are on their way to the operator's Prometheus, and as many to all others. `pause` is
    in seconds.
    """

    def __init__(
        self,
        prometheus: Prometheus,
        meters: Books,
        clock: Clock,
        wake: Callable[[Key], None],
        concurrency: int = 8,
        *,
        pause: float = PAUSE,
    ) -> None:
        self._prometheus = prometheus
        self._meters = meters
        self._clock = clock
        self._wake = wake
        self._pause = pause
        self._sources: dict[Key, Source] = {}
        self._shared: dict[str, Shared] = {}
        self._servers: defaultdict[str, Server] = defaultdict(Server)
        self.timetable: Timetable[Source | Shared] = Timetable(clock, self._start)
        past = max(1, concurrency // _PAST_SHARE)
        present = max(1, concurrency - past)
        self._crews: dict[tuple[bool, bool], Crew[_Job | Shared]] = {
            (is_own, is_past): Crew(self._work, past if is_past else present)
            for is_own in (True, False)
            for is_past in (True, False)
        }

    async def run(self) -> None:
        """Ask until cancelled."""
        async with AsyncExitStack() as stack:
            for crew in self._crews.values():
                await stack.enter_async_context(crew)
            self.timetable.open()
            try:
                await asyncio.Event().wait()
            finally:
                self.timetable.close()

    # --- which objectives ---------------------------------------------------------------------------------

    def open(
        self, key: Key, uid: str, indicator: PrometheusIndicator, reach: timedelta, *, is_recorded: bool = False
    ) -> None:
        """Feed an objective, also after each edit. What was counted stays; only what is missing is asked for.

        `is_recorded`: its rules are loaded in that Prometheus, and what they record is read.
        """
        seconds = int(reach.total_seconds())
        old = self._sources.get(key)
        is_same = old is not None and (old.uid, old.indicator) == (uid, indicator)
        source = old if old is not None and is_same else self._made(key, uid, indicator, seconds, old)
        if old is not None and old.uid == uid and seconds > old.reach and old.asked_until is not None:
            source.owed = extension(old.asked_until, source.period, seconds)
        source.reach, source.is_recorded = seconds, is_recorded
        if not is_same:
            self._sources[key] = source
            if old is not None:
                self._drop(old)
            self.timetable.add(source, self._clock.monotonic() + phase(uid, EARLY))
        self._plan(source)

    def close(self, key: Key) -> None:
        """Feed an objective no more."""
        source = self._sources.pop(key, None)
        if source is not None:
            self._drop(source)

    def seen(self, key: Key) -> SourceSeen | None:
        """Say how fresh the data of an objective is, and what is wrong with it; None when we do not feed it."""
        source, now = self._sources.get(key), self._clock.now()
        if source is None:
            return None
        seen = source.seen(now)
        if source.is_known or seen.observed_at is not None or self._meters.last_counted(key) is None:
            return seen
        return replace(seen, observed_at=now)  # a restart is not a silence: it is asked for in a moment

    def _made(self, key: Key, uid: str, indicator: PrometheusIndicator, reach: int, old: Source | None) -> Source:
        source = Source(key, uid, indicator, reach, is_recorded=False, asked_until=None, opened_at=None)
        if old is not None and old.uid == uid:
            source.asked_until, source.observed_until, source.opened_at, source.owed = (
                old.asked_until, old.observed_until, old.opened_at, old.owed,
            )  # fmt: skip
            source.memory = old.memory if old.queries == source.queries else None
            source.is_known = old.is_known
        return source

    def _is_known(self, source: Source) -> bool:
        """Find out up to when an objective was counted, as soon as its history is taken up."""
        if source.is_known:
            return True
        monotonic = self._clock.monotonic()
        source.patient_until = source.patient_until or monotonic + HISTORY_SECONDS
        if not self._meters.is_recalled(source.key) and monotonic < source.patient_until:
            self.timetable.add(source, monotonic + LOOK_AGAIN)
            return False
        last = self._meters.last_counted(source.key)
        if last is not None:
            source.asked_until, source.opened_at = int(last) // MINUTE * MINUTE, self._clock.now()
        source.is_known = True
        return True

    def _drop(self, source: Source) -> None:
        source.is_on = False
        self.timetable.forget(source)
        if not any(other.url == source.url for other in self._sources.values()):
            self._servers.pop(source.url, None)

    # --- when ---------------------------------------------------------------------------------------------

    def _plan(self, what: Source | Shared) -> None:
        """Plan when to ask next: one for itself, or with all others whose rules are in the same Prometheus."""
        if isinstance(what, Source) and what.is_recorded and what.asked_until is not None:
            if what.url in self._shared:
                return
            what = self._shared[what.url] = Shared(what.url)
        name, period = (what.uid, what.period) if isinstance(what, Source) else (what.url, MINUTE)
        after = SETTLE + phase(name, SPREAD)
        now = self._clock.now().timestamp()
        at = ((now - after) // period + 1) * period + after
        self.timetable.add(what, self._clock.monotonic() + at - now)

    def _start(self, what: Source | Shared, _due: float) -> None:
        """Ask what is due, and plan the next time. Never blocks."""
        if isinstance(what, Shared):
            self._start_shared(what)
        elif what.is_on:
            what.go_back(int(self._clock.now().timestamp()))
            self._plan(what)
            self._enqueue(what)

    def _enqueue(self, source: Source) -> None:
        """Have an objective asked for, unless it or its Prometheus rests."""
        monotonic = self._clock.monotonic()
        if source.is_busy or monotonic < source.rests_until or not self._is_known(source):
            return
        end = self._end(source.period)
        todo = segments(source.asked_until, end, source.period, source.reach, source.most_points)
        if not todo:
            return
        server = self._servers[source.url]
        if not server.may_ask(monotonic):
            self._tell(source, server.trouble)
            return
        source.is_busy = True
        self._crew(source.url, is_past=len(todo) > 1).put(_Job(source, todo))

    def _end(self, period: int) -> int:
        """Give where the newest period ends that is over and settled (epoch s)."""
        return int((self._clock.now().timestamp() - SETTLE + _LATE) // period) * period

    def _crew(self, url: str, *, is_past: bool) -> Crew[_Job | Shared]:
        return self._crews[not url, is_past]

    # --- asking -------------------------------------------------------------------------------------------

    async def _work(self, job: _Job | Shared) -> None:
        try:
            await (self._ask_shared(job) if isinstance(job, Shared) else self._ask_all(job))
        except Exception:  # a bug in one objective spares the others
            log.exception("bug", what="job" if isinstance(job, Shared) else str(job.source.key))
        finally:
            if isinstance(job, Shared):
                job.is_busy = False
            elif job.is_owed:
                job.source.is_owing = False
            else:
                job.source.is_busy = False

    async def _ask_all(self, job: _Job) -> None:
        source = job.source
        for number, segment in enumerate(job.segments):
            if number:
                await asyncio.sleep(self._pause)
            if not source.is_on:
                return
            answers = await self._ask(source, segment, is_fresh=job.is_owed)
            if not self._take(source, segment, answers, is_owed=job.is_owed):
                return
        if source.owed and not source.is_owing:
            source.is_owing = True
            self._crew(source.url, is_past=True).put(_Job(source, source.owed, is_owed=True))

    async def _ask(self, source: Source, segment: Segment, *, is_fresh: bool) -> _Answers | Failure:
        """Ask for all events first: without an answer there is nothing more to learn, and nothing of an empty past.

        Where nothing happens now, the part of it is asked for all the same: it may be what cannot be asked.
        """
        queries = source.queries
        is_from_start = needs_start(queries, None if is_fresh else source.memory, segment)
        asked = segment if not is_from_start else replace(segment, start=segment.start - segment.step)
        total = await self._query(source.url, queries.total or queries.query, asked)
        if isinstance(total, Failure):
            return total
        points, is_partial = total
        if queries.total is None or not (points or segment.is_added):
            return _Answers({}, points, is_partial)
        part = await self._query(source.url, queries.query, asked)
        if isinstance(part, Failure):
            return replace(part, is_of_part=True)
        return _Answers(part[0], points, is_partial or part[1])

    async def _query(
        self, url: str, query: Query, segment: Segment, most: int = MOST_SERIES
    ) -> tuple[Points, bool] | Failure:
        """Ask for each period of a segment; give what was found, and whether it is partial."""
        text, start, end = query.text(segment.step), segment.start + segment.step, segment.end
        answer: Vector | Matrix | Failure
        if start == end:
            answer = await self._prometheus.query(url, text, end)
        else:
            answer = await self._prometheus.query_range(url, text, start, end, segment.step)
        if isinstance(answer, Failure):
            return answer
        return Failure(Trouble.TOO_LARGE) if is_too_large(answer, most) else (points_of(answer, end), answer.is_partial)

    def _take(self, source: Source, segment: Segment, answers: _Answers | Failure, *, is_owed: bool) -> bool:
        """Book what was answered, unless the objective was edited or deleted meanwhile; say whether to go on."""
        if not source.is_on:
            return False
        monotonic = self._clock.monotonic()
        server = self._servers[source.url]
        if isinstance(answers, Failure):
            server.fail(source.key, answers.trouble, monotonic)
            if is_owed:
                source.fail_to_settle(segment, answers.trouble)
                return False
            before = source.problem, source.is_of_part
            source.fail(answers, segment, monotonic)
            self._wake_if(source, is_news=(source.problem, source.is_of_part) != before)
            return False
        server.succeed()
        source.succeed()
        memory, part, total = count_up(
            source.queries, None if is_owed else source.memory, answers.part, answers.total, segment
        )
        readings = read(source.queries, part, total, segment)
        if is_owed:
            source.settle(segment)
        else:
            source.memory, source.asked_until = memory, segment.end
        self._book(source, readings, segment, is_partial=answers.is_partial)
        return True

    # --- what rules recorded --------------------------------------------------------------------------------

    def _start_shared(self, shared: Shared) -> None:
        fed = self._fed(shared)
        if not fed:
            del self._shared[shared.url]
            return
        self._plan(shared)
        server = self._servers[shared.url]
        for source in fed:
            source.go_back(int(self._clock.now().timestamp()))
        if shared.is_busy:
            return
        if server.may_ask(self._clock.monotonic()):
            shared.is_busy = True
            self._crew(shared.url, is_past=False).put(shared)
            return
        for source in fed:
            self._tell(source, server.trouble)

    def _fed(self, shared: Shared) -> list[Source]:
        """Give the objectives that what was recorded is read for."""
        return [
            source
            for source in self._sources.values()
            if source.is_recorded and source.url == shared.url and source.asked_until is not None
        ]

    async def _ask_shared(self, shared: Shared) -> None:
        end = self._end(MINUTE)
        known = (source.asked_until for source in self._fed(shared) if source.asked_until is not None)
        since = min(known, default=end) if shared.asked_until is None else shared.asked_until
        segment = Segment(min(max(since, end - HOUR), end - MINUTE), end, MINUTE, MINUTE, is_added=True)
        answer = await self._query(shared.url, Query(RECORDED, Unit.RATE), segment, MOST_RECORDED_SERIES)
        fed = self._fed(shared)
        server = self._servers[shared.url]
        if isinstance(answer, Failure):
            server.fail(shared.url, answer.trouble, self._clock.monotonic())
            if answer.trouble is Trouble.TOO_LARGE:  # then each asks for itself
                shared.asked_until = end
            for source in fed:
                self._ask_or_tell(source, answer.trouble)
            return
        server.succeed()
        shared.asked_until = end
        points, is_partial = answer
        recorded = _by_objective(points)
        for source in fed:
            part, total = recorded.get((source.key.namespace, source.key.name), ({}, {}))
            self._share(source, _Answers(part, total, is_partial), segment)

    def _ask_or_tell(self, source: Source, trouble: Trouble) -> None:
        """Ask for an objective itself where all together are too much; any other trouble is its own, too."""
        if trouble is Trouble.TOO_LARGE:
            self._enqueue(source)
        else:
            self._tell(source, trouble)

    def _share(self, source: Source, answers: _Answers, asked: Segment) -> None:
        """Book what was recorded for one objective; ask for itself where that leaves a gap."""
        since = source.asked_until
        if source.is_busy or since is None or since >= asked.end:
            return
        if since < asked.start or asked.end not in answers.total:
            self._enqueue(source)
            return
        segment = replace(asked, start=since)
        source.succeed()
        source.asked_until = segment.end
        source.memory = None
        readings = read(source.recorded, answers.part, answers.total, segment)
        self._book(source, readings, segment, is_partial=answers.is_partial)

    # --- booking ------------------------------------------------------------------------------------------

    def _book(self, source: Source, readings: Sequence[Reading], segment: Segment, *, is_partial: bool) -> None:
        """Book what was read, and tell what is wrong with the newest of it."""
        is_counted = self._count(source.key, readings, segment)
        observed = [reading.at for reading in readings if reading.counts]
        clamped = [reading.at for reading in readings if reading.is_clamped]
        source.observed_until = max([*observed, source.observed_until or 0]) or None
        source.clamped_at = max([*clamped, source.clamped_at or 0]) or None
        if not segment.is_added:
            return
        is_first, source.is_answered = not source.is_answered, True
        problem: Problem | None = readings[-1].problem if readings else None
        is_of_part = bool(readings) and readings[-1].is_of_part
        if problem is None and not is_counted:
            problem = Finding.TOO_MANY_GROUPS
        if problem is None and is_partial:
            problem = Finding.PARTIAL
        is_news = is_first or (problem, is_of_part) != (source.problem, source.is_of_part) or bool(observed)
        source.problem, source.is_of_part = problem, is_of_part
        self._wake_if(source, is_news=is_news)

    def _count(self, key: Key, readings: Sequence[Reading], segment: Segment) -> bool:
        """Write readings into the books; say whether there was room for all groups."""
        refused: set[str] = set()
        for (group, start, seconds), entry in entries(readings, segment).items():
            if segment.is_added:
                is_taken = self._meters.add(key, group, start // MINUTE, entry.bad, entry.total)
            else:
                name = self._meters.series_name(key, group) or ""
                bucket = Bucket(name, start, seconds, entry.total - entry.bad, entry.total, entry.observed)
                is_taken = self._meters.put(key, group, bucket)
            if not is_taken and group:
                refused.add(group)
        if not refused:
            return True
        groups = self._meters.groups(key)
        return len(groups) < MOST_GROUPS or refused <= set(groups)

    def _tell(self, source: Source, problem: Problem | None) -> None:
        is_news = source.problem is not problem
        source.problem, source.is_of_part = problem, False
        self._wake_if(source, is_news=is_news)

    def _wake_if(self, source: Source, *, is_news: bool) -> None:
        if is_news:
            self._wake(source.key)


def _by_objective(points: Points) -> Mapping[tuple[str, str], tuple[Points, Points]]:
    """Divide what rules recorded by namespace and name of the objective: bad and all events."""
    found: defaultdict[tuple[str, str], tuple[dict[int, list[Sample]], dict[int, list[Sample]]]]
    found = defaultdict(lambda: ({}, {}))
    for at, samples in points.items():
        for sample in samples:
            whose = sample.labels.get(NAMESPACE_LABEL, ""), sample.labels.get(OBJECTIVE_LABEL, "")
            place = _PLACES.get(sample.labels.get("__name__", ""))
            if place is not None:
                found[whose][place].setdefault(at, []).append(sample)
    return found


_PLACES: Final[Mapping[str, int]] = {RECORDED_BAD: 0, RECORDED_TOTAL: 1}
