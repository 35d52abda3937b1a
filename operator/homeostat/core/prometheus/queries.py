"""From an indicator to what Prometheus is asked: queries of bad or good events and of all, or of an error ratio. Pure.

A query is a text in which `{{window}}` stands for a range. What its numbers are is told by the outermost function over
a range: `rate` gives events a second, `increase` and `..._over_time` give counts. A query without `{{window}}` and
without such a function gives counters: of one selector, or its sum, we take the increase ourselves, counter by counter;
of other sums Prometheus does, by a rate put around each counter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import promql_parser

from homeostat.api.objective_indicator import HistogramType, Indicator, LatencyHistogram, PrometheusIndicator
from homeostat.core.history.window import MINUTE
from homeostat.core.prometheus.counters import rated, summed_alone

WINDOW: Final = re.compile(r"\{\{\s*\.?window\s*\}\}")
_OTHER_PLACEHOLDER: Final = re.compile(r"\{\{.*?\}\}")
_PER_SECOND: Final = frozenset({"rate", "irate", "deriv"})
_CALL: Final = re.compile(r"\b([a-z_]+)\s*\(")
_OVER_RANGE: Final = re.compile(r"rate|irate|deriv|increase|delta|idelta|changes|resets|[a-z0-9]+_over_time")
_TRIED_WITH: Final = 5 * MINUTE
_MARKS: Final = ("1y", "2y", "3y", "1w", "2w", "3w", "1d", "2d", "3d", "1h")
"""Ranges that may stand for the window for a moment: one that a query does not have."""


class Unit(StrEnum):
    """What the numbers of a query are."""

    COUNT = "Count"  # events within the range
    RATE = "Rate"  # events a second
    COUNTER = "Counter"  # events since whatever counts them began
    RATIO = "Ratio"  # a share of bad events


@dataclass(frozen=True, slots=True)
class Query:
    """One query, as it is asked; `written` is what it was made of, where its author wrote something else.

    `range_seconds` is the range of a count that does not say `{{window}}`; 0.0 for the window itself.
    """

    template: str
    unit: Unit
    range_seconds: float = 0.0
    original: str = ""

    @property
    def written(self) -> str:
        """The query as its author wrote it."""
        return self.original or self.template

    def text(self, seconds: int) -> str:
        """Write it for a range."""
        return WINDOW.sub(f"{seconds}s", self.template)

    def events(self, value: float, seconds: int) -> float:
        """Give the events within `seconds` that a value stands for; a counter's value stays as it is."""
        if self.unit is Unit.RATE:
            return value * seconds
        return value * seconds / self.range_seconds if self.range_seconds else value


class Part(StrEnum):
    """Which part of all events the other query gives."""

    BAD = "Bad"
    GOOD = "Good"


@dataclass(frozen=True, slots=True)
class Queries:
    """What an objective asks. Without `total`, `query` is an error ratio, which weighs every minute alike.

    `groups`: labels by which the answer is divided. `needs_part`: where there are events, the part must be there, too:
    a bucket of a histogram exists as soon as the histogram does.
    """

    query: Query
    part: Part = Part.BAD
    total: Query | None = None
    groups: tuple[str, ...] = ()
    needs_part: bool = False

    @property
    def has_counters(self) -> bool:
        """Whether we take the increase of something ourselves."""
        return any(one is not None and one.unit is Unit.COUNTER for one in (self.query, self.total))


def queries_of(indicator: PrometheusIndicator) -> Queries:
    """Give what an indicator asks. Raises ValueError when it names nothing to ask, which the schema refuses."""
    groups = indicator.group_by
    if indicator.latency is not None:
        return _of_latency(indicator.latency, groups)
    if indicator.ratio_query is not None:
        return Queries(Query(indicator.ratio_query, Unit.RATIO), groups=groups)
    ratio = indicator.ratio
    part = None if ratio is None else ratio.bad or ratio.good
    if ratio is None or part is None:
        raise ValueError("the indicator has no queries")
    return Queries(_query(part, groups), Part.BAD if ratio.bad else Part.GOOD, _query(ratio.total, groups), groups)


