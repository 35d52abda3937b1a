"""What the triggers of a policy say, gathered from where each is known: nothing is asked here, all is at hand.

Checks and objectives are read as they run, not from their status; queries and alerts are kept by `queries.py` and
`alert_inbox.py`; pods, Nodes and rollouts are those of the targets as they were read for this decision. Where nothing
is known the signal says so: it is never taken for quiet (R12).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.api.health_check import HealthState
from homeostat.api.objective import KIND as OBJECTIVE
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import SignalState
from homeostat.api.recovery_trigger import (
    AlertTrigger,
    HealthCheckTrigger,
    PodsTrigger,
    PromqlTrigger,
    SloTrigger,
    Trigger,
    TriggerState,
)
from homeostat.core.cluster import Workload
from homeostat.core.objective.burning import Burning, burning_now
from homeostat.core.prometheus.comparing import Comparison, comparison_of
from homeostat.core.recovery import DependencySeen, SignalSeen
from homeostat.core.recovery.signals import SILENT_AFTER
from homeostat.core.ref import Ref
from homeostat.engine.checks import Checks
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objects import Entry, Key, ObjectStore
from homeostat.engine.observing import read_check
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.engine.recovery.queries import Queries
from homeostat.ports import Clock

OBJECTIVES_STALE_AFTER, OBJECTIVE_INTERVALS = timedelta(minutes=2), 3
"""Of an objective: so long, or so many of its intervals where these are longer."""
READ_STALE_AFTER = timedelta(seconds=30)
"""Of what the API server shows."""
QUERIES_STALE_AFTER = timedelta(seconds=90)
ALERTS_STALE_AFTER = timedelta(hours=5)
"""Alertmanager repeats what fires every four hours, unless it is told otherwise."""

_FIRES_AT = {
    TriggerState.UNHEALTHY: {HealthState.UNHEALTHY},
    TriggerState.DEGRADED: {HealthState.UNHEALTHY, HealthState.DEGRADED},
}
_SILENT = frozenset({HealthState.UNKNOWN, HealthState.SUSPENDED})
_AGES: Mapping[str, timedelta] = {
    "slo": OBJECTIVES_STALE_AFTER,
    "promql": QUERIES_STALE_AFTER,
    "alert": ALERTS_STALE_AFTER,
}


@dataclass(frozen=True, slots=True)
class _Place:
    """One trigger of a policy: its index, where, how old its data may be, and what the policy is for."""

    index: int
    namespace: str
    age: timedelta
    targets: Sequence[Workload]
    clock: Clock

    def unknown(self, why: str = "", *, is_idle: bool = False) -> SignalSeen:
        """Say that nothing is known."""
        return SignalSeen(self.index, SignalState.UNKNOWN, None, self.age, detail=why, is_idle=is_idle)


class Signals:
    """Gives what all triggers of a policy say, and keeps what they need coming."""

    def __init__(
        self, checks: Checks, store: ObjectStore, feeding: Feeding, queries: Queries, inbox: AlertInbox
    ) -> None:
        self._checks = checks
        self._store = store
        self._feeding = feeding
        self._queries = queries
        self._inbox = inbox

    # --- what they need ---------------------------------------------------------------------------------

    def open(self, key: Key, spec: RecoveryPolicySpec) -> None:
        """Have asked and kept what a new or edited policy looks at."""
        self._queries.open(key, _asked(spec))
        self._inbox.open(key, spec)

    def close(self, key: Key) -> None:
        """Ask and keep nothing more for a policy that is gone."""
        self._queries.close(key)
        self._inbox.close(key)

    def looked_at(self, spec: RecoveryPolicySpec, namespace: str) -> Iterator[Key]:
        """Give the objects whose change must wake a policy: checks with what these depend on, and objectives."""
        for trigger in spec.triggers:
            if trigger.health_check:
                yield Key("HealthCheck", namespace, trigger.health_check.name)
                names = self._declared(namespace, trigger.health_check)
                yield from (Key("HealthCheck", namespace, name) for name in names)
            elif trigger.slo:
                yield from self._objective_and_source(Key(OBJECTIVE.kind, namespace, trigger.slo.name))

    def _objective_and_source(self, key: Key) -> Iterator[Key]:
        """Give an objective and the check that feeds it: a run of that moves the burn rate at once."""
        yield key
        spec = self._objective(key)
        if spec and spec[1].indicator.health_check:
            yield Key("HealthCheck", key.namespace, spec[1].indicator.health_check.name)

    # --- what they say ----------------------------------------------------------------------------------

    def seen(
        self, spec: RecoveryPolicySpec, namespace: str, targets: Sequence[Workload], clock: Clock
    ) -> tuple[SignalSeen, ...]:
        """Give what every trigger says now; `targets` are all that the policy is for, as they were just read."""
        return tuple(
            self._signal(trigger, _Place(index, namespace, _age(trigger), targets, clock))
            for index, trigger in enumerate(spec.triggers)
        )

    def dependencies(self, namespace: str, names: Iterable[str], clock: Clock) -> tuple[DependencySeen, ...]:
        """Give the states of checks that something depends on."""
        readings = ((name, read_check(self._checks, namespace, name, clock)) for name in names)
        return tuple(
            DependencySeen(name, reading.state, reading.observed_at)
            if reading
            else DependencySeen(name, HealthState.UNKNOWN)
            for name, reading in readings
        )

    def _signal(self, trigger: Trigger, place: _Place) -> SignalSeen:
        if trigger.health_check:
            return self._check(trigger.health_check, trigger.max_data_age, place)
        if trigger.slo:
            return self._burning(trigger.slo, trigger.max_data_age, place)
        if trigger.promql:
            return self._value(trigger.promql, place)
        if trigger.alert:
            return self._alert(trigger.alert, place)
        return _of_targets(trigger, place)

    def _check(self, trigger: HealthCheckTrigger, age: timedelta | None, place: _Place) -> SignalSeen:
        reading = read_check(self._checks, place.namespace, trigger.name, place.clock)
        if reading is None:
            return place.unknown()
        verdict = SignalState.FIRING if reading.state in _FIRES_AT[trigger.state] else SignalState.QUIET
        if reading.state in _SILENT:
            verdict = SignalState.UNKNOWN
        return SignalSeen(
            place.index, verdict, reading.observed_at, age or reading.stale_after,
            since=reading.since, detail=f"HealthCheck {trigger.name} is {reading.state}", failing=reading.failing,
            dependencies=self.dependencies(place.namespace, self._declared(place.namespace, trigger), place.clock),
            began_at=reading.began_at,
        )  # fmt: skip

    def _declared(self, namespace: str, trigger: HealthCheckTrigger) -> tuple[str, ...]:
        """Name what the check of a trigger depends on itself (H5, R14)."""
        return self._checks.dependencies.of(Key("HealthCheck", namespace, trigger.name))

    # --- objectives -------------------------------------------------------------------------------------

    def _burning(self, trigger: SloTrigger, age: timedelta | None, place: _Place) -> SignalSeen:
        """Say whether both windows of the shortest alert burn above the limit, from what is counted at this moment."""
        called = f"ServiceLevelObjective {trigger.name}"
        known = self._objective(Key(OBJECTIVE.kind, place.namespace, trigger.name))
        if known is None:
            return place.unknown(f"{called} is not there, or not evaluated")
        entry, spec = known
        series, source = self._feeding.series(entry, spec), self._feeding.seen(entry, spec)
        if series is None or source is None or source.observed_at is None or not source.is_valid:
            return place.unknown(f"{called} has no data")
        burning = burning_now(spec, series, source.interval, place.clock.now())
        if burning is None or burning.long is None or burning.short is None:
            return place.unknown(f"{called} counted no events in its shortest windows", is_idle=True)
        return SignalSeen(
            place.index, _verdict(burning, trigger), source.observed_at,
            age or max(place.age, OBJECTIVE_INTERVALS * source.interval),
            detail=f"{called} {'burns' if _verdict(burning, trigger) is SignalState.FIRING else 'does not burn'}"
            f" faster than {trigger.burn_rate_above}",
            failing=self._failing(spec, place),
        )  # fmt: skip

    def _objective(self, key: Key) -> tuple[Entry, ServiceLevelObjectiveSpec] | None:
        """Give an objective that is evaluated."""
        entry = self._store.get(key)
        spec = entry.spec() if entry is not None and not entry.problem() else None
        if entry is None or not isinstance(spec, ServiceLevelObjectiveSpec) or self._feeding.problem(key):
            return None
        return entry, spec

    def _failing(self, spec: ServiceLevelObjectiveSpec, place: _Place) -> tuple[Ref, ...]:
        """Give the pods that fail the check that feeds an objective."""
        check = spec.indicator.health_check
        reading = read_check(self._checks, place.namespace, check.name, place.clock) if check else None
        return reading.failing if reading else ()

    # --- queries and alerts -----------------------------------------------------------------------------

    def _value(self, trigger: PromqlTrigger, place: _Place) -> SignalSeen:
        reading, comparison = self._queries.reading(trigger.query), comparison_of(trigger.condition)
        if reading.value is None or comparison is None:
            return place.unknown(reading.problem)
        is_firing = comparison.holds(reading.value)
        return SignalSeen(
            place.index, SignalState.FIRING if is_firing else SignalState.QUIET, reading.at, place.age,
            detail=f"the value of the query is {'' if is_firing else 'not '}{trigger.condition}",
            failing=_named(reading.accused, place.targets), accused=reading.accused,
        )  # fmt: skip

    def _alert(self, trigger: AlertTrigger, place: _Place) -> SignalSeen:
        """Give the last word of Alertmanager; what it said before this process began is in the policy's status."""
        since = place.clock.now() - SILENT_AFTER * place.age
        word = self._inbox.word(place.namespace, trigger, since)
        if word is None:
            return place.unknown(is_idle=True)
        return SignalSeen(
            place.index, SignalState.FIRING if word.is_firing else SignalState.QUIET, word.at, place.age,
            detail=f"alert {trigger.name} {'fires' if word.is_firing else 'is over'}",
            failing=_named(word.accused, place.targets), began_at=word.began_at, accused=word.accused,
        )  # fmt: skip


