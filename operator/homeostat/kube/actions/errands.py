"""What is asked of others on behalf of a policy: a Job to run, a URL to call.

A Job is created once: it is named after the action, and one of that name that carries the action's label and belongs
to the policy is that very Job. It ends by its own deadline, whatever becomes of us, and goes with its policy.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from homeostat.api.meta import API_VERSION, GROUP
from homeostat.core.action import CallWebhook, Outcome, RunJob, Verb
from homeostat.core.cluster import Job
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import JOB
from homeostat.kube.jobs import create_job, label_of, part_of, pod_template
from homeostat.kube.workloads.projections import job_of
from homeostat.ports import Caller, Conflict, Gone, Rejected

ATTEMPT = f"{GROUP}/attempt"
"""Label of a Job: the action that it carries out."""
_MANAGER = "homeostat-actions"
_DONE = Outcome(Verb.DONE)


class Errands:
    """Runs Jobs and calls webhooks; without a `caller` it calls none."""

    def __init__(self, client: ApiClient, caller: Caller | None = None) -> None:
        self._client = client
        self._caller = caller

    async def perform(self, action: RunJob | CallWebhook, now: datetime) -> Outcome:
        """Do one errand. Raises what `ports` names."""
        if isinstance(action, RunJob):
            return await self._run(action)
        if self._caller is None:
            return Outcome(Verb.REFUSED, "Unsupported", "webhooks cannot be called here")
        return await self._caller.call(action, now)

    async def _run(self, action: RunJob) -> Outcome:
        namespace = action.owner.namespace
        try:
            await create_job(self._client, namespace, _manifest(action), _MANAGER)
        except Conflict:
            raw = await self._client.request("GET", JOB.path(namespace, action.name))
            if not _is_ours(raw, action):
                return Outcome(Verb.REFUSED, "NameTaken", f"another Job has the name {action.name}")
        return _DONE


class ApiJobReader:
    """Reads the Jobs of policies (`ports.Targets.job`)."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def job(self, namespace: str, name: str) -> Job | None:
        """Read a Job; None when it is not there. Raises Unavailable, Forbidden or Rejected."""
        try:
            return job_of(await self._client.request("GET", JOB.path(namespace, name)))
        except Gone:
            return None


def _is_ours(raw: Mapping[str, Any], action: RunJob) -> bool:
    metadata = raw["metadata"]
    owners = {owner["uid"] for owner in metadata.get("ownerReferences") or ()}
    return action.owner.uid in owners and (metadata.get("labels") or {}).get(ATTEMPT) == action.id


def _manifest(action: RunJob) -> dict[str, Any]:
    """Write the Job: it runs once and is not repeated, not even when its pod was put out."""
    labels = {f"{GROUP}/policy": label_of(action.owner.name), ATTEMPT: action.id}
    template = pod_template(action.template, labels)
    return {
        "apiVersion": JOB.api_version,
        "kind": "Job",
        "metadata": {
            "name": action.name,
            "namespace": action.owner.namespace,
            "labels": {"app.kubernetes.io/managed-by": "homeostat", **labels},
            "ownerReferences": [_owner_reference(action.owner)],
        },
        "spec": {
            "backoffLimit": 0,
            "parallelism": 1,
            "completions": 1,
            "activeDeadlineSeconds": max(1, action.seconds),
            # kept at least for as long as it may be asked for: gone, it would be run again
            "ttlSecondsAfterFinished": max(action.keep_seconds, action.seconds),
            "template": template | {"spec": _with_environment(template["spec"], action.environment)},
        },
    }


def _owner_reference(owner: Ref) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True}


def _with_environment(spec: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Give all containers our variables, first, so that the user's own may refer to them; ours win over theirs."""
    # `$` is doubled, as $(NAME) in a value would be replaced by another variable's
    ours = [{"name": name, "value": value.replace("$", "$$")} for name, value in sorted(environment.items())]
    changed = {
        kind: [_told(one, ours) for one in _list_of(spec[kind])]
        for kind in ("initContainers", "containers")
        if spec.get(kind) is not None
    }
    return {**spec, **changed}


def _told(container: Any, ours: list[dict[str, str]]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    whole = part_of({"container": container}, "container")
    names = {one["name"] for one in ours}
    theirs = [one for one in _list_of(whole.get("env") or []) if part_of({"env": one}, "env").get("name") not in names]
    return {**whole, "env": [*ours, *theirs]}


def _list_of(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if not isinstance(value, list):
        raise Rejected("the template's containers and their env must be lists")
    return value
