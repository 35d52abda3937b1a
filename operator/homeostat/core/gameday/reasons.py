"""Every word that a game day's status gives as its reason, besides those of the experiments."""

from enum import StrEnum

from homeostat.core.acceptance import UNACCEPTED


class DayReason(StrEnum):
    """Why a phase or a verdict of a day, or of a step that came to no run, is what it is."""

    # on the way
    NOT_EVALUATED = "NotEvaluated"  # the spec cannot be acted on, for a reason that has no word of its own
    SUSPENDED = "Suspended"  # spec.suspend is set
    PAUSING = "Pausing"  # gate.wait is not over
    WAITING_FOR_HEALTH = "WaitingForHealth"  # a HealthCheck of the gate is not in its state yet
    AWAITING_APPROVAL = "AwaitingApproval"  # a human must agree to the next step
    EXPERIMENT_MISSING = "ExperimentMissing"  # there is no experiment of that name; waited for a little
    EXPERIMENT_BUSY = "ExperimentBusy"  # it runs, or is asked to, by somebody else's wish
    STEP_ASKED = "StepAsked"  # the experiment has been asked for its run
    STEP_RUNNING = "StepRunning"  # the experiment has taken it up
    STOPPING = "Stopping"  # the experiment under way is being aborted
    # verdicts of the day
    ALL_PASSED = "AllPassed"
    STEP_NOT_PASSED = "StepNotPassed"  # a step failed, was aborted or showed nothing
    GATE_NOT_MET = "GateNotMet"  # a HealthCheck of the gate did not come to its state in time
    RECOVERY_FAILED = "RecoveryFailed"  # the undo of a step failed: no further step, whatever the gate says
    FROZEN = "Frozen"  # a Freeze stops chaos (C9)
    ABORTED = "Aborted"  # by the annotation homeostat.dev/abort
    DELETED = "Deleted"
    TIMED_OUT = "TimedOut"  # spec.timeout is over
    SPEC_CHANGED = "SpecChanged"  # the day was about another spec
    REJECTED = "Rejected"  # a human did not agree
    APPROVAL_EXPIRED = "ApprovalExpired"
    # steps that came to no run, or to none that could be seen to its end
    EXPERIMENT_SUSPENDED = "ExperimentSuspended"
    EXPERIMENT_SCHEDULED = "ExperimentScheduled"  # it runs by its own clock
    EXPERIMENT_DRY_RUN = "ExperimentDryRun"  # it only ever plans
    EXPERIMENT_INVALID = "ExperimentInvalid"  # its spec cannot be acted on
    EXPERIMENT_GONE = "ExperimentGone"  # it was deleted meanwhile
    NOT_PERMITTED = "NotPermitted"  # the operator may not patch it, or the game day itself
    DISPLACED = "Displaced"  # somebody else asked it for a run of their own before it took ours up
    RUN_LOST = "RunLost"  # it ran, but what came of it is no longer on record
    NOT_BEGUN = "NotBegun"  # the day ended before it took the run up
    # no verdict
    DRY_RUN = "DryRun"


STALLING = UNACCEPTED
"""Reasons of Ready=False that only an edit of the game day ends: all but NotPermitted and NotEvaluated."""
