"""Whether what the experiment is a drill of did what it is for, and when: each part of the loop with its time (C17).

detected  a policy's trigger fires, an objective pages
acted     the policy acts
verified  the policy's own verification says Recovered, the page ends
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from homeostat.api.chaos import Proof, Reaction
from homeostat.api.chaos_status import ProofRecord, ProofState, Verdict
from homeostat.core.chaos.hypothesis.incidents import OBJECTIVE, POLICY
from homeostat.core.chaos.hypothesis.judging import objective_gap
from homeostat.core.chaos.seen import Case
from homeostat.core.chaos.telling.report import rounded

RECOVERED = "Recovered"
"""The outcome of an attempt whose verification said yes."""
_CONCLUSIVE = frozenset({Verdict.PASSED, Verdict.FAILED})


def prove(case: Case) -> Case:
    """Put on record how far each drill has come."""
    return case.with_status(proofs=tuple(_record(case, proof) for proof in case.spec.proves))


def missing(case: Case) -> tuple[ProofRecord, ...]:
    """Give what has not happened yet and must: with reaction Observe no policy may act, so none is asked to."""
    return tuple(one for one in case.status.proofs if one.state is not ProofState.PROVED and _is_asked(case, one))


def concluded(case: Case, verdict: Verdict | None) -> tuple[ProofRecord, ...]:
    """Give the proofs as they end: what did not happen is not proved, unless the run was cut short."""
    return tuple(_ended(case, one, verdict) for one in case.status.proofs)


def proved(case: Case, verdict: Verdict | None) -> tuple[str, ...]:
    """Name the policies that are proved, when the run passed."""
    if verdict is not Verdict.PASSED:
        return ()
    return tuple(one.name for one in case.status.proofs if one.kind == POLICY and one.state is ProofState.PROVED)


def _is_asked(case: Case, record: ProofRecord) -> bool:
    return record.kind == OBJECTIVE or case.spec.reaction is Reaction.ACT


def _ended(case: Case, record: ProofRecord, verdict: Verdict | None) -> ProofRecord:
    if record.state is not ProofState.UNKNOWN or verdict not in _CONCLUSIVE or not _is_asked(case, record):
        return record
    return record.model_copy(update={"state": ProofState.NOT_PROVED})


def _record(case: Case, proof: Proof) -> ProofRecord:
    if proof.recovery_policy is not None:
        return _policy(case, proof.recovery_policy)
    return _objective(case, proof.slo or "")


def _policy(case: Case, name: str) -> ProofRecord:
    known, start = _known(case, POLICY, name), case.status.injected_at or case.now
    attempts = [one for one in case.seen.recoveries if one.policy == name and one.started_at >= start]
    fired = (one.fired_at or one.started_at for one in attempts)
    verified = (one.ended_at for one in attempts if one.outcome == RECOVERED)
    record = known.model_copy(
        update={
            "detected_after": known.detected_after or _after(start, fired),
            "acted_after": known.acted_after or _after(start, (one.started_at for one in attempts)),
            "verified_after": known.verified_after or _after(start, verified),
        }
    )
    return _judged(record, _lacking(case, record))


def _lacking(case: Case, record: ProofRecord) -> str:
    if record.acted_after is None and case.spec.reaction is Reaction.OBSERVE:
        return "it may not act: reaction is Observe"
    if record.acted_after is None:
        return "it did not act: nothing triggered it in time, or something held it"
    return "" if record.verified_after is not None else "its verification has not said that all is well"


def _objective(case: Case, name: str) -> ProofRecord:
    known, start = _known(case, OBJECTIVE, name), case.status.injected_at or case.now
    alerts = [one for one in case.seen.alerts if (one.kind, one.name) == (OBJECTIVE, name) and one.since >= start]
    detected = known.detected_after or _after(start, (one.since for one in alerts))
    is_quiet = detected is not None and all(one.ended_at is not None for one in alerts)
    is_heard = objective_gap(case.seen.objectives.get(name), case.now) is None
    ended = [one.ended_at for one in alerts if one.ended_at is not None] or [case.now]
    verified = _after(start, [max(ended)]) if is_quiet and is_heard else None
    record = known.model_copy(update={"detected_after": detected, "verified_after": known.verified_after or verified})
    if record.detected_after is None:
        return _judged(record, "it did not page")
    return _judged(record, "" if record.verified_after is not None else "its page has not ended")


def _known(case: Case, kind: str, name: str) -> ProofRecord:
    found = (one for one in case.status.proofs if (one.kind, one.name) == (kind, name))
    return next(found, ProofRecord(kind=kind, name=name))


def _judged(record: ProofRecord, lacking: str) -> ProofRecord:
    state = ProofState.UNKNOWN if lacking else ProofState.PROVED
    return record.model_copy(update={"state": state, "message": lacking})


def _after(start: datetime, moments: Iterable[datetime | None]) -> timedelta | None:
    """Give the time from the fault to the first of these; at least a millisecond, so that it is never lost as 0."""
    known = [moment for moment in moments if moment is not None]
    return max(rounded(min(known) - start), timedelta(milliseconds=1)) if known else None
