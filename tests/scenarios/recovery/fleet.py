"""A world of several objects under one policy: deployments that a selector matches or a step names, or Nodes.

Its loop is that of `world.World`; which object is meant is chosen as the shell does, by the core's own word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from homeostat.api.recovery_status import SignalState
from homeostat.core.action import Action, EvictPod, Outcome, ReleaseLock, RestartRollout, TakeLock, TakeToken, Verb
from homeostat.core.cluster import GitOwner, Lock, Pod, TokenBudget, Workload
from homeostat.core.recovery import RecoverySeen, SignalSeen
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.targets.selection import chosen
from homeostat.core.ref import Ref
from scenarios.recovery.world import DONE, NOON, POLICY, World, spec

SEVERAL: dict[str, Any] = {
    "target": {"kind": "Deployment", "selector": {"matchLabels": {"app": "shop"}}},
    "steps": [{"rolloutRestart": {}}, {"escalate": {"summary": "the shop does not recover"}}],
    "limits": {"maxUnhealthy": "100%", "cooldown": "1m", "budget": {"actions": 50, "per": "1h"}},
}


@dataclass
class Member:
    """One object: a deployment with its pods, or a Node with its guests."""

    name: str
    kind: str = "Deployment"
    replicas: int = 2
    incarnation: int = 1
    version: int = 1
    restart_id: str = ""
    rolling_until: datetime = NOON
    sick: set[str] = field(default_factory=set)  # names of pods
    conditions: tuple[str, ...] = ()  # of a Node
    pods: dict[str, Pod] = field(default_factory=dict)
    lock: Lock | None = None
    is_paused: bool = False
    git: GitOwner | None = None

    def __post_init__(self) -> None:
        """Start with its pods, an hour old."""
        for number in range(self.replicas):
            self.create(f"{self.name}-{number}", NOON - timedelta(hours=1))

    @property
    def ref(self) -> Ref:
        """Its reference, with the uid of this incarnation."""
        return Ref(self.kind, "" if self.kind == "Node" else "shop", self.name, f"{self.name}-uid-{self.incarnation}")

    def create(self, name: str, at: datetime) -> None:
        """Create a pod."""
        self.version += 1
        ref = Ref("Pod", "shop", name, f"{name}-uid-{self.version}")
        self.pods[name] = Pod(
            ref=ref,
            resource_version=str(self.version),
            ip="10.0.0.1",
            node=self.name,
            phase="Running",
            is_ready=True,
            is_terminating=False,
            restarts=0,
            created_at=at.replace(microsecond=0),
            owner=self.ref if self.kind != "Node" else Ref("ReplicaSet", "shop", "guests", "guests-uid"),
        )

    def workload(self, now: datetime, population: tuple[int, int]) -> Workload:
        """Show it as `kube/` would."""
        is_node = self.kind == "Node"
        wanted = 1 if is_node else self.replicas
        return Workload(
            ref=self.ref,
            resource_version=str(self.version),
            generation=1,
            observed_generation=1,
            replicas=wanted,
            updated=0 if now < self.rolling_until else wanted,
            ready=wanted,
            available=wanted,
            selector="app=shop",
            is_paused=self.is_paused,
            pods=tuple(self.pods.values()),
            restart_id=self.restart_id,
            conditions=self.conditions,
            population=population if is_node else None,
            git=self.git,
        )


@dataclass
class Fleet(World):
    """A policy and its objects. `members` are those of the policy's target, `others` what its steps name."""

    members: dict[str, Member] = field(default_factory=dict)
    others: dict[str, Member] = field(default_factory=dict)
    says_who: bool = True  # whether the trigger names the pods that fail
    restarts_heal: bool = True
    cure_by: str = ""  # the object whose restart alone heals all
    are_nodes_allowed: bool = True
    most_locks: int = 0

    @classmethod
    def of(cls, *names: str, kind: str = "Deployment", **changes: Any) -> "Fleet":
        """Make a fleet of these names, under the policy SEVERAL with some fields of the manifest replaced."""
        members = {name: Member(name, kind) for name in names}
        return cls(spec=spec(**{**SEVERAL, **changes}), members=members, replicas=0)

    def everybody(self) -> tuple[Member, ...]:
        """Give all objects."""
        return (*self.members.values(), *self.others.values())

    def hurt(self, *names: str) -> None:
        """Have the first pod of each fail; of a Node, have it not ready."""
        for name in names:
            member = self.members[name]
            member.sick.add(next(iter(member.pods)))
            if member.kind == "Node":
                member.conditions = ("NotReady",)

    def recreate(self, name: str) -> None:
        """Delete an object and make it again under its name."""
        known = self.members[name]
        self.members[name] = Member(name, known.kind, incarnation=known.incarnation + 1, version=known.version + 10)

    def signal(self) -> SignalState:
        """Say what the trigger says now."""
        return SignalState.FIRING if any(one.sick for one in self.members.values()) else SignalState.QUIET

    def seen(self, outcomes: Mapping[str, Outcome] | None = None) -> RecoverySeen:
        """Observe the world, as the engine does before each decision."""
        self.look()
        self.seeds += 1
        population = sum(bool(one.conditions) for one in self.members.values()), len(self.members)
        found = tuple(one.workload(self.now, population) for one in self.members.values())
        others = tuple(one.workload(self.now, population) for one in self.others.values())
        seen = RecoverySeen(
            ref=POLICY,
            generation=self.generation,
            target=None,
            signals=self._signals(),
            attempt_seed=f"a{self.seeds}",
            cluster_budget=TokenBudget(len(self.tokens), self.tokens_of),
            outcomes=outcomes or {},
            candidates=found if self.spec.target.selector else (),
            others=others,
            locks={one.ref.uid: one.lock for one in self.others.values() if one.lock},
            are_nodes_allowed=self.are_nodes_allowed,
            requests=self.requests,
        )
        target = chosen(Case(self.spec, self.status, seen, self.now), found)
        lock = self.members[target.ref.name].lock if target else None
        return replace(seen, target=target, lock=lock)

    def _signals(self) -> tuple[SignalSeen, ...]:
        failing = tuple(
            one.pods[name].ref for one in self.members.values() for name in sorted(one.sick & one.pods.keys())
        )
        return tuple(
            SignalSeen(
                index, self.was, self.observed_at, timedelta(seconds=10), since=self.since,
                detail="HealthCheck shop is Unhealthy", failing=failing if self.says_who else (),
            )
            for index in range(len(self.spec.triggers))
        )  # fmt: skip

    def act(self, action: Action) -> Outcome:
        """Do what the actuator and the API server do."""
        match action:
            case RestartRollout():
                return self._roll(action)
            case EvictPod():
                return self._evict_one(action)
            case TakeToken():
                return self._take_token(action)
            case TakeLock():
                return self._lock(action)
            case ReleaseLock():
                member = self._member(action.target)
                member.lock = None if member.lock and member.lock.holder == action.holder else member.lock
                return DONE
            case _:
                return Outcome(Verb.REFUSED, "Unsupported", type(action).__name__)

    def _member(self, ref: Ref) -> Member:
        return next(one for one in self.everybody() if one.ref == ref)

    def _lock(self, action: TakeLock) -> Outcome:
        member = self._member(action.target)
        if member.lock and member.lock.until > self.now and member.lock.holder != action.holder:
            return Outcome(Verb.REFUSED, "Locked", "another holds the lock")
        member.lock = Lock(action.holder, self.now + timedelta(seconds=action.seconds))
        held = [one for one in self.everybody() if one.lock and one.lock.until > self.now]
        self.most_locks = max(self.most_locks, len(held))
        return DONE

    def _roll(self, action: RestartRollout) -> Outcome:
        member = self._member(action.target)
        if member.restart_id == action.id:
            return DONE
        if action.resource_version != str(member.version):
            return Outcome(Verb.REFUSED, "Conflict", "the object changed since the decision")
        self.effects.append(f"restart {member.name} {action.id}")
        member.version += 1
        member.restart_id, member.rolling_until = action.id, self.now + self.cure_takes
        if self.cure_by == member.name:
            for one in self.members.values():
                one.sick.clear()
        elif self.restarts_heal and not self.cure_by:
            member.sick.clear()
        return DONE

    def _evict_one(self, action: EvictPod) -> Outcome:
        for member in self.everybody():
            pod = member.pods.get(action.pod.name)
            if pod is not None and pod.ref == action.pod:
                self.effects.append(f"evict {action.pod.name} {action.id}")
                del member.pods[action.pod.name]
                member.sick.discard(action.pod.name)
                if member.kind != "Node":
                    member.create(f"{action.pod.name}x", self.now)
                elif not member.sick:
                    member.conditions = ()
        return DONE
