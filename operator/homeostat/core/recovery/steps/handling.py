"""How an action on record is handled: what carries it out, whether it happened, whether its ground still stands."""

from collections.abc import Callable
from dataclasses import dataclass

from homeostat.api.recovery_attempt import InFlight, ObjectId
from homeostat.core.action import Action
from homeostat.core.cluster import Pod, Workload
from homeostat.core.recovery.seen import Case

MARKER = "homeostat.dev/attempt"
"""Annotation on an object: the id of the newest change of ours that stands on it."""


def _always(_case: Case, _workload: Workload, _entry: InFlight) -> bool:
    return True


def _version_of_workload(_case: Case, workload: Workload, _entry: InFlight) -> str:
    return workload.resource_version


@dataclass(frozen=True, slots=True)
class Handling:
    """The handling of one kind of action. All are asked with the case, the workload that is locked, and the entry.

    `act` gives the action, the same again for the same entry. `has_happened`: the world shows that it took effect.
    `is_untouched`: what it is to change still is as the intent found it, nobody else has written it since (R8).
    `version`: the version of its object that is seen now. `is_reversible`: it can be put back. `has_settled`: once it
    happened, its object is as it was meant to be, as far as the pods of the workload do not tell it. `leaves_a_trace`:
    the world can show whether it happened; else only an answer does, and it is asked for until there is one.
    """

    act: Callable[[Case, Workload, InFlight], Action]
    has_happened: Callable[[Case, Workload, InFlight], bool]
    is_untouched: Callable[[Case, Workload, InFlight], bool] = _always
    version: Callable[[Case, Workload, InFlight], str] = _version_of_workload
    is_reversible: bool = False
    has_settled: Callable[[Case, Workload, InFlight], bool] = _always
    leaves_a_trace: bool = True


def marker(workload: Workload) -> str:
    """Read which change of ours was the newest on an object."""
    return dict(workload.annotations).get(MARKER, "")


def marker_of_write(case: Case, entry: InFlight) -> dict[str, str | None]:
    """Give what a write makes of the marker: an undo leaves the name of the change below it, if there is one."""
    return {MARKER: (_below(case, entry) or None) if entry.undoes else entry.id}


def is_marked(case: Case, workload: Workload, entry: InFlight) -> bool:
    """Whether the marker is as the write of `entry` makes it."""
    return marker(workload) == (_below(case, entry) if entry.undoes else entry.id)


def is_ours(workload: Workload, entry: InFlight) -> bool:
    """Whether nobody has replaced the whole object since our change, which would have wiped our marker."""
    return not entry.undoes or bool(marker(workload))


def _below(case: Case, entry: InFlight) -> str:
    changes = [one for one in case.status.changes if one.target.uid == entry.target.uid and one.id != entry.undoes]
    return changes[-1].id if changes else ""


def workload_of(case: Case, entry: InFlight) -> Workload | None:
    """Find the object that is locked for an action, as it is seen now."""
    if entry.workload is None:
        return case.seen.target
    uid = entry.workload.uid
    return next((one for one in in_view(case) if one.ref.uid == uid), None)


def holder_of(case: Case, target: ObjectId) -> Workload | None:
    """Find the workload that is `target`, or whose pod it is."""
    return next((one for one in in_view(case) if target.uid == one.ref.uid or pod_of(one, target)), None)


def in_view(case: Case) -> tuple[Workload, ...]:
    """Give all workloads that were read."""
    return (*((case.seen.target,) if case.seen.target else ()), *case.seen.others)


def pod_of(workload: Workload, target: ObjectId) -> Pod | None:
    """Find a pod of a workload."""
    return next((pod for pod in workload.pods if pod.ref.uid == target.uid), None)
