"""What `homeostat chaos sweep` shows: what was found, and what became of it."""

from dataclasses import dataclass, replace
from typing import Any

from homeostat.core.chaos.faults.sweeping import is_over
from homeostat.core.guarding.held import Held, mark_on
from homeostat.core.ref import Ref
from homeostat.kube.faults.remains import Holder, Remains
from homeostat.kube.leases.lease import LeaseObject

_GONE = {
    "marked": "restored",
    "guard": "removed",
    "agent": "ended",
    "lock": "removed",
    "experiment": "finalizer removed",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: of `kind` marked, guard, agent, lock or experiment. `is_left`: it still is there."""

    kind: str
    what: str
    whose: str
    result: str
    is_left: bool


def name_of(ref: Ref) -> str:
    """Name an object: Kind/namespace/name, or Kind/name."""
    return "/".join(part for part in (ref.kind, ref.namespace, ref.name) if part)


def found_in(remains: Remains, *, is_all: bool) -> list[Finding]:
    """List what there is, before anything is done. What an experiment still holds up is left to it, unless `is_all`."""
    names = {one.ref.uid: name_of(one.ref) for one in remains.holders}
    found = [_marked(remains, held, names, is_all=is_all) for held in remains.marked]
    for guard in remains.guards:
        is_needless = is_all or is_over(guard.run, remains.experiments.get(guard.experiment))
        whose = f"{names.get(guard.experiment, guard.experiment)} run {guard.run}"
        found.append(Finding("guard", guard.name, whose, "" if is_needless else "in use", is_needless))
    for agent in remains.agents:
        held_up = "" if is_all or remains.leader == "" else "held up by the operator, or about to end"
        found.append(Finding("agent", f"{name_of(agent.pod)} {agent.container}", "", held_up, not held_up))
    found += [_lock(one) for one in remains.locks]
    unserved = [one for one in remains.holders if one.has_finalizer and (is_all or remains.leader == "")]
    found += [Finding("experiment", name_of(one.ref), "", _unserved(one), is_left=True) for one in unserved]
    return found


def compared(before: list[Finding], after: list[Finding]) -> list[Finding]:
    """Say of what was found what became of it, by what is found now."""
    now = {(one.kind, one.what): one for one in after}
    known = {(one.kind, one.what) for one in before}
    new = [one for one in after if (one.kind, one.what) not in known]
    return [
        now.get((one.kind, one.what)) or replace(one, result=_GONE[one.kind], is_left=False) for one in before
    ] + new


def as_text(found: list[Finding]) -> str:
    """Write a line for each, and what it comes to."""
    lines = [f"{one.kind:<11} {one.what:<52} {one.whose:<48} {_result(one)}".rstrip() for one in found]
    left = sum(one.is_left for one in found)
    lines.append(f"{left} left" if left else "nothing is left behind")
    return "\n".join(lines) + "\n"


def as_data(found: list[Finding]) -> dict[str, Any]:
    """Give the same as data."""
    findings = [
        {"kind": one.kind, "what": one.what, "whose": one.whose, "result": _result(one), "isLeft": one.is_left}
        for one in found
    ]
    return {"found": findings, "left": sum(one.is_left for one in found)}


def _result(found: Finding) -> str:
    return found.result or "left behind"


def _marked(remains: Remains, held: Held, names: dict[str, str], *, is_all: bool) -> Finding:
    mark, what = mark_on(held), name_of(held.ref)
    if mark is None:
        return Finding("marked", what, "", "the marker cannot be read: undo it by hand", is_left=True)
    whose = f"{names.get(mark.experiment, mark.experiment)} run {mark.run}"
    is_orphan = is_all or is_over(mark.run, remains.experiments.get(mark.experiment))
    return Finding("marked", what, whose, "" if is_orphan else "in use", is_orphan)


def _lock(lock: LeaseObject) -> Finding:
    whose = "/".join(lock.holder.split("/")[:3])
    return Finding("lock", f"Lease/{lock.namespace}/{lock.name}", whose, "", is_left=True)


def _unserved(holder: Holder) -> str:
    return "waits to be deleted, and nobody leads" if holder.is_deleting else "bears our finalizer, and nobody leads"
