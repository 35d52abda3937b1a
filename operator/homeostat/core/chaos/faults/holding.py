"""The records of held fields: what a field was, what it becomes, and the marker that says both on the object itself."""

from collections.abc import Mapping

from homeostat.api.chaos_status import MOST_FIELDS, TargetRecord, WorkloadRecord
from homeostat.core.chaos.faults.draft import Line, elsewhere, title
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.marker import LONGEST, held, marker_text
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload
from homeostat.core.guarding.held import is_same

LONGEST_VALUE = 1024


def hold(
    case: Case, target: Workload | Pod, workload: WorkloadRecord, wanted: Mapping[str, str], words: tuple[str, str]
) -> Line | Refusal:
    """Plan to hold fields of one object at `wanted`; `words`: the change and the undo. Equal fields are left out."""
    now = held(target).fields
    to = {name: value for name, value in sorted(wanted.items()) if not is_same(name, now.get(name), value)}
    original = {name: now[name] for name in to if name in now}
    marker = marker_text(case.seen.ref.uid, max(1, case.status.run_number), original, to)
    if not to:
        return Refusal(ChaosReason.NOTHING_TO_CHANGE, f"{title(target)} already is as the fault would make it")
    is_long = any(len(value) > LONGEST_VALUE for value in original.values())
    if is_long or len(to) > MOST_FIELDS or len(marker) > LONGEST:
        message = f"what {title(target)} has in these fields is too long to be put on record"
        return Refusal(ChaosReason.CANNOT_RESTORE, message)
    record = TargetRecord(
        kind=target.ref.kind,
        name=target.ref.name,
        uid=target.ref.uid,
        namespace=elsewhere(case, target),
        original=original,
        to=to,
        marker=marker,
        workload=workload,
    )
    return Line(record, *words)


def references_refusal(workload: Workload, wanted: Mapping[str, str]) -> Refusal | None:
    """C6: refuse a field that holds a reference now, as to a Secret: no text of ours could put it back."""
    found = next((name for name in sorted(wanted) if name in workload.references), None)
    if found is None:
        return None
    message = f"{found} of {title(workload)} is a reference, which could not be restored"
    return Refusal(ChaosReason.CANNOT_RESTORE, message)


def described(names: Mapping[str, str], known: Mapping[str, str]) -> str:
    """Write fields for humans: `image/app from shop:1 to shop:2`; of what an environment held nothing is told."""
    return ", ".join(f"{name}{_before(name, known)} to {value}" for name, value in sorted(names.items()))


def _before(name: str, known: Mapping[str, str]) -> str:
    """Write what a field was. Variables hold passwords too often to be shown in events, plans and logs."""
    return "" if name.startswith("env/") else f" from {known.get(name, 'none')}"
