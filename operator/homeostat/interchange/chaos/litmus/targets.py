"""Whom an experiment of Litmus means: applications by label, workloads, and Nodes."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.reading import Source, Unusable

_BY_LABELS: Final = "targets are chosen by their labels here"
_LABEL = re.compile(r"\s*([^\s=!,()]+)\s*==?\s*([^\s=!,()]*)\s*")
_WORKLOADS: Final = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}


@dataclass(frozen=True, slots=True)
class App:
    """Pods of one namespace with the same labels, and the kind of their workload as Litmus writes it."""

    namespace: str
    labels: dict[str, str]
    kind: str
    path: str


def apps(spec: Source, namespace: str) -> list[App]:
    """Read `appinfo` and `selectors`; none where neither names anybody. Raises Unusable."""
    found: list[App] = []
    selectors = spec.part("selectors")
    if selectors.raw("pods") not in (None, []):
        raise Unusable(selectors.at("pods"), _BY_LABELS)
    for workload in selectors.parts("workloads"):
        if workload.raw("names") not in (None, ""):
            raise Unusable(workload.at("names"), _BY_LABELS)
        where, kind = workload.text("namespace") or namespace, workload.text("kind")
        found.append(App(where, _labels(workload, "labels"), kind, workload.path))
    info = spec.part("appinfo")
    label, where, kind = info.text("applabel"), info.text("appns"), info.text("appkind")
    if label and not found:
        found.append(App(where or namespace, _labels(info, "applabel"), kind, info.path))
    return found


def _labels(source: Source, name: str) -> dict[str, str]:
    """Read `app=web,tier=front`; anything else that selectors can say has no counterpart."""
    labels: dict[str, str] = {}
    for part in source.text(name).split(","):
        found = _LABEL.fullmatch(part)
        if not found or labels.setdefault(found[1], found[2]) != found[2]:
            raise Unusable(source.at(name), f"{_BY_LABELS}, such as app=web")
    return labels


def pods(app: App, env: Source) -> dict[str, Any]:
    """Give `spec.target` of pods. Raises Unusable for what would widen the choice if it were left out."""
    for name in ("TARGET_PODS", "TARGET_POD", "NODE_LABEL"):
        if name in env:
            raise Unusable(env.at(name), _BY_LABELS)
    return {"kind": "Pod", "selector": {"matchLabels": app.labels}, "count": _count(env)}


def _count(env: Source) -> int | str:
    """Give how many: Litmus takes one pod where no share is given, or 0."""
    if (env.number("PODS_AFFECTED_PERC") or Decimal(0)) == 0:
        return 1
    share = strict.figure(env, "PODS_AFFECTED_PERC", strict.whole(1, 100))
    env.notes.warn(env.at("PODS_AFFECTED_PERC"), "rounded down here, and refused where that gives no pod")
    return units.percent(Decimal(share))


def workload(app: App) -> dict[str, Any]:
    """Give `spec.target` of the workload itself. Raises Unusable."""
    kind = _WORKLOADS.get(app.kind.lower())
    if kind is None:
        raise Unusable(app.path, "the kind of the workload is needed: deployment or statefulset")
    return {"kind": kind, "selector": {"matchLabels": app.labels}}


def nodes(env: Source) -> list[dict[str, Any]]:
    """Give `spec.target` of each Node that is named, or of one with the label. Raises Unusable."""
    names = [name.strip() for name in env.text("TARGET_NODE").split(",") if name.strip()]
    if names:
        env.raw("NODE_LABEL")
        return [{"kind": "Node", "name": name} for name in names]
    if "NODE_LABEL" not in env:
        raise Unusable(env.at("TARGET_NODE"), "a Node, or NODE_LABEL, is needed")
    return [{"kind": "Node", "selector": {"matchLabels": _labels(env, "NODE_LABEL")}}]
