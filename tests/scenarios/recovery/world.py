"""A small world around one RecoveryPolicy: a workload with pods, an API server, and the shell's loop.

It does what the engine does, in the engine's order (decide, write the status, act, decide again with the
outcomes), and what Kubernetes does (an evicted pod goes and is replaced, a resourceVersion guards a write). It can
be killed (SIGKILL) before the write, after it, and after each action: what is left is the written status, as
JSON, and the cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.health_check import HealthState
from homeostat.api.meta import parse_duration
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus, SignalState
from homeostat.core.action import Action, EvictPod, Outcome, RestartRollout, Scale, TakeLock, TakeToken, Verb
from homeostat.core.cluster import FreezeInForce, GitOwner, Lock, Pod, Right, TokenBudget, Workload
from homeostat.core.decision import Decision
from homeostat.core.recovery import DependencySeen, RecoverySeen, SignalSeen, decide, significance
from homeostat.core.recovery.seen import Requests, Storm
from homeostat.core.ref import Ref
from homeostat.core.significance import Significance

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
POLICY = Ref("RecoveryPolicy", "shop", "restart-checkout", "policy-uid")
OTHER = Ref("RecoveryPolicy", "shop", "another", "other-uid")
TARGET = Ref("Deployment", "shop", "checkout", "checkout-uid")
MAX_ROUNDS = 12  # as the engine
DONE = Outcome(Verb.DONE)

SPEC: dict[str, Any] = {
    "mode": "Auto",
    "target": {"kind": "Deployment", "name": "checkout"},
    "triggers": [{"healthCheck": {"name": "checkout"}, "for": "2s"}],
    "steps": [{"restartPods": {"which": "Failing"}}, {"escalate": {"summary": "checkout does not recover"}}],
    "limits": {"cooldown": "1m", "budget": {"actions": 5, "per": "1h"}},
    "verify": {"stabilise": "2s", "holdFor": "5s", "deadline": "1m"},
}


def spec(**changes: Any) -> RecoveryPolicySpec:
    """Build the policy of these tests, with some fields of the manifest replaced."""
    return RecoveryPolicySpec.model_validate(SPEC | changes)


class Killed(Exception):
    """The operator died here."""


@dataclass
class World:
    """All that survives a kill of the operator, and the loop of the operator itself."""

    spec: RecoveryPolicySpec = field(default_factory=spec)
    now: datetime = NOON
    replicas: int = 4
    pods: dict[str, Pod] = field(default_factory=dict)  # by name
    sick: set[str] = field(default_factory=set)  # names of pods that fail for users
    cure_takes: timedelta = timedelta(seconds=3)  # from eviction to a ready replacement
    eviction_heals: bool = True
    scaling_heals: bool = True
    verdict: SignalState | None = None  # overrides what the pods say
    dark: bool = False  # no new data of the signal
    annotations: dict[str, str] = field(default_factory=dict)
    restart_id: str = ""
    version: int = 1
    rolling_until: datetime | None = None
    paused: bool = False
    gone: bool = False
    lock: Lock | None = None
    tokens: set[str] = field(default_factory=set)
    tokens_of: int = 100
    pdb_allows: bool = True
    wire_breaks: bool = False
    freeze: FreezeInForce | None = None
    budget_held_by: str = ""
    view_age: timedelta = timedelta(0)
    namespace_ends: bool = False
    expected_by: Ref | None = None
    drilled_by: str = ""
    storm: Storm = field(default_factory=Storm)
    missing_rights: tuple[Right, ...] | None = ()
    git_has: int | None = None  # replicas that a Git repository wants, to which its controller goes back
    scaled_at: datetime = NOON
    dependencies: dict[str, HealthState] = field(default_factory=dict)
    of_check: dict[str, HealthState] = field(default_factory=dict)  # what the trigger's check depends on
    generation: int = 1
    written: dict[str, Any] = field(default_factory=dict)
    read: tuple[dict[str, Any], RecoveryPolicyStatus] | None = None  # what was written, and how it reads
    effects: list[str] = field(default_factory=list)  # what happened to the target, by action id
    events: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    told_of: list[tuple[Ref, str]] = field(default_factory=list)  # what events say of other objects
    writes: int = 0
    seeds: int = 0
    since: datetime = NOON
    was: SignalState = SignalState.QUIET
    observed_at: datetime = NOON
    kill_in: int | None = None  # steps of the loop until SIGKILL
    requests: Requests = field(default_factory=Requests)  # the annotations of humans

    def __post_init__(self) -> None:
        """Start all pods healthy, an hour ago."""
        for number in range(self.replicas):
            self._create(f"checkout-{number}", self.now - timedelta(hours=1))

    # --- the cluster ---

    def _create(self, name: str, at: datetime) -> None:
        at = at.replace(microsecond=0)
        self.version += 1
        self.pods[name] = Pod(
            ref=Ref("Pod", "shop", name, f"{name}-uid-{self.version}"),
            resource_version=str(self.version),
            ip="10.0.0.1",
            node="node",
            phase="Running",
            is_ready=True,
            is_terminating=False,
            restarts=0,
            created_at=at,
        )

    def _ready(self, pod: Pod) -> bool:
        return pod.is_ready and self.now >= pod.created_at + self.cure_takes

    def workload(self) -> Workload | None:
        """Show the target as `kube/` would."""
        if self.gone:
            return None
        pods = tuple(replace(pod, is_ready=self._ready(pod)) for pod in self.pods.values())
        is_rolling = self.rolling_until is not None and self.now < self.rolling_until
        return Workload(
            ref=TARGET,
            resource_version=str(self.version),
            generation=1,
            observed_generation=1,
            replicas=self.replicas,
            updated=0 if is_rolling else self.replicas,
            ready=sum(pod.is_ready for pod in pods),
            available=sum(pod.is_ready for pod in pods),
            selector="app=checkout",
            is_paused=self.paused,
            annotations=tuple(self.annotations.items()),
            pods=pods,
            git=None if self.git_has is None else GitOwner("Argo CD", "shop", ("spec.replicas",)),
            restart_id=self.restart_id,
        )

    def resize(self, replicas: int) -> None:
        """Set the replicas, as any writer may."""
        self.version += 1
        for number in range(len(self.pods), replicas):
            self._create(f"extra-{self.version}-{number}", self.now)
        for name in list(self.pods)[replicas:]:
            del self.pods[name]
        self.replicas = replicas

    def follow_git(self) -> None:
        """Go back to what the repository has, a while after another wrote something else."""
        if self.git_has is None or self.git_has == self.replicas or self.now < self.scaled_at + timedelta(seconds=4):
            return
        self.resize(self.git_has)
        self.sick.add(next(iter(self.pods)))

    def _evict(self, action: EvictPod) -> Outcome:
        pod = self.pods.get(action.pod.name)
        if pod is None or pod.ref.uid != action.pod.uid:
            return DONE
        if not self.pdb_allows:
            return Outcome(Verb.REFUSED, "PodDisruptionBudget", "the budget checkout allows no disruption")
        self.effects.append(f"evict {action.pod.name} {action.id}")
        del self.pods[action.pod.name]
        replacement = f"{action.pod.name}x"
        self._create(replacement, self.now)
        if action.pod.name in self.sick:
            self.sick.remove(action.pod.name)
            self.sick |= set() if self.eviction_heals else {replacement}
        return DONE

    def _restart(self, action: RestartRollout) -> Outcome:
        if self.restart_id == action.id:
            return DONE
        if action.resource_version != str(self.version):
            return Outcome(Verb.REFUSED, "Conflict", "the object changed since the decision")
        self.effects.append(f"restart {action.id}")
        self.version += 1
        self.restart_id = action.id
        self.rolling_until = self.now + self.cure_takes
        self.sick.clear()
        return DONE

    def _scale(self, action: Scale) -> Outcome:
        if action.resource_version != str(self.version):
            return Outcome(Verb.REFUSED, "Conflict", "the object changed since the decision")
        self.effects.append(f"scale {action.replicas} {action.id}")
        self.scaled_at = self.now
        for key, value in action.annotations.items():
            self.annotations.pop(key, None)
            self.annotations |= {} if value is None else {key: value}
        if self.scaling_heals and action.replicas > self.replicas:
            self.sick.clear()
        self.resize(action.replicas)
        return DONE

    def act(self, action: Action) -> Outcome:
        """Do what the actuator and the API server do."""
        if self.wire_breaks:
            return Outcome(Verb.FAILED, "ApiUnavailable", "the API server did not answer properly")
        match action:
            case EvictPod():
                return self._evict(action)
            case RestartRollout():
                return self._restart(action)
            case Scale():
                return self._scale(action)
            case TakeToken():
                return self._take_token(action)
            case TakeLock():
                return self._take_lock(action)
            case _:
                self.lock = None if self.lock and self.lock.holder == POLICY else self.lock
                return DONE

    def _take_lock(self, action: TakeLock) -> Outcome:
        if self.lock and self.lock.until > self.now and self.lock.holder != action.holder:
            return Outcome(Verb.REFUSED, "Locked", "another holds the lock")
        self.lock = Lock(action.holder, self.now + timedelta(seconds=action.seconds))
        return DONE

    def _take_token(self, action: TakeToken) -> Outcome:
        if action.id not in self.tokens and len(self.tokens) >= self.tokens_of:
            return Outcome(Verb.REFUSED, "BudgetExhausted", "spent")
        self.tokens.add(action.id)
        return DONE

    # --- the operator ---

    @property
    def status(self) -> RecoveryPolicyStatus:
        """Read the status as the API server holds it."""
        if self.read is None or self.read[0] is not self.written:
            self.read = (self.written, RecoveryPolicyStatus.model_validate(self.written))
        return self.read[1]

    def signal(self) -> SignalState:
        """Say what the check says now."""
        if self.verdict:
            return self.verdict
        return SignalState.FIRING if self.sick & self.pods.keys() else SignalState.QUIET

    def look(self) -> None:
        """Let the check run, unless it is dark."""
        if self.dark:
            return
        self.observed_at = self.now
        state = self.signal()
        self.since = self.since if state is self.was else self.now
        self.was = state

    def seen(self, outcomes: Mapping[str, Outcome] | None = None) -> RecoverySeen:
        """Observe the world, as the engine does before each decision."""
        self.follow_git()
        self.look()
        self.seeds += 1
        failing = tuple(self.pods[name].ref for name in sorted(self.sick & self.pods.keys()))
        signals = tuple(
            SignalSeen(
                index=index,
                verdict=self.was,
                observed_at=self.observed_at,
                stale_after=timedelta(seconds=10),
                since=self.since if trigger.health_check else None,
                detail="HealthCheck checkout is Unhealthy",
                failing=failing,
                dependencies=_seen(self.of_check) if trigger.health_check else (),
            )
            for index, trigger in enumerate(self.spec.triggers)
        )
        return RecoverySeen(
            ref=POLICY,
            generation=self.generation,
            target=self.workload(),
            signals=signals,
            attempt_seed=f"a{self.seeds}",
            cluster_budget=TokenBudget(len(self.tokens), self.tokens_of),
            dependencies=_seen(self.dependencies),
            freeze=self.freeze,
            budget_held_by=self.budget_held_by,
            lock=self.lock,
            view_age=self.view_age,
            is_namespace_terminating=self.namespace_ends,
            expected_by=self.expected_by,
            drilled_by=self.drilled_by,
            outcomes=outcomes or {},
            requests=self.requests,
            storm=self.storm,
            missing_rights=self.missing_rights,
        )

    def _may_die(self) -> None:
        if self.kill_in is None:
            return
        self.kill_in -= 1
        if self.kill_in < 0:
            self.kill_in = None
            raise Killed

    def ask(self, by: str = "alice", **annotations: str) -> None:
        """Write annotations as somebody, whose name the API server vouches for."""
        self.requests = replace(self.requests, by=by, is_verified=True, manager="kubectl-annotate", **annotations)

    def approve(self, by: str = "alice") -> str:
        """Approve the plan that is shown; give its hash."""
        plan = self.status.plan
        assert plan is not None
        self.ask(by, approve=plan.hash)
        return plan.hash

    def decide(self, outcomes: Mapping[str, Outcome] | None = None) -> Decision[RecoveryPolicyStatus]:
        """Decide once, without writing or acting."""
        return decide(self.spec, self.status, self.seen(outcomes), self.now)

    def reconcile(self) -> Decision[RecoveryPolicyStatus]:
        """Run the engine's loop once; raises Killed where the operator dies."""
        outcomes: dict[str, Outcome] = {}
        decision = self.decide()
        for _ in range(MAX_ROUNDS):
            self._may_die()
            self._write(decision)
            self._may_die()
            if not decision.actions:
                break
            outcomes = self._perform(decision.actions)
            decision = self.decide(outcomes)
        return decision

    def _write(self, decision: Decision[RecoveryPolicyStatus]) -> None:
        if significance(self.status, decision.status) is not Significance.NOTHING:
            self.written = decision.status.wire()
            self.writes += 1
        own = [event for event in decision.events if event.about is None]
        self.events += [event.reason for event in own]
        self.notes += [event.note for event in own]
        self.told_of += [(event.about, event.note) for event in decision.events if event.about]

    def _perform(self, actions: tuple[Action, ...]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for action in actions:
            outcome = self.act(action)
            self._may_die()
            outcomes[action.id] = outcome
            if outcome.verb is not Verb.DONE:
                break
        return outcomes

    def run(self, time: str, step: str = "1s") -> RecoveryPolicyStatus:
        """Let time pass, with a look every `step`; the operator lives on."""
        end, pause = self.now + parse_duration(time), parse_duration(step)
        while self.now < end:
            self.reconcile()
            self.now += pause
        self.reconcile()
        return self.status


def _seen(states: Mapping[str, HealthState]) -> tuple[DependencySeen, ...]:
    return tuple(DependencySeen(name, state) for name, state in states.items())
