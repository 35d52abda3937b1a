"""The undo of faults that nobody answers for any more, by the markers alone (C3)."""

from collections.abc import Iterable, Mapping

from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.core.action import HoldFields
from homeostat.core.chaos.marker import held
from homeostat.core.cluster import Pod, Workload
from homeostat.core.guarding.held import Held, Leftover, mark_on, restore_by_mark


def orphans(
    targets: Iterable[Workload | Pod | Held], experiments: Mapping[str, ChaosExperimentStatus]
) -> tuple[HoldFields, ...]:
    """Give the undo of every fault that nobody holds up any more.

    `experiments`: the status of every experiment there is, by uid, listed *after* the targets: otherwise one
    that began in between would look gone. A fault is an orphan when its experiment is gone, has finished, or is
    at a later run. A marker of a run that `experiments` does not know yet is left alone: our view is behind.
    """
    seen = (target if isinstance(target, Held) else held(target) for target in targets)
    marked = ((target, mark_on(target)) for target in seen)
    found = (
        restore_by_mark(target, f"sweep-{target.ref.uid}-{mark.experiment}-{mark.run}")
        for target, mark in marked
        if mark is not None and is_over(mark.run, experiments.get(mark.experiment))
    )
    return tuple(action for action in found if action is not None)


def needless(guards: Iterable[Leftover], experiments: Mapping[str, ChaosExperimentStatus]) -> tuple[Leftover, ...]:
    """Give the guards of runs that are over, or of experiments that are gone."""
    return tuple(guard for guard in guards if is_over(guard.run, experiments.get(guard.experiment)))


def is_over(run: int, status: ChaosExperimentStatus | None) -> bool:
    """Whether nobody holds up the fault of that run any more; `status` is None when the experiment is gone."""
    if status is None or status.run_number > run:
        return True
    return status.phase is Phase.FINISHED and status.run_number == run