def field_of(indicator: PrometheusIndicator, *, is_part: bool) -> str:
    """Name the field of the spec that a query comes from: that of all events, or that of the part of them."""
    at = "spec.indicator.prometheus"
    if indicator.latency is not None:
        return f"{at}.latency"
    if indicator.ratio is None:
        return f"{at}.ratioQuery"
    return f"{at}.ratio.{('bad' if indicator.ratio.bad else 'good') if is_part else 'total'}"


def period_of(resolution: timedelta) -> int:
    """Give how often Prometheus is asked, in whole minutes (s): counts are booked by the minute."""
    return max(1, -(-int(resolution.total_seconds()) // MINUTE)) * MINUTE


# --- latency --------------------------------------------------------------------------------------------


def bucket_pattern(seconds: Decimal) -> str:
    """Write the expression for `le` that matches a threshold however it is written: 1, 1.0, 1e+00 (S11)."""
    sign, digits, exponent = seconds.normalize().as_tuple()
    if sign or not isinstance(exponent, int) or not any(digits):
        raise ValueError("a threshold is above 0")
    text = "".join(map(str, digits))
    scale = exponent + len(text) - 1  # of the first digit
    return f"{_fixed(text, exponent)}|{_scientific(text, scale)}"


def _fixed(digits: str, exponent: int) -> str:
    if exponent >= 0:
        return f"{digits}{'0' * exponent}([.]0*)?"
    padded = digits.rjust(1 - exponent, "0")
    return f"{padded[:exponent]}[.]{padded[exponent:]}0*"


def _scientific(digits: str, scale: int) -> str:
    rest = f"[.]{digits[1:]}0*" if digits[1:] else "([.]0*)?"
    return f"{digits[0]}{rest}[eE]{'-' if scale < 0 else '[+]?'}0*{abs(scale)}"


def _of_latency(latency: LatencyHistogram, groups: tuple[str, ...]) -> Queries:
    threshold = Decimal(round(latency.threshold.total_seconds() * 1000)) / 1000
    if latency.type is HistogramType.NATIVE:
        whole = _summed(f"increase({_selector(latency.histogram, latency)}[{{{{window}}}}])", groups)
        total = f"histogram_count({whole})"
        good = f"histogram_fraction(0, {threshold}, {whole}) * {total}"
    else:
        bucket = _selector(f"{latency.histogram}_bucket", latency, f'le=~"{bucket_pattern(threshold)}"')
        good = _summed(f"increase({bucket}[{{{{window}}}}])", groups)
        total = _summed(f"increase({_selector(f'{latency.histogram}_count', latency)}[{{{{window}}}}])", groups)
    return Queries(Query(good, Unit.COUNT), Part.GOOD, Query(total, Unit.COUNT), groups, needs_part=True)


def _selector(name: str, latency: LatencyHistogram, *more: str) -> str:
    given = latency.selector.strip().rstrip(",").rstrip()
    return f"{name}{{{','.join(filter(None, (given, *more)))}}}"


def _summed(inner: str, groups: tuple[str, ...]) -> str:
    return f"sum by ({', '.join(groups)}) ({inner})" if groups else f"sum({inner})"


# --- what a query's numbers are -------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _query(template: str, groups: tuple[str, ...]) -> Query:
    function, seconds = _outermost(template)
    has_window = WINDOW.search(template) is not None
    if function in _PER_SECOND:
        return Query(template, Unit.RATE)
    if has_window:
        return Query(template, Unit.COUNT)
    return Query(template, Unit.COUNT, seconds) if function and seconds else _counters(template, groups)


def _counters(template: str, groups: tuple[str, ...]) -> Query:
    try:
        tree = promql_parser.parse(template)
        alone = summed_alone(tree, groups)
        if alone is not None:
            return Query(alone, Unit.COUNTER, original=template)
        mark = next(each for each in _MARKS if each not in template)
        return Query(rated(tree, mark).replace(f"[{mark}]", "[{{window}}]"), Unit.RATE, original=template)
    except ValueError:  # nothing that we can take apart: it is one counter, or Prometheus says what it is
        return Query(template, Unit.COUNTER)


def _outermost(template: str) -> tuple[str, float]:
    """Name the outermost function over a range, and give its range (s); "" and 0.0 when there is none."""
    try:
        tree = promql_parser.parse(WINDOW.sub(f"{_TRIED_WITH}s", template))
    except ValueError:  # it may be newer than the parser; Prometheus has the last word
        named = (match.group(1) for match in _CALL.finditer(template))
        return next((name for name in named if _OVER_RANGE.fullmatch(name)), ""), 0.0
    level: list[Any] = [tree]
    while level:
        for node in level:
            ranged = _range_of(node)
            if ranged:
                return str(node.func.name), ranged
        level = list(chain.from_iterable(_parts(node) for node in level))
    return "", 0.0


def _range_of(node: object) -> float:
    """Give the range (s) that a node is a function over; 0.0 when it is none."""
    if not isinstance(node, promql_parser.Call):
        return 0.0
    ranges = (argument.range for argument in node.args if isinstance(argument, _RANGED))
    return next((each.total_seconds() for each in ranges if each is not None), 0.0)


_RANGED: Final = (promql_parser.MatrixSelector, promql_parser.SubqueryExpr)


def _parts(node: object) -> Iterator[object]:
    """Give what a node is made of."""
    match node:
        case promql_parser.Call():
            yield from node.args
        case promql_parser.BinaryExpr():
            yield from (node.lhs, node.rhs)
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield node.expr
        case promql_parser.SubqueryExpr():
            yield node.expr
        case _:
            return


# --- what can be said without Prometheus ----------------------------------------------------------------

Problem = tuple[str, str]
"""Path of a field of the spec, and what is wrong with it."""


def problems(indicator: Indicator) -> tuple[Problem, ...]:
    """Say what is wrong with the queries of an indicator. Prometheus may know more of PromQL: these are hints."""
    source = indicator.prometheus
    if source is None:
        return ()
    return tuple(_problems_of(source))


def _problems_of(source: PrometheusIndicator) -> Iterator[Problem]:
    at = "spec.indicator.prometheus"
    if source.latency is not None:
        queries = queries_of(source)
        for query in (queries.query, queries.total):
            found = _syntax(query.template) if query is not None else ""
            if found:
                yield f"{at}.latency.selector", found
                return
    named: dict[str, str | None] = {"ratioQuery": source.ratio_query}
    if source.ratio is not None:
        named |= {f"ratio.{name}": getattr(source.ratio, name) for name in ("bad", "good", "total")}
    for name, query_text in named.items():
        found = _problem(query_text) if query_text is not None else ""
        if found:
            yield f"{at}.{name}", found


def _problem(template: str) -> str:
    other = _OTHER_PLACEHOLDER.search(WINDOW.sub("1m", template))
    if other is not None:
        return f"{other.group()} stands for nothing; only {{{{window}}}} does"
    return _syntax(template)


def _syntax(template: str) -> str:
    """Say why a query cannot be read, or gives no numbers; "" when it is fine."""
    try:
        tree = promql_parser.parse(WINDOW.sub(f"{_TRIED_WITH}s", template))
    except ValueError as error:
        return f"this cannot be read as PromQL: {' '.join(str(error).split())}"
    if isinstance(tree, _RANGED):
        return "this gives ranges, not numbers: a function such as increase() must be around it"
    if isinstance(tree, promql_parser.StringLiteral):
        return "this gives a text, not numbers"
    return ""
