"""HealthCheck: what to probe, how often, and when it counts as healthy; and what was found."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from homeostat.api.meta import (
    Column,
    GoDuration,
    Kind,
    ListMap,
    Model,
    NameRef,
    ObjectName,
    PreciseTime,
    Rule,
    Status,
    Time,
    between,
)
from homeostat.api.probe import Probe, Share


class Criticality(StrEnum):
    """How much a check weighs in scores: 8, 4, 2 and 1."""

    CRITICAL = "Critical"
    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class Retries(Model):
    """Further attempts within one run, before it counts as failed."""

    max: Annotated[int, Field(ge=0, le=5)] = 0
    """How many times a failed attempt is repeated."""
    backoff: Annotated[GoDuration, between("0s", "1m")] = timedelta(milliseconds=200)
    """The pause before a repeated attempt."""


class Degraded(Model):
    """When a check that passes is Degraded rather than Healthy."""

    latency: Annotated[GoDuration | None, between("1ms", "5m")] = None
    """A pass slower than this is degraded."""


class Flapping(Model):
    """When a check that turns to and fro counts as flapping: its turns are then told once, not each."""

    transitions: Annotated[int, Field(ge=3, le=20)] = 5
    """So many turns between Unhealthy and not, within the window, are flapping."""
    window: Annotated[GoDuration, between("1m", "24h")] = timedelta(minutes=10)
    """The time in which turns are counted; a window without any ends the flapping."""


class Maintenance(Model):
    """A time in which the target is worked on, and is not probed."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule("timestamp(self.start) < timestamp(self.end)", "maintenance: end must be after start"),
    )

    start: Time
    """When it begins."""
    end: Time
    """When it is over."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """What is done, for humans."""


class HealthCheckSpec(Model):
    """What to probe, how often, and when it counts as healthy."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule("duration(self.timeout) <= duration(self.interval)", "timeout must not be longer than interval"),
    )

    service: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = ""
    """The service this check speaks for; checks of a service are scored together."""
    interval: Annotated[GoDuration, between("1s", "24h")] = timedelta(seconds=10)
    """Time from the start of a run to the start of the next."""
    timeout: Annotated[GoDuration, between("10ms", "5m")] = timedelta(seconds=2)
    """Hard limit of each attempt."""
    retries: Retries = Retries()
    """Further attempts within one run; a pass that needed one is shown as Degraded."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3
    """Consecutive failed runs that make the check Unhealthy."""
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 2
    """Consecutive passed runs that make an Unhealthy check Healthy again."""
    probe: Probe
    """What to probe."""
    min_passing: Share = Decimal(1)
    """Share of the endpoints that must pass; below 100% a partial pass is Degraded."""
    degraded: Degraded | None = None
    """When a check that passes is Degraded."""
    criticality: Criticality = Criticality.MEDIUM
    """How much this check weighs in scores."""
    depends_on: Annotated[tuple[NameRef, ...], Field(max_length=16), ListMap("name")] = ()
    """HealthChecks of the same namespace without which this one cannot be healthy; while one of them is Unhealthy,
    nobody is told of this one's failure and no policy acts on it."""
    flapping: Flapping = Flapping()
    """When a check that turns to and fro counts as flapping."""
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=16)] = ()
    """Times in which nothing is probed and nothing counted."""
    suspend: bool = False
    """Stop probing; the state becomes Suspended."""


