"""restartPods and rolloutRestart: pods are replaced, one by one or all of them. Nothing of it can be taken back."""

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_step import RestartPods, Which
from homeostat.core.action import RestartRollout
from homeostat.core.cluster import Pod, Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import failing
from homeostat.core.recovery.steps.evicting import untreated
from homeostat.core.recovery.steps.handling import Handling
from homeostat.core.recovery.steps.planned import Ask, Plan, object_id, on_workload
from homeostat.core.recovery.targets.availability import members


def plan_restart_pods(ask: Ask) -> Plan | Block:
    """Plan the eviction of the next pod."""
    pods = next_pods(ask, (ask.step.restart_pods or RestartPods()).which)
    if not pods:
        return Block(BlockReason.NO_FAILING_PODS, "The trigger names no pod of the target that could be restarted.")
    return Plan(ActionName.EVICT_POD, ask.target, object_id(pods[0].ref), pods[0].resource_version)


def plan_rollout_restart(ask: Ask) -> Plan | Block:
    """Plan a new rollout of the same template."""
    return on_workload(ask, ActionName.RESTART_ROLLOUT)


def next_pods(ask: Ask, which: Which) -> tuple[Pod, ...]:
    """Give the pods that a step means and that the open attempt has not treated yet, by name."""
    wanted = {ref.uid for ref in failing(ask.case, ask.signal.trigger)}
    meant = (pod for pod in members(ask.target) if which is Which.ALL or pod.ref.uid in wanted)
    return untreated(ask, (pod for pod in meant if not pod.is_terminating))


def _restart(_case: Case, workload: Workload, entry: InFlight) -> RestartRollout:
    return RestartRollout(entry.id, workload.ref, entry.resource_version)


def _is_restarted(_case: Case, workload: Workload, entry: InFlight) -> bool:
    return workload.restart_id == entry.id


RESTARTING = Handling(_restart, _is_restarted)
