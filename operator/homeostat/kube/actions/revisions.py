"""What a RecoveryPolicy looks at before it changes anything: revisions, effects of patches, values of fields."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from homeostat.core import merge_patch
from homeostat.core.cluster import PatchEffect, Revision, Workload
from homeostat.core.ref import Ref
from homeostat.kube.actions.changes import CHANGEABLE, FIELD_MANAGER, PATCHES
from homeostat.kube.actions.templates import REVISIONS, is_same_template, template_of
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import WORKLOADS
from homeostat.kube.workloads.projections import controller_of
from homeostat.ports import Conflict, Forbidden, Gone, Rejected, Unavailable

MOST_KNOWN = 64
"""Of so many patches the effect is kept; a policy that waits tries its patch every few seconds."""
TRIES = 10
"""How often a dry run is begun anew because the object changed meanwhile."""

NOT_THERE = PatchEffect({}, {}, ("NotFound", "the object is not there"))

Raw = Mapping[str, Any]
_NUMBER = "deployment.kubernetes.io/revision"


class ApiRevisions:
    """The part of `ports.Targets` that looks at changes. All raise Unavailable, Forbidden or Rejected."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: OrderedDict[str, PatchEffect] = OrderedDict()

    async def revisions(self, workload: Workload) -> tuple[Revision, ...]:
        """Read the revisions of a Deployment, StatefulSet or DaemonSet, newest first; none of another kind."""
        ref = workload.ref
        if ref.kind not in WORKLOADS:
            return ()
        raw = await self._read(ref)
        if raw is None:
            return ()
        listed = await self._client.collect(
            REVISIONS[ref.kind].path(ref.namespace), query={"labelSelector": workload.selector}
        )
        found = sorted((one for one in listed if _is_of(one, ref)), key=_number, reverse=True)
        current = _current(ref.kind, raw, found)
        return tuple(_revision(one, is_current=one is current) for one in found)

    async def try_patch(self, target: Ref, strategy: str, body: Mapping[str, Any]) -> PatchEffect:
        """Find by a dry run on the API server what a patch would change, or why it would not apply."""
        try:
            for _ in range(TRIES):
                before = await self._read(target)
                if before is None:
                    return NOT_THERE
                try:
                    return await self._effect(target, strategy, body, before)
                except Conflict:
                    continue
        except Gone:
            return NOT_THERE
        except Rejected as error:
            return _refused("Invalid", str(error))
        except Forbidden:
            return _refused("Forbidden", "the operator lacks the right to do this, or an admission webhook refuses it")
        except Unavailable:
            # said here, not raised: a patch that the server cannot read makes it err, and would stop all evaluation
            return _refused("ApiUnavailable", "the dry run got no proper answer")
        return _refused("Conflict", "the object changed during each dry run")

    async def fields(self, target: Ref, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read those fields of an object that a shape names; absent ones are None, and all of it when it is gone."""
        raw = await self._read(target)
        return {} if raw is None else merge_patch.named(raw, wanted)

    async def _effect(self, target: Ref, strategy: str, body: Raw, before: Raw) -> PatchEffect:
        """Try a patch on one version of an object; what is known of that very version is not asked again."""
        metadata = before["metadata"]
        name = json.dumps([metadata["uid"], metadata["resourceVersion"], strategy, body])
        if name not in self._known:
            self._known[name] = _effect(before, await self._dry_run(target, strategy, body, before))
        self._known.move_to_end(name)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return self._known[name]

    async def _dry_run(self, target: Ref, strategy: str, body: Raw, before: Raw) -> Raw:
        """Patch without effect, and strictly: a field that does not exist is refused instead of ignored."""
        metadata = before["metadata"]
        pinned = {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}}
        return await self._client.request(
            "PATCH",
            CHANGEABLE[target.kind].path(target.namespace, target.name),
            query={"dryRun": "All", "fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
            body=merge_patch.merged(body, pinned),
            content_type=PATCHES[strategy],
        )

    async def _read(self, target: Ref) -> Raw | None:
        """Read this very object; None when it is not there, or another under its name is."""
        if target.kind not in CHANGEABLE:
            raise Rejected(f"{target.kind} is not one of {', '.join(CHANGEABLE)}")
        try:
            raw = await self._client.request("GET", CHANGEABLE[target.kind].path(target.namespace, target.name))
        except Gone:
            return None
        return raw if raw["metadata"]["uid"] == target.uid else None


def _refused(reason: str, message: str) -> PatchEffect:
    return PatchEffect({}, {}, (reason, message))


def _effect(before: Raw, after: Raw) -> PatchEffect:
    then, now = _part(before), _part(after)
    return PatchEffect(merge_patch.difference(then, now), merge_patch.difference(now, then))


def _part(raw: Raw) -> dict[str, Any]:
    """Give what a patch may touch; the rest changes by itself."""
    metadata = raw["metadata"]
    kept = {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
    return {"metadata": kept, "spec": raw.get("spec") or {}}


# --- revisions ------------------------------------------------------------------------------------------


def _is_of(revision: Raw, target: Ref) -> bool:
    owner = controller_of(revision)
    return owner is not None and owner.uid == target.uid


def _number(revision: Raw) -> int:
    if "revision" in revision:  # of a ControllerRevision
        return int(revision["revision"])
    text = (revision["metadata"].get("annotations") or {}).get(_NUMBER, "")
    return int(text) if text.isdecimal() else 0


def _revision(raw: Raw, *, is_current: bool) -> Revision:
    metadata = raw["metadata"]
    return Revision(metadata["name"], _number(raw), datetime.fromisoformat(metadata["creationTimestamp"]), is_current)


def _current(kind: str, workload: Raw, newest_first: list[dict[str, Any]]) -> Raw | None:
    """Find the revision of the workload's present template, whether its controller has seen that yet or not.

    Where none has just that template (an API server may write an old one otherwise today), its controller's word
    counts, once it has seen the present spec.
    """
    template = workload["spec"]["template"]
    same = (one for one in newest_first if is_same_template(template_of(one), template))
    found = next(same, None)
    if found is not None:
        return found
    status = workload.get("status") or {}
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return None
    return next((one for one in newest_first if _is_said(kind, one, workload, newest_first[0])), None)


def _is_said(kind: str, revision: Raw, workload: Raw, newest: Raw) -> bool:
    if kind == "StatefulSet":
        said = (workload.get("status") or {}).get("updateRevision")
        return bool(revision["metadata"]["name"] == said)
    if kind == "Deployment":
        said = (workload["metadata"].get("annotations") or {}).get(_NUMBER)
        return bool(str(_number(revision)) == said)
    return revision is newest
