"""A small cluster in memory, the operator's loop around `decide`, and a hand that kills the operator at will."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.chaos import ALLOWED_LABEL, MARKER, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.api.health_check import HealthState
from homeostat.core.action import (
    Action,
    DeletePod,
    DropGuard,
    EvictPod,
    HoldAgent,
    HoldFields,
    KeepGuard,
    Outcome,
    ReleaseLock,
    StartAgent,
    StopAgent,
    TakeLock,
    Verb,
)
from homeostat.core.chaos import ChaosSeen, CheckSeen, ReactionSeen, decide, orphans, recorded
from homeostat.core.chaos.marker import held
from homeostat.core.cluster import Container, DisruptionBudget, FreezeInForce, Lock, Namespace, Pod, Workload
from homeostat.core.decision import Decision, Event
from homeostat.core.guarding.held import Held, read_records, restore
from homeostat.core.orders import RefusalReason
from homeostat.core.ref import Ref
from scenarios.chaos.holders import Agent, Guard

START = datetime(2026, 12, 1, 12, tzinfo=UTC)
SHOP = "shop"
ME = Ref("ChaosExperiment", SHOP, "kill-checkout", "experiment-uid")
CHECKOUT = Ref("Deployment", SHOP, "checkout", "checkout-uid")
NODE = Ref("Node", "", "n", "node-uid")
TEMPLATE = {
    "image/app": "shop:1",
    "env/app/MODE": "fast",
    "limits/app/memory": "128Mi",
    "requests/app/memory": "64Mi",
    "limits/app/cpu": "1",
    "requests/app/cpu": "100m",
}
SIZES = {name: value for name, value in TEMPLATE.items() if name.startswith(("limits/", "requests/"))}
FREEZE = FreezeInForce("outage", ("Chaos",), "provider outage")


def a_spec(**changes: Any) -> ChaosExperimentSpec:
    """Give a spec that kills one pod of checkout; `changes` in the API's own words."""
    body: dict[str, Any] = {
        "fault": {"podKill": {}},
        "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}},
        "duration": "10s",
        "steadyFor": "3s",
        "recoveryTimeout": "1m",
        "hypothesis": [{"healthCheck": {"name": "checkout"}}],
    }
    return ChaosExperimentSpec.model_validate(body | changes)


def a_scale_spec(**changes: Any) -> ChaosExperimentSpec:
    """Give a spec that scales checkout to one."""
    return a_spec(
        **{
            "fault": {"scale": {"to": 1}},
            "target": {"kind": "Deployment", "name": "checkout"},
            "hypothesis": [{"healthCheck": {"name": "checkout"}, "duringFault": "MayBreak"}],
        }
        | changes
    )


def an_agent_spec(fault: dict[str, Any], **changes: Any) -> ChaosExperimentSpec:
    """Give a spec that lets an agent into one pod of checkout."""
    return a_spec(fault=fault, **changes)


def a_held_spec(fault: dict[str, Any], kind: str = "Deployment", **changes: Any) -> ChaosExperimentSpec:
    """Give a spec that holds fields of checkout or of its Node, and may take all of its pods."""
    target = {"kind": kind, "name": "n" if kind == "Node" else "checkout"}
    return a_scale_spec(**{"fault": fault, "target": target, "blastRadius": {"minAvailable": 0}} | changes)


class Killed(BaseException):
    """The operator's process is gone."""


