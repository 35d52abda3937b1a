"""Changes of what others own that can be taken back: templates, fields, nodes, sizes.

Each is made on the version of the object that it was meant for. A change and the marker that names it are one write.
When the object changed since the decision, perhaps that was this very change, made before its answer got lost: then it
is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from homeostat.core import merge_patch
from homeostat.core.action import Outcome, PatchObject, ResizePod, SetUnschedulable, UndoRollout, Verb
from homeostat.core.quantity import has_sizes
from homeostat.core.ref import Ref
from homeostat.kube.actions.templates import REVISIONS, is_same_template, template_of
from homeostat.kube.apiserver.client import MERGE_PATCH, STRATEGIC_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import NODE, POD, SERVICE, WORKLOADS
from homeostat.kube.workloads.projections import controller_of
from homeostat.ports import Conflict, Gone

Change = UndoRollout | PatchObject | SetUnschedulable | ResizePod
Raw = Mapping[str, Any]

FIELD_MANAGER = "homeostat-actions"
PATCHES = {"Merge": MERGE_PATCH, "Strategic": STRATEGIC_PATCH}
CHANGEABLE = {**WORKLOADS, "Service": SERVICE, "Node": NODE}
"""Where the kinds are that a patch can be for."""

DONE = Outcome(Verb.DONE)
NO_RESIZE = Outcome(Verb.REFUSED, "Unsupported", "this cluster cannot resize pods in place")
NOT_ITS_REVISION = Outcome(Verb.REFUSED, "NotFound", "the revision is not one of the target")


@dataclass(frozen=True, slots=True)
class _Write:
    """One write of a change: where, what, how it is merged, and how to tell that it stands already."""

    path: str
    body: Raw
    content_type: str
    is_done: Callable[[Raw], bool]
    reading: str = ""
    """Where the object is read, if elsewhere: a subresource would take a right of its own."""


class ApiChanges:
    """Carries out changes on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def perform(self, action: Change) -> Outcome:
        """Carry out one change. Raises what `ports` names."""
        match action:
            case UndoRollout():
                return await self._undo_rollout(action)
            case PatchObject():
                return await self._patch(action)
            case ResizePod():
                return await self._resize(action)
            case SetUnschedulable():
                return await self._set_unschedulable(action)

    async def _undo_rollout(self, action: UndoRollout) -> Outcome:
        target = action.target
        if target.kind not in WORKLOADS:
            return _unsupported(target, "has no revisions")
        revision = await self._client.request("GET", REVISIONS[target.kind].path(target.namespace, action.revision))
        owner = controller_of(revision)
        if owner is None or owner.uid != target.uid:
            return NOT_ITS_REVISION
        template = template_of(revision)
        write = _Write(
            WORKLOADS[target.kind].path(target.namespace, target.name),
            # replaced, not merged: what the present template has and the earlier one has not, must go
            {"metadata": _metadata(action), "spec": {"template": {"$patch": "replace", **template}}},
            STRATEGIC_PATCH,
            lambda raw: _is_marked(raw, action.annotations) and is_same_template(raw["spec"]["template"], template),
        )
        return await self._send(target, write)

    async def _patch(self, action: PatchObject) -> Outcome:
        target = action.target
        if target.kind not in CHANGEABLE:
            return _unsupported(target, "cannot be patched")
        marked = {"metadata": _metadata(action)}
        write = _Write(
            CHANGEABLE[target.kind].path(target.namespace, target.name),
            merge_patch.merged(action.body, marked),
            PATCHES[action.strategy],
            lambda raw: _is_marked(raw, action.annotations) and _stands(raw, action.body),
        )
        return await self._send(target, write)

    async def _set_unschedulable(self, action: SetUnschedulable) -> Outcome:
        node, wanted = action.node, action.unschedulable
        metadata = {"uid": node.uid, "resourceVersion": action.resource_version}
        body = {
            "metadata": {**metadata, "annotations": dict(action.annotations)},
            "spec": {"unschedulable": wanted or None},
        }
        write = _Write(
            NODE.path(name=node.name),
            body,
            MERGE_PATCH,
            lambda raw: _is_marked(raw, action.annotations) and bool(raw["spec"].get("unschedulable")) is wanted,
        )
        return await self._send(node, write)

    async def _resize(self, action: ResizePod) -> Outcome:
        pod = action.pod
        containers = [{"name": name, "resources": sizes} for name, sizes in action.resources.items()]
        metadata = {"uid": pod.uid, "resourceVersion": action.resource_version}
        write = _Write(
            POD.path(pod.namespace, pod.name, "resize"),
            {"metadata": metadata, "spec": {"containers": containers}},
            STRATEGIC_PATCH,
            lambda raw: _has_sizes(raw, action.resources),
            POD.path(pod.namespace, pod.name),
        )
        try:
            return await self._send(pod, write)
        except Gone:
            if await self._is_there(pod):
                return NO_RESIZE
            raise

    async def _is_there(self, pod: Ref) -> bool:
        """Whether this very pod is there: then it is the way to resize it that is not."""
        raw = await self._client.request("GET", POD.path(pod.namespace, pod.name))
        return bool(raw["metadata"]["uid"] == pod.uid)

    async def _send(self, target: Ref, write: _Write) -> Outcome:
        try:
            await self._client.request(
                "PATCH",
                write.path,
                query={"fieldManager": FIELD_MANAGER},
                body=write.body,
                content_type=write.content_type,
                urgency=Urgency.ACTION,
            )
        except Conflict:
            raw = await self._client.request("GET", write.reading or write.path)
            if raw["metadata"]["uid"] != target.uid or not write.is_done(raw):
                raise
        return DONE


def _unsupported(target: Ref, what: str) -> Outcome:
    return Outcome(Verb.REFUSED, "Unsupported", f"a {target.kind} {what}")


def _metadata(action: UndoRollout | PatchObject) -> dict[str, Any]:
    pinned = {"uid": action.target.uid, "resourceVersion": action.resource_version}
    return {**pinned, "annotations": dict(action.annotations)}


def _is_marked(raw: Raw, annotations: Mapping[str, str | None]) -> bool:
    known = raw["metadata"].get("annotations") or {}
    return all(known.get(key) == value for key, value in annotations.items())


def _stands(raw: Raw, patch: Raw) -> bool:
    return merge_patch.same(merge_patch.apply(raw, patch), raw)


def _has_sizes(raw: Raw, wanted: Mapping[str, Any]) -> bool:
    return has_sizes({one["name"]: one.get("resources") or {} for one in raw["spec"]["containers"]}, wanted)
