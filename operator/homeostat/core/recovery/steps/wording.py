"""What an action does, in a few words for humans: `EvictPod checkout-1`, `Scale checkout from 2 to 3`."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from homeostat.api.recovery_attempt import ActionName, InFlight

Value = Mapping[str, Any]
Detail = Callable[[Value, Value], str]
"""Gives what is said of an action beyond its name and object, from what was there and what is meant to be."""

LONGEST = 512
"""As much as a record takes: names of 253 characters, of which a revision has two more, may be longer together."""


def title(entry: InFlight) -> str:
    """Say in short what an action on record does."""
    name = job_name(entry.id) if entry.action is ActionName.RUN_JOB else entry.target.name
    return described(entry.action, name, entry.original, entry.desired)


def job_name(entry_id: str) -> str:
    """Name the Job of an action: whoever repeats the action finds that very Job, and a human its logs."""
    return f"homeostat-{entry_id}"


def described(action: ActionName, name: str, original: Value | None, desired: Value | None) -> str:
    """Say in short what an action does to what is called `name`."""
    detail = DETAILS.get(action)
    return f"{action.value} {name}{detail(original or {}, desired or {}) if detail else ''}"[:LONGEST]


def replicas(value: Value | None) -> int:
    """Read what is on record of a Scale."""
    return int((value or {}).get("replicas", 0))


def patch_of(value: Value | None) -> dict[str, Any]:
    """Read what is on record of a Patch: a merge patch, as text."""
    try:
        patch = json.loads(str((value or {}).get("patch", "{}")))
    except ValueError:
        return {}
    return patch if isinstance(patch, dict) else {}


def _scale(original: Value, desired: Value) -> str:
    return f" from {replicas(original)} to {replicas(desired)}"


def _revision(original: Value, desired: Value) -> str:
    return f" from {original.get('revision', '')} to {desired.get('revision', '')}"


def _patch(_original: Value, desired: Value) -> str:
    """Name the fields that change, never what is in them."""
    paths = _paths(patch_of(desired))
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""  # noqa: PLR2004 - a short sentence
    return f" at {', '.join(paths[:3])}{more}"[:200]


def _paths(value: Value, prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, inner in value.items():
        path = f"{prefix}.{key}" if prefix else key
        found += _paths(inner, path) if isinstance(inner, Mapping) and inner else [path]
    return found


def _resize(original: Value, desired: Value) -> str:
    """Name what each container gets: its limits, or its requests where it has none."""
    told = (_resized(name, original.get(name) or {}, sizes) for name, sizes in desired.items())
    return f" {'; '.join(filter(None, told))}"[:200].rstrip()


def _resized(name: str, before: Any, after: Any) -> str:  # noqa: ANN401 - as on record
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return ""
    what = "limits" if after.get("limits") else "requests"
    old, new = before.get(what) or {}, after.get(what) or {}
    sizes = ", ".join(f"{resource} from {old.get(resource, 'none')} to {size}" for resource, size in new.items())
    return f"{name}: {sizes}" if sizes else ""


DETAILS: dict[ActionName, Detail] = {
    ActionName.SCALE: _scale,
    ActionName.UNDO_ROLLOUT: _revision,
    ActionName.PATCH: _patch,
    ActionName.RESIZE_POD: _resize,
}