# --- what is seen of targets --------------------------------------------------------------------------------


def _of_targets(trigger: Trigger, place: _Place) -> SignalSeen:
    """Say what is wrong with the targets: with their pods, with Nodes, with a rollout."""
    if not place.targets:
        return place.unknown()
    failing: tuple[Ref, ...] = ()
    now = place.clock.now()
    if trigger.pods:
        failing = tuple(ref for target in place.targets for ref in _pods(trigger.pods, target, now))
        found, what = failing, f"{_those(place.targets, len(failing))} {trigger.pods.reason.value}"
    else:
        found = tuple(target.ref for target in place.targets if _is_so(trigger, target))
        what = f"{_names(found or _refs(place.targets))} {'' if found else 'not '}{_condition(trigger)}"
    verdict = SignalState.FIRING if found else SignalState.QUIET
    return SignalSeen(
        place.index, verdict, now, place.age, detail=what, failing=failing,
        accused=frozenset() if trigger.pods else frozenset(ref.name for ref in found),
    )  # fmt: skip


def _pods(trigger: PodsTrigger, target: Workload, now: datetime) -> Iterator[Ref]:
    """Give the pods of a target that a trigger is about."""
    for pod in target.pods:
        is_meant = target.eligible is None or pod.ref.uid in target.eligible
        if is_meant and pod.suffers(trigger.reason.value, now):
            yield pod.ref


