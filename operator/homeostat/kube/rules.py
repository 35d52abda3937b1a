"""The objects with rules for Prometheus, in the API server: looked at, written and removed, and only those of ours.

They are written by server-side apply under a field manager of their own. An object of that name that no objective of
ours controls is never touched.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from homeostat.core.action import InstallRules, Outcome, RemoveRules, Verb
from homeostat.core.ref import Ref
from homeostat.core.rules.holder import (
    MANAGED_BY,
    MONITORING,
    US,
    Holder,
    RuleSelector,
    Standing,
    groups_of_ours,
    owner_uid,
    standing,
)
from homeostat.kube.apiserver.client import APPLY_PATCH, MERGE_PATCH, METADATA_LIST, ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import CONFIG_MAP, PROMETHEUS, PROMETHEUS_RULE, Resource
from homeostat.ports import Gone

FIELD_MANAGER = "homeostat-rules"
RESOURCES: Mapping[str, Resource] = {Holder.PROMETHEUS_RULE: PROMETHEUS_RULE, Holder.CONFIG_MAP: CONFIG_MAP}

_SELECTOR = {"labelSelector": f"{MANAGED_BY}={US}"}
_APPLY = {"fieldManager": FIELD_MANAGER, "force": "true"}
_NOT_OURS = Outcome(Verb.REFUSED, "NotOurs", "there is an object of that name that is not ours")
_CHANGED = Outcome(Verb.REFUSED, "Invalid", "something in the cluster changes the rules as they are written")
_LEAVING = Outcome(Verb.REFUSED, "Conflict", "the object of a deleted objective of that name is not gone yet")


class ApiRules:
    """What the engine and the actuator need of objects with rules. Raises the exceptions of `ports`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def holder(self) -> Holder:
        """Say which kind holds rules here: PrometheusRule where the cluster serves it."""
        try:
            served = await self._client.request("GET", f"/apis/{MONITORING}/v1")
        except Gone:
            return Holder.CONFIG_MAP
        names = {resource.get("name") for resource in served.get("resources") or ()}
        return Holder.PROMETHEUS_RULE if PROMETHEUS_RULE.plural in names else Holder.CONFIG_MAP

    async def look(self, holder: Holder, namespaces: Sequence[str] = ()) -> AsyncIterator[Standing]:
        """List the objects with rules, metadata only; no namespaces means the whole cluster."""
        for namespace in namespaces or ("",):
            path = RESOURCES[holder].path(namespace)
            async for page in self._client.pages(path, query=_SELECTOR, accept=METADATA_LIST):
                for item in page:
                    yield standing(item)

    async def bodies(self, holder: Holder, namespaces: Sequence[str] = ()) -> AsyncIterator[Mapping[str, Any]]:
        """List the objects with rules, whole."""
        for namespace in namespaces or ("",):
            async for page in self._client.pages(RESOURCES[holder].path(namespace), query=_SELECTOR):
                for item in page:
                    yield item

    async def body(self, holder: Holder, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Read one object; None when it is not there."""
        return await self._get(RESOURCES[holder].path(namespace, name))

    async def selectors(self) -> tuple[RuleSelector, ...]:
        """Read which rules each Prometheus selects, as far as they can be read."""
        try:
            found = await self._client.collect(PROMETHEUS.path())
        except Gone:
            return ()
        return tuple(_selector(body) for body in found)

    async def perform(self, action: InstallRules | RemoveRules) -> Outcome:
        """Write or remove the object of an objective."""
        return await (self._install(action) if isinstance(action, InstallRules) else self._remove(action))

    async def _install(self, action: InstallRules) -> Outcome:
        """Write the object, unless there is one that is not ours."""
        metadata = action.body["metadata"]
        path = RESOURCES[action.body["kind"]].path(metadata["namespace"], metadata["name"])
        refusal = _refusal(await self._get(path), action.owner)
        if refusal is not None:
            return refusal
        written = await self._client.request(
            "PATCH", path, query=_APPLY, body=dict(action.body), content_type=APPLY_PATCH, urgency=Urgency.STATUS
        )
        return Outcome(Verb.DONE) if _is_as_told(written, action.body) else await self._insist(path, action, written)

    async def _insist(self, path: str, action: InstallRules, written: Mapping[str, Any]) -> Outcome:
        """Take away what others own in groups of ours, which applying leaves there; their own groups stay."""
        wanted = [*action.body["spec"]["groups"]]
        others = [group for group in written["spec"]["groups"] if group not in groups_of_ours(written)]
        version = written["metadata"].get("resourceVersion", "")
        patch = {"metadata": {"resourceVersion": version}, "spec": {"groups": wanted + others}}
        query = {"fieldManager": FIELD_MANAGER}
        written = await self._client.request(
            "PATCH", path, query=query, body=patch, content_type=MERGE_PATCH, urgency=Urgency.STATUS
        )
        return Outcome(Verb.DONE) if _is_as_told(written, action.body) else _CHANGED

    async def _remove(self, action: RemoveRules) -> Outcome:
        """Delete the object, if it is ours."""
        path = RESOURCES[action.kind].path(action.owner.namespace, action.name)
        found = await self._get(path)
        if found is None:
            return Outcome(Verb.DONE)
        refusal = _refusal(found, action.owner)
        if refusal is not None:
            return refusal
        options = {"preconditions": {"uid": found["metadata"]["uid"]}}
        with suppress(Gone):
            await self._client.request("DELETE", path, body=options, urgency=Urgency.STATUS)
        return Outcome(Verb.DONE)

    async def _get(self, path: str) -> Mapping[str, Any] | None:
        try:
            return await self._client.request("GET", path)
        except Gone:
            return None


def _is_as_told(written: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Say whether an object has our groups as we wrote them. A file in a ConfigMap is there as a whole."""
    return "spec" not in written or groups_of_ours(written) == list(body["spec"]["groups"])


def _refusal(found: Mapping[str, Any] | None, owner: Ref) -> Outcome | None:
    """Say why an object is to be left alone; None for one of ours, and for none."""
    if found is None:
        return None
    controller = owner_uid(found["metadata"])
    if controller == owner.uid:
        return None
    return _LEAVING if controller else _NOT_OURS


def _selector(body: Mapping[str, Any]) -> RuleSelector:
    metadata, spec = body["metadata"], body.get("spec") or {}
    selector = spec.get("ruleSelector")
    return RuleSelector(
        f"{metadata.get('namespace', '')}/{metadata['name']}",
        None if selector is None else dict(selector.get("matchLabels") or {}),
        has_expressions=bool((selector or {}).get("matchExpressions")),
        selects_namespaces=spec.get("ruleNamespaceSelector") != {},
    )
