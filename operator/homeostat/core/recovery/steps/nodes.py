"""cordon and drain: a Node takes no new pods, and those on it go, one after another, as their budgets allow (R10)."""

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_step import Drain
from homeostat.core.action import SetUnschedulable
from homeostat.core.cluster import Pod, Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.evicting import eviction, guests, untreated
from homeostat.core.recovery.steps.handling import Handling, is_marked, is_ours, marker_of_write
from homeostat.core.recovery.steps.planned import Ask, Plan, on_workload
from homeostat.core.recovery.targets.availability import is_node


def plan_cordon(ask: Ask) -> Plan | Block:
    """Plan to mark the Node; one that is marked already stays as somebody wanted it."""
    if not is_node(ask.target):
        return _wrong_kind(ask)
    if ask.target.is_unschedulable:
        return Block(BlockReason.ALREADY_CORDONED, f"Node {ask.target.ref.name} is unschedulable already.")
    return _cordoning(ask)


def plan_drain(ask: Ask) -> Plan | Block:
    """Plan to mark the Node first, then the eviction of the next pod; refuse while a pod would be lost by it."""
    if not is_node(ask.target):
        return _wrong_kind(ask)
    movable = guests(ask.target)
    refusal = _refusal(movable, ask.step.drain or Drain())
    if refusal is not None:
        return refusal
    if not ask.target.is_unschedulable:
        return _cordoning(ask)
    following = next(iter(untreated(ask, (pod for pod in movable if not pod.is_terminating))), None)
    if following is None:
        return Block(BlockReason.NO_FAILING_PODS, f"No pod is left on Node {ask.target.ref.name} that could move.")
    return eviction(ask, following)


def _refusal(movable: tuple[Pod, ...], drain: Drain) -> Block | None:
    alone = next((pod for pod in movable if pod.owner is None and not pod.is_terminating), None)
    if alone is not None:
        message = f"Pod {alone.ref.namespace}/{alone.ref.name} has no controller that would replace it."
        return Block(BlockReason.NOT_REPLACED, message)
    keeper = next((pod for pod in movable if pod.has_empty_dir and not pod.is_terminating), None)
    if keeper is not None and not drain.delete_empty_dir:
        name = f"{keeper.ref.namespace}/{keeper.ref.name}"
        return Block(BlockReason.EMPTY_DIR_DATA, f"Pod {name} has an emptyDir, and deleteEmptyDir is not set.")
    return None


def _cordoning(ask: Ask) -> Plan:
    return on_workload(ask, ActionName.CORDON, {"unschedulable": False}, {"unschedulable": True})


def _wrong_kind(ask: Ask) -> Block:
    return Block(BlockReason.WRONG_KIND, f"A {ask.target.ref.kind} is no Node.")


# --- how it is carried out ------------------------------------------------------------------------------


def _wants(entry: InFlight) -> bool:
    return bool((entry.desired or {}).get("unschedulable"))


def _act(case: Case, node: Workload, entry: InFlight) -> SetUnschedulable:
    return SetUnschedulable(entry.id, node.ref, entry.resource_version, _wants(entry), marker_of_write(case, entry))


def _has_happened(case: Case, node: Workload, entry: InFlight) -> bool:
    return node.is_unschedulable is _wants(entry) and is_marked(case, node, entry)


def _is_untouched(_case: Case, node: Workload, entry: InFlight) -> bool:
    """Whether the Node is as it was found: an uncordon by another, or a cordon, is their decision (R8)."""
    return node.is_unschedulable is bool((entry.original or {}).get("unschedulable")) and is_ours(node, entry)


CORDONING = Handling(_act, _has_happened, _is_untouched, is_reversible=True)
