"""What a decision on an experiment may look at: all of it is in a `Case`, nothing comes from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus
from homeostat.api.health_check import HealthState
from homeostat.core.cluster import DisruptionBudget, FreezeInForce, Lock, Namespace, Pod, Workload
from homeostat.core.decision import Action, Event, Outcome, Ref


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """What a HealthCheck says. One that does not exist is absent from `ChaosSeen.checks`.

    `since`: when the state began. `observed_at`: when its last known run ended, not when its status was last
    written; None when there was none. `stale_after`: the age from which it no longer counts.
    """

    state: HealthState
    since: datetime | None
    observed_at: datetime | None
    stale_after: timedelta


@dataclass(frozen=True, slots=True)
class ReactionSeen:
    """An attempt of a RecoveryPolicy on a workload of `status.targets`, begun since `status.injectedAt`."""

    policy: str
    started_at: datetime
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class ChaosSeen:
    """What is known of the world now.

    `run_requested`: value of the annotation homeostat.dev/run, "" when absent.
    `pods`: for a target of kind Pod, those that match its selector; `owners`: the workloads they belong to.
    `workloads`: for a target of kind Deployment or StatefulSet, those that match its name or selector.
    `afflicted`: the workloads of `recorded(status)` as they are now, **whatever the spec says by now**; one that
    is missing here counts as deleted, so a failed read must not come this far.
    `namespace_pods`, `cluster_pods`: how many pods are ready there in all; None where we may not look.
    `locks`: by the uid of each workload in `owners`, `workloads` and `afflicted`; expired ones too.
    `view_age`: time since our view of the API was last known to be current.
    `choice`: in [0, 1), decides which of several equal targets are taken; best the same throughout a run.
    `budget_held_by`: name of the objective whose budget policy holds chaos in the namespace, "" for none.
    `protected`: namespaces of our own that no experiment may touch, besides those of Kubernetes.
    `problem`: why no run may begin, as (reason, message).
    """

    ref: Ref
    generation: int
    is_deleting: bool
    has_finalizer: bool
    run_requested: str
    namespace: Namespace | None
    pods: tuple[Pod, ...]
    owners: tuple[Workload, ...]
    workloads: tuple[Workload, ...]
    afflicted: tuple[Workload, ...]
    disruption_budgets: tuple[DisruptionBudget, ...]
    namespace_pods: int
    cluster_pods: int | None
    checks: Mapping[str, CheckSeen]
    choice: float
    freeze: FreezeInForce | None = None
    budget_held_by: str = ""
    locks: Mapping[str, Lock] = field(default_factory=dict)
    recoveries: tuple[ReactionSeen, ...] = ()
    view_age: timedelta = timedelta(0)
    protected: frozenset[str] = frozenset()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The experiment, its memory, the world and the time: the input of every rule."""

    spec: ChaosExperimentSpec
    status: ChaosExperimentStatus
    seen: ChaosSeen
    now: datetime

    def with_status(self, **changes: object) -> "Case":
        """Give the same case with some of the experiment's memory changed."""
        return replace(self, status=self.status.model_copy(update=changes))


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a run. A step that changes the memory is followed by the next one; one that acts does not."""

    status: ChaosExperimentStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wants_finalizer: bool | None = None
    check_again_at: datetime | None = None


def recorded(namespace: str, status: ChaosExperimentStatus) -> tuple[Ref, ...]:
    """Name the workloads on record, which must be observed by name as `ChaosSeen.afflicted`."""
    found = (record.workload for record in status.targets)
    return tuple(dict.fromkeys(Ref(one.kind, namespace, one.name, one.uid) for one in found))


def target_selector(spec: ChaosExperimentSpec) -> str:
    """Write the target's selector as a query, like `app=checkout`; "" when the target is chosen by name."""
    if spec.target.selector is None:
        return ""
    return ",".join(f"{key}={value}" for key, value in sorted(spec.target.selector.match_labels.items()))
