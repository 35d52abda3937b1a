"""What Prometheus is shown of checks, services and objectives: the text of one scrape, made piece by piece.

The text is written here and not by the client library, which makes an object of every sample: for 10,000 checks that
is 150,000 samples, and a second in which nothing else runs. The operator's own metrics are in `metrics.py`.

Labels are bounded and no error text is ever one (H10); names come from the cluster, so they are escaped.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from homeostat.api.health_check import Criticality, HealthState
from homeostat.api.objective_status import AlertType, Hold, ObjectiveState, Severity
from homeostat.core.health.score import Mark, Score, Tally, check_score
from homeostat.core.health.track import VERDICTS

LINES_AT_ONCE = 5_000
"""Samples that are joined before others get a turn: at most a millisecond."""
_RESULTS = tuple(f',result="{verdict.value}"}} ' for verdict in VERDICTS)


class CheckReading(NamedTuple):
    """What one check shows: who it is, its runs by verdict (in the order of VERDICTS), and how it fares now.

    `service` is the one it is scored with. `passing` of `total` endpoints passed last, below 0 before the first.
    `not_after` is when its certificate expires (epoch seconds), 0.0 without one.
    """

    namespace: str
    name: str
    type: str
    service: str
    criticality: Criticality
    state: HealthState
    counts: Sequence[int]
    missed: int
    passing: int = -1
    total: int = -1
    is_flapping: bool = False
    not_after: float = 0.0


class AlertReading(NamedTuple):
    """An alert that fires; "" where it has no window, and where it is about the whole."""

    type: AlertType
    severity: Severity
    long: str
    short: str
    group: str


class GroupReading(NamedTuple):
    """What one group of an objective shows; an objective has at most 64."""

    name: str
    sli: float | None
    budget_remaining: float | None


@dataclass(frozen=True, slots=True)
class ObjectiveReading:
    """What one objective shows to Prometheus; None where there is no figure, which is then absent.

    `holds` has each thing that its budget policy can hold, and whether it does.
    """

    namespace: str
    name: str
    objective: float
    sli: float | None
    budget_remaining: float | None
    burn_rates: tuple[tuple[str, float], ...]
    state: ObjectiveState = ObjectiveState.UNKNOWN
    coverage: float | None = None
    good: int | None = None
    bad: int | None = None
    alerts: tuple[AlertReading, ...] = ()
    holds: tuple[tuple[Hold, bool], ...] = ()
    groups: tuple[GroupReading, ...] = ()


class PolicyReading(NamedTuple):
    """Why a RecoveryPolicy does nothing although it should (R15), and since when (epoch seconds)."""

    namespace: str
    name: str
    reason: str
    since: float


class ExperimentReading(NamedTuple):
    """A run that has a fault on, or has not recovered from it. `left`: targets whose fault could not be taken off."""

    namespace: str
    name: str
    fault: str
    left: int


@dataclass(slots=True)
class Family:
    """One metric; `name` is what its samples are called, labels and value follow in each of `lines`."""

    name: str
    type: str
    help: str
    lines: list[str] = field(default_factory=list)

    def pieces(self) -> Iterator[bytes]:
        """Write the metric and all its samples, some thousands at a time, and let go of them: that too takes time."""
        yield f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.type}\n".encode()
        while self.lines:
            lines = self.lines[:LINES_AT_ONCE]
            del self.lines[:LINES_AT_ONCE]
            yield (self.name + f"\n{self.name}".join(lines) + "\n").encode()


class Page:
    """One scrape. Add all checks and objectives, then the scores that follow from the checks, then take the text."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self._services: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        self._checks = _Checks()
        self._objectives = _Objectives()
        self._policies = _Policies()
        self._experiments = _Experiments()
        self._scores = _Scores()

    def add_check(self, check: CheckReading) -> None:
        """Show one check, and keep what it brings into the score of its service."""
        score = check_score(check.state, check.passing, check.total)
        self.types.add(check.type)
        self._services[check.namespace, check.service].add_check(Mark(check.criticality, check.state, score))
        self._checks.add(check, score)

    def add_objective(self, objective: ObjectiveReading) -> None:
        """Show one objective."""
        self._objectives.add(objective)

    def add_policy(self, policy: PolicyReading) -> None:
        """Show one policy that is held up."""
        self._policies.add(policy)

    def add_experiment(self, experiment: ExperimentReading) -> None:
        """Show one experiment that is at work."""
        self._experiments.add(experiment)

    def add_scores(self) -> Iterator[None]:
        """Show the scores of services, namespaces and the cluster; gives way after each service."""
        namespaces, cluster = defaultdict[str, Tally](Tally), Tally()
        for (namespace, service), tally in self._services.items():
            score = tally.score()
            namespaces[namespace].add_service(score)
            cluster.add_service(score)
            self._scores.add_service(namespace, service, score)
            yield
        for namespace, tally in namespaces.items():
            self._scores.add_namespace(namespace, tally.score())
        self._scores.add_cluster(cluster.score())

    def families(self) -> tuple[Family, ...]:
        """Give all metrics, also those without samples."""
        shown = self._checks, self._scores, self._objectives, self._policies, self._experiments
        return tuple(family for one in shown for family in one.families)


