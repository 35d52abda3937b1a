"""Why a policy that wants to act does not (R15): each word stands in status.blocked.reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from homeostat.core.acceptance import INVALID_TIME_ZONE, UNACCEPTED


class BlockReason(StrEnum):
    """Why nothing is done although something should be."""

    NOT_FIRING = "NotFiring"  # nothing is to be healed: only an explanation says so, never status.blocked
    NOT_YET = "NotYet"  # the trigger does not fire for long enough yet: the same
    OBSERVE_ONLY = "ObserveOnly"  # the mode was taken back from Auto while an attempt was under way
    SUSPENDED = "Suspended"  # spec.suspend
    PAUSED = "Paused"  # a human paused the policy
    REJECTED = "Rejected"  # a human rejected the plan
    NOT_APPROVED = "NotApproved"  # the action was not part of the plan that a human approved
    FROZEN = "Frozen"  # a Freeze stops recovery here
    OUTSIDE_WINDOW = "OutsideWindow"  # spec.windows do not allow it now
    BUDGET_HELD = "BudgetHeld"  # the budget policy of an objective holds recovery here
    STALE_VIEW = "StaleView"  # we have lost touch with the API server
    SIGNAL_STALE = "SignalStale"  # the trigger's data is too old
    SIGNAL_MISSING = "SignalMissing"  # the trigger has no data
    FLAPPING = "Flapping"  # the trigger comes and goes
    EXPECTED_FAULT = "ExpectedFault"  # an experiment broke it on purpose and asks us to look on
    DEPENDENCY_UNHEALTHY = "DependencyUnhealthy"  # the cause is elsewhere
    DEPENDENCY_UNKNOWN = "DependencyUnknown"  # the cause may be elsewhere
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    NODES_NOT_ALLOWED = "NodesNotAllowed"  # the administrator lets no policy of this namespace touch Nodes
    TARGET_UNCLEAR = "TargetUnclear"  # a trigger fires, and does not say which of several targets is meant
    TOO_MANY_TARGETS = "TooManyTargets"  # the selector matches more than a policy keeps in mind
    TARGET_NOT_FOUND = "TargetNotFound"  # not there, or on its way out
    NOT_REPLACED = "NotReplaced"  # a pod that nothing controls: evicted, it would be lost
    ALL_TREATED = "AllTreated"  # a step with targets of its own has been carried out on each
    TARGET_PAUSED = "TargetPaused"  # somebody stopped its rollouts
    LOCKED = "Locked"  # another policy or experiment is the one writer of the target
    STORM = "Storm"  # many policies want to act at once
    INEFFECTIVE = "Ineffective"  # the target falls back again and again
    COOLING_DOWN = "CoolingDown"  # too soon after the attempt before
    NOT_IMPLEMENTED = "NotImplemented"  # a step of a later release
    NO_FAILING_PODS = "NoFailingPods"  # the trigger names no pod of the target to restart
    ALREADY_CORDONED = "AlreadyCordoned"  # somebody marked the Node before
    WRONG_KIND = "WrongKind"  # the step is for objects of another kind
    EMPTY_DIR_DATA = "EmptyDirData"  # a drain would lose what a pod keeps in an emptyDir
    UNSAFE_FORCE = "UnsafeForce"  # the Node may still run the pod, and two of its identity would be worse than none
    AT_MAXIMUM = "AtMaximum"  # as many replicas as the step allows, or more
    SCALED_TO_ZERO = "ScaledToZero"  # somebody stopped the target; starting it is not ours to decide
    NOT_THE_CAUSE = "NotTheCause"  # the revision that runs was not made shortly before the trigger began to fire
    NO_EARLIER_REVISION = "NoEarlierRevision"  # there is none to go back to
    PATCH_REFUSED = "PatchRefused"  # it touches what it may not, or the API server would not take it
    TOO_LARGE = "TooLarge"  # what it changes is more than can be kept on record to be put back
    NOTHING_TO_CHANGE = "NothingToChange"  # the target already is as the step wants it
    NOTHING_TO_RAISE = "NothingToRaise"  # the pods have no requests or limits of what is to be raised
    NOTHING_TO_RESTORE = "NothingToRestore"  # nothing of ours stands that could be put back
    IN_FLIGHT = "InFlight"  # as many pods in treatment as maxInFlight allows
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"  # a rollout is writing the target
    TOO_MANY_UNHEALTHY = "TooManyUnhealthy"  # above maxUnhealthy: not a fault of single pods
    BUDGET_SPENT = "BudgetSpent"  # the policy's own budget of actions
    CLUSTER_BUDGET_SPENT = "ClusterBudgetSpent"  # the operator's budget of actions
    POD_DISRUPTION_BUDGET = "PodDisruptionBudget"  # the eviction was refused
    TARGET_CHANGED = "TargetChanged"  # another writer was faster
    NOT_PERMITTED = "NotPermitted"  # the API server says we may not
    NAME_TAKEN = "NameTaken"  # somebody else's Job has the name of ours
    SECRET_UNUSABLE = "SecretUnusable"  # noqa: S105 - a reason: the key to sign with is not there
    ADDRESS_DENIED = "AddressDenied"  # the guard of probes lets nobody reach the webhook's address
    WEBHOOK_REFUSED = "WebhookRefused"  # it said no
    WEBHOOK_UNANSWERED = "WebhookUnanswered"  # it said nothing, or that it has a fault of its own
    REFUSED = "Refused"  # the API server said no for another reason
    API_UNAVAILABLE = "ApiUnavailable"  # no answer: whether it happened is seen from the cluster


STALLING = frozenset({*UNACCEPTED, INVALID_TIME_ZONE, BlockReason.PATCH_REFUSED})
"""Reasons of Ready=False that only an edit of the policy ends: all but NotPermitted.

