"""What was measured before, during and after the fault, and what of each objective's budget the run took (C17)."""

from decimal import ROUND_CEILING, Decimal

from homeostat.api.chaos_status import ChaosExperimentStatus, Stage, Stages
from homeostat.core.chaos.faults.objects import workload_now
from homeostat.core.chaos.hypothesis.named import objective_names
from homeostat.core.chaos.seen import Case, MeasuresSeen
from homeostat.core.chaos.telling.report import rounded

BEFORE, DURING, AFTER = "before", "during", "after"
_HUNDREDTH = Decimal("0.01")


def stage_of(status: ChaosExperimentStatus) -> str:
    """Name the part of a run that a status is in."""
    if status.injected_at is None:
        return BEFORE
    return DURING if status.revert is None or status.revert.done_at is None else AFTER


def measure(case: Case) -> Case:
    """Put on record what was measured so far: what an earlier process measured is kept where this one knows less."""
    stages, name = case.status.stages or Stages(), stage_of(case.status)
    seen = case.seen.measures.get(name)
    if seen is not None:
        stage = _stage(case, getattr(stages, name) or Stage(), seen)
        stages = stages.model_copy(update={name: stage})
    elif case.status.stages is None:
        return _spent(case)
    return _spent(case.with_status(stages=stages))


def _stage(case: Case, known: Stage, seen: MeasuresSeen) -> Stage:
    is_more = seen.passed + seen.failed >= known.passed + known.failed
    scores = [score for score in (known.score, seen.score) if score is not None]
    return Stage(
        passed=seen.passed if is_more else known.passed,
        failed=seen.failed if is_more else known.failed,
        latency=known.latency if seen.latency is None or not is_more else rounded(seen.latency),
        score=min(scores, default=None),
        restarts=max(known.restarts, restarts_now(case) - (case.status.stages or Stages()).restarted_before),
    )


def restarts_now(case: Case) -> int:
    """Count the restarts of all containers of the workloads on record, since these pods began."""
    uids = dict.fromkeys(record.workload.uid for record in case.status.targets)
    workloads = (workload_now(case, uid) for uid in uids)
    return sum(pod.restarts for workload in workloads if workload is not None for pod in workload.pods)


def _spent(case: Case) -> Case:
    spent = dict(case.status.budget_spent)
    for name in objective_names(case.spec):
        objective = case.seen.objectives.get(name)
        if objective is not None and objective.spent_since is not None:
            spent[name] = percent(objective.spent_since)
    return case.with_status(budget_spent=dict(list(spent.items())[:16]))


def percent(share: Decimal) -> str:
    """Write a share of a budget, like 0.0125, as 1.25%: rounded up, so that it never claims less than the truth."""
    return f"{max(Decimal(0), share * 100).quantize(_HUNDREDTH, ROUND_CEILING).normalize():f}%"
