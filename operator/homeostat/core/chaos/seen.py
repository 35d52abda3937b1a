"""What a decision on an experiment may look at: all of it is in a `Case`, nothing comes from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, TargetRecord, WorkloadRecord
from homeostat.api.health_check import HealthState
from homeostat.core.action import Action, Outcome
from homeostat.core.cluster import AgentContainer, DisruptionBudget, FreezeInForce, Lock, Namespace, Pod, Workload
from homeostat.core.decision import Event
from homeostat.core.guarding.watch import GuardSeen
from homeostat.core.orders import Said
from homeostat.core.prometheus.answer import Trouble
from homeostat.core.ref import Ref


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """What a HealthCheck says. One that does not exist is absent from `ChaosSeen.checks`.

    `since`: when the state began. `observed_at`: when its last known run ended, not when its status was last
    written; None when there was none. `stale_after`: the age from which it no longer counts. `fresh_at`: `observed_at`,
    or when this operator began to watch it if that is later. `reason`: why that run came out as it did.
    """

    state: HealthState
    since: datetime | None
    observed_at: datetime | None
    stale_after: timedelta
    reason: str = ""
    fresh_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReactionSeen:
    """An attempt of a RecoveryPolicy on a workload of `status.targets`, begun since `status.injectedAt`.

    `fired_at`: since when its trigger fires; `outcome` and `ended_at` once its own verification has spoken.
    """

    policy: str
    started_at: datetime
    outcome: str = ""
    fired_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ObjectiveSeen:
    """How an objective fares: what is not known is None.

    `rate`: burn rate of the last hour. `remaining`, `spent_since` (counted from `status.startedAt`): shares of its
    budget, 1 is all of it. `observed_at`: as of when.
    """

    rate: Decimal | None
    remaining: Decimal | None
    observed_at: datetime | None
    stale_after: timedelta
    spent_since: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AnswerSeen:
    """What Prometheus last answered to a query of the hypothesis, as of `at`; `problem` says why there is no value.

    `trouble`: why the newest question has no answer, however young the answer before it is.
    """

    value: float | None
    at: datetime | None
    problem: str = ""
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """Something that a human was called for in the namespace: a page of an objective, or an escalation of a policy.

    `is_of_drill`: it is tagged as expected of a drill, be it that of another experiment, whose echo it may be.
    """

    kind: str
    name: str
    since: datetime
    ended_at: datetime | None = None
    is_of_drill: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalSeen:
    """Somebody approves (or, with `is_no`, rejects) the plan of that hash; `by` is "" when nobody vouches for it."""

    hash: str
    by: str
    at: datetime | None
    is_no: bool = False


@dataclass(frozen=True, slots=True)
class MeasuresSeen:
    """What the checks of the hypothesis counted from `since` on: see `api.chaos_status.Stage`."""

    passed: int
    failed: int
    latency: timedelta | None
    score: int | None


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """An agent of a pod on record: its container as the API server shows it (None: not there), and what it last said.

    `heard_at`: when that was; the link may have broken since. `was_told`: this operator told it to begin.
    """

    container: AgentContainer | None
    said: Said | None = None
    heard_at: datetime | None = None
    was_told: bool = False


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
    `victims`: the pods of `recorded(status)` that are there, by uid. `agents`: by the uid of the pod on record.
    `peers`: by each selector of `peer_selectors(spec)`, the addresses of its pods, and of Services of theirs alone.
    `guards_needed`: whether held fields need a guard (a setting; tests without pods do without). `agent_image`: the
    image of guards and agents; "" is none configured: then only blows can be dealt.
    `may_touch_nodes`: whether experiments of this namespace may touch Nodes.
    `pods_elsewhere`: pods on a Node that are in namespaces which take no part, by uid.
    `objectives`: those of `objective_names(spec)` that exist; `answers`: by query.
    `alerts`: what called a human in the namespace since `status.startedAt`, or still does.
    `approvals`: annotations of humans on this experiment; `is_name_vouched`: whether admission vouches for their names.
    `abort_requested`: value of the annotation homeostat.dev/abort, "" when absent.
    `watched_since`: when this operator began to look at experiments; None is long ago.
    `measures`: since `status.startedAt` and since each change of stage, by "before", "during", "after".
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
    victims: Mapping[str, Pod] = field(default_factory=dict)
    agents: Mapping[str, AgentSeen] = field(default_factory=dict)
    guard: GuardSeen | None = None
    guards_needed: bool = True
    agent_image: str = ""
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    may_touch_nodes: bool = False
    pods_elsewhere: frozenset[str] = frozenset()
    objectives: Mapping[str, ObjectiveSeen] = field(default_factory=dict)
    answers: Mapping[str, AnswerSeen] = field(default_factory=dict)
    alerts: tuple[AlertSeen, ...] = ()
    approvals: tuple[ApprovalSeen, ...] = ()
    is_name_vouched: bool = False
    abort_requested: str = ""
    watched_since: datetime | None = None
    measures: Mapping[str, MeasuresSeen] = field(default_factory=dict)


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
    return tuple(dict.fromkeys(ref_of(record.workload, namespace) for record in status.targets))


def ref_of(record: TargetRecord | WorkloadRecord, namespace: str) -> Ref:
    """Name an object on record of an experiment in `namespace`."""
    home = "" if record.kind == "Node" else record.namespace or namespace
    return Ref(record.kind, home, record.name, record.uid)


def target_selector(spec: ChaosExperimentSpec) -> str:
    """Write the target's selector as a query, like `app=checkout`; "" when the target is chosen by name."""
    if spec.target.selector is None:
        return ""
    return ",".join(f"{key}={value}" for key, value in sorted(spec.target.selector.match_labels.items()))