PatchRefused is one where the spec alone says that a step may not patch what it wants to; as what blocks a policy, it
leaves Ready True.
"""

IMPOSSIBLE = frozenset(
    {
        BlockReason.NOT_IMPLEMENTED,
        BlockReason.NO_FAILING_PODS,
        BlockReason.AT_MAXIMUM,
        BlockReason.NOT_THE_CAUSE,
        BlockReason.NO_EARLIER_REVISION,
        BlockReason.PATCH_REFUSED,
        BlockReason.TOO_LARGE,
        BlockReason.NOTHING_TO_CHANGE,
        BlockReason.NOTHING_TO_RAISE,
        BlockReason.NOTHING_TO_RESTORE,
        BlockReason.ALREADY_CORDONED,
        BlockReason.WRONG_KIND,
        BlockReason.EMPTY_DIR_DATA,
        BlockReason.UNSAFE_FORCE,
        BlockReason.NOT_REPLACED,
        BlockReason.NOT_PERMITTED,
    }
)
"""The step itself has nothing to do here, or may not: once its timeout is over, the next step is tried."""

REFUSALS = frozenset(
    {
        BlockReason.POD_DISRUPTION_BUDGET,
        BlockReason.TARGET_CHANGED,
        BlockReason.NOT_PERMITTED,
        BlockReason.REFUSED,
        BlockReason.API_UNAVAILABLE,
        BlockReason.SECRET_UNUSABLE,
        BlockReason.WEBHOOK_UNANSWERED,
    }
)
"""The action was tried and did not get through: once its timeout is over, the next step is tried."""

FINAL = frozenset({BlockReason.NAME_TAKEN, BlockReason.ADDRESS_DENIED, BlockReason.WEBHOOK_REFUSED})
"""A refusal that asking again cannot change: the next step is tried at once."""


@dataclass(frozen=True, slots=True)
class Block:
    """A refusal: why, in a word of BlockReason and a sentence without times, and until when where that is known."""

    reason: str
    message: str
    until: datetime | None = None
