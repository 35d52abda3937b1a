"""The only hand that touches what others own (`ports.Actuator`): each action once, on the very object it was meant for.

Every write names the uid, and the version where the decision hangs on it. What the API server refuses becomes
Refused with a reason; when it is unknown whether an action happened, Failed: the same action may be tried again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from homeostat.core.action import (
    Action,
    AskExperiment,
    CallWebhook,
    DeletePod,
    DropGuard,
    EvictPod,
    HoldAgent,
    HoldFields,
    InstallRules,
    KeepGuard,
    Outcome,
    PatchObject,
    ReleaseLock,
    RemoveRules,
    ResizePod,
    RestartRollout,
    RunJob,
    Scale,
    SetUnschedulable,
    StartAgent,
    StopAgent,
    TakeLock,
    TakeToken,
    UndoRollout,
    Verb,
)
from homeostat.core.ref import Ref
from homeostat.kube.actions.changes import ApiChanges, Change
from homeostat.kube.actions.errands import Errands
from homeostat.kube.actions.experiments import ApiExperiments
from homeostat.kube.apiserver.answers import BudgetHeld, Denied
from homeostat.kube.apiserver.client import MERGE_PATCH, STRATEGIC_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import POD, WORKLOADS
from homeostat.kube.faults.ephemeral import EphemeralAgents
from homeostat.kube.faults.fields import ApiFields
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.leases.budget import ActionBudget, BudgetUnreadable
from homeostat.kube.leases.locks import Locks
from homeostat.kube.rules import ApiRules
from homeostat.kube.workloads.projections import RESTARTED_AT
from homeostat.ports import Caller, Conflict, Forbidden, Gone, Rejected, Unavailable

FIELD_MANAGER = "homeostat-actions"
DONE = Outcome(Verb.DONE)
NO_RIGHT = "the operator lacks the right to do this"

_SCALABLE = frozenset({"Deployment", "StatefulSet"})
Raw = Mapping[str, Any]
HandedOn = (
    Change | RunJob | CallWebhook | InstallRules | RemoveRules | HoldFields | KeepGuard | DropGuard | AskExperiment
)


class ApiActuator:
    """`ports.Actuator` on the API server."""

    def __init__(
        self,
        client: ApiClient,
        locks: Locks,
        budget: ActionBudget,
        caller: Caller | None = None,
        guards: ApiGuards | None = None,
        agents: EphemeralAgents | None = None,
    ) -> None:
        self._client = client
        self._locks = locks
        self._budget = budget
        self._rules = ApiRules(client)
        self._changes = ApiChanges(client)
        self._errands = Errands(client, caller)
        self._fields = ApiFields(client)
        self._experiments = ApiExperiments(client)
        self._guards = guards
        self._agents = agents

    async def act(self, action: Action, now: datetime) -> Outcome:
        """Perform one action; never raises for what the API server may answer."""
        try:
            return await self._perform(action, now)
        except BudgetHeld as error:
            return Outcome(Verb.REFUSED, "PodDisruptionBudget", str(error))
        except BudgetUnreadable as error:
            return Outcome(Verb.REFUSED, "BudgetUnreadable", str(error))
        except Conflict:
            return Outcome(Verb.REFUSED, "Conflict", "the object changed since the decision")
        except Gone:
            return Outcome(Verb.REFUSED, "NotFound", "the object is not there")
        except Forbidden as error:
            return Outcome(Verb.REFUSED, "Forbidden", str(error) if isinstance(error, Denied) else NO_RIGHT)
        except Rejected as error:
            return Outcome(Verb.REFUSED, "Invalid", str(error))
        except Unavailable:
            return Outcome(Verb.FAILED, "ApiUnavailable", "the API server did not answer properly")

    async def _perform(self, action: Action, now: datetime) -> Outcome:
        match action:
            case EvictPod():
                return await self._evict(action)
            case DeletePod():
                return await self._delete(action)
            case RestartRollout():
                return await self._restart(action)
            case Scale():
                return await self._scale(action)
            case TakeLock() | ReleaseLock():
                return await self._lock(action, now)
            case TakeToken():
                return await self._budget.take(action.id, now)
            case StartAgent() | HoldAgent() | StopAgent():
                return await self._agent(action)
            case _:
                return await self._hand_on(action, now)

    async def _hand_on(self, action: HandedOn, now: datetime) -> Outcome:
        match action:
            case AskExperiment():
                return await self._experiments.perform(action)
            case HoldFields():
                return await self._fields.perform(action)
            case KeepGuard() | DropGuard():
                return await self._guard(action, now)
            case UndoRollout() | PatchObject() | SetUnschedulable() | ResizePod():
                return await self._changes.perform(action)
            case RunJob() | CallWebhook():
                return await self._errands.perform(action, now)
            case InstallRules() | RemoveRules():
                return await self._rules.perform(action)

    async def _agent(self, action: StartAgent | HoldAgent | StopAgent) -> Outcome:
        """Start an agent; one that runs is spoken to over its wire, not by the API server."""
        if self._agents is None or not isinstance(action, StartAgent):
            return Outcome(Verb.REFUSED, "Unsupported", "no agents are configured")
        return await self._agents.start(action)

    async def _lock(self, action: TakeLock | ReleaseLock, now: datetime) -> Outcome:
        if isinstance(action, TakeLock):
            return await self._locks.take(action.target, action.holder, action.seconds, now)
        return await self._locks.release(action.target, action.holder)

    async def _guard(self, action: KeepGuard | DropGuard, now: datetime) -> Outcome:
        if self._guards is None:
            return Outcome(Verb.REFUSED, "Unsupported", "no guards are configured")
        if isinstance(action, KeepGuard):
            return await self._guards.keep(action, now)
        return await self._guards.drop(action)

    async def _evict(self, action: EvictPod) -> Outcome:
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": action.pod.name, "namespace": action.pod.namespace},
            "deleteOptions": _delete_options(action),
        }
        path = POD.path(action.pod.namespace, action.pod.name, "eviction")
        return await self._remove("POST", path, eviction, action.pod)

    async def _delete(self, action: DeletePod) -> Outcome:
        path = POD.path(action.pod.namespace, action.pod.name)
        return await self._remove("DELETE", path, _delete_options(action), action.pod)

    async def _remove(self, method: str, path: str, body: Raw, pod: Ref) -> Outcome:
        """Send what makes a pod go; that this very pod is no longer there counts as done."""
        try:
            await self._client.request(method, path, body=body, urgency=Urgency.ACTION)
        except Gone:
            return DONE
        except Conflict:
            if await self._is_there(pod):
                raise
        return DONE

    async def _is_there(self, pod: Ref) -> bool:
        try:
            raw = await self._client.request("GET", POD.path(pod.namespace, pod.name))
        except Gone:
            return False
        return bool(raw["metadata"]["uid"] == pod.uid)

    async def _restart(self, action: RestartRollout) -> Outcome:
        template = {"metadata": {"annotations": {RESTARTED_AT: action.id}}}
        body = {"metadata": _pinned(action), "spec": {"template": template}}
        return await self._patch(action, body, STRATEGIC_PATCH, lambda raw: _is_restarted(raw, action.id))

    async def _scale(self, action: Scale) -> Outcome:
        if action.target.kind not in _SCALABLE:
            return Outcome(Verb.REFUSED, "Unsupported", f"a {action.target.kind} cannot be scaled")
        metadata = {**_pinned(action), "annotations": dict(action.annotations)}
        body = {"metadata": metadata, "spec": {"replicas": action.replicas}}
        return await self._patch(action, body, MERGE_PATCH, lambda raw: _is_scaled(raw, action))

    async def _patch(
        self, action: RestartRollout | Scale, body: Raw, content_type: str, is_done: Callable[[Raw], bool]
    ) -> Outcome:
        """Patch a workload at the version of the decision; when it changed since, perhaps that was this very action."""
        target = action.target
        if target.kind not in WORKLOADS:
            return Outcome(Verb.REFUSED, "Unsupported", f"a {target.kind} is not a workload")
        path = WORKLOADS[target.kind].path(target.namespace, target.name)
        try:
            await self._client.request(
                "PATCH",
                path,
                query={"fieldManager": FIELD_MANAGER},
                body=body,
                content_type=content_type,
                urgency=Urgency.ACTION,
            )
        except Conflict:
            raw = await self._client.request("GET", path)
            if raw["metadata"]["uid"] != target.uid or not is_done(raw):
                raise
        return DONE


def _delete_options(action: EvictPod | DeletePod) -> dict[str, Any]:
    options: dict[str, Any] = {"preconditions": {"uid": action.pod.uid}}
    if action.grace_period_seconds is not None:
        options["gracePeriodSeconds"] = action.grace_period_seconds
    return options


def _pinned(action: RestartRollout | Scale) -> dict[str, str]:
    return {"uid": action.target.uid, "resourceVersion": action.resource_version}


def _is_restarted(raw: Raw, marker: str) -> bool:
    metadata = raw["spec"]["template"].get("metadata") or {}
    return bool((metadata.get("annotations") or {}).get(RESTARTED_AT) == marker)


def _is_scaled(raw: Raw, action: Scale) -> bool:
    annotations = raw["metadata"].get("annotations") or {}
    is_marked = all(annotations.get(key) == value for key, value in action.annotations.items())
    return is_marked and raw["spec"].get("replicas") == action.replicas
