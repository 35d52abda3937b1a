"""Whether a pod runs with the sizes that its spec asks for: its Node takes a resize on when it can."""

from collections.abc import Mapping
from typing import Any

from homeostat.core.quantity import is_same_quantity

Raw = Mapping[str, Any]
_UNDER_WAY = frozenset({"PodResizePending", "PodResizeInProgress"})


def is_resizing(raw: Raw) -> bool:
    """Whether a resize of a pod is not carried out yet: its status says so, or shows other sizes than its spec.

    A status that shows no sizes (of a container that does not run, or of an old kubelet) tells nothing.
    """
    status = raw.get("status") or {}
    conditions = status.get("conditions") or ()
    if any(one.get("type") in _UNDER_WAY and one.get("status") == "True" for one in conditions):
        return True
    asked = {one.get("name", ""): one.get("resources") or {} for one in (raw.get("spec") or {}).get("containers") or ()}
    has = {one.get("name", ""): one.get("resources") for one in status.get("containerStatuses") or ()}
    return any(has[name] and not _is_same(sizes, has[name] or {}) for name, sizes in asked.items() if name in has)


def _is_same(asked: Raw, has: Raw) -> bool:
    return all(
        resource not in (has.get(section) or {}) or is_same_quantity(has[section][resource], quantity)
        for section in ("requests", "limits")
        for resource, quantity in (asked.get(section) or {}).items()
    )
