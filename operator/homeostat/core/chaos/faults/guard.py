"""The guard of a run: a Lease and a Pod that restore held fields when nobody renews them any more (C3, C18)."""

from datetime import timedelta

from homeostat.api.chaos_status import Phase, TargetPhase, Verdict
from homeostat.core.action import DropGuard, KeepGuard, Verb
from homeostat.core.chaos.faults.objects import CONFLICT, short_hash
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.limits.locks import run_id
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, ref_of
from homeostat.core.guarding.held import Restorable, write_records

SECONDS = 15
"""Without renewal for so long the guard restores: long enough for a new leader to take over."""
RENEW_AFTER = timedelta(seconds=3)
"""Two renewals in a row may fail, each after as long as one is waited for, and the third still comes in time."""
GRACE = timedelta(seconds=15)
"""How long after the planned end the guard restores in any case."""
PATIENCE = timedelta(seconds=60)
"""An injection that is not complete this long after its record is given up: time enough to pull the image of agents."""


def is_wanted(case: Case) -> bool:
    """Whether the run holds fields that somebody must restore if we cannot."""
    return case.seen.guards_needed and any(record.to for record in case.status.targets)


def name(case: Case) -> str:
    """Name the guard, the same in every process."""
    return f"homeostat-undo-{short_hash(run_id(case))}"


def is_ready(case: Case) -> bool:
    """Whether the guard has read the records of this run, and could restore them."""
    return case.seen.guard is not None and case.seen.guard.ready_for == _records(case)


def keep(case: Case) -> KeepGuard:
    """Make the guard, or renew it."""
    end = case.status.revert_at or case.now + case.spec.duration
    is_on = case.status.phase is not Phase.INJECTING  # until then the end moves with what is still being started
    deadline = end + GRACE if is_on else end + PATIENCE + GRACE
    return KeepGuard(
        f"{run_id(case)}-guard", name(case), case.seen.ref, max(1, case.status.run_number), _records(case), deadline,
        SECONDS,
    )  # fmt: skip


def renewal(case: Case) -> tuple[KeepGuard, ...]:
    """Renew the guard while there is a fault to hold up, a few times in each length of its lease."""
    if not is_wanted(case):
        return ()
    renewed = case.seen.guard.renewed_at if case.seen.guard else None
    is_due = renewed is None or case.now - renewed >= RENEW_AFTER
    return (keep(case),) if is_due else ()


def drop(case: Case) -> DropGuard:
    """Remove the guard: nothing is left to restore."""
    attempts = case.status.revert.attempts if case.status.revert else 0
    return DropGuard(f"{run_id(case)}-unguard-{attempts}", case.status.guard, case.seen.ref)


def trouble(case: Case) -> Refusal | None:
    """Say why the guard will not come; or that it was there and has gone off, so that it holds nothing any more."""
    if is_wanted(case) and case.seen.guard is not None and case.seen.guard.has_fired:
        message = "the guard went off before the fault was on"
        return Refusal(ChaosReason.GUARD_FIRED, message, Verdict.INCONCLUSIVE)
    if not is_wanted(case) or is_ready(case):
        return None
    answer = case.seen.outcomes.get(keep(case).id)
    if answer is not None and answer.verb is Verb.REFUSED and answer.reason != CONFLICT:
        message = f"the guard cannot be made: {answer.message or answer.reason}"
        return Refusal(ChaosReason.GUARD_NOT_READY, message[:500])
    if case.seen.guard is None or not case.seen.guard.trouble:
        return None
    return Refusal(ChaosReason.GUARD_NOT_READY, f"the guard does not start: {case.seen.guard.trouble}"[:500])


def has_fired(case: Case) -> bool:
    """Whether the guard restored by itself while the fault was to be on."""
    held = any(record.to and record.phase is TargetPhase.INJECTED for record in case.status.targets)
    return held and case.seen.guard is not None and case.seen.guard.has_fired


def _records(case: Case) -> str:
    """Write what is to be restored: the same text for the same records, which the guard gives back."""
    home = case.seen.ref.namespace
    refs = ((record, ref_of(record, home)) for record in case.status.targets if record.to)
    return write_records(
        Restorable(ref.kind, ref.namespace, ref.name, ref.uid, dict(record.original), dict(record.to), record.marker)
        for record, ref in refs
    )
