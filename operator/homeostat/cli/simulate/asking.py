"""Asks Prometheus what a replay needs: one query after another, as the operator would, never two at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import uvloop

from homeostat.api.objective_indicator import PrometheusIndicator
from homeostat.core.prometheus.answer import Failure, Sample, Trouble
from homeostat.core.prometheus.collecting import Points, Segment, is_too_large, points_of
from homeostat.core.prometheus.comparing import Comparison
from homeostat.core.prometheus.queries import Query, Unit
from homeostat.core.simulation.questions import Gathering, Values, fewer
from homeostat.ports import Prometheus
from homeostat.wiring.outside import Queries
from homeostat.wiring.settings import Settings

T = TypeVar("T")

PATIENCE: Final = 600.0
"""Seconds for all queries of one objective or trigger."""
_NO_REACH: Final = frozenset({Trouble.UNREACHABLE, Trouble.NOT_PERMITTED, Trouble.NOT_CONFIGURED})
"""Troubles that a smaller question has as well."""


class Unanswered(Exception):
    """Prometheus gave no answer that can be used."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.trouble.value)
        self.failure = failure


class TooSlow(Exception):
    """All answers together took too long."""


def ask(settings: Settings, server: str, work: Callable[[Prometheus], Awaitable[T]]) -> T:
    """Ask the Prometheus of the settings, or one that an objective names, as guarded as the operator does.

    `server` is the URL of the API server ("" without one), which is never asked. Raises Unanswered and TooSlow.
    """

    async def run() -> T:
        queries = Queries(settings, server)
        try:
            async with asyncio.timeout(PATIENCE):
                return await work(queries.client)
        except TimeoutError as error:
            raise TooSlow from error
        finally:
            queries.close()

    return uvloop.run(run())


async def gather(prometheus: Prometheus, indicator: PrometheusIndicator, segments: Sequence[Segment]) -> Gathering:
    """Ask for what an indicator counted. Raises Unanswered."""
    gathering = Gathering(indicator)
    waiting = list(reversed(segments))
    while waiting:
        segment = waiting.pop()
        failure = await _take(prometheus, gathering, segment)
        if failure is not None:
            waiting += reversed(_smaller(segment, failure))
    return gathering


async def values(prometheus: Prometheus, query: str, comparison: Comparison, segments: Sequence[Segment]) -> Values:
    """Ask for the value of a trigger's query over time. Raises Unanswered."""
    points: dict[int, Sequence[Sample]] = {}
    waiting = list(reversed(segments))
    while waiting:
        segment = waiting.pop()
        answer = await _ask(prometheus, "", Query(query, Unit.COUNT), segment)
        if isinstance(answer, Failure):
            waiting += reversed(_smaller(segment, answer))
        else:
            found, is_partial = answer
            points |= dict.fromkeys(found, ()) if is_partial else found  # what is not whole is no value
    return Values(points, segments[0].step, comparison)


def _smaller(segment: Segment, failure: Failure) -> Sequence[Segment]:
    """Divide what was too much. Raises Unanswered where that would not help."""
    smaller = () if failure.trouble in _NO_REACH else fewer(segment)
    if not smaller:
        raise Unanswered(failure)
    return smaller


async def _take(prometheus: Prometheus, gathering: Gathering, segment: Segment) -> Failure | None:
    """Ask for all events first: without any there is nothing more to learn."""
    queries, url, asked = gathering.queries, gathering.indicator.url, gathering.asked(segment)
    total = await _ask(prometheus, url, queries.total or queries.query, asked)
    if isinstance(total, Failure):
        return total
    part: tuple[Points, bool] | Failure = ({}, False)
    if queries.total is not None and total[0]:
        part = await _ask(prometheus, url, queries.query, asked)
    if isinstance(part, Failure):
        return replace(part, is_of_part=True)
    gathering.take(segment, part[0], total[0], is_partial=total[1] or part[1])
    return None


async def _ask(prometheus: Prometheus, url: str, query: Query, segment: Segment) -> tuple[Points, bool] | Failure:
    """Ask for each period of a segment; give what was found, and whether Prometheus warned that it is not all."""
    start, end = segment.start + segment.step, segment.end
    answer = await prometheus.query_range(url, query.text(segment.step), start, end, segment.step)
    if isinstance(answer, Failure):
        return answer
    return Failure(Trouble.TOO_LARGE) if is_too_large(answer) else (points_of(answer, end), answer.is_partial)
