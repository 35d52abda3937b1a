"""scale: more replicas; taken back, as many as there were."""

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_step import ScaleUp
from homeostat.core.action import Scale
from homeostat.core.cluster import Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.handling import Handling, is_marked, is_ours, marker_of_write
from homeostat.core.recovery.steps.planned import Ask, Plan, on_workload
from homeostat.core.recovery.steps.wording import replicas


def plan_scale(ask: Ask) -> Plan | Block:
    """Plan more replicas, never fewer."""
    target, scale = ask.target, ask.step.scale or ScaleUp()
    if target.replicas == 0:
        return Block(BlockReason.SCALED_TO_ZERO, "The target is scaled to zero, which is somebody's decision.")
    wanted = wanted_replicas(target.replicas, scale)
    if wanted == target.replicas:
        return Block(BlockReason.AT_MAXIMUM, f"The target has {target.replicas} replicas, as many as the step allows.")
    return on_workload(ask, ActionName.SCALE, {"replicas": target.replicas}, {"replicas": wanted})


def wanted_replicas(replicas: int, scale: ScaleUp) -> int:
    """Say how many replicas a step wants: never fewer than there are, a share rounded down."""
    wanted = scale.to or replicas
    if scale.by and scale.by.endswith("%"):
        wanted = replicas + replicas * int(scale.by[1:-1]) // 100
    elif scale.by:
        wanted = replicas + int(scale.by)
    return max(replicas, min(wanted, scale.max or wanted))


def _act(case: Case, workload: Workload, entry: InFlight) -> Scale:
    return Scale(entry.id, workload.ref, entry.resource_version, replicas(entry.desired), marker_of_write(case, entry))


def _has_happened(case: Case, workload: Workload, entry: InFlight) -> bool:
    """Go by the marker: the number itself may have been changed since, by an autoscaler."""
    is_back = not entry.undoes or workload.replicas == replicas(entry.desired)
    return is_back and is_marked(case, workload, entry)


def _is_untouched(_case: Case, workload: Workload, entry: InFlight) -> bool:
    return workload.replicas == replicas(entry.original) and is_ours(workload, entry)


SCALING = Handling(_act, _has_happened, _is_untouched, is_reversible=True)
