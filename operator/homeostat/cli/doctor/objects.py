"""What `homeostat doctor` looks for in our own objects: those that are not accepted, and what they ask of others."""

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.api.kinds import KINDS
from homeostat.cli.doctor.watched import Watched
from homeostat.core.diagnosis.readings import ObjectsSeen, Trouble
from homeostat.core.rights import Scope
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.objects import ApiObjects
from homeostat.ports import Forbidden, Gone

CAPABLE_FAULTS = ("containerKill", "network", "dns", "http", "processPause", "processKill")
"""Faults whose agents need capabilities, which the Pod Security levels baseline and restricted do not allow."""
_PROMETHEUS = "Prometheus"
Body = Mapping[str, Any]


async def read_objects(client: ApiClient, watched: Watched) -> ObjectsSeen:
    """Read our objects where the operator looks, of the kinds that it heeds there.

    Raises what `ports.Objects` raises, but for kinds that may not be listed.
    """
    objects = ApiObjects(client)
    bodies: dict[tuple[str, str, str], list[Trouble]] = {}
    not_listed: list[str] = []
    agents: list[tuple[str, str, str]] = []
    asks, emits = False, False
    for kind in KINDS:
        if watched.scope is Scope.NAMESPACED and not kind.is_namespaced:
            continue
        try:
            async for body in objects.list(kind, watched.namespaces if kind.is_namespaced else ("",)):
                metadata, spec = body["metadata"], body.get("spec") or {}
                what = f"{(*kind.short_names, kind.singular)[0]}/{metadata['name']}"
                namespace = metadata.get("namespace", "")
                where = f"{namespace}/" if namespace else ""
                bodies[kind.kind, namespace, metadata["name"]] = list(_troubles(f"{where}{what}", body))
                asks = asks or _asks_prometheus(spec)
                emits = emits or bool((spec.get("rules") or {}).get("emit"))
                agents += [(namespace, metadata["name"], fault) for fault in CAPABLE_FAULTS if _has(spec, fault)]
        except Forbidden:
            not_listed.append(kind.plural)
        except Gone:
            continue  # said of the definitions
    return ObjectsSeen(
        troubles=tuple(one for troubles in bodies.values() for one in troubles),
        asks_prometheus=asks,
        emits_rules=emits,
        agents=tuple(agents),
        count=len(bodies),
        not_listed=tuple(not_listed),
    )


def _has(spec: Body, fault: str) -> bool:
    return isinstance(spec.get("fault"), Mapping) and fault in spec["fault"]


def _asks_prometheus(spec: Body) -> bool:
    indicator, probe = spec.get("indicator") or {}, spec.get("probe") or {}
    parts = [one for name in ("triggers", "hypothesis") for one in spec.get(name) or () if isinstance(one, Mapping)]
    return "prometheus" in indicator or "promql" in probe or any("promql" in one for one in parts)


def _troubles(what: str, body: Body) -> Iterator[Trouble]:
    status = body.get("status") or {}
    conditions = [one for one in status.get("conditions") or () if isinstance(one, Mapping)]
    stood = {str(one.get("type")): one for one in conditions}
    seen = status.get("observedGeneration", -1)
    if seen == -1:
        yield Trouble(what, "Ready", "NotEvaluated", "no operator has looked at it yet")
    elif seen != body["metadata"].get("generation", seen):
        yield Trouble(what, "Ready", "EarlierSpec", "its status is about an earlier spec")
    for kind, bad in (("Stalled", "True"), ("Ready", "False"), ("RulesReady", "False")):
        found = stood.get(kind)
        if found is not None and found.get("status") == bad and not (kind == "Ready" and _is_stalled(stood)):
            yield _trouble(what, kind, found)
    permitted = stood.get("Permitted", {})
    if permitted.get("status") == "False" and (body.get("spec") or {}).get("mode") in {"Auto", "Approve"}:
        yield _trouble(what, "Permitted", permitted)
    told = next((one for one in conditions if str(one.get("reason")).startswith(_PROMETHEUS)), None)
    if told is not None:
        yield _trouble(what, _PROMETHEUS, told)


def _is_stalled(stood: Mapping[str, Body]) -> bool:
    return stood.get("Stalled", {}).get("status") == "True"


def _trouble(what: str, kind: str, condition: Body) -> Trouble:
    message = " ".join(str(condition.get("message") or "").split())
    return Trouble(what, kind, str(condition.get("reason") or ""), message)