class _Checks:
    """The metrics of checks."""

    def __init__(self) -> None:
        self._info = Family("homeostat_check_info", "gauge", "1 for each HealthCheck, to join its labels from.")
        self._results = Family("homeostat_check_results_total", "counter", "Runs of a HealthCheck by result.")
        self._missed = Family("homeostat_check_missed_runs_total", "counter", "Runs that could not start in time.")
        self._state = Family("homeostat_check_state", "gauge", "1 for the state a HealthCheck is in.")
        self._score = Family("homeostat_check_score", "gauge", "Health of a HealthCheck from 0 to 100.")
        self._passing = Family(
            "homeostat_check_passing_ratio", "gauge", "Share of the endpoints that passed in the last run."
        )
        self._flapping = Family("homeostat_check_flapping", "gauge", "1 while a HealthCheck turns to and fro.")
        self._expiry = Family(
            "homeostat_check_certificate_expiry_timestamp_seconds",
            "gauge",
            "When the first certificate of the target expires.",
        )
        self.families = (
            self._info, self._results, self._missed, self._state, self._score, self._passing, self._flapping,
            self._expiry,
        )  # fmt: skip

    def add(self, check: CheckReading, score: int | None) -> None:
        of = _of(check.namespace, check.name)
        service, criticality = _escaped(check.service), check.criticality.value
        self._info.lines.append(f'{of},type="{check.type}",service="{service}",criticality="{criticality}"}} 1')
        self._results.lines += [
            f"{of}{result}{count}" for result, count in zip(_RESULTS, check.counts, strict=True)
        ]  # fmt: skip
        self._missed.lines.append(f"{of}}} {check.missed}")
        self._state.lines.append(f'{of},state="{check.state.value}"}} 1')
        self._flapping.lines.append(f"{of}}} {int(check.is_flapping)}")
        if score is not None:
            self._score.lines.append(f"{of}}} {score}")
        if check.total > 0:
            self._passing.lines.append(f"{of}}} {check.passing / check.total}")
        if check.not_after:
            self._expiry.lines.append(f"{of}}} {check.not_after}")


class _Scores:
    """The metrics of what checks amount to. Without a known check there is a coverage of 0, and no score."""

    def __init__(self) -> None:
        self._service = Family("homeostat_service_score", "gauge", "Health of a service from 0 to 100.")
        self._service_coverage = Family(
            "homeostat_service_score_coverage_ratio", "gauge", "Share of a service's checks that its score knows of."
        )
        self._namespace = Family("homeostat_namespace_score", "gauge", "Health of a namespace from 0 to 100.")
        self._cluster = Family("homeostat_cluster_score", "gauge", "Health of all that is watched from 0 to 100.")
        self._cluster_coverage = Family(
            "homeostat_cluster_score_coverage_ratio", "gauge", "Share of all checks that the cluster's score knows of."
        )
        self.families = (
            self._service, self._service_coverage, self._namespace, self._cluster, self._cluster_coverage,
        )  # fmt: skip

    def add_service(self, namespace: str, service: str, score: Score) -> None:
        of = f'{{namespace="{_escaped(namespace)}",service="{_escaped(service)}"}} '
        self._service_coverage.lines.append(f"{of}{score.known / score.total}")
        if score.value is not None:
            self._service.lines.append(f"{of}{score.value}")

    def add_namespace(self, namespace: str, score: Score) -> None:
        if score.value is not None:
            self._namespace.lines.append(f'{{namespace="{_escaped(namespace)}"}} {score.value}')

    def add_cluster(self, score: Score) -> None:
        if score.total:
            self._cluster_coverage.lines.append(f" {score.known / score.total}")
        if score.value is not None:
            self._cluster.lines.append(f" {score.value}")


