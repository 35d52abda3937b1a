"""What a step would do next to its target: one action on one object, or why there is none to do."""

from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Step
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps import undo
from homeostat.core.recovery.steps.evicting import plan_evict
from homeostat.core.recovery.steps.job import plan_job
from homeostat.core.recovery.steps.nodes import plan_cordon, plan_drain
from homeostat.core.recovery.steps.patching import plan_patch
from homeostat.core.recovery.steps.planned import Ask, Plan, Planner, object_id
from homeostat.core.recovery.steps.resizing import plan_resize
from homeostat.core.recovery.steps.restarting import plan_restart_pods, plan_rollout_restart
from homeostat.core.recovery.steps.restoring import plan_restore
from homeostat.core.recovery.steps.rollback import plan_rollout_undo
from homeostat.core.recovery.steps.scaling import plan_scale
from homeostat.core.recovery.steps.webhook import plan_webhook
from homeostat.core.recovery.targets.subject import pointed_at

__all__ = ["Plan", "object_id", "plan"]

PLANNERS: dict[str, Planner] = {
    "restartPods": plan_restart_pods,
    "rolloutRestart": plan_rollout_restart,
    "scale": plan_scale,
    "rolloutUndo": plan_rollout_undo,
    "patch": plan_patch,
    "resize": plan_resize,
    "restore": plan_restore,
    "evict": plan_evict,
    "cordon": plan_cordon,
    "drain": plan_drain,
    "job": plan_job,
    "webhook": plan_webhook,
}
"""What plans each step: a new one adds a line."""

TOO_MANY_CHANGES = Block(BlockReason.TOO_LARGE, "No more changes can be kept on record to be put back.")
SEVERAL = frozenset({"restartPods", "resize", "restore", "evict", "drain"})
"""Steps that go on, one action after another, while the trigger fires; the others act once."""


def plan(case: Case, step: Step, signal: Signal) -> Plan | Block:
    """Plan the next action of `step`: what the open attempt has treated already is left out."""
    planner, target = PLANNERS.get(step.name), pointed_at(case, step)
    if isinstance(target, Block):
        return target
    if planner is None:
        return Block(BlockReason.NOT_IMPLEMENTED, f"The step {step.name or 'without a name'} is not implemented.")
    planned = planner(Ask(case, step, target, signal))
    if isinstance(planned, Plan) and not planned.undoes and undo.is_full(case, planned):
        return TOO_MANY_CHANGES
    return planned
