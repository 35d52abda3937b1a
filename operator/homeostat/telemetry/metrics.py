"""The operator's own metrics, and the page that shows them to Prometheus with those of checks and objectives.

Each metric is defined once, here or in `page.py`. Labels are bounded; no error text is ever a label (H10).
What moves with every probe lives in plain counters of the checks themselves and is only read when Prometheus
scrapes: 10,000 checks with a client-library histogram each would cost 80 MB and hot-path time.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from typing_extensions import override

from homeostat.core.action import Verb
from homeostat.core.probing.result import Phases, Verdict
from homeostat.telemetry.breaking import Breaking
from homeostat.telemetry.healing import Healing
from homeostat.telemetry.histogram import Durations, Histograms
from homeostat.telemetry.page import CheckReading, ExperimentReading, ObjectiveReading, Page, PolicyReading

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PHASE_BUCKETS = (0.0005, 0.001, 0.0025, *LATENCY_BUCKETS)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

TURN = 0.001
"""Seconds that a page is written before others get their turn."""
_WITHOUT_PHASES = frozenset({"workload", "job"})
"""Types that connect to nothing but the API server."""
_FROM_THE_START = (Verdict.PASS.value, Verdict.FAIL.value)


class _Single(Collector):
    """A metric already collected, for the library to write; without when each series began, which nobody asks for."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]

    @override
    def collect(self) -> Iterator[Metric]:
        yield self._metric


class _Readers(NamedTuple):
    """What is read at each scrape."""

    checks: Callable[[], Iterable[CheckReading]] = tuple
    objectives: Callable[[], Iterable[ObjectiveReading]] = tuple
    policies: Callable[[], Iterable[PolicyReading]] = tuple
    experiments: Callable[[], Iterable[ExperimentReading]] = tuple


