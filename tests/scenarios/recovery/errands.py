"""Worlds for steps that ask others: Jobs that run, webhooks that answer, a Node with guests."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import override

from homeostat.core.action import Action, CallWebhook, EvictPod, Outcome, RunJob, SetUnschedulable, Verb
from homeostat.core.cluster import Job, Pod, Workload
from homeostat.core.recovery import RecoverySeen
from homeostat.core.recovery.steps.job import wanted_job
from homeostat.core.ref import Ref
from scenarios.recovery.world import DONE, POLICY, World

NODE = Ref("Node", "", "worker", "node-uid")
UNANSWERED = Outcome(Verb.FAILED, "WebhookUnanswered", "the webhook answered 503")
REFUSED = Outcome(Verb.REFUSED, "WebhookRefused", "the webhook answered 404")


@dataclass
class ErrandWorld(World):
    """Jobs end after `job_takes` as `job_failure` says; the webhook gives its `answers` in turn, the last for ever."""

    jobs: dict[str, tuple[RunJob, datetime]] = field(default_factory=dict)  # by name: what was asked, and when
    job_takes: timedelta | None = timedelta(seconds=5)
    job_failure: str = ""
    job_heals: bool = True
    owner: str = POLICY.uid
    job_answer: Outcome = DONE
    answers: list[Outcome] = field(default_factory=lambda: [DONE])
    calls: list[tuple[datetime, CallWebhook]] = field(default_factory=list)
    hook_heals: bool = True

    @override
    def act(self, action: Action) -> Outcome:
        """Do what Errands do."""
        if self.wire_breaks:
            return super().act(action)
        match action:
            case RunJob():
                return self._run(action)
            case CallWebhook():
                return self._call(action)
            case _:
                return super().act(action)

    def _run(self, action: RunJob) -> Outcome:
        if self.job_answer is not DONE:
            return self.job_answer
        if action.name not in self.jobs:
            self.effects.append(f"job {action.name} {action.id}")
            self.jobs[action.name] = (action, self.now)
        return DONE

    def _call(self, action: CallWebhook) -> Outcome:
        self.calls.append((self.now, action))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is DONE and self.hook_heals:
            self.sick.clear()
        return answer

    def job(self, name: str) -> Job | None:
        """Show a Job as the API server has it."""
        if name not in self.jobs:
            return None
        action, began = self.jobs[name]
        has_ended = self.job_takes is not None and self.now >= began + self.job_takes
        is_late = not has_ended and self.now >= began + timedelta(seconds=action.seconds)
        failure = self.job_failure if has_ended else "DeadlineExceeded" if is_late else ""
        if has_ended and not failure and self.job_heals:
            self.sick.clear()
        ref = Ref("Job", "shop", name, f"uid-of-{name}")
        return Job(ref, (self.owner,), is_started=True, is_complete=has_ended and not failure, failure=failure)

    @override
    def seen(self, outcomes: Mapping[str, Outcome] | None = None) -> RecoverySeen:
        """Observe the world, with the Job of the open attempt."""
        return replace(super().seen(outcomes), job=self.job(wanted_job(self.status)))


@dataclass
class NodeWorld(World):
    """A Node with guests, which go when they are evicted and come back elsewhere."""

    unschedulable: bool = False
    guests: dict[str, Pod] = field(default_factory=dict)
    leaving: dict[str, datetime] = field(default_factory=dict)
    takes: timedelta = timedelta(seconds=2)
    kept_by_budget: set[str] = field(default_factory=set)

    @override
    def __post_init__(self) -> None:
        """Have three guests of Deployments, one of a DaemonSet and a mirror pod."""
        super().__post_init__()
        for name, kind in (("a", "Deployment"), ("b", "Deployment"), ("c", "StatefulSet"), ("agent", "DaemonSet")):
            self.host(name, kind)
        self.host("mirror", "Node", is_mirror=True)

    def host(self, name: str, kind: str | None, **changes: Any) -> None:
        """Have one more guest, controlled by an object of a kind."""
        namespace = f"of-{name}"
        owner = Ref(kind, namespace, name, f"owner-{name}") if kind else None
        made = Pod(
            ref=Ref("Pod", namespace, name, f"guest-{name}"),
            resource_version="1",
            ip="",
            node=NODE.name,
            phase="Running",
            is_ready=True,
            is_terminating=False,
            restarts=0,
            created_at=self.now - timedelta(hours=1),
            owner=owner,
        )
        self.guests[name] = replace(made, **changes)

    @override
    def workload(self) -> Workload | None:
        """Show the Node as `kube/` would."""
        for name, at in tuple(self.leaving.items()):
            if self.now >= at:
                del self.leaving[name], self.guests[name]
        pods = (replace(pod, is_terminating=name in self.leaving) for name, pod in self.guests.items())
        return Workload(
            ref=NODE,
            resource_version=str(self.version),
            generation=1,
            observed_generation=1,
            replicas=1,
            updated=1,
            ready=0,
            available=0,
            selector="",
            annotations=tuple(self.annotations.items()),
            pods=tuple(pods),
            is_unschedulable=self.unschedulable,
            conditions=("NotReady",),
            population=(1, 5),
        )

    @override
    def act(self, action: Action) -> Outcome:
        """Do what the API server does with Nodes and their guests."""
        if self.wire_breaks:
            return super().act(action)
        match action:
            case SetUnschedulable():
                return self._set(action)
            case EvictPod():
                return self._evict_guest(action)
            case _:
                return super().act(action)

    def _set(self, action: SetUnschedulable) -> Outcome:
        if action.resource_version != str(self.version):
            return Outcome(Verb.REFUSED, "Conflict", "the object changed since the decision")
        self.effects.append(f"{'cordon' if action.unschedulable else 'uncordon'} {action.id}")
        self.unschedulable = action.unschedulable
        self.version += 1
        for key, value in action.annotations.items():
            self.annotations.pop(key, None)
            self.annotations |= {} if value is None else {key: value}
        return DONE

    def _evict_guest(self, action: EvictPod) -> Outcome:
        pod = self.guests.get(action.pod.name)
        if pod is None or pod.ref != action.pod:
            return DONE
        if action.pod.name in self.kept_by_budget:
            return Outcome(Verb.REFUSED, "PodDisruptionBudget", "the budget allows no disruption")
        if action.pod.name not in self.leaving:
            self.effects.append(f"evict {action.pod.namespace}/{action.pod.name} {action.id}")
            self.leaving[action.pod.name] = self.now + self.takes
        return DONE
