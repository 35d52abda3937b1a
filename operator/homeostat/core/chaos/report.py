"""What a run tells humans: what was seen and when, how long things took, and what to do about it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from homeostat.api.chaos import DuringFault, Reaction
from homeostat.api.chaos_status import (
    MOST_OBSERVATIONS,
    MOST_RECOMMENDATIONS,
    Observation,
    TargetPhase,
    Verdict,
)
from homeostat.api.health_check import HealthState
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.chaos.steady_state import findings

LONGEST = 512
_AILING = frozenset({HealthState.DEGRADED, HealthState.UNHEALTHY})


def watch(case: Case) -> Case:
    """Note what the checks say, when the fault was first noticed, and when a policy first acted on it."""
    for finding in findings(case):
        case = observe(case, finding.says, about=f"HealthCheck {finding.check}")
    for attempt in case.seen.recoveries:
        about = f"RecoveryPolicy {attempt.policy} acted"
        case = observe(case, about, about=about)
    return _timed(_timed(case, "detected_after", _detected_at(case)), "acted_after", _acted_at(case))


def observe(case: Case, what: str, *, about: str = "") -> Case:
    """Note something, unless it is the last that was noted of its subject."""
    subject = about or what
    known = case.status.observations
    last = next((one.what for one in reversed(known) if _is_about(one.what, subject)), None)
    if last == what[:LONGEST]:
        return case
    entry = Observation(at=case.now, what=what[:LONGEST])
    return case.with_status(observations=(*known, entry)[-MOST_OBSERVATIONS:])


def rounded(duration: timedelta) -> timedelta:
    """Cut a duration to the milliseconds that a status can hold; never below zero."""
    return max(timedelta(0), timedelta(milliseconds=duration // timedelta(milliseconds=1)))


def recovered_at(case: Case) -> datetime:
    """Give the moment from which all was well again, as the checks and the pods date it."""
    start = case.status.injected_at or case.now
    moments = [finding.since for finding in findings(case)]
    moments += [pod.ready_since for one in case.seen.afflicted for pod in one.pods if pod.is_ready]
    return min(case.now, max((moment for moment in moments if moment and moment > start), default=start))


def recommendations(case: Case, verdict: Verdict | None, reason: ChaosReason) -> tuple[str, ...]:
    """Give what the run suggests: only what follows from what was seen."""
    return tuple(text[:LONGEST] for text in _recommendations(case, verdict, reason))[:MOST_RECOMMENDATIONS]


def proved(case: Case, verdict: Verdict | None) -> tuple[str, ...]:
    """Name the policies of `spec.proves` that acted, when the run passed."""
    acted = {attempt.policy for attempt in case.seen.recoveries}
    names = [proof.recovery_policy for proof in case.spec.proves]
    return tuple(name for name in names if name in acted) if verdict is Verdict.PASSED else ()


def _recommendations(case: Case, verdict: Verdict | None, reason: ChaosReason) -> Iterator[str]:
    status = case.status
    was_hit = any(record.phase is not TargetPhase.PLANNED for record in status.targets)
    if not was_hit or verdict not in {Verdict.PASSED, Verdict.FAILED}:
        return
    if reason is ChaosReason.HYPOTHESIS_BROKEN:
        yield "Users noticed the fault: more replicas, or faster removal of a lost pod, would hide it."
    if reason in {ChaosReason.HYPOTHESIS_NOT_RESTORED, ChaosReason.TARGETS_NOT_RECOVERED}:
        yield "Recovery took longer than recoveryTimeout: find what the targets were waiting for."
    may_break = any(part.during_fault is DuringFault.MAY_BREAK for part in case.spec.hypothesis)
    if may_break and status.timings.detected_after is None:
        yield "No HealthCheck noticed the fault: probe more often, lower failureThreshold, or last longer."
    yield from _unproved(case)
    for record in status.targets:
        if record.phase is TargetPhase.SUPERSEDED:
            yield f"{record.kind}/{record.name} had {record.original} replicas; somebody else's value was kept."


def _unproved(case: Case) -> Iterator[str]:
    acted = {attempt.policy for attempt in case.seen.recoveries}
    for proof in case.spec.proves:
        if proof.recovery_policy in acted:
            continue
        why = "reaction is Observe" if case.spec.reaction is Reaction.OBSERVE else "nothing triggered it in time"
        yield f"RecoveryPolicy {proof.recovery_policy} did not act, so it is not proved: {why}."


def _detected_at(case: Case) -> datetime | None:
    start = case.status.injected_at or case.now
    names = {finding.check for finding in findings(case) if finding.gap is None}
    ailing = [check for name, check in case.seen.checks.items() if name in names and check.state in _AILING]
    moments = [check.since or case.now for check in ailing]
    return min((moment for moment in moments if moment >= start), default=None)


def _acted_at(case: Case) -> datetime | None:
    start = case.status.injected_at or case.now
    moments = (attempt.started_at for attempt in case.seen.recoveries)
    return min((moment for moment in moments if moment >= start), default=None)


def _timed(case: Case, name: str, moment: datetime | None) -> Case:
    """Note how long something took, the first time that it is known."""
    timings, start = case.status.timings, case.status.injected_at
    if moment is None or start is None or getattr(timings, name) is not None:
        return case
    return case.with_status(timings=timings.model_copy(update={name: rounded(moment - start)}))


def _is_about(what: str, subject: str) -> bool:
    return what == subject or what.startswith((f"{subject} ", f"{subject}:"))
