"""Which fields of an object a fault can hold: their names, their values as text, and the patch that sets them.

    replicas · unschedulable · image/<container> · env/<container>/<NAME> · limits/… · requests/<container>/<resource>

Names are flat, as `api.chaos_status.Fields` has them. Pure.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Raw = Mapping[str, Any]
SIZES = frozenset({"limits", "requests"})
_RESOURCES = frozenset({"cpu", "memory"})
_OF_TEMPLATE = frozenset({"image", "env"}) | SIZES
_OF_KIND = {
    "Deployment": _OF_TEMPLATE | {"replicas"},
    "StatefulSet": _OF_TEMPLATE | {"replicas"},
    "DaemonSet": _OF_TEMPLATE,
    "Node": frozenset({"unschedulable"}),
    "Pod": SIZES,
}
_DEPTH = {"replicas": 1, "unschedulable": 1, "image": 2, "env": 3, "limits": 3, "requests": 3}


def fields_of(raw: Raw, kind: str) -> dict[str, str]:
    """Read every field of an object that a fault can hold; what is not set is missing."""
    spec = raw.get("spec") or {}
    if kind == "Node":
        return {"unschedulable": "true"} if spec.get("unschedulable") else {}
    if kind == "Pod":
        return dict(_sizes(spec))
    template = (spec.get("template") or {}).get("spec") or {}
    found = {**dict(_sizes(template)), **dict(_contents(template))}
    return found if kind == "DaemonSet" else {"replicas": str(spec.get("replicas", 1)), **found}


def references_of(raw: Raw) -> frozenset[str]:
    """Name the variables of a workload that no text can put back: references, and what is named twice."""
    template = ((raw.get("spec") or {}).get("template") or {}).get("spec") or {}
    found: set[str] = set()
    for container in template.get("containers") or ():
        variables = container.get("env") or ()
        count = Counter(one["name"] for one in variables)
        found |= {
            f"env/{container['name']}/{one['name']}"
            for one in variables
            if "valueFrom" in one or count[one["name"]] > 1
        }
    return frozenset(found)


def spec_patch(kind: str, fields: Mapping[str, str | None]) -> dict[str, Any]:
    """Give `spec` of the strategic merge patch that sets `fields`; None takes one away.

    Raises ValueError for a field that objects of this kind do not have, and for a value that is none of it.
    """
    spec: dict[str, Any] = {}
    containers: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        what, *path = _parts(kind, name)
        if not path:
            spec[what] = _plain(what, value)
        else:
            container = containers.setdefault(path[0], {"name": path[0]})
            _put(container, what, path[1:], value)
    if containers:
        listed = {"containers": list(containers.values())}
        spec |= listed if kind == "Pod" else {"template": {"spec": listed}}
    return spec


def _parts(kind: str, name: str) -> list[str]:
    parts = name.split("/", 2)
    if parts[0] not in _OF_KIND.get(kind, ()) or len(parts) != _DEPTH[parts[0]]:
        raise ValueError(f"a {kind} has no field {name}")
    if parts[0] in SIZES and parts[2] not in _RESOURCES:
        raise ValueError(f"no size of a container: {name}")
    return parts


def _plain(what: str, value: str | None) -> int | bool | None:
    if what == "unschedulable":
        return True if value == "true" else None
    if value is None or not value.isdecimal():
        raise ValueError("replicas is a number")
    return int(value)


def _put(container: dict[str, Any], what: str, path: list[str], value: str | None) -> None:
    if what == "image":
        if value is None:
            raise ValueError("a container needs an image")
        container["image"] = value
    elif what == "env":
        gone = {"name": path[0], "$patch": "delete"}
        container.setdefault("env", []).append(gone if value is None else {"name": path[0], "value": value})
    else:
        container.setdefault("resources", {}).setdefault(what, {})[path[0]] = value


def _sizes(spec: Raw) -> Iterator[tuple[str, str]]:
    for container in spec.get("containers") or ():
        resources = container.get("resources") or {}
        for section in sorted(SIZES):
            for resource, quantity in sorted((resources.get(section) or {}).items()):
                if resource in _RESOURCES:
                    yield f"{section}/{container['name']}/{resource}", str(quantity)


def _contents(spec: Raw) -> Iterator[tuple[str, str]]:
    for container in spec.get("containers") or ():
        if "image" in container:
            yield f"image/{container['name']}", container["image"]
        for variable in container.get("env") or ():
            if "valueFrom" not in variable:
                yield f"env/{container['name']}/{variable['name']}", variable.get("value", "")