class HealthState(StrEnum):
    """What is known of the target."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"  # it passes, but slowly, only in part, or only after a retry
    UNHEALTHY = "Unhealthy"
    UNKNOWN = "Unknown"  # not yet, or no longer, known
    SUSPENDED = "Suspended"


class Trend(StrEnum):
    """Where uptime is going."""

    IMPROVING = "Improving"
    STABLE = "Stable"
    WORSENING = "Worsening"


class StreakResult(StrEnum):
    """The two results that make streaks."""

    PASS = "Pass"  # noqa: S105 - a result, not a password
    FAIL = "Fail"


class Streak(Model):
    """Consecutive runs with the same result."""

    result: StreakResult
    """Pass or Fail."""
    count: Annotated[int, Field(ge=1)]
    """How many runs in a row; kept exact up to the thresholds, refreshed now and then beyond."""
    clean: Annotated[int, Field(ge=0)] = 0
    """How many of them, at the end, passed without a retry, in time and in full."""


class Latency(Model):
    """Percentiles of the last 100 passed runs."""

    p50: GoDuration
    """Median."""
    p95: GoDuration
    """95th percentile."""
    p99: GoDuration
    """99th percentile."""


class FailingEndpoint(Model):
    """An endpoint that did not pass in the last run."""

    name: Annotated[str, Field(max_length=253)]
    """Name of the pod behind the endpoint, else the host or object the spec names."""
    reason: Annotated[str, Field(max_length=63)]
    """A CamelCase word that says why."""


class HealthCheckStatus(Status):
    """What was found."""

    type: Annotated[str, Field(max_length=16)] = ""
    """The member of spec.probe that is set."""
    target: Annotated[str, Field(max_length=512)] = ""
    """What is probed, in short, without query or credentials."""
    state: HealthState = HealthState.UNKNOWN
    """What is known of the target."""
    since: PreciseTime | None = None
    """When the state began."""
    score: Annotated[int | None, Field(ge=0, le=100)] = None
    """Health from 0 to 100; absent while nothing is known."""
    trend: Trend | None = None
    """Where uptime is going; absent while too little is known."""
    passing: Annotated[str, Field(max_length=21, pattern=r"^([0-9]{1,10}/[0-9]{1,10})?$")] = ""
    """Endpoints that passed, of all, in the last run."""
    failing: Annotated[tuple[FailingEndpoint, ...], Field(max_length=10)] = ()
    """Endpoints that did not pass in the last run, at most ten."""
    last_probe: PreciseTime | None = None
    """When the last run that passed or failed ended."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """Why the state is what it is."""
    latency: Latency | None = None
    """Percentiles of recent runs."""
    uptime: Annotated[
        dict[str, Annotated[str, Field(max_length=6, pattern=r"^(100|[0-9]{1,2}(\.[0-9]{1,2})?)$")]],
        Field(max_length=8),
    ] = Field(default_factory=dict)
    """Share of passed runs in percent, by window: 1h, 24h, 7d, 30d."""
    streak: Streak | None = None
    """Consecutive runs with the same result."""
    certificate_expiry: Time | None = None
    """When the first of the certificates seen in the last run expires; absent without TLS."""
    transitions: Annotated[tuple[PreciseTime, ...], Field(max_length=20)] = ()
    """When it last turned Unhealthy or back, oldest first."""
    suppressed_by: Annotated[tuple[ObjectName, ...], Field(max_length=16)] = ()
    """HealthChecks of spec.dependsOn that are Unhealthy: while there is one, a failure of this one is not told."""
    missed: Annotated[int, Field(ge=0)] = 0
    """Runs that did not happen at their time, since the check was created."""


KIND = Kind(
    kind="HealthCheck",
    plural="healthchecks",
    singular="healthcheck",
    short_names=("hc",),
    spec=HealthCheckSpec,
    status=HealthCheckStatus,
    columns=(
        Column("Type", ".status.type", description="What kind of probe it is"),
        Column("State", ".status.state", description="What is known of the target"),
        Column("Score", ".status.score", "integer", description="Health from 0 to 100"),
        Column("Uptime (24h)", ".status.uptime.24h", description="Share of passed runs in 24 hours, in percent"),
        Column("Latency (p95)", ".status.latency.p95", description="95th percentile of recent runs"),
        Column("Last", ".status.lastProbe", "date", description="Time since the last known run"),
        Column("Age", ".metadata.creationTimestamp", "date", description="Time since creation"),
        Column("Target", ".status.target", priority=1, description="What is probed"),
        Column("Passing", ".status.passing", priority=1, description="Endpoints that passed, of all"),
        Column("Message", ".status.message", priority=1, description="Why the state is what it is"),
    ),
    description="HealthCheck probes an endpoint, a Service or a workload, and says whether it is healthy.",
)
