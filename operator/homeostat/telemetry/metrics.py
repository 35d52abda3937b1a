"""Every metric of the operator, defined once. Labels are bounded; no error text is ever a label (H10).

What moves with every probe lives in plain counters of the checks themselves and is only read here when
Prometheus scrapes: 10,000 checks with a client-library histogram each would cost 80 MB and hot-path time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from homeostat.core.decision import Verb

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class CheckReading:
    """What one check shows to Prometheus: counts by verdict, and its state as a word."""

    namespace: str
    name: str
    state: str
    results: tuple[tuple[str, int], ...]
    missed: int


@dataclass(frozen=True, slots=True)
class ObjectiveReading:
    """What one objective shows to Prometheus; None where there is no figure, which is then absent."""

    namespace: str
    name: str
    objective: float
    sli: float | None
    budget_remaining: float | None
    burn_rates: tuple[tuple[str, float], ...]


class Readings(Collector):
    """Reads checks and objectives at scrape time."""

    def __init__(
        self, checks: Callable[[], Iterable[CheckReading]], objectives: Callable[[], Iterable[ObjectiveReading]]
    ) -> None:
        self._checks = checks
        self._objectives = objectives

    @override
    def collect(self) -> Iterator[Metric]:
        """Give all metric families of checks and objectives."""
        yield from self._collect_checks()
        yield from self._collect_objectives()

    def _collect_checks(self) -> Iterator[Metric]:
        results = CounterMetricFamily(
            "homeostat_check_results", "Runs of a HealthCheck by result.", labels=["namespace", "name", "result"]
        )
        missed = CounterMetricFamily(
            "homeostat_check_missed_runs", "Runs that could not start in time.", labels=["namespace", "name"]
        )
        state = GaugeMetricFamily(
            "homeostat_check_state", "1 for the state a HealthCheck is in.", labels=["namespace", "name", "state"]
        )
        for check in self._checks():
            of = [check.namespace, check.name]
            for verdict, count in check.results:
                results.add_metric([*of, verdict], count)
            missed.add_metric(of, check.missed)
            state.add_metric([*of, check.state], 1)
        yield from (results, missed, state)

    def _collect_objectives(self) -> Iterator[Metric]:
        of = ["namespace", "name"]
        target = GaugeMetricFamily("homeostat_slo_objective_ratio", "The objective, as a ratio.", labels=of)
        sli = GaugeMetricFamily("homeostat_slo_sli_ratio", "The indicator over the window, as a ratio.", labels=of)
        budget = GaugeMetricFamily(
            "homeostat_slo_error_budget_remaining_ratio", "The error budget left; may be negative.", labels=of
        )
        burn = GaugeMetricFamily(
            "homeostat_slo_burn_rate", "How fast the budget burns; 1 uses it up in one window.", labels=[*of, "window"]
        )
        for reading in self._objectives():
            name = [reading.namespace, reading.name]
            target.add_metric(name, reading.objective)
            for family, value in ((sli, reading.sli), (budget, reading.budget_remaining)):
                if value is not None:
                    family.add_metric(name, value)
            for window, rate in reading.burn_rates:
                burn.add_metric([*name, window], rate)
        yield from (target, sli, budget, burn)


class Metrics:
    """The operator's own counters and histograms."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter(
            "homeostat_decisions", "Decisions that changed a status.", ["kind"], registry=self.registry
        )
        self._actions = Counter(
            "homeostat_actions", "Acts on the cluster.", ["kind", "action", "outcome"], registry=self.registry
        )
        self._put_off = Counter(
            "homeostat_evaluations_put_off",
            "Evaluations to be tried again.",
            ["kind", "reason"],
            registry=self.registry,
        )
        self._requests = Counter(
            "homeostat_api_requests", "Requests to the API server.", ["verb", "status"], registry=self.registry
        )
        self._probe_seconds = Histogram(
            "homeostat_probe_duration_seconds",
            "How long probes took.",
            ["type", "result"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._probe_children: dict[tuple[str, str], Histogram] = {}  # looking one up costs more than observing
        self._lateness = Histogram(
            "homeostat_probe_start_lateness_seconds",
            "How long after its due time a probe started.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self._loop_lag = Histogram(
            "homeostat_loop_lag_seconds",
            "How late the event loop wakes from a sleep.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self._history_errors = Counter(
            "homeostat_history_errors", "Writes to the history store that failed.", registry=self.registry
        )
        self._history_dropped = Counter(
            "homeostat_history_dropped", "Records of history given up.", registry=self.registry
        )
        self._drift = Counter(
            "homeostat_store_drift", "Objects a resync found missing or stale.", ["kind"], registry=self.registry
        )
        self._objects = Gauge("homeostat_objects", "Objects known.", ["kind"], registry=self.registry)
        self._leader = Gauge("homeostat_leader", "1 while this replica leads.", registry=self.registry)

    def read_from(
        self, checks: Callable[[], Iterable[CheckReading]], objectives: Callable[[], Iterable[ObjectiveReading]]
    ) -> None:
        """Show checks and objectives at each scrape."""
        self.registry.register(Readings(checks, objectives))

    def decided(self, kind: str) -> None:
        """Count a decision that changed a status."""
        self._decisions.labels(kind).inc()

    def acted(self, kind: str, action: str, verb: Verb) -> None:
        """Count an act on the cluster."""
        self._actions.labels(kind, action, verb.value).inc()

    def put_off(self, kind: str, reason: str) -> None:
        """Count an evaluation that must be tried again; `reason` is the name of a known error."""
        self._put_off.labels(kind, reason).inc()

    def requested(self, verb: str, status: str) -> None:
        """Count a request to the API server; `status` is a class such as `2xx`, or `error`."""
        self._requests.labels(verb, status).inc()

    def probed(self, kind: str, result: str, seconds: float) -> None:
        """Observe one probe."""
        child = self._probe_children.get((kind, result))
        if child is None:
            child = self._probe_children[kind, result] = self._probe_seconds.labels(kind, result)
        child.observe(seconds)

    def started_late(self, seconds: float) -> None:
        """Observe how late a probe started."""
        self._lateness.observe(seconds)

    def lagged(self, seconds: float) -> None:
        """Observe the event loop's lag."""
        self._loop_lag.observe(seconds)

    def history_failed(self) -> None:
        """Count a failed write to the history store."""
        self._history_errors.inc()

    def history_dropped(self, count: int) -> None:
        """Count records of history that were given up."""
        self._history_dropped.inc(count)

    def drifted(self, kind: str) -> None:
        """Count an object that the watch had missed."""
        self._drift.labels(kind).inc()

    def knows(self, kind: str, count: int) -> None:
        """Show how many objects of a kind are known."""
        self._objects.labels(kind).set(count)

    def leads(self, *, is_leader: bool) -> None:
        """Show whether this replica leads."""
        self._leader.set(1 if is_leader else 0)
