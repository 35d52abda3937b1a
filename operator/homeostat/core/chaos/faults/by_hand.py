"""The commands by which a human undoes what could not be undone (C16)."""

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import TargetRecord
from homeostat.core.chaos.marker import held
from homeostat.core.cluster import Pod, Workload
from homeostat.core.guarding.held import ours
from homeostat.core.ref import Ref


def command_of(ref: Ref, record: TargetRecord, target: Workload | Pod | None) -> str:
    """Write how one target is restored: only the fields that still are what the fault set."""
    where = f"-n {ref.namespace} {ref.kind.lower()}/{ref.name}" if ref.namespace else f"{ref.kind.lower()}/{ref.name}"
    if record.agent:
        return f"kubectl delete {where}"  # the last resort: the fault is in the pod, and goes with it
    back = ours(record.original, record.to, held(target).fields) if target else {}
    parts = [*_plain(ref, where, record, back), *_patch(where, ref, back), f"kubectl annotate {where} {MARKER}-"]
    return "; ".join(parts)


def drop_guard_command(name: str) -> str:
    """Write how a guard is removed, wherever the operator lives."""
    return f"kubectl delete pod,lease -A --field-selector metadata.name={name}"


def _plain(ref: Ref, where: str, record: TargetRecord, back: Mapping[str, str | None]) -> list[str]:
    if "replicas" in back:
        return [f"kubectl scale {where} --current-replicas={record.to['replicas']} --replicas={back['replicas']}"]
    return [f"kubectl uncordon {ref.name}"] if "unschedulable" in back else []


def _patch(where: str, ref: Ref, back: Mapping[str, str | None]) -> list[str]:
    """Write the patch of what containers have; a Pod's sizes are a part of their own."""
    containers: dict[str, dict[str, Any]] = {}
    for name, value in back.items():
        what, _, rest = name.partition("/")
        owner, _, key = rest.partition("/")
        if rest:
            _put(containers.setdefault(owner, {"name": owner}), what, key, value)
    if not containers:
        return []
    spec: dict[str, Any] = {"containers": list(containers.values())}
    spec = spec if ref.kind == "Pod" else {"template": {"spec": spec}}
    sub = " --subresource resize" if ref.kind == "Pod" else ""
    return [f"kubectl patch {where}{sub} -p {quote(json.dumps({'spec': spec}, separators=(',', ':')))}"]


def _put(container: dict[str, Any], what: str, key: str, value: str | None) -> None:
    if what == "image":
        container["image"] = value
    elif what == "env":
        gone = {"name": key, "$patch": "delete"}
        container.setdefault("env", []).append(gone if value is None else {"name": key, "value": value})
    else:
        container.setdefault("resources", {}).setdefault(what, {})[key] = value
