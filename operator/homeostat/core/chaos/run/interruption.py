"""What ends a run from outside, in whichever phase it is. C9: it never resumes by itself."""

from homeostat.api.chaos_status import Phase
from homeostat.core.chaos.consent import approval
from homeostat.core.chaos.hypothesis.incidents import open_refusal, unexpected_refusal
from homeostat.core.chaos.hypothesis.stopping import stop_refusal
from homeostat.core.chaos.limits.gates import Refusal, budget_refusal, is_frozen, is_view_stale
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.run.start import frozen
from homeostat.core.chaos.seen import Case

UNTOUCHED = frozenset({Phase.AWAITING_APPROVAL, Phase.CHECKING_STEADY_STATE, Phase.INJECTING})
"""Phases in which nothing need have been touched: nothing was, while there is no record."""
FAULT_ON = frozenset({Phase.INJECTING, Phase.RUNNING})


def interruption(case: Case) -> Refusal | None:
    """Give the first reason to end the run, whatever the hypothesis says."""
    if case.seen.is_deleting:
        return Refusal(ChaosReason.DELETED, "the experiment is being deleted")
    if case.seen.abort_requested not in {"", case.status.abort}:
        return Refusal(ChaosReason.ABORT_REQUESTED, "the annotation homeostat.dev/abort asks for it")
    if case.spec.suspend:
        return Refusal(ChaosReason.SUSPENDED, "spec.suspend was set")
    if is_frozen(case):
        return frozen(case)
    if case.seen.generation != case.status.run_generation or case.seen.problem is not None:
        return Refusal(ChaosReason.SPEC_CHANGED, "the spec was changed during the run")
    return _grounds_lost(case) if case.status.phase in UNTOUCHED | FAULT_ON else None


def _grounds_lost(case: Case) -> Refusal | None:
    """Give what forbids a fault and nothing else: once it is off, recovery is watched to the end."""
    if is_view_stale(case):
        return Refusal(ChaosReason.VIEW_STALE, "what is known of the API is too old to act on")
    held = budget_refusal(case.seen)
    if held is not None or case.status.phase is Phase.RUNNING:  # which asks the rest itself, after the hypothesis
        return held
    called = unexpected_refusal(case) if case.status.targets else open_refusal(case) or approval.refusal(case)
    return called or stop_refusal(case)
