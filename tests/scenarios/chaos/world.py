"""A small cluster in memory, the operator's loop around `decide`, and a hand that kills the operator at will."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homeostat.api.chaos import ALLOWED_LABEL, MARKER, ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.api.health_check import HealthState
from homeostat.core.chaos import ChaosSeen, CheckSeen, ReactionSeen, decide, orphans, recorded
from homeostat.core.cluster import DisruptionBudget, FreezeInForce, Lock, Namespace, Pod, Workload
from homeostat.core.decision import (
    Action,
    Decision,
    DeletePod,
    Event,
    Outcome,
    Ref,
    ReleaseLock,
    Scale,
    TakeLock,
    Verb,
)

START = datetime(2026, 12, 1, 12, tzinfo=UTC)
SHOP = "shop"
ME = Ref("ChaosExperiment", SHOP, "kill-checkout", "experiment-uid")
CHECKOUT = Ref("Deployment", SHOP, "checkout", "checkout-uid")
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
    version: int = 1
    is_checkout_there: bool = True
    pods: dict[str, datetime] = field(default_factory=dict)  # name → ready since
    born: int = 0
    others: int = 10
    starts_in: timedelta = timedelta(seconds=2)
    needs: int = 1
    detects_in: timedelta = timedelta(seconds=2)
    check: CheckSeen | None = None
    is_check_silent: bool = False
    breaks_at: datetime | None = None
    budgets: tuple[DisruptionBudget, ...] = ()
    labels: tuple[tuple[str, str], ...] = (ALLOWED_LABEL,)
    freeze: FreezeInForce | None = None
    budget_held_by: str = ""
    lock: Lock | None = None
    reactions: tuple[ReactionSeen, ...] = ()
    view_age: timedelta = timedelta(0)
    problem: tuple[str, str] | None = None
    choice: float = 0.0
    answers: dict[type, list[Outcome]] = field(default_factory=dict)  # what the API server answers instead
    loses_answers_to: type | None = None  # the API server does it, and the answer does not arrive
    steps_to_live: int | None = None
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
        self._probe()

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
        )

    def _pod(self, name: str) -> Pod:
        since = self.pods[name]
        return Pod(
            ref=Ref("Pod", SHOP, name, f"{name}-uid"),
            resource_version="1",
            ip="",
            node="n",
            phase="Running",
            is_ready=since <= self.now,
            is_terminating=False,
            restarts=0,
            created_at=START,
            ready_since=since if since <= self.now else None,
            labels=(("app", "checkout"),),
            owner=CHECKOUT,
        )

    # --- the operator -------------------------------------------------------------------------------

    def seen(self, outcomes: dict[str, Outcome] | None = None, **changes: Any) -> ChaosSeen:
        """Observe, as the engine does."""
        checkout = self.checkout()
        found = () if checkout is None else (checkout,)
        is_pod = self.spec.target.kind == "Pod"
        is_meant = checkout is not None and self.spec.target.name in {None, "checkout"}
        names = {ref.name for ref in recorded(SHOP, self.status)}
        return replace(
            ChaosSeen(
                ref=ME,
                generation=self.generation,
                is_deleting=self.is_deleting,
                has_finalizer=self.has_finalizer,
                run_requested=self.run_requested,
                namespace=Namespace(SHOP, is_terminating=False, labels=self.labels),
                pods=found[0].pods if is_pod and found else (),
                owners=found if is_pod else (),
                workloads=found if is_meant and not is_pod else (),
                afflicted=found if "checkout" in names else (),
                disruption_budgets=self.budgets,
                namespace_pods=self.ready + self.others,
                cluster_pods=self.ready + self.others + 50,
                checks={} if self.check is None else {"checkout": self.check},
                choice=self.choice,
                freeze=self.freeze,
                budget_held_by=self.budget_held_by,
                locks={} if self.lock is None else {CHECKOUT.uid: self.lock},
                recoveries=self.reactions,
                view_age=self.view_age,
                protected=frozenset({"homeostat"}),
                outcomes=outcomes or {},
                problem=self.problem,
            ),
            **changes,
        )

    def decide(self, outcomes: dict[str, Outcome] | None = None) -> Decision[ChaosExperimentStatus]:
        """Decide on what is there now."""
        return decide(self.spec, self.status, self.seen(outcomes), self.now)

    def reconcile(self) -> None:
        """Run the engine's loop once, or until the operator is killed."""
        try:
            self._reconcile()
        except Killed:
            self.steps_to_live = None

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
        match action:
            case Scale():
                return self._scale(action)
            case DeletePod():
                self.pods.pop(action.pod.name, None)
            case TakeLock():
                return self._take_lock(action)
            case ReleaseLock() if self.lock is not None and self.lock.holder == action.holder:
                self.lock = None
        return Outcome(Verb.DONE)

    def _scale(self, action: Scale) -> Outcome:
        if not self.is_checkout_there:
            return Outcome(Verb.REFUSED, "NotFound")
        if action.resource_version != str(self.version):
            return Outcome(Verb.REFUSED, "Conflict")
        self.write(action.replicas, action.annotations)
        return Outcome(Verb.DONE)

    def _take_lock(self, action: TakeLock) -> Outcome:
        if self.lock is not None and self.lock.holder != action.holder and self.lock.until > self.now:
            return Outcome(Verb.REFUSED, "Locked")
        self.lock = Lock(action.holder, self.now + timedelta(seconds=action.seconds))
        return Outcome(Verb.DONE)

    def write(self, replicas: int, annotations: Any = ()) -> None:
        """Change checkout, whoever does it."""
        self.replicas = replicas
        self.version += 1
        for key, value in dict(annotations).items():
            if value is None:
                self.annotations.pop(key, None)
            else:
                self.annotations[key] = value
        self._replace_pods(ready_at=self.now + self.starts_in)

    def sweep(self) -> None:
        """Undo the faults that nobody holds up any more."""
        checkout = self.checkout()
        experiments = {} if self.is_gone else {ME.uid: self.status}
        for action in orphans(() if checkout is None else (checkout,), experiments):
            self._scale(action)
