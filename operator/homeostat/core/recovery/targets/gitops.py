"""What a Git repository owns: a change of it lasts until its controller looks again (Argo CD, Flux).

Known by the marks those tools leave (labels, annotations) and by the fields that they own as field managers. Helm's
own label alone is nobody's: Helm writes when a human runs it, and reconciles nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.api.recovery_attempt import InFlight, TargetPhase
from homeostat.api.recovery_step import Step
from homeostat.core.cluster import Workload
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.actions import HANDLINGS
from homeostat.core.recovery.steps.handling import in_view, workload_of

REPLICAS, TEMPLATE = "spec.replicas", "spec.template"


def writes_git(step: Step, workload: Workload | None) -> tuple[str, ...]:
    """Name the fields of a workload that a step writes and a Git repository owns.

    A restart is none: it writes an annotation of its own, which the repository does not have and leaves alone.
    """
    git = workload.git if workload else None
    if git is None:
        return ()
    return tuple(path for path in _written_by(step) if any(_overlap(path, owned) for owned in git.fields))


def is_reverted(case: Case, entry: InFlight) -> bool:
    """Whether what an action put in place was set back to what stood before, on an object reconciled from Git.

    What left everything as it was looks the same whether or not somebody took it back: nobody did.
    """
    if entry.original == entry.desired:
        return False
    target, handling = workload_of(case, entry), HANDLINGS.get(entry.action)
    if target is None or target.git is None or handling is None or not handling.is_reversible:
        return False
    return not entry.undoes and entry.phase is TargetPhase.DONE and handling.is_untouched(case, target, entry)


def warning(case: Case) -> str:
    """Say what Git owns and steps would write, and who will take it back; "" when there is nothing of the kind."""
    told = [
        f"{step.name} writes {', '.join(fields)} of {one.ref.kind} {one.ref.name}, which {_owner(one)} will take back"
        for step in case.spec.steps
        for one in _subjects(case, step)
        if (fields := writes_git(step, one))
    ]
    return f"{'; '.join(told)}."[:1024] if told else ""


def _subjects(case: Case, step: Step) -> tuple[Workload, ...]:
    if not step.targets:
        return (case.seen.target,) if case.seen.target else ()
    names = {(one.kind.value, one.name) for one in step.targets}
    return tuple(one for one in in_view(case) if (one.ref.kind, one.ref.name) in names)


def _owner(workload: Workload) -> str:
    return f"{workload.git.tool} {workload.git.name}".strip() if workload.git else ""


def _written_by(step: Step) -> Iterator[str]:
    if step.scale:
        yield REPLICAS
    elif step.rollout_undo:
        yield TEMPLATE
    elif step.patch:
        yield from _leaves(step.patch.patch)


def _leaves(body: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Give the paths that a patch touches; a list is one field."""
    for name, value in body.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, here)
        else:
            yield here


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one is inside the other; labels and annotations have dots in their names."""
    if one.startswith("metadata."):
        return one == other
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
