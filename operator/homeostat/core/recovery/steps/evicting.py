"""evict: pods go one after another, so that they are scheduled anew. Always by the Eviction API (R10).

A pod that was told to go and does not is ended at once only where two of one identity do no harm: of a Deployment, a
DaemonSet or a Job. The pod of a StatefulSet is left to Kubernetes, which removes it once its Node is deleted or marked
out of service; until then the Node may still run it, whatever the API says.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from homeostat.api.recovery_attempt import ActionName, InFlight
from homeostat.api.recovery_step import EvictPods, Which
from homeostat.core.action import EvictPod
from homeostat.core.cluster import Pod, Workload
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import failing
from homeostat.core.recovery.steps.handling import Handling, pod_of
from homeostat.core.recovery.steps.planned import Ask, Plan, object_id
from homeostat.core.recovery.targets.availability import is_newer, is_node, members
from homeostat.core.ref import Ref

STUCK_AFTER = timedelta(seconds=30)
"""A pod that is younger is not yet stuck, however it looks."""
SLACK = timedelta(seconds=10)
"""What a Node may need beyond the grace period to report that a pod has ended."""
AT_ONCE = {"gracePeriodSeconds": 0}

_REPLACEABLE = frozenset({"Deployment", "ReplicaSet", "DaemonSet", "Job"})
_ENDED = frozenset({"Succeeded", "Failed"})


def plan_evict(ask: Ask) -> Plan | Block:
    """Plan the eviction of the next pod: first those that are stuck on their way out, where that is asked for."""
    step = ask.step.evict or EvictPods()
    stuck = _overdue(ask) if step.force_terminating else ()
    forced = next((pod for pod in stuck if _may_be_forced(ask, pod)), None)
    if forced is not None:
        return eviction(ask, forced, is_forced=True)
    meant = _meant(ask, step.which)
    pod = next((pod for pod in meant if _controller(ask, pod)), None)
    return eviction(ask, pod) if pod is not None else _nothing(ask, meant, stuck)


def _nothing(ask: Ask, meant: tuple[Pod, ...], stuck: tuple[Pod, ...]) -> Block:
    if meant:
        return Block(BlockReason.NOT_REPLACED, f"Pod {meant[0].ref.name} has no controller that would replace it.")
    if stuck:
        kind = _controller(ask, stuck[0]) or "nothing"
        message = f"Pod {stuck[0].ref.name} belongs to {kind}: its Node may still run it, and then there were two."
        return Block(BlockReason.UNSAFE_FORCE, message)
    return Block(BlockReason.NO_FAILING_PODS, "There is no pod of the target that is to be evicted.")


def eviction(ask: Ask, pod: Pod, *, is_forced: bool = False) -> Plan:
    """Plan the eviction of one pod."""
    desired = AT_ONCE if is_forced else None
    return Plan(ActionName.EVICT_POD, ask.target, object_id(pod.ref), pod.resource_version, desired=desired)


def guests(node: Workload) -> tuple[Pod, ...]:
    """Give the pods that can move from a Node: a DaemonSet's would come back, a mirror pod cannot go.

    What has ended stays where its logs are.
    """
    return tuple(pod for pod in node.pods if not pod.is_mirror and pod.phase not in _ENDED and not _is_daemon(pod))


def untreated(ask: Ask, pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """Leave out those that the open attempt has treated already, and those that came to be during it."""
    attempt, treated = ask.case.status.attempt, {entry.target.uid for entry in ask.case.status.in_flight}
    return tuple(
        pod
        for pod in sorted(pods, key=lambda pod: (pod.ref.namespace, pod.ref.name))
        if pod.ref.uid not in treated and (attempt is None or not is_newer(pod, attempt.started_at))
    )


def _is_daemon(pod: Pod) -> bool:
    return pod.owner is not None and pod.owner.kind == "DaemonSet"


def _meant(ask: Ask, which: Which) -> tuple[Pod, ...]:
    wanted = {ref.uid for ref in failing(ask.case, ask.signal.trigger)}
    pods = (pod for pod in members(ask.target) if not pod.is_terminating)
    if is_node(ask.target):
        staying = (pod for pod in guests(ask.target) if not pod.is_terminating)
        return untreated(ask, (pod for pod in staying if which is Which.ALL or _fails_on_node(pod, wanted)))
    return untreated(ask, (pod for pod in pods if which is Which.ALL or pod.ref.uid in wanted or _is_stuck(ask, pod)))


def _fails_on_node(pod: Pod, wanted: set[str]) -> bool:
    """Whether the trigger names the pod; one that accuses the Node means all that do not serve."""
    return pod.ref.uid in wanted if wanted else not pod.is_ready


def _is_stuck(ask: Ask, pod: Pod) -> bool:
    """Whether a pod ended for good, put out by its Node, or was never started: only anew it finds a place."""
    is_old = pod.created_at + STUCK_AFTER <= ask.case.now
    return pod.phase == "Failed" or (pod.phase == "Pending" and is_old)


def _overdue(ask: Ask) -> tuple[Pod, ...]:
    """Give the pods that were told to go longer ago than they may take."""
    now = ask.case.now
    return tuple(pod for pod in untreated(ask, members(ask.target)) if not pod.is_mirror and _is_overdue(pod, now))


def _is_overdue(pod: Pod, now: datetime) -> bool:
    since = pod.terminating_since
    return since is not None and since + timedelta(seconds=pod.grace_seconds) + SLACK <= now


def _may_be_forced(ask: Ask, pod: Pod) -> bool:
    return not pod.node or _controller(ask, pod) in _REPLACEABLE


def _controller(ask: Ask, pod: Pod) -> str:
    """Give the kind of what replaces a pod; "" when nothing does."""
    if pod.owner is not None:
        return pod.owner.kind
    return "" if is_node(ask.target) else ask.target.ref.kind


# --- how it is carried out ------------------------------------------------------------------------------


def is_forced(entry: InFlight) -> bool:
    """Whether an eviction on record ends its pod at once."""
    return (entry.desired or {}).get("gracePeriodSeconds") == 0


def _act(_case: Case, workload: Workload, entry: InFlight) -> EvictPod:
    pod = pod_of(workload, entry.target)  # a Node's pods have namespaces of their own
    ref = pod.ref if pod else Ref("Pod", workload.ref.namespace, entry.target.name, entry.target.uid)
    return EvictPod(entry.id, ref, 0 if is_forced(entry) else None)


def _has_happened(_case: Case, workload: Workload, entry: InFlight) -> bool:
    """Whether the pod is gone; one that was not forced needs only be on its way."""
    pod = pod_of(workload, entry.target)
    return pod is None or (pod.is_terminating and not is_forced(entry))


def _version_on_record(_case: Case, _workload: Workload, entry: InFlight) -> str:
    return entry.resource_version


EVICTING = Handling(_act, _has_happened, version=_version_on_record)