def _is_so(trigger: Trigger, target: Workload) -> bool:
    if trigger.node:
        return trigger.node.condition.value in target.conditions
    return trigger.rollout is not None and target.is_stuck


def _condition(trigger: Trigger) -> str:
    return trigger.node.condition.value if trigger.node else "stuck in a rollout"


def _those(targets: Sequence[Workload], count: int) -> str:
    """Say how many pods of what: `2 pods of checkout are`."""
    of = targets[0].ref.name if len(targets) == 1 else f"{len(targets)} targets"
    return f"1 pod of {of} is" if count == 1 else f"{count} pods of {of} are"


def _names(refs: Sequence[Ref]) -> str:
    return f"{refs[0].kind} {refs[0].name} is" if len(refs) == 1 else f"{len(refs)} targets are"


def _refs(targets: Sequence[Workload]) -> tuple[Ref, ...]:
    return tuple(target.ref for target in targets)


def _named(names: frozenset[str], targets: Sequence[Workload]) -> tuple[Ref, ...]:
    """Give the pods of the targets that have these names."""
    return tuple(pod.ref for target in targets for pod in target.pods if pod.ref.name in names)


# --- details ------------------------------------------------------------------------------------------------


def _verdict(burning: Burning, trigger: SloTrigger) -> SignalState:
    rates = (burning.long, burning.short)
    is_firing = all(rate is not None and rate > trigger.burn_rate_above for rate in rates)
    return SignalState.FIRING if is_firing else SignalState.QUIET


def _age(trigger: Trigger) -> timedelta:
    """Say how old the data of a trigger may be; of a check that is known by the check alone."""
    return trigger.max_data_age or _AGES.get(trigger.name, READ_STALE_AFTER)


def _asked(spec: RecoveryPolicySpec) -> Iterator[tuple[str, Comparison, timedelta]]:
    for trigger in spec.triggers:
        comparison = comparison_of(trigger.promql.condition) if trigger.promql else None
        if trigger.promql and comparison:
            yield trigger.promql.query, comparison, _age(trigger)
