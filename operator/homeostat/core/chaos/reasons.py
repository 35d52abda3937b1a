"""Every word that an experiment's status gives as its reason."""

from enum import StrEnum

from homeostat.core.acceptance import UNACCEPTED


class ChaosReason(StrEnum):
    """Why a phase or a verdict is what it is."""

    # on the way
    NOT_EVALUATED = "NotEvaluated"  # the spec cannot be acted on, for a reason that has no word of its own
    SUSPENDED = "Suspended"  # spec.suspend is set
    VIEW_STALE = "ViewStale"  # what we know of the API is too old to act on (C4)
    SETTLING = "Settling"  # the hypothesis holds, not yet long enough
    WAITING_FOR_DATA = "WaitingForData"  # a HealthCheck has not spoken yet
    STEADY = "Steady"  # the hypothesis held long enough
    FAULT_ACTIVE = "FaultActive"
    UNDOING = "Undoing"
    WAITING_FOR_RECOVERY = "WaitingForRecovery"
    AWAITING_APPROVAL = "AwaitingApproval"  # status.approval has what a human is asked for
    INVALID_SCHEDULE = "InvalidSchedule"  # no such zone, or a cron expression that cannot be read or is never due
    NOT_DUE = "NotDue"  # the schedule's next time has not come
    NOT_REQUESTED = "NotRequested"  # spec.start is OnRequest, and nobody has asked for a run
    WAITING_FOR_PROOF = "WaitingForProof"  # all is well; what the run is to prove has not been seen to the end
    # Passed
    HYPOTHESIS_HELD = "HypothesisHeld"
    # Failed
    NO_TARGETS = "NoTargets"  # nothing matches the target (C11)
    HYPOTHESIS_BROKEN = "HypothesisBroken"  # a part that must hold during the fault did not
    HYPOTHESIS_NOT_RESTORED = "HypothesisNotRestored"  # it did not return within recoveryTimeout
    TARGETS_NOT_RECOVERED = "TargetsNotRecovered"  # fewer pods are ready than before, after recoveryTimeout
    NOT_PROVED = "NotProved"  # all was well, but something of spec.proves did not do what it is for
    RECOVERY_FAILED = "RecoveryFailed"  # the undo failed three times (C16)
    # Aborted, because something stopped the run
    DELETED = "Deleted"
    FROZEN = "Frozen"  # a Freeze stops chaos (C9)
    BUDGET_HELD = "BudgetHeld"  # the budget policy of an objective holds chaos (C8); before a run, it waits for that
    SPEC_CHANGED = "SpecChanged"  # the run was about another spec
    SIGNAL_STALE = "SignalStale"  # the last result of a part of the hypothesis is too old
    SIGNAL_MISSING = "SignalMissing"  # it does not exist, or never had a result
    SIGNAL_UNKNOWN = "SignalUnknown"  # a HealthCheck says itself that it does not know
    SIGNAL_ERROR = "SignalError"  # Prometheus gave an error, or cannot be reached
    SIGNAL_TIMEOUT = "SignalTimeout"  # Prometheus took too long
    SIGNAL_EMPTY = "SignalEmpty"  # there was an answer, with no value in it
    ABORT_REQUESTED = "AbortRequested"  # the annotation homeostat.dev/abort
    BURN_RATE_ABOVE = "BurnRateAbove"  # a stop condition: an objective burns too fast (C8)
    BUDGET_BELOW = "BudgetBelow"  # a stop condition: too little of a budget is left (C8)
    INCIDENT_OPEN = "IncidentOpen"  # a human was called for something in the namespace before the fault (C8)
    UNEXPECTED_ALERT = "UnexpectedAlert"  # a human was called for what the experiment does not foresee (C13)
    REJECTED = "Rejected"  # a human said no to the plan
    APPROVAL_EXPIRED = "ApprovalExpired"  # nobody approved the plan in time
    INJECTION_FAILED = "InjectionFailed"  # the API server refused it, or did not answer
    GUARD_NOT_READY = "GuardNotReady"  # what would undo the fault without us did not start in time (C3)
    AGENT_FORBIDDEN = "AgentForbidden"  # Pod Security or RBAC lets no agent into the pod
    AGENT_NOT_STARTED = "AgentNotStarted"  # its image cannot be pulled, its container fails, or it took too long
    AGENT_REFUSED = "AgentRefused"  # it looked around and cannot do it; the message has its own word
    TARGET_CHANGED = "TargetChanged"  # another writer changed the target just before the injection
    # Aborted, because something refused it
    STEADY_STATE_BROKEN = "SteadyStateBroken"  # the hypothesis does not hold before the fault
    NOT_PERMITTED = "NotPermitted"  # the operator may not set its finalizer: chaos is off by default
    NAMESPACE_PROTECTED = "NamespaceProtected"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"  # it lacks the label homeostat.dev/chaos: allowed
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    TARGET_FAULTED = "TargetFaulted"  # a fault, ours or another's, is on it already (C12, C16)
    TARGET_LOCKED = "TargetLocked"  # somebody else writes it now (R11)
    TARGET_ROLLING_OUT = "TargetRollingOut"
    TARGET_DELETING = "TargetDeleting"
    NODES_NOT_ALLOWED = "NodesNotAllowed"  # of this namespace, or without the label on the Node
    HOST_NETWORK = "HostNetwork"  # the pod's network is the Node's: a fault in it would not stay in it
    NO_AGENT_IMAGE = "NoAgentImage"  # the operator knows no image for fault agents and guards
    NO_CONTAINER = "NoContainer"  # the pod has no container of that name
    NO_PEERS = "NoPeers"  # the selector of a network fault's peers matches no pod
    CANNOT_RESTORE = "CannotRestore"  # what is there now could not be put back (C6)
    NOT_REPLACEABLE = "NotReplaceable"  # no workload would bring the pod back (C6)
    NOTHING_TO_CHANGE = "NothingToChange"  # the target already is what the fault would make it
    BLAST_RADIUS_ROUNDS_TO_ZERO = "BlastRadiusRoundsToZero"  # the share, rounded down, is no target at all
    BLAST_RADIUS_TOO_FEW_READY = "BlastRadiusTooFewReady"  # fewer targets are ready than count asks for
    BLAST_RADIUS_TOO_MANY_TARGETS = "BlastRadiusTooManyTargets"  # more than a status can record
    BLAST_RADIUS_MIN_AVAILABLE = "BlastRadiusMinAvailable"
    BLAST_RADIUS_DISRUPTION_BUDGET = "BlastRadiusDisruptionBudget"
    BLAST_RADIUS_NAMESPACE = "BlastRadiusNamespace"
    BLAST_RADIUS_CLUSTER = "BlastRadiusCluster"
    # Inconclusive
    TOO_FEW_OBSERVATIONS = "TooFewObservations"  # no result of a check fell into the fault
    INTERRUPTED = "Interrupted"  # the operator was not there to watch
    AGENT_LOST = "AgentLost"  # it ended, or fell silent, before its time
    GUARD_FIRED = "GuardFired"  # the guard undid the fault before its time
    TARGET_GONE = "TargetGone"  # a target was deleted by somebody else meanwhile
    NOTHING_MET = "NothingMet"  # the fault was on, and met no traffic, no name, no request
    # no verdict
    DRY_RUN = "DryRun"


STALLING = frozenset({*UNACCEPTED, ChaosReason.INVALID_SCHEDULE})
"""Reasons of Ready=False that only an edit of the experiment ends.

Not NotPermitted, and not NotEvaluated, of which nobody knows what would end it. What refuses or fails a run is no such
reason, although it may lie in the spec: the experiment is accepted, and the run has a verdict.
"""
