"""How the fault goes off: by what stands on the targets now, and only where it is still ours (C5, C6).

A field that still is what the fault set gets its original back; one that somebody else changed meanwhile keeps the
newer value. The marker goes in the same write. An agent is told to end, and is off when it says so, when its container
is over, or when its pod is gone. The guard goes last.
"""

from collections.abc import Iterator
from datetime import timedelta

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import TargetPhase, TargetRecord
from homeostat.core.action import DropGuard, HoldFields, StopAgent, Verb
from homeostat.core.chaos.faults import guard
from homeostat.core.chaos.faults.by_hand import command_of, drop_guard_command
from homeostat.core.chaos.faults.objects import CONFLICT, agent_now, has_ended, is_marked_by, said_by, standing
from homeostat.core.chaos.limits import locks
from homeostat.core.chaos.marker import held, holder_of
from homeostat.core.chaos.seen import Case, ref_of
from homeostat.core.cluster import Pod, Workload
from homeostat.core.guarding.held import is_same, ours
from homeostat.core.orders import AgentState

MOST_FAILURES = 3
"""After so many failed attempts a human is told the commands; trying goes on (C16)."""
LONGEST_PAUSE = timedelta(seconds=30)
LONGEST_COMMANDS = 900
AGENT_PATIENCE = timedelta(seconds=15)
"""An agent that cannot be seen to be off for so long counts as a failed attempt; its lease ended long before."""
Undo = HoldFields | StopAgent | DropGuard
_OFF = frozenset({AgentState.OFF, AgentState.REFUSED})


def settle(case: Case) -> Case:
    """Put on record what of each target is undone by now, whoever did it; and that the guard is gone."""
    targets = tuple(record.model_copy(update={"phase": _phase(case, record)}) for record in case.status.targets)
    answer = case.seen.outcomes.get(guard.drop(case).id) if case.status.guard else None
    is_dropped = answer is not None and answer.verb is Verb.DONE
    return case.with_status(targets=targets, guard="" if is_dropped else case.status.guard)


def needed(case: Case) -> tuple[Undo, ...]:
    """Give what takes the fault off what still holds it, and then the guard away."""
    writes = tuple(_needed(case))
    if writes or not case.status.guard:
        return writes
    return (guard.drop(case),)


def has_failed(case: Case) -> bool:
    """Whether an attempt just failed. A target that changed under our hands is no failure: look again.

    An agent that cannot be told ends by itself, which takes a while to be seen.
    """
    wanted = needed(case)
    answers = (case.seen.outcomes.get(action.id) for action in wanted if not isinstance(action, StopAgent))
    is_refused = any(
        answer is not None
        and answer.verb is not Verb.DONE
        and not (answer.verb is Verb.REFUSED and answer.reason == CONFLICT)
        for answer in answers
    )
    return is_refused or (_is_overdue(case) and any(isinstance(action, StopAgent) for action in wanted))


def pause_after(failures: int) -> timedelta:
    """Give the pause after so many failures: doubling from a second."""
    return min(LONGEST_PAUSE, timedelta(seconds=2 ** min(failures, 10)))


def can_be_swept(case: Case) -> bool:
    """Whether every fault that is left bears its marker, or ends by itself: only such a one may be left to the sweeper.

    An agent ends with its lease, and a guard with what it guards.
    """
    left = ((record, standing(case, record)) for record in _left(case) if not record.agent)
    return all(target is not None and is_marked_by(case, target) for _, target in left)


def commands(case: Case) -> str:
    """Write what a human types to undo what is left: whole commands only, as many as fit."""
    left = [command_of(ref_of(one, case.seen.ref.namespace), one, standing(case, one)) for one in _left(case)]
    if case.status.guard:
        left.append(drop_guard_command(case.status.guard))
    text = ""
    for command in left:
        if text and len(text) + len(command) > LONGEST_COMMANDS:
            return f"{text}; and so on for each of status.targets"
        text = f"{text}; {command}" if text else command
    return text


def _needed(case: Case) -> Iterator[HoldFields | StopAgent]:
    attempts = case.status.revert.attempts if case.status.revert else 0
    for index, record in enumerate(case.status.targets):
        target = standing(case, record)
        action_id = f"{locks.run_id(case)}-undo-{index}-{attempts}"
        if target is None or not _is_on(case, record, target):
            continue
        if record.agent:
            yield StopAgent(action_id, target.ref, record.agent)
        else:
            back = ours(record.original, record.to, held(target).fields)
            yield HoldFields(action_id, target.ref, target.resource_version, back, {MARKER: None})


def _left(case: Case) -> Iterator[TargetRecord]:
    for record in case.status.targets:
        target = standing(case, record)
        if target is not None and _is_on(case, record, target):
            yield record


def _is_on(case: Case, record: TargetRecord, target: Workload | Pod) -> bool:
    """Whether something of the fault is there, or may be."""
    if record.agent:
        return _is_at_work(case, record)
    return bool(record.to) and _holds_fault(case, record, target)


def _is_at_work(case: Case, record: TargetRecord) -> bool:
    """Whether an agent that is in the pod has neither said that it is off nor ended.

    One that waits for its image has done nothing; should it come to life, it ends for want of a first beat.
    """
    said, container = said_by(case, record), agent_now(case, record).container
    if said is not None:
        return said.state not in _OFF and not has_ended(case, record)
    never_began = record.phase is TargetPhase.PLANNED and container is not None and container.state == "Waiting"
    return container is not None and container.state != "Ended" and not never_began


def _holds_fault(case: Case, record: TargetRecord, target: Workload | Pod) -> bool:
    """Whether the fault is on: our marker says so, or our record does and a value is what we set.

    The second is for a target whose annotation somebody stripped or spoiled. Another experiment's marker is not ours.
    """
    if is_marked_by(case, target):
        return True
    now = held(target).fields
    is_set = any(is_same(name, now.get(name), value) for name, value in record.to.items())
    return record.phase is TargetPhase.INJECTED and is_set and not holder_of(target)


def _phase(case: Case, record: TargetRecord) -> TargetPhase:
    was_hit = record.phase is TargetPhase.INJECTED
    target = standing(case, record)
    if target is None and record.to and record.kind != "Pod":
        return TargetPhase.GONE
    if target is not None and record.to and _holds_fault(case, record, target):
        return TargetPhase.INJECTED
    if not was_hit or (target is not None and record.agent and _is_at_work(case, record)):
        return record.phase
    if target is None or not record.to:  # a pod takes its fault with it
        return TargetPhase.REVERTED
    now = held(target).fields
    is_back = all(is_same(name, now.get(name), record.original.get(name)) for name in record.to)
    return TargetPhase.REVERTED if is_back else TargetPhase.SUPERSEDED


def _is_overdue(case: Case) -> bool:
    revert = case.status.revert
    return revert is not None and case.now - revert.started_at >= AGENT_PATIENCE * (revert.attempts + 1)
