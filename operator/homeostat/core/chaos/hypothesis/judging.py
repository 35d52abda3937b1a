"""Whether the hypothesis holds: what each part of it says now, and how sure that is (C7).

No data has reasons of its own, for each of them is mended elsewhere: nothing was ever there (SignalMissing), it is too
old (SignalStale), who was asked does not know (SignalUnknown), gave an error (SignalError), took too long
(SignalTimeout), or answered with nothing (SignalEmpty).
"""

from datetime import datetime, timedelta

from homeostat.api.chaos import CheckHypothesis, Hypothesis, HypothesisState, PromqlHypothesis, SloHypothesis
from homeostat.api.health_check import HealthState
from homeostat.core.chaos.hypothesis.finding import Finding
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import AnswerSeen, Case, CheckSeen, ObjectiveSeen
from homeostat.core.probing.result import Reason
from homeostat.core.prometheus.answer import Trouble
from homeostat.core.prometheus.comparing import comparison_of

ANSWERS_STALE_AFTER = timedelta(seconds=30)
"""An answer of Prometheus older than this no longer counts; it is asked four times within that."""
LONGEST_QUERY = 64

_ACCEPTED = {
    HypothesisState.HEALTHY: frozenset({HealthState.HEALTHY}),
    HypothesisState.DEGRADED: frozenset({HealthState.HEALTHY, HealthState.DEGRADED}),
}
_MUTE = frozenset({HealthState.UNKNOWN, HealthState.SUSPENDED})


def findings(case: Case) -> tuple[Finding, ...]:
    """Judge each part of the hypothesis by itself."""
    return tuple(_judge(part, case) for part in case.spec.hypothesis)


def objective_gap(objective: ObjectiveSeen | None, now: datetime) -> ChaosReason | None:
    """Say why an objective says nothing; None when it does."""
    if objective is None or objective.observed_at is None:
        return ChaosReason.SIGNAL_MISSING
    return ChaosReason.SIGNAL_STALE if now - objective.observed_at > objective.stale_after else None


def _judge(part: Hypothesis, case: Case) -> Finding:
    if part.health_check is not None:
        return _check(part.health_check, part, case)
    if part.slo is not None:
        return _slo(part.slo, part, case)
    if part.promql is not None:
        return _promql(part.promql, part, case)
    raise ValueError("a hypothesis has exactly one member")


def _check(wanted: CheckHypothesis, part: Hypothesis, case: Case) -> Finding:
    about, check = f"HealthCheck {wanted.name}", case.seen.checks.get(wanted.name)
    gap = _check_gap(check, case.now)
    if check is None or gap is not None:
        due_at = check.fresh_at + check.stale_after if check and check.fresh_at else None
        return Finding(about, part.during_fault, holds=False, gap=gap, says=f"{about}: {gap}", due_at=due_at)
    is_told = check.state is not HealthState.HEALTHY and check.reason not in {"", Reason.OK}  # it passed, but slowly
    why = f" ({check.reason})" if is_told else ""
    return Finding(
        about=about,
        during=part.during_fault,
        holds=check.state in _ACCEPTED[wanted.state],
        gap=None,
        says=f"{about} is {check.state}{why}",
        observed_at=check.observed_at,
        since=check.since,
    )


def _check_gap(check: CheckSeen | None, now: datetime) -> ChaosReason | None:
    if check is None or check.observed_at is None:
        return ChaosReason.SIGNAL_MISSING
    if now - check.observed_at > check.stale_after:
        return ChaosReason.SIGNAL_STALE
    return ChaosReason.SIGNAL_UNKNOWN if check.state in _MUTE else None


def _slo(wanted: SloHypothesis, part: Hypothesis, case: Case) -> Finding:
    about, objective = f"ServiceLevelObjective {wanted.name}", case.seen.objectives.get(wanted.name)
    gap = objective_gap(objective, case.now)
    rate = objective.rate if objective else None
    if gap is None and rate is None:
        gap = ChaosReason.SIGNAL_EMPTY
    if objective is None or rate is None or gap is not None:
        return Finding(about, part.during_fault, holds=False, gap=gap, says=f"{about}: {gap}")
    holds = rate < wanted.burn_rate_below
    verb = "burns slower than" if holds else "does not burn slower than"
    return Finding(
        about=about,
        during=part.during_fault,
        holds=holds,
        gap=None,
        says=f"{about} {verb} {wanted.burn_rate_below}",
        observed_at=objective.observed_at,
    )


def _promql(wanted: PromqlHypothesis, part: Hypothesis, case: Case) -> Finding:
    about, answer = f"the query {wanted.query[:LONGEST_QUERY]}", case.seen.answers.get(wanted.query)
    gap, comparison = _answer_gap(answer, case.now), comparison_of(wanted.condition)
    if answer is None or answer.value is None or gap is not None or comparison is None:
        why = f" ({answer.problem})" if answer and answer.problem else ""
        gap = gap or ChaosReason.SIGNAL_MISSING
        return Finding(about, part.during_fault, holds=False, gap=gap, says=f"{about}: {gap}{why}")
    holds = comparison.holds(answer.value)
    return Finding(
        about=about,
        during=part.during_fault,
        holds=holds,
        gap=None,
        says=f"{about}: the value is {'' if holds else 'not '}{wanted.condition}",
        observed_at=answer.at,
    )


def _answer_gap(answer: AnswerSeen | None, now: datetime) -> ChaosReason | None:
    """Say why there is no value. A question that failed just now counts, however young the answer before it is."""
    if answer is None:
        return ChaosReason.SIGNAL_MISSING
    if answer.trouble is not None:
        return ChaosReason.SIGNAL_TIMEOUT if answer.trouble is Trouble.TIMEOUT else ChaosReason.SIGNAL_ERROR
    if answer.at is None:
        return ChaosReason.SIGNAL_MISSING
    if answer.value is None:
        return ChaosReason.SIGNAL_EMPTY
    return ChaosReason.SIGNAL_STALE if now - answer.at > ANSWERS_STALE_AFTER else None
