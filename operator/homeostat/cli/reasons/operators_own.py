"""What only the operator knows of a policy's gates: read from what it has on record."""

from collections.abc import Sequence
from dataclasses import replace

from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery_status import RecoveryPolicyStatus, SignalState
from homeostat.api.recovery_target import TargetKind
from homeostat.cli.reasons.explain_report import NOTHING_TO_DO
from homeostat.cli.reasons.explained_policy import Policy
from homeostat.core.condition import condition
from homeostat.core.recovery.gates.explanation import GateAnswer
from homeostat.core.recovery.reasons import BlockReason

OPERATORS_OWN = {
    "stale_view": {"StaleView"},
    "storm": {"Storm"},
    "nodes_not_allowed": {"NodesNotAllowed"},
    "not_permitted": {"NotPermitted"},
    "cluster_budget_spent": {"ClusterBudgetSpent"},
}
"""Gates that ask what only the operator knows, with their reasons: its settings, its rights, its view."""


def operators_own(policy: Policy, answers: Sequence[GateAnswer]) -> tuple[dict[str, GateAnswer], dict[str, str]]:
    """Answer the gates that only the operator can, from what it has on record; and say of which nothing is known.

    It asks them in their order up to the first refusal: what comes after that, nobody has asked.
    """
    status = policy.status
    blocked, order = status.blocked, [answer.name for answer in answers]
    refusing = status.decision.gate if blocked and status.decision and status.decision.gate in order else ""
    refused, not_known = dict[str, GateAnswer](), dict[str, str]()
    for gate in (name for name in order if name in OPERATORS_OWN and not _passes_at_rest(policy, name)):
        if blocked and blocked.reason in OPERATORS_OWN[gate]:
            refused[gate] = GateAnswer(gate, False, blocked.reason, blocked.message, blocked.until)
        elif not _is_asked(status):
            not_known[gate] = _until_asked(status, gate)
        elif refusing and order.index(gate) > order.index(refusing):
            not_known[gate] = f"only the operator knows, and it asked no further than {refusing}"
    return refused, not_known


def in_full(status: RecoveryPolicyStatus, answer: GateAnswer) -> GateAnswer:
    """Say why there is no data as the operator says it, who asked the source."""
    blocked = status.blocked
    is_known = blocked is not None and answer.reason == blocked.reason == BlockReason.SIGNAL_MISSING
    return replace(answer, message=blocked.message) if blocked and is_known else answer


def _passes_at_rest(policy: Policy, gate: str) -> bool:
    """Whether it is known without asking: of another target than a Node, and by the condition Permitted."""
    if gate == "nodes_not_allowed":
        return policy.spec.target.kind is not TargetKind.NODE
    known = condition(policy.status.conditions, "Permitted")
    return gate == "not_permitted" and known is not None and known.status is ConditionStatus.TRUE


def _until_asked(status: RecoveryPolicyStatus, gate: str) -> str:
    known = condition(status.conditions, "Permitted")
    if gate == "not_permitted" and known is not None and known.status is ConditionStatus.FALSE:
        return known.message.rstrip(".")
    return "only the operator knows, and it asks when a trigger fires"


def untold(answers: Sequence[GateAnswer]) -> dict[str, str]:
    """Say what a quiet trigger leaves open: that a step has nothing to do while all is well stands against nothing."""
    is_quiet = any(answer.reason == BlockReason.NOT_FIRING for answer in answers)
    idle = (answer for answer in answers if is_quiet and answer.name == NOTHING_TO_DO and not answer.passed)
    return {answer.name: f"asked once a trigger fires; now: {answer.message}" for answer in idle}


def _is_asked(status: RecoveryPolicyStatus) -> bool:
    """Whether the operator asks its gates at the moment."""
    return status.attempt is not None or any(signal.state is not SignalState.QUIET for signal in status.signals)
