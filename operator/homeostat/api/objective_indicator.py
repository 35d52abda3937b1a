"""What a ServiceLevelObjective measures: a HealthCheck, pushed events, Prometheus, or other objectives."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import (
    GoDuration,
    ListMap,
    ListSet,
    Model,
    ObjectName,
    Rule,
    between,
    divides_an_hour,
    exactly_one,
)

MOST_GROUPS = 64
"""Groups that an objective has at most: more are not counted, and its condition QueryValid says so."""
LONGEST_GROUP = 253
"""Characters of a group's name, as many as the store keeps of it."""

Query = Annotated[str, Field(min_length=1, max_length=4096)]
LabelName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
GroupBy = Annotated[tuple[LabelName, ...], Field(max_length=4), ListSet()]
"""Labels: each combination of their values that is seen is a group, with a budget of its own."""


class Good(StrEnum):
    """Which runs of a HealthCheck are good."""

    PASSED = "Passed"
    FASTER_THAN = "FasterThan"  # passed, and within the threshold


class HealthCheckIndicator(Model):
    """The runs of a HealthCheck of the same namespace: good of all that passed or failed."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "has(self.threshold) == (self.good == 'FasterThan')",
            "threshold goes with good: FasterThan, and only with it",
        ),
    )

    name: ObjectName
    """Name of the HealthCheck."""
    good: Good = Good.PASSED
    """Which of its runs are good."""
    threshold: Annotated[GoDuration | None, between("1ms", "5m")] = None
    """The time a good run takes at most."""


class EventsIndicator(Model):
    """Good and bad events, pushed through the API of the operator."""

    group_by: GroupBy = ()
    """Labels that events carry: each combination of values has a budget of its own."""
    stale_after: Annotated[GoDuration, between("1m", "24h")] = timedelta(minutes=10)
    """How long after the last push there is no fresh data any more; pushing zeros says that there is no traffic."""


class RatioQueries(Model):
    """Two queries: all events, and the bad or the good of them."""

    rules: ClassVar[Sequence[Rule]] = (exactly_one("bad", "good", what="ratio"),)

    bad: Query | None = None
    """Query of the bad events; {{window}} stands for the range."""
    good: Query | None = None
    """Query of the good events; {{window}} stands for the range."""
    total: Query
    """Query of all events; {{window}} stands for the range."""


class HistogramType(StrEnum):
    """The two kinds of histograms of Prometheus."""

    CLASSIC = "Classic"
    NATIVE = "Native"


class LatencyHistogram(Model):
    """A histogram of latencies: good are the events within the threshold."""

    histogram: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    """Name of the histogram, without _bucket."""
    selector: Annotated[str, Field(max_length=1024)] = ""
    """Label matchers, without braces."""
    threshold: Annotated[GoDuration, between("1ms", "1h")]
    """The time a good event takes at most."""
    type: HistogramType = HistogramType.CLASSIC
    """Classic needs a bucket at the threshold, Native does not."""


class PrometheusIndicator(Model):
    """What Prometheus knows."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one("ratio", "latency", "ratioQuery", what="prometheus"),
        Rule(
            "self.url == '' || (isURL(self.url) && url(self.url).getScheme() in ['http', 'https'] && "
            "!self.url.contains('@'))",
            "url must be an http or https URL without credentials",
        ),
    )

    url: Annotated[str, Field(max_length=2048)] = ""
    """Address of Prometheus; the operator's default if empty."""
    resolution: Annotated[GoDuration, divides_an_hour()] = timedelta(minutes=1)
    """How often Prometheus is asked, and the range that {{window}} stands for: at least two scrapes long."""
    group_by: GroupBy = ()
    """Labels of what the queries give: each combination of values has a budget of its own."""
    ratio: RatioQueries | None = None
    """Counts of events. A query without {{window}} gives counters, and homeostat takes their increase itself."""
    latency: LatencyHistogram | None = None
    """A histogram of latencies."""
    ratio_query: Query | None = None
    """Query of an error ratio, as it is."""


class CompositeMode(StrEnum):
    """How members make up a whole."""

    WEIGHTED = "Weighted"
    ALL = "All"
    SUM = "Sum"


class WhenMissing(StrEnum):
    """What a member without data counts as."""

    IGNORE = "Ignore"  # the weights of the others make up for it
    GOOD = "Good"
    BAD = "Bad"


class Member(Model):
    """One objective of a composite."""

    name: ObjectName
    """Name of the ServiceLevelObjective."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its weight among the others."""


class CompositeIndicator(Model):
    """Other objectives of the same namespace."""

    mode: CompositeMode = CompositeMode.WEIGHTED
    """How members make up the whole."""
    when_missing: WhenMissing = WhenMissing.IGNORE
    """What a member without data counts as."""
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=32), ListMap("name")]
    """The objectives."""


class Indicator(Model):
    """What is measured."""

    rules: ClassVar[Sequence[Rule]] = (
        exactly_one("healthCheck", "events", "prometheus", "composite", what="indicator"),
    )

    health_check: HealthCheckIndicator | None = None
    """The runs of a HealthCheck."""
    events: EventsIndicator | None = None
    """Events pushed through the API of the operator."""
    prometheus: PrometheusIndicator | None = None
    """What Prometheus knows."""
    composite: CompositeIndicator | None = None
    """Other objectives."""