class _Objectives:
    """The metrics of objectives."""

    def __init__(self) -> None:
        self._target = Family("homeostat_slo_objective_ratio", "gauge", "The objective, as a ratio.")
        self._sli = Family("homeostat_slo_sli_ratio", "gauge", "The indicator over the window, as a ratio.")
        self._budget = Family(
            "homeostat_slo_error_budget_remaining_ratio", "gauge", "The error budget left; may be negative."
        )
        self._burn = Family(
            "homeostat_slo_burn_rate", "gauge", "How fast the budget burns; 1 uses it up in one window."
        )
        self._state = Family("homeostat_slo_state", "gauge", "1 for the state an objective is in.")
        self._coverage = Family("homeostat_slo_window_coverage_ratio", "gauge", "Share of the window that has data.")
        self._good = Family("homeostat_slo_good_events", "gauge", "Good events, or slices, in the window.")
        self._bad = Family("homeostat_slo_bad_events", "gauge", "Bad events, or slices, in the window.")
        self._alert = Family("homeostat_slo_alert_firing", "gauge", "1 for each alert of an objective that fires.")
        self._hold = Family(
            "homeostat_slo_hold", "gauge", "1 while the budget policy holds something, 0 while it lets it go on."
        )
        self._group_sli = Family("homeostat_slo_group_sli_ratio", "gauge", "The indicator of a group, as a ratio.")
        self._group_budget = Family(
            "homeostat_slo_group_error_budget_remaining_ratio", "gauge", "The error budget left of a group."
        )
        self.families = (
            self._target, self._sli, self._budget, self._burn, self._state, self._coverage, self._good, self._bad,
            self._alert, self._hold, self._group_sli, self._group_budget,
        )  # fmt: skip

    def add(self, reading: ObjectiveReading) -> None:
        of = _of(reading.namespace, reading.name)
        self._target.lines.append(f"{of}}} {reading.objective}")
        for family, value in (
            (self._sli, reading.sli), (self._budget, reading.budget_remaining), (self._coverage, reading.coverage),
            (self._good, reading.good), (self._bad, reading.bad),
        ):  # fmt: skip
            _put(family, of, value)
        for window, rate in reading.burn_rates:
            self._burn.lines.append(f'{of},window="{_escaped(window)}"}} {rate}')
        self._state.lines.append(f'{of},state="{reading.state.value}"}} 1')
        self._alert.lines += dict.fromkeys(f"{of}{_of_alert(alert)}}} 1" for alert in reading.alerts)
        self._hold.lines += [f'{of},hold="{hold.value}"}} {int(is_held)}' for hold, is_held in reading.holds]
        for group in reading.groups:
            of_group = f'{of},group="{_escaped(group.name)}"'
            _put(self._group_sli, of_group, group.sli)
            _put(self._group_budget, of_group, group.budget_remaining)


class _Policies:
    """The metrics of policies that want to act and do not: a policy has one reason at a time."""

    def __init__(self) -> None:
        self._blocked = Family("homeostat_recovery_blocked", "gauge", "1 for the reason why a policy does nothing.")
        self._since = Family(
            "homeostat_recovery_blocked_since_timestamp_seconds", "gauge", "Since when a policy does nothing."
        )
        self.families = (self._blocked, self._since)

    def add(self, policy: PolicyReading) -> None:
        of = _of(policy.namespace, policy.name)
        self._blocked.lines.append(f'{of},reason="{_escaped(policy.reason)}"}} 1')
        self._since.lines.append(f"{of}}} {policy.since}")


class _Experiments:
    """The metrics of experiments that are at work, most of the time none."""

    def __init__(self) -> None:
        self._active = Family(
            "homeostat_chaos_active", "gauge", "1 while an experiment has a fault on, or has not recovered from it."
        )
        self._left = Family("homeostat_chaos_faults_left", "gauge", "Targets whose fault could not be taken off.")
        self.families = (self._active, self._left)

    def add(self, experiment: ExperimentReading) -> None:
        of = _of(experiment.namespace, experiment.name)
        self._active.lines.append(f'{of},fault="{_escaped(experiment.fault)}"}} 1')
        self._left.lines.append(f"{of}}} {experiment.left}")


def _put(family: Family, of: str, value: float | None) -> None:
    if value is not None:
        family.lines.append(f"{of}}} {value}")


def _of_alert(alert: AlertReading) -> str:
    labels = {
        "type": alert.type.value, "severity": alert.severity.value, "long": alert.long, "short": alert.short,
        "group": alert.group,
    }  # fmt: skip
    return "".join(f',{label}="{_escaped(value)}"' for label, value in labels.items())


def _of(namespace: str, name: str) -> str:
    """Write the labels that say whose sample it is, still open for more."""
    return f'{{namespace="{_escaped(namespace)}",name="{_escaped(name)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
