"""How an experiment stands, for others: conditions, what wakes it, what is worth writing, who must keep off."""

import re

from homeostat.api.chaos import ChaosExperimentSpec, Reaction
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase, TargetPhase, Verdict
from homeostat.api.meta import ConditionStatus
from homeostat.core.chaos.reasons import STALLING, ChaosReason
from homeostat.core.chaos.seen import Case, target_selector
from homeostat.core.condition import set_condition, stalled
from homeostat.core.significance import Significance

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_WORD = re.compile(r"[A-Za-z]([A-Za-z0-9_]{0,61}[A-Za-z0-9])?")
_SPOILS_STEADY_STATE = frozenset(
    {
        ChaosReason.STEADY_STATE_BROKEN,
        ChaosReason.HYPOTHESIS_BROKEN,
        ChaosReason.HYPOTHESIS_NOT_RESTORED,
        ChaosReason.SIGNAL_STALE,
        ChaosReason.SIGNAL_MISSING,
        ChaosReason.SIGNAL_UNKNOWN,
        ChaosReason.SIGNAL_ERROR,
        ChaosReason.SIGNAL_TIMEOUT,
        ChaosReason.SIGNAL_EMPTY,
    }
)
AT_WORK = frozenset({Phase.INJECTING, Phase.RUNNING, Phase.REVERTING, Phase.RECOVERING})
"""Phases in which the fault is on, or was and all is not known to be well again."""
Standing = tuple[ConditionStatus, str, str]


def introduced(case: Case) -> Case:
    """Say on the status which spec it speaks of, in the words of the columns."""
    fields = type(case.spec.fault).model_fields
    faults = (field.alias or name for name, field in fields.items() if getattr(case.spec.fault, name) is not None)
    target = case.spec.target
    return case.with_status(
        observed_generation=max(-1, case.seen.generation),
        fault=next(faults, ""),
        target=f"{target.kind} {target.name or target_selector(case.spec)}"[:512],
    )


def with_conditions(case: Case) -> ChaosExperimentStatus:
    """Derive the conditions from the rest of the status."""
    conditions = case.status.conditions
    for name, (status, reason, message) in {
        "Ready": _ready(case),
        "SteadyState": _steady_state(case.status),
        "Injected": _injected(case.status),
        "Reverted": _reverted(case.status),
        "Succeeded": _succeeded(case.status),
    }.items():
        conditions = set_condition(conditions, name, status, reason, message, max(-1, case.seen.generation), case.now)
    return case.status.model_copy(update={"conditions": stalled(conditions, STALLING, case.now)})


def significance(old: ChaosExperimentStatus, new: ChaosExperimentStatus) -> Significance:
    """Tell what a difference is worth: what was merely seen or measured can wait, all else is control state."""
    if old == new:
        return Significance.NOTHING
    return Significance.REFRESH if _decided(old) == _decided(new) else Significance.CHANGE


def planned_fault(spec: ChaosExperimentSpec, status: ChaosExperimentStatus) -> frozenset[str]:
    """Give the uids, of targets and of their workloads, that no RecoveryPolicy may touch now (C12).

    Empty with reaction Act, before the fault is on record, after the run, and when the undo failed: then help
    is welcome.
    """
    if spec.reaction is Reaction.ACT or status.phase not in AT_WORK:
        return frozenset()
    if status.reason == ChaosReason.RECOVERY_FAILED:
        return frozenset()
    return frozenset(uid for record in status.targets for uid in (record.uid, record.workload.uid))


def faults_left(status: ChaosExperimentStatus) -> int:
    """Count the targets whose fault may still be on although its undo was tried as often as it is (C16)."""
    if status.reason != ChaosReason.RECOVERY_FAILED or status.phase is not Phase.REVERTING:
        return 0
    return sum(record.phase in {TargetPhase.PLANNED, TargetPhase.INJECTED} for record in status.targets)


def _decided(status: ChaosExperimentStatus) -> ChaosExperimentStatus:
    """Leave out what was merely seen or measured; what an agent's fault has met grows with every packet."""
    targets = tuple(record.model_copy(update={"counters": {}}) for record in status.targets)
    measured: dict[str, object] = {"observations": (), "stages": None, "budget_spent": {}, "targets": targets}
    return status.model_copy(update=measured)


def _ready(case: Case) -> Standing:
    if case.seen.problem is None:
        return TRUE, "Accepted", "The experiment is evaluated."
    reason, message = case.seen.problem
    return FALSE, reason if _WORD.fullmatch(reason) else ChaosReason.NOT_EVALUATED, message


def _steady_state(status: ChaosExperimentStatus) -> Standing:
    if status.reason in _SPOILS_STEADY_STATE:
        return FALSE, status.reason, status.message
    if status.injected_at is not None:
        return TRUE, "HeldBefore", "The hypothesis held before the fault."
    return UNKNOWN, "NotChecked", "The hypothesis has not held for steadyFor yet."


def _injected(status: ChaosExperimentStatus) -> Standing:
    if any(record.phase is TargetPhase.INJECTED for record in status.targets):
        return TRUE, "FaultActive", "The fault is on."
    return FALSE, "NoFault", "No fault is on."


def _reverted(status: ChaosExperimentStatus) -> Standing:
    if status.reason == ChaosReason.RECOVERY_FAILED:
        return FALSE, status.reason, status.message
    if status.revert is not None and status.revert.done_at is not None:
        return TRUE, "Undone", "Nothing of the fault is left."
    if status.targets:
        return FALSE, "NotYet", "The fault has not been undone yet."
    return UNKNOWN, "NoFault", "There is nothing to undo."


def _succeeded(status: ChaosExperimentStatus) -> Standing:
    if status.verdict is None:
        return UNKNOWN, "NoVerdict", "The run has no verdict yet."
    if status.verdict is Verdict.PASSED:
        return TRUE, status.verdict, status.message
    known = UNKNOWN if status.verdict is Verdict.INCONCLUSIVE else FALSE
    return known, status.reason if _WORD.fullmatch(status.reason) else status.verdict, status.message
