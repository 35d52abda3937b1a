"""patch: other values for fields of the target; taken back, the values that were there before.

What a patch would change is found by a dry run on the API server, as two merge patches of the very same fields. The
first is what is done, whatever way the step's own patch is to be merged: what is done is what is on record.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from homeostat.api.recovery_attempt import ActionName, Change, InFlight
from homeostat.api.recovery_step import Step
from homeostat.core.action import PatchObject
from homeostat.core.cluster import Workload
from homeostat.core.merge_patch import shape
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.handling import Handling, is_marked, is_ours, marker_of_write
from homeostat.core.recovery.steps.planned import Ask, Plan, on_workload
from homeostat.core.recovery.steps.wording import patch_of

OURS = "homeostat.dev/"
LARGEST = 16 * 1024
"""A change on record larger than this, in bytes, would fill the status."""

_ALLOWED: dict[str, frozenset[str] | None] = {"metadata": frozenset({"labels", "annotations"}), "spec": None}
"""What may be in a patch, and in each of it; None is anything."""


def plan_patch(ask: Ask) -> Plan | Block:
    """Plan the fields that the dry run found to change."""
    wanted = ask.step.patch.patch if ask.step.patch else {}
    problem = not_allowed(wanted)
    if problem:
        return Block(BlockReason.PATCH_REFUSED, problem)
    effect = ask.case.seen.effects.get((ask.case.spec.steps.index(ask.step), ask.target.ref.uid))
    if effect is None:
        return Block(BlockReason.PATCH_REFUSED, "What the patch would change is not known yet.")
    if effect.refusal:
        return Block(BlockReason.PATCH_REFUSED, f"{effect.refusal[0]}: {effect.refusal[1]}")
    if not effect.forward:
        return Block(BlockReason.NOTHING_TO_CHANGE, "The target already is as the patch wants it.")
    if max(_size(effect.forward), _size(effect.back)) > LARGEST:
        return Block(BlockReason.TOO_LARGE, "The patch changes more than can be kept on record to be put back.")
    return on_workload(ask, ActionName.PATCH, on_record(effect.back), on_record(effect.forward))


def problem(steps: Sequence[Step]) -> tuple[str, str] | None:
    """Say at once, as (reason, message), when a step may not patch what it wants to, and not when a trigger fires."""
    told = (not_allowed(step.patch.patch) for step in steps if step.patch)
    message = next(filter(None, told), "")
    return (BlockReason.PATCH_REFUSED.value, message) if message else None


def on_record(patch: Mapping[str, Any]) -> dict[str, Any]:
    """Put a merge patch on record: as text, for its nulls mean something, and a status drops them."""
    return {"patch": json.dumps(patch, separators=(",", ":"), sort_keys=True)}


def fields_of(entry: InFlight | Change) -> dict[str, Any]:
    """Name the fields that a change on record is about: what stands in them tells whether it still stands."""
    return shape(patch_of(entry.original), patch_of(entry.desired))


def not_allowed(patch: Mapping[str, Any]) -> str:
    """Say what a patch must not touch but does; "" when there is nothing of the kind."""
    for part, value in patch.items():
        if part not in _ALLOWED:
            return f"A patch may not touch {part}: only metadata.labels, metadata.annotations and spec."
        if not isinstance(value, Mapping):
            return f"A patch may not replace {part} as a whole."
    return _problem_of_metadata(patch.get("metadata") or {})


def _problem_of_metadata(metadata: Mapping[str, Any]) -> str:
    for part, value in metadata.items():
        if part not in (_ALLOWED["metadata"] or ()):
            return f"A patch may not touch metadata.{part}: only metadata.labels, metadata.annotations and spec."
        if not isinstance(value, Mapping) or any(key.startswith("$") for key in value):
            return f"A patch may not replace metadata.{part} as a whole."
        if any(key.startswith(OURS) for key in value):
            return f"A patch may not touch labels and annotations of {OURS}."
    return ""


def _size(value: Mapping[str, Any]) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())


def _act(case: Case, workload: Workload, entry: InFlight) -> PatchObject:
    return PatchObject(
        entry.id, workload.ref, entry.resource_version, "Merge", patch_of(entry.desired), marker_of_write(case, entry)
    )


def _has_happened(case: Case, workload: Workload, entry: InFlight) -> bool:
    """Go by the marker; an undo leaves none, so there it also takes the fields."""
    is_back = not entry.undoes or _stand(case, entry) == patch_of(entry.desired)
    return is_back and is_marked(case, workload, entry)


def _is_untouched(case: Case, workload: Workload, entry: InFlight) -> bool:
    return _stand(case, entry) == patch_of(entry.original) and is_ours(workload, entry)


def _stand(case: Case, entry: InFlight) -> Mapping[str, Any] | None:
    """Give what stands in the entry's fields; they are read under the name of the change, and of its undo alike."""
    return case.seen.fields.get(entry.undoes or entry.id)


PATCHING = Handling(_act, _has_happened, _is_untouched, is_reversible=True)
