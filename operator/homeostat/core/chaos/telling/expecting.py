"""What an experiment tells those that call humans: what is due to its fault, from when on, and for how long (C13)."""

from collections.abc import Iterator

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Verdict
from homeostat.core.chaos.hypothesis.incidents import OBJECTIVE, POLICY, expected
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.telling.standing import AT_WORK
from homeostat.core.objective.drills import Drill


def drills(
    experiment: str, spec: ChaosExperimentSpec, status: ChaosExperimentStatus, objective: str
) -> Iterator[Drill]:
    """Give the runs that account for alerts of an objective: the one under way, or the last one if it passed."""
    if (OBJECTIVE, objective) not in expected(spec):
        return
    if _is_on(status) and status.injected_at is not None:
        yield Drill(experiment, status.injected_at)
    last = status.runs[0] if status.runs else None
    if last is not None and last.verdict is Verdict.PASSED:
        yield Drill(experiment, last.started_at, over_at=last.ended_at)


def is_drill_of(spec: ChaosExperimentSpec, status: ChaosExperimentStatus, policy: str) -> bool:
    """Whether a run is under way that is a drill of a RecoveryPolicy."""
    return _is_on(status) and (POLICY, policy) in expected(spec)


def _is_on(status: ChaosExperimentStatus) -> bool:
    """Whether the fault is on, or was until just now. A fault that cannot be taken off is nobody's plan (C16)."""
    is_due = status.phase in AT_WORK and status.reason != ChaosReason.RECOVERY_FAILED
    return is_due and status.injected_at is not None