@dataclass
class World:
    """One Deployment with its pods, other pods, one experiment, and its HealthCheck.

    `needs`: pods that must be ready for the check to be Healthy; `detects_in`: how long it takes to notice.
    """

    spec: ChaosExperimentSpec
    now: datetime = START
    status: ChaosExperimentStatus = field(default_factory=ChaosExperimentStatus)
    generation: int = 1
    run_requested: str = ""
    is_deleting: bool = False
    is_gone: bool = False
    has_finalizer: bool = False
    replicas: int = 3
    annotations: dict[str, str] = field(default_factory=dict)
    template: dict[str, str] = field(default_factory=lambda: dict(TEMPLATE))
    references: frozenset[str] = frozenset()
    version: int = 1
    node: dict[str, str] = field(default_factory=dict)  # its fields
    node_annotations: dict[str, str] = field(default_factory=dict)
    node_labels: tuple[tuple[str, str], ...] = (ALLOWED_LABEL,)
    homes: dict[str, str] = field(default_factory=dict)  # name of the pod → Node
    sizes: dict[str, dict[str, str]] = field(default_factory=dict)  # name of the pod → what was changed in place
    pod_annotations: dict[str, dict[str, str]] = field(default_factory=dict)
    pod_versions: dict[str, int] = field(default_factory=dict)
    agents: dict[str, list[Agent]] = field(default_factory=dict)  # name of the pod → all that were ever let in
    agent_image: str = "homeostat:1"
    refuses: RefusalReason | None = None
    stuck: str = ""  # why no agent's container starts
    has_host_network: bool = False
    guards_needed: bool = False
    guard: Guard | None = None
    guard_trouble: str = ""
    peers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_checkout_there: bool = True
    pods: dict[str, datetime] = field(default_factory=dict)  # name → ready since
    born: int = 0
    others: int = 10
    starts_in: timedelta = timedelta(seconds=2)
    needs: int = 1
    detects_in: timedelta = timedelta(seconds=2)
    check: CheckSeen | None = None
    is_check_silent: bool = False
    watched_since: datetime | None = None  # None: the operator is there since long ago
    breaks_at: datetime | None = None
    budgets: tuple[DisruptionBudget, ...] = ()
    labels: tuple[tuple[str, str], ...] = (ALLOWED_LABEL,)
    freeze: FreezeInForce | None = None
    budget_held_by: str = ""
    lock: Lock | None = None
    node_lock: Lock | None = None
    reactions: tuple[ReactionSeen, ...] = ()
    view_age: timedelta = timedelta(0)
    problem: tuple[str, str] | None = None
    choice: float = 0.0
    answers: dict[type, list[Outcome]] = field(default_factory=dict)  # what the API server answers instead
    loses_answers_to: type | None = None  # the API server does it, and the answer does not arrive
    steps_to_live: int | None = None
    steps: int = 0  # calls to the API server
    acts: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with a cluster at rest."""
        self._replace_pods(ready_at=self.now - timedelta(hours=1))
        self._probe()

    # --- the cluster --------------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """Count the pods of checkout that serve."""
        return sum(since <= self.now for since in self.pods.values())

    @property
    def marker(self) -> dict[str, Any] | None:
        """Read the marker on checkout."""
        text = self.annotations.get(MARKER)
        return None if text is None else json.loads(text)

    def tick(self, seconds: float = 1) -> None:
        """Let time pass in the cluster, with the operator idle."""
        self.now += timedelta(seconds=seconds)
        self._replace_pods(ready_at=self.now + self.starts_in)
        self._hold()
        self._probe()

    @property
    def left(self) -> list[str]:
        """Name everything of a fault that is there now."""
        found = [f"marker on {name}" for name, notes in self._notes().items() if MARKER in notes]
        found += [f"template: {key}" for key, value in self.template.items() if TEMPLATE.get(key) != value]
        found += ["node"] if self.node else []
        found += [f"sizes of {name}" for name, sizes in self.sizes.items() if name in self.pods and sizes != SIZES]
        found += [f"agent in {name}" for name in self.pods for one in self.agents.get(name, ()) if one.is_on]
        return found + (["guard"] if self.guard else [])

    def _notes(self) -> dict[str, dict[str, str]]:
        pods = {name: self.pod_annotations.get(name, {}) for name in self.pods}
        return {"checkout": self.annotations, "n": self.node_annotations} | pods

    def _hold(self) -> None:
        """Let those act that hold faults up beside the operator."""
        for name, agents in self.agents.items():
            for agent in agents if name in self.pods else ():
                agent.tick(self.now)
                if agent.order.fault == "containerKill" and agent.exit_code == 137:  # its container starts again
                    self.pods[name] = max(self.pods[name], (agent.on_since or self.now) + self.starts_in)
        if self.guard is not None and self.guard.must_restore(self.now):
            for record in read_records(self.guard.kept.records):
                action = restore(record, self._held(record.ref), "guard")
                if action is not None:
                    assert self._hold_fields(action).verb is Verb.DONE
            self.guard.has_fired = True

    def run(self, seconds: float, *, until: Phase | None = None) -> None:
        """Let time pass, second by second, with the operator awake."""
        for _ in range(int(seconds)):
            if until is not None and self.status.phase is until:
                return
            self.tick()
            self.reconcile()

    def _replace_pods(self, ready_at: datetime) -> None:
        while len(self.pods) < self.replicas:
            self.born += 1
            self.pods[f"checkout-{self.born}"] = ready_at
            self.homes[f"checkout-{self.born}"] = "m" if self.node else "n"
        for name in list(self.pods)[self.replicas :]:
            del self.pods[name]

    def _probe(self) -> None:
        """Judge checkout as a HealthCheck would, some time after the fact."""
        if self.is_check_silent:
            return
        is_well = self.ready >= self.needs
        self.breaks_at = None if is_well else self.breaks_at or self.now + self.detects_in
        is_noticed = self.breaks_at is not None and self.now >= self.breaks_at
        state = HealthState.UNHEALTHY if is_noticed else HealthState.HEALTHY
        since = self.check.since if self.check and self.check.state is state else self.now
        self.check = CheckSeen(state, since, self.now, timedelta(seconds=5))

    def checkout(self) -> Workload | None:
        """See the Deployment as `kube/` shows it."""
        if not self.is_checkout_there:
            return None
        return Workload(
            ref=CHECKOUT,
            resource_version=str(self.version),
            generation=1,
            observed_generation=1,
            replicas=self.replicas,
            updated=self.replicas,
            ready=self.ready,
            available=self.ready,
            selector="app=checkout",
            annotations=tuple(self.annotations.items()),
            pods=tuple(self._pod(name) for name in self.pods),
            fields=(("replicas", str(self.replicas)), *self.template.items()),
            references=self.references,
            rollout_takes=self.replicas // 4,
        )

    def node_now(self) -> Workload:
        """See the Node as `kube/` shows it."""
        return Workload(
            ref=NODE,
            resource_version=str(self.version),
            generation=1,
            observed_generation=1,
            replicas=1,
            updated=1,
            ready=1,
            available=1,
            selector="",
            annotations=tuple(self.node_annotations.items()),
            pods=tuple(self._pod(name) for name in self.pods if self.homes[name] == "n"),
            is_unschedulable=bool(self.node),
            labels=self.node_labels,
            fields=tuple(self.node.items()),
        )

    def _pod(self, name: str) -> Pod:
        since = self.pods[name]
        return Pod(
            ref=Ref("Pod", SHOP, name, f"{name}-uid"),
            resource_version=str(self.pod_versions.get(name, 1)),
            ip=f"10.0.0.{name.removeprefix('checkout-')}",
            node=self.homes[name],
            phase="Running",
            is_ready=since <= self.now,
            is_terminating=False,
            restarts=0,
            created_at=START,
            ready_since=since if since <= self.now else None,
            labels=(("app", "checkout"),),
            owner=CHECKOUT,
            containers=(Container("app", (("memory", "64Mi"), ("cpu", "100m")), (("memory", "128Mi"), ("cpu", "1"))),),
            annotations=tuple(self.pod_annotations.get(name, {}).items()),
            fields=tuple(self.sizes.get(name, SIZES).items()),
            agents=tuple(found for one in self.agents.get(name, ()) if (found := one.seen().container)),
            has_host_network=self.has_host_network,
        )

    # --- the operator -------------------------------------------------------------------------------

    def seen(self, outcomes: dict[str, Outcome] | None = None, **changes: Any) -> ChaosSeen:
        """Observe, as the engine does."""
        checkout = self.checkout()
        found = () if checkout is None else (checkout,)
        is_pod = self.spec.target.kind == "Pod"
        is_meant = checkout is not None and self.spec.target.name in {None, "checkout"}
        names = {ref.name for ref in recorded(SHOP, self.status)}
        victims = {record.name: record for record in self.status.targets if record.kind == "Pod"}
        known = {name: f"{name}-uid" for name in self.pods if name in victims}
        agents = {
            known[name]: one.seen()
            for name in known
            for one in self.agents.get(name, ())
            if one.name == victims[name].agent
        }
        is_node = self.spec.target.kind == "Node"
        node = (self.node_now(),)
        return replace(
            ChaosSeen(
                ref=ME,
                generation=self.generation,
                is_deleting=self.is_deleting,
                has_finalizer=self.has_finalizer,
                run_requested=self.run_requested,
                namespace=Namespace(SHOP, is_terminating=False, labels=self.labels),
                pods=found[0].pods if is_pod and found else (),
                owners=found if is_pod or is_node else (),
                workloads=node if is_node else found if is_meant and not is_pod else (),
                afflicted=(*(found if "checkout" in names else ()), *(node if "n" in names else ())),
                disruption_budgets=self.budgets,
                namespace_pods=self.ready + self.others,
                cluster_pods=self.ready + self.others + 50,
                checks={} if self.check is None else {"checkout": self.check},
                choice=self.choice,
                freeze=self.freeze,
                budget_held_by=self.budget_held_by,
                locks={uid: lock for uid, lock in self._locks().items() if lock is not None},
                recoveries=self.reactions,
                view_age=self.view_age,
                protected=frozenset({"homeostat"}),
                outcomes=outcomes or {},
                problem=self.problem,
                victims={known[name]: self._pod(name) for name in known},
                agents=agents,
                guard=None if self.guard is None else self.guard.seen(self.now),
                guards_needed=self.guards_needed,
                agent_image=self.agent_image,
                peers=self.peers,
                may_touch_nodes=True,
                watched_since=self.watched_since,
            ),
            **changes,
        )

    def decide(self, outcomes: dict[str, Outcome] | None = None) -> Decision[ChaosExperimentStatus]:
        """Decide on what is there now; whoever looks goes on listening to the agents on record that have not ended."""
        decision = decide(self.spec, self.status, self.seen(outcomes), self.now)
        on_record = {(record.name, record.agent) for record in self.status.targets}
        for pod, agents in self.agents.items():
            for agent in agents:
                agent.is_linked |= agent.exit_code is None and (pod, agent.name) in on_record
        return decision

    def reconcile(self) -> None:
        """Run the engine's loop once, or until the operator is killed."""
        try:
            self._reconcile()
        except Killed:
            self.steps_to_live, self.watched_since = None, self.now
            self.lose_links()

    def lose_links(self) -> None:
        """End what an operator's process holds: beats, and what it heard."""
        for agents in self.agents.values():
            for agent in agents:
                agent.cut(self.now)
                agent.is_linked, agent.was_told = False, False

    def _reconcile(self) -> None:
        outcomes: dict[str, Outcome] = {}
        for _ in range(12):
            if self.is_gone:
                return
            decision = self.decide(outcomes)
            self._settle(decision)
            if not decision.actions:
                return
            outcomes = self._act(decision.actions)

    def _settle(self, decision: Decision[ChaosExperimentStatus]) -> None:
        if decision.wants_finalizer is True and not self.has_finalizer:
            self._live()
            assert not self.is_deleting, "the API server adds no finalizer to what is being deleted"
            self.has_finalizer = True
        self._live()
        self.status = ChaosExperimentStatus.model_validate(decision.status.wire())
        self.events += decision.events
        if decision.wants_finalizer is False and self.has_finalizer:
            self._live()
            self.has_finalizer = False
        self.is_gone = self.is_gone or (self.is_deleting and not self.has_finalizer)

    def _act(self, actions: Iterable[Action]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for action in actions:
            self._live()
            outcomes[action.id] = self._perform(action)
            self._live()
            if outcomes[action.id].verb is not Verb.DONE:
                break
        return outcomes

    def _live(self) -> None:
        self.steps += 1
        if self.steps_to_live is None:
            return
        if self.steps_to_live == 0:
            raise Killed
        self.steps_to_live -= 1

    # --- the API server -----------------------------------------------------------------------------

    def _perform(self, action: Action) -> Outcome:
        outcome = self._serve(action)
        is_lost = self.loses_answers_to is not None and isinstance(action, self.loses_answers_to)
        return Outcome(Verb.FAILED, "Unavailable") if is_lost else outcome

    def _serve(self, action: Action) -> Outcome:
        self.acts.append(action)
        answers = self.answers.get(type(action), [])
        if answers:
            return answers.pop(0)
        return self._do(action)

    def _do(self, action: Action) -> Outcome:
        match action:
            case HoldFields():
                return self._hold_fields(action)
            case DeletePod() | EvictPod():
                return self._end(action)
            case TakeLock():
                return self._take_lock(action)
            case ReleaseLock() if self._is_locked_by(action.holder, action.target):
                self._lock(action.target, None)
            case StartAgent() | HoldAgent() | StopAgent():
                return self._agent(action)
            case KeepGuard() | DropGuard():
                self._guard(action)
        return Outcome(Verb.DONE)

    def _end(self, action: DeletePod | EvictPod) -> Outcome:
        if isinstance(action, EvictPod) and any(budget.disruptions_allowed <= 0 for budget in self.budgets):
            return Outcome(Verb.REFUSED, "PodDisruptionBudget")
        self.pods.pop(action.pod.name, None)
        return Outcome(Verb.DONE)

    def _guard(self, action: KeepGuard | DropGuard) -> None:
        if isinstance(action, DropGuard):
            self.guard = None
            return
        self.guard = self.guard or Guard(action, self.now, self.now, self.guard_trouble)
        self.guard.renew(action, self.now)

    def _agent(self, action: StartAgent | HoldAgent | StopAgent) -> Outcome:
        if action.pod.name not in self.pods:
            return Outcome(Verb.REFUSED, "NotFound")
        agents = self.agents.setdefault(action.pod.name, [])
        agent = next((one for one in agents if one.name == action.name), None)
        if isinstance(action, StartAgent) and agent is None:
            agent = Agent(action.name, action.order, self.now, self.refuses, self.stuck)
            agents.append(agent)
        if agent is None:
            return Outcome(Verb.REFUSED, "NotFound")
        agent.is_linked = True
        if isinstance(action, HoldAgent):
            agent.beat(self.now, action.seconds)
        elif isinstance(action, StopAgent):
            agent.stop(self.now)
        return Outcome(Verb.DONE)

    def _held(self, ref: Ref) -> Held | None:
        """Find what a fault can hold fields of."""
        checkout = self.checkout()
        there = (*(() if checkout is None else (checkout,)), self.node_now(), *(self._pod(name) for name in self.pods))
        return next((held(one) for one in there if one.ref.uid == ref.uid), None)

    def _hold_fields(self, action: HoldFields) -> Outcome:
        now = self._held(action.target)
        if now is None:
            return Outcome(Verb.REFUSED, "NotFound")
        if action.resource_version != now.resource_version:
            return Outcome(Verb.REFUSED, "Conflict")
        if action.target.kind == "Deployment":
            wanted = dict(action.fields)
            self.write(int(wanted.pop("replicas", None) or self.replicas), action.annotations, wanted)
        elif action.target.kind == "Node":
            self.version += 1
            _set(self.node, action.fields)
            _set(self.node_annotations, action.annotations)
        else:
            name = action.target.name
            self.pod_versions[name] = self.pod_versions.get(name, 1) + 1
            _set(self.sizes.setdefault(name, dict(SIZES)), action.fields)
            _set(self.pod_annotations.setdefault(name, {}), action.annotations)
        return Outcome(Verb.DONE)

    def _locks(self) -> dict[str, Lock | None]:
        return {CHECKOUT.uid: self.lock, NODE.uid: self.node_lock}

    def _is_locked_by(self, holder: Ref, target: Ref) -> bool:
        known = self._locks()[target.uid]
        return known is not None and known.holder == holder

    def _lock(self, target: Ref, lock: Lock | None) -> None:
        if target.uid == NODE.uid:
            self.node_lock = lock
        else:
            self.lock = lock

    def _take_lock(self, action: TakeLock) -> Outcome:
        known = self._locks()[action.target.uid]
        if known is not None and known.holder != action.holder and known.until > self.now:
            return Outcome(Verb.REFUSED, "Locked")
        self._lock(action.target, Lock(action.holder, self.now + timedelta(seconds=action.seconds)))
        return Outcome(Verb.DONE)

    def write(self, replicas: int, annotations: Any = (), template: Any = ()) -> None:
        """Change checkout, whoever does it."""
        self.replicas = replicas
        self.version += 1
        _set(self.annotations, dict(annotations))
        _set(self.template, dict(template))
        self._replace_pods(ready_at=self.now + self.starts_in)

    def sweep(self) -> None:
        """Undo the faults that nobody holds up any more."""
        checkout = self.checkout()
        there = (*(() if checkout is None else (checkout,)), self.node_now(), *(self._pod(name) for name in self.pods))
        experiments = {} if self.is_gone else {ME.uid: self.status}
        for action in orphans(there, experiments):
            self._hold_fields(action)
        if self.is_gone:  # the guard of an experiment that is no more
            self.guard = None


def _set(known: dict[str, str], wanted: Any) -> None:
    for key, value in wanted.items():
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value
