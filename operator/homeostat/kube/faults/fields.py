"""Holds fields of objects at other values, and lets go of them (`HoldFields`): one write, marker included.

Sizes of a Pod change in a write of their own, to its resize subresource, with the marker on the outside: on before,
off after. Each half may be done twice. When the object changed since the decision, perhaps that was this very write,
made before its answer got lost: then it is done.
"""

from collections.abc import Mapping
from typing import Any

from homeostat.core.action import HoldFields, Outcome, Verb
from homeostat.core.guarding.held import Held, is_same
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import STRATEGIC_PATCH, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import NODE, POD, WORKLOADS, Resource
from homeostat.kube.workloads.field_names import fields_of, spec_patch
from homeostat.kube.workloads.projections import ref_of
from homeostat.ports import Conflict, Gone, Rejected

FIELD_MANAGER = "homeostat-actions"
HOLDABLE: Mapping[str, Resource] = {**WORKLOADS, "Node": NODE, "Pod": POD}
"""The kinds that a fault can leave something on."""
DONE = Outcome(Verb.DONE)
NO_RESIZE = Outcome(Verb.REFUSED, "Unsupported", "this cluster cannot resize pods in place")
Raw = Mapping[str, Any]


class ApiFields:
    """Reads and writes what faults hold. All methods raise the exceptions of `ports`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def read(self, ref: Ref) -> Held | None:
        """Read an object by its name; None when it is not there. It may be of another uid by now."""
        try:
            raw = await self._client.request("GET", _path(ref))
        except Gone:
            return None
        return held_of(raw, ref.kind)

    async def may_write(self, ref: Ref, fields: Mapping[str, str]) -> bool:
        """Find by a dry run that writes nothing whether the object could be written; True when it is not there.

        Raises Forbidden or Rejected for what it would be refused for.
        """
        subs = ["", "resize"] if ref.kind == "Pod" and fields else [""]
        try:
            for sub in subs:
                await self._write(ref, {"metadata": {"uid": ref.uid}}, sub, dry_run=True)
        except (Gone, Conflict):
            return "resize" not in subs or await self._is_gone(ref)
        return True

    async def perform(self, action: HoldFields) -> Outcome:
        """Set the fields and the marker."""
        if action.target.kind not in HOLDABLE:
            return Outcome(Verb.REFUSED, "Unsupported", f"a {action.target.kind} has no fields to hold")
        try:
            spec = spec_patch(action.target.kind, action.fields)
        except ValueError as error:
            return Outcome(Verb.REFUSED, "Unsupported", str(error))
        try:
            if action.target.kind == "Pod" and spec:
                await self._resize(action, spec)
            else:
                await self._write(action.target, _marked(action, action.resource_version) | _part("spec", spec))
        except Conflict:
            if not await self._stands(action):
                raise
        except Gone:
            if await self._is_gone(action.target):
                raise
            return NO_RESIZE
        return DONE

    async def _resize(self, action: HoldFields, spec: Raw) -> None:
        """Change sizes and marker of a Pod: the marker stands whenever the sizes may be the fault's."""
        target, version = action.target, action.resource_version
        goes_off = all(value is None for value in action.annotations.values())
        if not goes_off:
            version = _version(await self._write(target, _marked(action, version)))
        sized = await self._write(target, {"metadata": _pinned(target, version), "spec": spec}, "resize")
        if goes_off:
            await self._write(target, _marked(action, _version(sized)))

    async def _write(self, target: Ref, body: Raw, sub: str = "", *, dry_run: bool = False) -> Raw:
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return await self._client.request(
            "PATCH", _path(target, sub), query=query, body=body, content_type=STRATEGIC_PATCH, urgency=Urgency.ACTION
        )

    async def _stands(self, action: HoldFields) -> bool:
        held = await self.read(action.target)
        if held is None:
            raise Gone(action.target.name)
        if held.ref.uid != action.target.uid:
            return False
        is_marked = all(held.annotations.get(key) == value for key, value in action.annotations.items())
        return is_marked and all(is_same(name, held.fields.get(name), value) for name, value in action.fields.items())

    async def _is_gone(self, target: Ref) -> bool:
        held = await self.read(target)
        return held is None or held.ref.uid != target.uid


def held_of(raw: Raw, kind: str) -> Held:
    """Project an object as far as a fault can change it."""
    metadata = raw["metadata"]
    return Held(
        ref_of(raw, kind), metadata["resourceVersion"], metadata.get("annotations") or {}, fields_of(raw, kind),
        "deletionTimestamp" in metadata,
    )  # fmt: skip


def _path(ref: Ref, sub: str = "") -> str:
    if ref.kind not in HOLDABLE:
        raise Rejected(f"a {ref.kind} has no fields to hold")
    return HOLDABLE[ref.kind].path(ref.namespace, ref.name, sub)


def _pinned(target: Ref, version: str) -> dict[str, Any]:
    return {"uid": target.uid, "resourceVersion": version}


def _marked(action: HoldFields, version: str) -> dict[str, Any]:
    return {"metadata": _pinned(action.target, version) | {"annotations": dict(action.annotations)}}


def _part(name: str, value: Raw) -> dict[str, Any]:
    return {name: value} if value else {}


def _version(raw: Raw) -> str:
    return str(raw["metadata"]["resourceVersion"])
