"""How an agent's fault goes on: its container first, then the go, once every agent of the run says that it can."""

from collections.abc import Iterable, Iterator

from homeostat.api.chaos_status import TargetPhase, TargetRecord, Verdict
from homeostat.core.action import Action, HoldAgent, Outcome, StartAgent, Verb
from homeostat.core.chaos.faults.agents import is_blow
from homeostat.core.chaos.faults.objects import agent_now, has_ended, said_by, target_now
from homeostat.core.chaos.faults.settings import is_among_processes, order_of
from homeostat.core.chaos.limits import locks
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, ref_of
from homeostat.core.orders import AgentState, OffReason

BEATS = 3.0
"""For how many seconds each decision has an agent held: as long as it waits for beats itself."""
KILLED = 137
"""The exit code of a container that ended with all processes that it could see."""
_MAY = frozenset({AgentState.READY, AgentState.ON})
_OVER = frozenset({AgentState.OFF, AgentState.REFUSED})


def is_on(case: Case, record: TargetRecord) -> bool:
    """Whether the fault is on; or, of a blow, was dealt: the agent says so, or ended with what it was to kill."""
    said = said_by(case, record)
    if said is not None and said.state is AgentState.ON:
        return True
    if not is_blow(case):
        return False
    if said is not None and said.state in _OVER:
        return said.state is AgentState.OFF and said.reason == OffReason.DONE
    return ended_with_target(case, record) and _may_have_begun(case, record)


def ended_with_target(case: Case, record: TargetRecord) -> bool:
    """Whether an agent among the processes of a container was killed with them: that container has started again."""
    container = agent_now(case, record).container
    is_killed = container is not None and container.state == "Ended" and container.exit_code == KILLED
    return is_killed and is_among_processes(case.spec)


def actions(case: Case) -> Iterator[StartAgent | HoldAgent]:
    """Start the agents that are not heard yet; once all can, have all begin: nothing is touched before."""
    ours = tuple((index, one) for index, one in enumerate(case.status.targets) if one.agent)
    for index, record in ours:
        if record.phase is TargetPhase.PLANNED and not _is_there(case, record):
            ref = ref_of(record, case.seen.ref.namespace)
            yield StartAgent(locks.injection_id(case, index), ref, record.agent, order_of(case, record))
    can_begin = all(_may_begin(case, record) for _, record in ours)
    yield from (beat for record, beat in _beats(case) if can_begin or record.phase is TargetPhase.INJECTED)


def beats(case: Case) -> tuple[HoldAgent, ...]:
    """Beat for each agent that is there and not over."""
    return tuple(beat for _, beat in _beats(case))


def _beats(case: Case) -> Iterator[tuple[TargetRecord, HoldAgent]]:
    for index, record in enumerate(case.status.targets):
        said = said_by(case, record) if record.agent else None
        is_over = has_ended(case, record) or (said is not None and said.state in _OVER)
        if record.agent and not is_over and target_now(case, record) is not None:
            ref = ref_of(record, case.seen.ref.namespace)
            begins = record.phase is TargetPhase.PLANNED and not agent_now(case, record).was_told
            yield record, HoldAgent(f"{locks.run_id(case)}-hold-{index}", ref, record.agent, BEATS, begins)


def not_yet_done(case: Case, wanted: Iterable[Action]) -> tuple[Action, ...]:
    """Leave out what the last look has done. Beats that go on are asked for by each look: looks may take long."""
    return tuple(action for action in wanted if action.id not in case.seen.outcomes or _goes_on(action))


def _goes_on(action: Action) -> bool:
    return isinstance(action, HoldAgent) and not action.begins


def may_be_on(case: Case) -> bool:
    """Whether the fault may be on without being seen yet: an agent that was ready was told to go.

    One of a blow often ends with what it kills, before it could say so; the kubelet tells of that a moment after users
    do.
    """
    return any(_may_have_begun(case, one) for one in case.status.targets if one.agent)


def _may_have_begun(case: Case, record: TargetRecord) -> bool:
    """Whether an agent was told to begin; of a blow, which nobody holds, an operator that came later cannot tell."""
    agent = agent_now(case, record)
    if agent.was_told or not is_blow(case):
        return agent.was_told
    since, recorded_at = case.seen.watched_since, case.status.injected_at
    came_later = since is not None and recorded_at is not None and recorded_at <= since
    return came_later and (agent.said is not None or has_ended(case, record))


def failure(case: Case, index: int, record: TargetRecord) -> Refusal | None:
    """Give the reason why the agent of a target will not begin."""
    answer = case.seen.outcomes.get(locks.injection_id(case, index))
    if answer is not None and answer.verb is Verb.REFUSED:
        return _not_let_in(record, answer)
    said = said_by(case, record)
    if said is not None and said.state is AgentState.REFUSED:
        message = f"the agent in Pod/{record.name} refused: {said.reason}: {said.message}"
        return Refusal(ChaosReason.AGENT_REFUSED, message[:500])
    if said is not None and said.state is AgentState.OFF:
        return Refusal(ChaosReason.AGENT_LOST, f"the agent in Pod/{record.name} ended at once: {said.reason}")
    return _not_started(case, record)


def too_late(case: Case) -> Refusal:
    """Say that agents took too long."""
    names = (one.name for one in case.status.targets if one.agent and one.phase is TargetPhase.PLANNED)
    return Refusal(ChaosReason.AGENT_NOT_STARTED, f"the agent in Pod/{next(names, '')} was not ready in time")


def _is_there(case: Case, record: TargetRecord) -> bool:
    """Whether the agent is in its pod: then it is waited for, not asked for again."""
    return agent_now(case, record).container is not None or said_by(case, record) is not None


def _may_begin(case: Case, record: TargetRecord) -> bool:
    said = said_by(case, record)
    return record.phase is not TargetPhase.PLANNED or (said is not None and said.state in _MAY)


def _not_let_in(record: TargetRecord, answer: Outcome) -> Refusal | None:
    """Tell who kept the agent out. A conflict is none: the pod just changed, and the next look tries again."""
    if answer.reason == "Conflict":
        return None
    if answer.reason == "NotFound":
        return Refusal(ChaosReason.TARGET_GONE, f"Pod/{record.name} is gone", Verdict.INCONCLUSIVE)
    reason = ChaosReason.AGENT_FORBIDDEN if answer.reason == "Forbidden" else ChaosReason.AGENT_NOT_STARTED
    return Refusal(reason, f"no agent may be put into Pod/{record.name}: {answer.message or answer.reason}"[:500])


def _not_started(case: Case, record: TargetRecord) -> Refusal | None:
    container = agent_now(case, record).container
    if container is None or (container.state != "Ended" and not container.is_stuck):
        return None
    if container.exit_code == 0:
        message = f"the agent in Pod/{record.name} ended while nobody listened"
        return Refusal(ChaosReason.INTERRUPTED, message, Verdict.INCONCLUSIVE)
    what = container.reason or f"it ended with {container.exit_code}"
    return Refusal(ChaosReason.AGENT_NOT_STARTED, f"the agent in Pod/{record.name} did not start: {what}"[:500])
