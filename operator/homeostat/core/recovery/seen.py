"""What a decision on a RecoveryPolicy may look at: all of it is in a `Case`, nothing comes from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.health_check import HealthState
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import Proof, RecoveryPolicyStatus, SignalState
from homeostat.core.action import Action, Outcome
from homeostat.core.cluster import (
    FreezeInForce,
    Job,
    Lock,
    PatchEffect,
    Revision,
    Right,
    TokenBudget,
    Workload,
)
from homeostat.core.decision import Event
from homeostat.core.ref import Ref


@dataclass(frozen=True, slots=True)
class DependencySeen:
    """The state of a HealthCheck of `dependsOn`; UNKNOWN when it does not exist."""

    name: str
    state: HealthState
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignalSeen:
    """What one trigger says: `verdict` is Firing, Quiet or Unknown (Stale is found here, from the times).

    `since`: when this verdict began, None when the shell does not know (then the policy's own record counts).
    `observed_at`: when the data was taken, None when there is none. `stale_after`: the age from which it no
    longer counts (three intervals and a timeout of a check). `detail`: a clause for events, like
    `HealthCheck checkout is Unhealthy`. `failing`: the pods that make it fire, as far as known.
    `dependencies`: what the trigger's check itself depends on (H5). `began_at`: the first sign of it, before the
    verdict (the first failed probe). `accused`: names of workloads or Nodes that the source itself accuses, like the
    labels of an alert; with `failing`, they tell which of several targets is meant. `is_idle`: nothing is known, and
    that is in order (nobody speaks of an alert that does not fire, nobody used the service): no obstacle, no proof.
    """

    index: int
    verdict: SignalState
    observed_at: datetime | None
    stale_after: timedelta
    since: datetime | None = None
    detail: str = ""
    failing: tuple[Ref, ...] = ()
    dependencies: tuple[DependencySeen, ...] = ()
    began_at: datetime | None = None
    accused: frozenset[str] = frozenset()
    is_idle: bool = False


@dataclass(frozen=True, slots=True)
class Requests:
    """What humans ask of the policy by annotations (`api.recovery`), as they stand there.

    `by`: the name in homeostat.dev/by; `is_verified`: whether the API server lets nobody write another's name.
    `manager`: who wrote the annotations as managedFields have it, like kubectl-annotate.
    """

    approve: str = ""
    reject: str = ""
    run: str = ""
    pause: str = ""
    by: str = ""
    is_verified: bool = False
    manager: str = ""


@dataclass(frozen=True, slots=True)
class Storm:
    """How many policies want to act at this moment, ours included, and how many may before none does.

    `speaks`: whether this policy is the one that tells a human, for all of them. `hold`: how long nothing is begun
    after the last time that more wanted to act.
    """

    wanting: int = 0
    limit: int = 0
    speaks: bool = False
    hold: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class RecoverySeen:
    """What is known of the world now. `target` None: not there. `lock`: of the target, whoever holds it.

    `view_age`: time since our view of the API was last known to be current. `expected_by`: an experiment
    active on the target under which policies must not act (C12). `drilled_by`: name of an experiment under way that is
    a drill of this policy, "" for none (C13). `attempt_seed`: a short id, [a-z0-9-], at
    most 40 characters, never given before; a new attempt is called so. `proof`: the last drill of this policy.
    `budget_held_by`: name of the objective whose budget policy holds recovery in the namespace, "" for none.
    `problem`: why the policy is not evaluated, as (reason, message).

    `candidates`: all targets of a selector; `target` is then the one in focus. `others`: what steps name as their
    own `targets`, as far as it is there. `locks`: of `others`, by uid. `revisions`: of workloads, by uid, where a step
    goes back to one. `effects`: of patches, by (index of the step, uid). `fields`: what now stands in the fields of a
    change on record, by the id of its action. `job`: the Job of the open attempt. `are_nodes_allowed`: whether the
    administrator lets policies of this namespace touch Nodes. `missing_rights`: what the operator may not do of all
    that the steps need; None while it is not known. `rivals`: names of other policies for the same target.
    """

    ref: Ref
    generation: int
    target: Workload | None
    signals: tuple[SignalSeen, ...]
    attempt_seed: str
    cluster_budget: TokenBudget
    dependencies: tuple[DependencySeen, ...] = ()
    freeze: FreezeInForce | None = None
    budget_held_by: str = ""
    lock: Lock | None = None
    view_age: timedelta = timedelta(0)
    is_namespace_terminating: bool = False
    expected_by: Ref | None = None
    drilled_by: str = ""
    proof: Proof | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    problem: tuple[str, str] | None = None
    candidates: tuple[Workload, ...] = ()
    others: tuple[Workload, ...] = ()
    locks: Mapping[str, Lock] = field(default_factory=dict)
    revisions: Mapping[str, tuple[Revision, ...]] = field(default_factory=dict)
    effects: Mapping[tuple[int, str], PatchEffect] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    job: Job | None = None
    requests: Requests = Requests()
    storm: Storm = Storm()
    are_nodes_allowed: bool = True
    missing_rights: tuple[Right, ...] | None = None
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """The policy, its memory, the world and the time: the input of every gate and every move."""

    spec: RecoveryPolicySpec
    status: RecoveryPolicyStatus
    seen: RecoverySeen
    now: datetime

    def with_status(self, **changes: object) -> "Case":
        """Give the same case with some of the policy's memory changed."""
        return Case(self.spec, self.status.model_copy(update=changes), self.seen, self.now)


@dataclass(frozen=True, slots=True)
class Move:
    """One transition: the new memory, what to do and what to tell. Without actions the next move may follow."""

    status: RecoveryPolicyStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
