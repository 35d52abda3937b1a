"""Which targets a run takes and what it does to them: one pure function, for dry runs and real ones (C14)."""

from collections.abc import Callable, Mapping
from typing import Any

from homeostat.core.chaos.faults.agents import plan_agent
from homeostat.core.chaos.faults.draft import Draft
from homeostat.core.chaos.faults.nodes import plan_cordon, plan_drain
from homeostat.core.chaos.faults.pods import plan_evict, plan_kill
from homeostat.core.chaos.faults.rollout import plan_rollout
from homeostat.core.chaos.faults.scale import plan_scale
from homeostat.core.chaos.faults.squeeze import plan_squeeze
from homeostat.core.chaos.limits.gates import Refusal, namespace_refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case

Planner = Callable[[Case, Any], Draft | Refusal]

PLANNERS: Mapping[str, Planner] = {
    "pod_kill": plan_kill,
    "pod_evict": plan_evict,
    "container_kill": plan_agent,
    "scale": plan_scale,
    "cordon": plan_cordon,
    "drain": plan_drain,
    "rollout_break": plan_rollout,
    "resource_squeeze": plan_squeeze,
    "network": plan_agent,
    "dns": plan_agent,
    "http": plan_agent,
    "cpu": plan_agent,
    "memory": plan_agent,
    "process_pause": plan_agent,
    "process_kill": plan_agent,
}
"""Who plans each member of spec.fault."""


def draw(case: Case) -> Draft | Refusal:
    """Pick the targets by `choice` and plan the fault, or give the first reason not to."""
    refusal = namespace_refusal(case.seen)
    if refusal is not None:
        return refusal
    asked = ((plan, getattr(case.spec.fault, name)) for name, plan in PLANNERS.items())
    plan, fault = next(one for one in asked if one[1] is not None)
    drawn = plan(case, fault)
    return drawn if isinstance(drawn, Refusal) else _unguarded(case, drawn) or drawn


def _unguarded(case: Case, drawn: Draft) -> Refusal | None:
    """C3: refuse to hold fields that nobody would restore if we could not."""
    holds = any(record.to for record in drawn.targets)
    if not holds or not case.seen.guards_needed or case.seen.agent_image:
        return None
    return Refusal(ChaosReason.NO_AGENT_IMAGE, "the operator has no image for the guard that would undo the fault")