class Metrics:
    """The operator's own counters and histograms."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.healing, self.breaking = Healing(self.registry), Breaking(self.registry)
        self._decisions = Counter(
            "homeostat_decisions", "Decisions that changed a status.", ["kind"], registry=self.registry
        )
        self._refusals = Counter(
            "homeostat_recovery_refusals", "Decisions of policies not to act.", ["reason"], registry=self.registry
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
        self._probe_seconds = Histograms(
            "homeostat_probe_duration_seconds", "How long probes took.", ("type", "result"), LATENCY_BUCKETS
        )
        self._phase_seconds = Histograms(
            "homeostat_probe_phase_seconds", "How long each phase of probes took.", ("type", "phase"), PHASE_BUCKETS
        )
        self._phases: dict[str, tuple[Durations, ...]] = {}
        self.registry.register(self._probe_seconds)
        self.registry.register(self._phase_seconds)
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
        self._history_bytes, self._history_limit = (
            Gauge("homeostat_history_bytes", "Size of the history store.", registry=self.registry),
            Gauge("homeostat_history_limit_bytes", "How large history may grow.", registry=self.registry),
        )
        self._drift = Counter(
            "homeostat_store_drift", "Objects a resync found missing or stale.", ["kind"], registry=self.registry
        )
        self._objects = Gauge("homeostat_objects", "Objects known.", ["kind"], registry=self.registry)
        self._rest_requests = Counter(
            "homeostat_rest_requests", "Requests to our own API.", ["route", "status"], registry=self.registry
        )
        self._pushed = self._by_outcome(
            "homeostat_pushed_batches", "Batches of pushed events.",
            "Accepted", "Duplicate", "Refused", "Unavailable",
        )  # fmt: skip
        self._pushed_events = Counter("homeostat_pushed_events", "Pushed events counted.", registry=self.registry)
        self._alert_posts, self._spans = (
            self._by_outcome(
                "homeostat_alertmanager_posts", "Posts to Alertmanager.", "Taken", "Refused", "Unavailable"
            ),
            self._by_outcome("homeostat_trace_spans", "Spans of traces.", "Sent", "Dropped"),
        )

        self._show_installation()
        self._readers = _Readers()

    def _show_installation(self) -> None:
        """Make what tells how this replica is installed."""
        self._leader = Gauge("homeostat_leader", "1 while this replica leads.", registry=self.registry)
        self._rights_missing = Gauge(
            "homeostat_right_missing",
            "1 for each right that the installation should give and does not.",
            ["role", "resource", "verb"],
            registry=self.registry,
        )
        self._crds_outdated = Gauge(
            "homeostat_crd_outdated",
            "1 while the cluster serves an older definition of the kind than the operator has.",
            ["kind"],
            registry=self.registry,
        )

    def _by_outcome(self, name: str, told: str, *outcomes: str) -> Counter:
        """Make a counter with a label `outcome`; each is there from the start, at 0 (H10)."""
        counter = Counter(name, told, ["outcome"], registry=self.registry)
        for outcome in outcomes:
            counter.labels(outcome)
        return counter

    def read_from(
        self,
        checks: Callable[[], Iterable[CheckReading]],
        objectives: Callable[[], Iterable[ObjectiveReading]],
        policies: Callable[[], Iterable[PolicyReading]] = tuple,
        experiments: Callable[[], Iterable[ExperimentReading]] = tuple,
    ) -> None:
        """Show checks, objectives, policies that are held up, and experiments under way, at each scrape."""
        self._readers = _Readers(checks, objectives, policies, experiments)

    async def page(self) -> bytes:
        """Write what Prometheus reads. Others get their turn every millisecond or so.

        Not in a thread: one that computes makes the loop wait 5 ms for the interpreter each time it wakes.
        """
        page, parts = Page(), list[bytes]()
        await _in_turns(self._read(page))
        await _in_turns(page.add_scores())
        self._show_from_the_start(page.types)
        for own in self.registry.collect():
            parts.append(generate_latest(_Single(own)))
            await asyncio.sleep(0)
        for family in page.families():
            for piece in family.pieces():
                parts.append(piece)
                await asyncio.sleep(0)
        return b"".join(parts)

    def _read(self, page: Page) -> Iterator[None]:
        for check in self._readers.checks():
            page.add_check(check)
            yield
        for objective in self._readers.objectives():
            page.add_objective(objective)
            yield
        for policy in self._readers.policies():
            page.add_policy(policy)
            yield
        for experiment in self._readers.experiments():
            page.add_experiment(experiment)
            yield

    def _show_from_the_start(self, types: Iterable[str]) -> None:
        """Show the histograms of all types in use, at 0 when nothing was observed yet (H10)."""
        for kind in types:
            for result in _FROM_THE_START:
                self._probe_seconds.child((kind, result))
            if kind not in _WITHOUT_PHASES:
                self._phases_of(kind)

    def _phases_of(self, kind: str) -> tuple[Durations, ...]:
        children = tuple(self._phase_seconds.child((kind, phase)) for phase in Phases._fields)
        return self._phases.setdefault(kind, children)

    def decided(self, kind: str) -> None:
        """Count a decision that changed a status."""
        self._decisions.labels(kind).inc()

    def refused(self, reason: str) -> None:
        """Count a decision not to act; `reason` is one of `core.recovery.reasons`."""
        self._refusals.labels(reason).inc()

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
        self._probe_seconds.child((kind, result)).observe(seconds)

    def phased(self, kind: str, phases: Phases) -> None:
        """Observe the phases of one probe; one that it did not have is left out. The hot path."""
        for child, seconds in zip(self._phases.get(kind) or self._phases_of(kind), phases, strict=True):
            if seconds:
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

    def history_takes(self, size: int) -> None:
        """Show how many bytes the history store takes."""
        self._history_bytes.set(size)

    def history_may_take(self, size: int) -> None:
        """Show how many bytes the history store may take."""
        self._history_limit.set(size)

    def drifted(self, kind: str) -> None:
        """Count an object that the watch had missed."""
        self._drift.labels(kind).inc()

    def knows(self, kind: str, count: int) -> None:
        """Show how many objects of a kind are known."""
        self._objects.labels(kind).set(count)

    def served(self, route: str, status: str) -> None:
        """Count a request to our own API; `status` is a class such as `2xx`."""
        self._rest_requests.labels(route, status).inc()

    def pushed(self, outcome: str) -> None:
        """Count a batch of pushed events: `Accepted`, `Duplicate`, `Refused` or `Unavailable`."""
        self._pushed.labels(outcome).inc()

    def pushed_events(self, count: int) -> None:
        """Count pushed events that were counted."""
        self._pushed_events.inc(count)

    def alerts_posted(self, outcome: str) -> None:
        """Count a post to Alertmanager: `Taken`, `Refused` or `Unavailable`."""
        self._alert_posts.labels(outcome).inc()

    def traced(self, outcome: str, count: int) -> None:
        """Count spans of traces: `Sent`, or `Dropped` because the collector did not take them."""
        self._spans.labels(outcome).inc(count)

    def lacks(self, rights: Iterable[tuple[str, str, str]]) -> None:
        """Show the rights that are missing, and no others: (role, resource, verb)."""
        self._rights_missing.clear()
        for role, resource, verb in rights:
            self._rights_missing.labels(role, resource, verb).set(1)

    def serves(self, kind: str, *, is_outdated: bool) -> None:
        """Show whether the cluster's definition of a kind is older than ours."""
        self._crds_outdated.labels(kind).set(1 if is_outdated else 0)

    def leads(self, *, is_leader: bool) -> None:
        """Show whether this replica leads."""
        self._leader.set(1 if is_leader else 0)


async def _in_turns(steps: Iterator[None]) -> None:
    """Take all steps, and let others have their turn in between."""
    began = monotonic()
    for _ in steps:
        if monotonic() - began >= TURN:
            await asyncio.sleep(0)
            began = monotonic()
