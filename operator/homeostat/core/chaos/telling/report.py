"""What a run tells humans as it goes: what was seen and when, and how long things took."""

from datetime import datetime, timedelta

from homeostat.api.chaos_status import MOST_OBSERVATIONS, Observation
from homeostat.api.health_check import HealthState
from homeostat.core.chaos.hypothesis.finding import Finding
from homeostat.core.chaos.hypothesis.incidents import is_expected
from homeostat.core.chaos.hypothesis.judging import findings
from homeostat.core.chaos.hypothesis.named import watches
from homeostat.core.chaos.seen import Case

LONGEST = 512
CUT = timedelta(seconds=1)
"""Kubernetes cuts the times of pods to whole seconds: this much later at most was it so. No time is told too short."""
_AILING = frozenset({HealthState.DEGRADED, HealthState.UNHEALTHY})


def watch(case: Case) -> Case:
    """Note what the hypothesis says, who acted and who was called; when the fault was noticed, and first acted on."""
    found = findings(case)
    for finding in found:
        case = observe(case, finding.says, about=finding.about)
    for attempt in case.seen.recoveries:
        about = f"RecoveryPolicy {attempt.policy} acted"
        case = observe(case, about, about=about)
    for alert in case.seen.alerts:
        word = "expected" if is_expected(case, alert) else "not expected"
        about = f"{alert.kind} {alert.name} calls for a human"
        case = observe(case, f"{about}: {word}", about=about)
    return _timed(_timed(case, "detected_after", _detected_at(case, found)), "acted_after", _acted_at(case))


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
    """Give the moment from which all was well again, as the parts of the hypothesis and the pods date it.

    What has no beginning of its own, a burn rate or a query, is well since it was looked at.
    """
    start = case.status.injected_at or case.now
    moments = [finding.since or finding.observed_at for finding in findings(case)]
    pods = (pod for one in case.seen.afflicted for pod in one.pods if pod.is_ready)
    moments += [pod.ready_since + CUT for pod in pods if pod.ready_since]
    return min(case.now, max((moment for moment in moments if moment and moment > start), default=start))


def _detected_at(case: Case, found: tuple[Finding, ...]) -> datetime | None:
    """Give when a check was first ailing, or a burn rate or query was first not as it should be."""
    start = case.status.injected_at or case.now
    heard = {finding.about for finding in found if finding.gap is None}
    names = [name for name in watches(case.spec) if f"HealthCheck {name}" in heard]
    ailing = [case.seen.checks[name] for name in names if case.seen.checks[name].state in _AILING]
    moments = [check.since or case.now for check in ailing]
    moments += [one.observed_at or case.now for one in found if one.is_broken and one.since is None]
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
