"""Every word that an experiment's status gives as its reason."""

from enum import StrEnum


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
    # Passed
    HYPOTHESIS_HELD = "HypothesisHeld"
    # Failed
    NO_TARGETS = "NoTargets"  # nothing matches the target (C11)
    HYPOTHESIS_BROKEN = "HypothesisBroken"  # a part that must hold during the fault did not
    HYPOTHESIS_NOT_RESTORED = "HypothesisNotRestored"  # it did not return within recoveryTimeout
    TARGETS_NOT_RECOVERED = "TargetsNotRecovered"  # fewer pods are ready than before, after recoveryTimeout
    RECOVERY_FAILED = "RecoveryFailed"  # the undo failed three times (C16)
    # Aborted, because something stopped the run
    DELETED = "Deleted"
    FROZEN = "Frozen"  # a Freeze stops chaos (C9)
    BUDGET_HELD = "BudgetHeld"  # the budget policy of an objective holds chaos (C8); before a run, it waits for that
    SPEC_CHANGED = "SpecChanged"  # the run was about another spec
    SIGNAL_STALE = "SignalStale"  # a HealthCheck's last result is too old
    SIGNAL_MISSING = "SignalMissing"  # a HealthCheck does not exist, or never had a result
    SIGNAL_UNKNOWN = "SignalUnknown"  # a HealthCheck says itself that it does not know
    INJECTION_FAILED = "InjectionFailed"  # the API server refused it, or did not answer
    TARGET_CHANGED = "TargetChanged"  # another writer changed the target just before the injection
    # Aborted, because something refused it
    STEADY_STATE_BROKEN = "SteadyStateBroken"  # the hypothesis does not hold before the fault
    NAMESPACE_PROTECTED = "NamespaceProtected"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"  # it lacks the label homeostat.dev/chaos: allowed
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    TARGET_FAULTED = "TargetFaulted"  # a fault, ours or another's, is on it already (C12, C16)
    TARGET_LOCKED = "TargetLocked"  # somebody else writes it now (R11)
    TARGET_ROLLING_OUT = "TargetRollingOut"
    TARGET_DELETING = "TargetDeleting"
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
    TARGET_GONE = "TargetGone"  # a target was deleted by somebody else meanwhile
    # no verdict
    DRY_RUN = "DryRun"
