"""What ends a run at once, whatever the hypothesis says: also before the fault, and at each look (C8)."""

from homeostat.api.chaos import BudgetStop, DuringFault, SloStop, StopCondition
from homeostat.core.chaos.hypothesis.finding import Finding, broken
from homeostat.core.chaos.hypothesis.judging import objective_gap
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case


def stops(case: Case) -> tuple[Finding, ...]:
    """Judge each stop condition: one that holds does not stop. Without data none does, for then nobody watches."""
    return tuple(_judge(stop, case) for stop in case.spec.stop_conditions)


def stop_refusal(case: Case) -> Refusal | None:
    """Give the first stop condition that is met."""
    for stop in case.spec.stop_conditions:
        met = broken((_judge(stop, case),))
        if met is not None:
            reason = ChaosReason.BURN_RATE_ABOVE if stop.slo is not None else ChaosReason.BUDGET_BELOW
            return Refusal(reason, met.says)
    return None


def _judge(stop: StopCondition, case: Case) -> Finding:
    if stop.slo is not None:
        return _rate(stop.slo, case)
    if stop.budget is not None:
        return _budget(stop.budget, case)
    raise ValueError("a stop condition has exactly one member")


def _rate(stop: SloStop, case: Case) -> Finding:
    """An hour without any traffic burns nothing: that does not stop, though it proves nothing either (S5)."""
    about, objective = f"ServiceLevelObjective {stop.name}", case.seen.objectives.get(stop.name)
    gap = objective_gap(objective, case.now)
    if objective is None or gap is not None:
        return _mute(about, gap)
    holds = objective.rate is None or objective.rate <= stop.burn_rate_above
    says = f"{about} burns {'not ' if holds else ''}faster than {stop.burn_rate_above}"
    return Finding(about, DuringFault.MUST_HOLD, holds, None, says, objective.observed_at)


def _budget(stop: BudgetStop, case: Case) -> Finding:
    about, objective = f"ServiceLevelObjective {stop.slo}", case.seen.objectives.get(stop.slo)
    gap = objective_gap(objective, case.now)
    if objective is None or objective.remaining is None or gap is not None:
        return _mute(about, gap or ChaosReason.SIGNAL_EMPTY)
    holds = objective.remaining >= stop.remaining_below
    least = f"{(stop.remaining_below * 100).normalize():f}%"
    says = f"{about} has {'no less' if holds else 'less'} than {least} of its budget left"
    return Finding(about, DuringFault.MUST_HOLD, holds, None, says, objective.observed_at)


def _mute(about: str, gap: ChaosReason | None) -> Finding:
    return Finding(about, DuringFault.MUST_HOLD, holds=False, gap=gap, says=f"{about}: {gap}")
