"""The queries of an indicator as rules need them: bad and total events a second within a range, by group.

What the numbers of a query are says `prometheus_queries`; around each counter of one that gives counters comes `rate`
(`counters`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import promql_parser
from promql_parser import Expr

from homeostat.api.meta import format_decimal, format_duration
from homeostat.api.objective_indicator import HistogramType, PrometheusIndicator
from homeostat.core.prometheus.counters import NotCounters, rated
from homeostat.core.prometheus.queries import WINDOW, Part, Query, Unit, queries_of


class Inexpressible(Exception):
    """An objective that cannot be written as rules; the message says why, as a sentence for its author."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Queries of one range, both by group: total events a second, and the bad of them, given where the total is.

    `total` "": there are no events, only a share of bad ones in each moment. Labels that are not those of the groups
    do not matter to `bad`.
    """

    total: str
    bad: Callable[[str], str]


def measured(indicator: PrometheusIndicator, within: timedelta) -> Measured:
    """Write the queries of an indicator for a range. Raises Inexpressible."""
    try:
        queries = queries_of(indicator)
    except ValueError as error:
        raise Inexpressible(f"{error}.") from error
    groups = ", ".join(queries.groups)
    by, on = f"by ({groups}) " if groups else "", f"on ({groups})"
    part = _per_second(queries.query, within)
    if queries.total is None:
        share = f"clamp(avg {by}({part}) >= -Inf, 0, 1)"  # NaN compares with nothing, and so is dropped
        return Measured("", lambda _: share)
    part, total = f"sum {by}({part})", f"sum {by}({_per_second(queries.total, within)})"
    if queries.part is Part.BAD:
        return Measured(total, lambda found: f"{part} or {on} ({found} * 0)")
    if not queries.needs_part:
        return Measured(total, lambda found: f"clamp_min({found} - {on} ({part} or {on} ({found} * 0)), 0)")
    if indicator.latency is not None and indicator.latency.type is HistogramType.NATIVE:
        # A histogram without events has no fraction (NaN): nothing is bad then.
        return Measured(total, lambda found: f"clamp_min({found} - {on} ({part} >= 0), 0) or {on} ({found} * 0)")
    # Where there is no bucket at the threshold nothing comes out, not "all bad": the alert of absent data tells.
    return Measured(total, lambda found: f"clamp_min({found} - {on} {part}, 0)")


def _per_second(query: Query, within: timedelta) -> str:
    """Write a query of events as one of events a second; a share stays as it is. Raises Inexpressible."""
    window = format_duration(within)
    text = WINDOW.sub(window, query.template)
    found = _parsed(text)
    if "#" in text:  # it may be a comment, which ends with its line
        text = f"{text}\n"
    _parsed(f"sum({text})")  # a number or a range would make rules that no Prometheus loads, nor others beside them
    if query.unit is Unit.COUNTER:
        return _rated(found, window)
    if query.unit is Unit.COUNT:
        seconds = Decimal(str(query.range_seconds)) or Decimal(within // timedelta(seconds=1))
        return f"({text}) / {format_decimal(seconds)}"
    return text


def _parsed(text: str) -> Expr:
    """Read PromQL. Raises Inexpressible, with what the parser says in one line."""
    try:
        found: Expr = promql_parser.parse(text)
    except ValueError as error:
        raise Inexpressible(f"A query is not PromQL: {' '.join(str(error).split())}.") from error
    return found


def _rated(counters: Expr, window: str) -> str:
    try:
        return rated(counters, window)
    except NotCounters as error:
        raise Inexpressible(
            f"A query without {{{{window}}}} must be counters or sums of counters, and one has {error}: "
            "write it with increase(…[{{window}}])."
        ) from error
