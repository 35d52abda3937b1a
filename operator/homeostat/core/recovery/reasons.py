"""Why a policy that wants to act does not (R15): each word stands in status.blocked.reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BlockReason(StrEnum):
    """Why nothing is done although something should be."""

    OBSERVE_ONLY = "ObserveOnly"  # the mode was taken back from Auto while an attempt was under way
    SUSPENDED = "Suspended"  # spec.suspend
    FROZEN = "Frozen"  # a Freeze stops recovery here
    BUDGET_HELD = "BudgetHeld"  # the budget policy of an objective holds recovery here
    STALE_VIEW = "StaleView"  # we have lost touch with the API server
    SIGNAL_STALE = "SignalStale"  # the trigger's data is too old
    SIGNAL_MISSING = "SignalMissing"  # the trigger has no data
    EXPECTED_FAULT = "ExpectedFault"  # an experiment broke it on purpose and asks us to look on
    DEPENDENCY_UNHEALTHY = "DependencyUnhealthy"  # the cause is elsewhere
    DEPENDENCY_UNKNOWN = "DependencyUnknown"  # the cause may be elsewhere
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    TARGET_NOT_FOUND = "TargetNotFound"  # not there, or on its way out
    TARGET_PAUSED = "TargetPaused"  # somebody stopped its rollouts
    LOCKED = "Locked"  # another policy or experiment is the one writer of the target
    COOLING_DOWN = "CoolingDown"  # too soon after the attempt before
    NOT_IMPLEMENTED = "NotImplemented"  # a step of a later release
    NO_FAILING_PODS = "NoFailingPods"  # the trigger names no pod of the target to restart
    AT_MAXIMUM = "AtMaximum"  # as many replicas as the step allows, or more
    SCALED_TO_ZERO = "ScaledToZero"  # somebody stopped the target; starting it is not ours to decide
    IN_FLIGHT = "InFlight"  # as many pods in treatment as maxInFlight allows
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"  # a rollout is writing the target
    TOO_MANY_UNHEALTHY = "TooManyUnhealthy"  # above maxUnhealthy: not a fault of single pods
    BUDGET_SPENT = "BudgetSpent"  # the policy's own budget of actions
    CLUSTER_BUDGET_SPENT = "ClusterBudgetSpent"  # the operator's budget of actions
    POD_DISRUPTION_BUDGET = "PodDisruptionBudget"  # the eviction was refused
    TARGET_CHANGED = "TargetChanged"  # another writer was faster
    NOT_PERMITTED = "NotPermitted"  # the API server says we may not
    REFUSED = "Refused"  # the API server said no for another reason
    API_UNAVAILABLE = "ApiUnavailable"  # no answer: whether it happened is seen from the cluster


IMPOSSIBLE = frozenset({BlockReason.NOT_IMPLEMENTED, BlockReason.NO_FAILING_PODS, BlockReason.AT_MAXIMUM})
"""The step itself has nothing to do here: once its timeout is over, the next step is tried."""

REFUSALS = frozenset(
    {
        BlockReason.POD_DISRUPTION_BUDGET,
        BlockReason.TARGET_CHANGED,
        BlockReason.NOT_PERMITTED,
        BlockReason.REFUSED,
        BlockReason.API_UNAVAILABLE,
    }
)
"""The action was tried and did not get through: once its timeout is over, the next step is tried."""


@dataclass(frozen=True, slots=True)
class Block:
    """A refusal: why, in a word of BlockReason and a sentence without times, and until when where that is known."""

    reason: str
    message: str
    until: datetime | None = None
