"""The objects on record as they are now."""

import hashlib

from homeostat.api.chaos_status import TargetRecord
from homeostat.core.chaos.marker import holder_of
from homeostat.core.chaos.seen import AgentSeen, Case
from homeostat.core.cluster import Pod, Workload
from homeostat.core.orders import Said

CONFLICT = "Conflict"
"""The answer to a write that met another one: look, and try again."""
_NOTHING = AgentSeen(None)


def workload_now(case: Case, uid: str) -> Workload | None:
    """Find a workload as it is now, whichever way it was observed."""
    everywhere = (*case.seen.afflicted, *case.seen.workloads, *case.seen.owners)
    return next((workload for workload in everywhere if workload.ref.uid == uid), None)


def target_now(case: Case, record: TargetRecord) -> Workload | Pod | None:
    """Find a target as it is now; None when it is gone. One just put on record was seen as a candidate only."""
    if record.kind != "Pod":
        return workload_now(case, record.uid)
    seen = (pod for pod in case.seen.pods if pod.ref.uid == record.uid)
    return case.seen.victims.get(record.uid) or next(seen, None)


def standing(case: Case, record: TargetRecord) -> Workload | Pod | None:
    """Find a target that is there to stay: what is on its way out has nothing to restore."""
    target = target_now(case, record)
    is_leaving = isinstance(target, Pod) and target.is_terminating
    return None if is_leaving or (isinstance(target, Workload) and target.is_deleting) else target


def agent_now(case: Case, record: TargetRecord) -> AgentSeen:
    """See the agent of a target: nothing at all before it is there."""
    return case.seen.agents.get(record.uid, _NOTHING)


def said_by(case: Case, record: TargetRecord) -> Said | None:
    """Give what the agent of a target said last."""
    return agent_now(case, record).said


def has_ended(case: Case, record: TargetRecord) -> bool:
    """Whether the container of a target's agent is over, as the kubelet says."""
    container = agent_now(case, record).container
    return container is not None and container.state == "Ended"


def is_marked_by(case: Case, target: Workload | Pod) -> bool:
    """Whether the marker on it is this experiment's."""
    return holder_of(target) == case.seen.ref.uid


def short_hash(text: str) -> str:
    """Give ten characters that stand for `text` in a name, the same in every process."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]
