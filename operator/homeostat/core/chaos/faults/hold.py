"""How the fault is held up while it lasts (C18): beats for agents, renewal for the guard, locks; and how that ends."""

from collections.abc import Iterator
from datetime import timedelta

from homeostat.api.chaos_status import TargetPhase, TargetRecord, Verdict
from homeostat.core.action import Action
from homeostat.core.chaos.faults import arming, guard
from homeostat.core.chaos.faults.agents import is_blow
from homeostat.core.chaos.faults.objects import agent_now, has_ended, said_by, standing
from homeostat.core.chaos.limits import locks
from homeostat.core.chaos.limits.gates import Refusal
from homeostat.core.chaos.marker import held
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.guarding.held import ours
from homeostat.core.orders import AgentState, OffReason, Said

SILENCE = timedelta(seconds=4)
"""An agent that was not heard of for so long has lost its lease."""
_LONGEST = 256
_ENDED = frozenset({AgentState.OFF, AgentState.REFUSED})


def keep(case: Case) -> tuple[Action, ...]:
    """Give what keeps fault, guard and locks up for the next moment."""
    beats = () if is_blow(case) else arming.beats(case)
    return arming.not_yet_done(case, (*beats, *guard.renewal(case), *locks.keep(case)))


def lost(case: Case) -> Refusal | None:
    """Give the reason why the fault is not on any more, before its time.

    That its target was replaced, or started again, is none: that may be what the fault is to bring about.
    """
    if guard.has_fired(case):
        message = "the guard undid the fault before its time"
        return Refusal(ChaosReason.GUARD_FIRED, message, Verdict.INCONCLUSIVE)
    if is_blow(case):
        return None
    at_work = (one for one in case.status.targets if one.agent and one.phase is TargetPhase.INJECTED)
    why = next(((record, why) for record in at_work if (why := _lost(case, record))), None)
    if why is None:
        return None
    message = f"the agent in Pod/{why[0].name} {why[1]}"
    return Refusal(ChaosReason.AGENT_LOST, message[:500], Verdict.INCONCLUSIVE)


def changed(case: Case) -> Iterator[tuple[str, str]]:
    """Say of each target which fields no longer are as the fault made them: a policy, a controller or a human did that.

    It ends nothing, for it may be what the fault is to bring about; but the fault did not last as long as it seems.
    """
    for record in case.status.targets:
        target = standing(case, record) if record.to and record.phase is TargetPhase.INJECTED else None
        if target is None:
            continue
        others = sorted(record.to.keys() - ours(record.original, record.to, held(target).fields).keys())
        if others:
            about = f"{record.kind}/{record.name} no longer is as the fault made it"
            yield about, f"{about}: {', '.join(others)}"


def noted(case: Case) -> Case:
    """Put on record what the agents use, and what their faults have met."""
    return case.with_status(targets=tuple(_noted(case, record) for record in case.status.targets))


def _lost(case: Case, record: TargetRecord) -> str:
    """Say how an agent was lost; "" while it holds, and when pod or container went: then the fault went too."""
    if standing(case, record) is None:
        return ""
    said, heard_at = said_by(case, record), agent_now(case, record).heard_at
    if said is not None and said.state in _ENDED:
        return "" if _is_in_time(case, said) else f"took the fault off: {said.reason}"
    if has_ended(case, record):
        return "" if arming.ended_with_target(case, record) else "ended"
    return "fell silent" if heard_at is not None and case.now - heard_at > SILENCE else ""


def _is_in_time(case: Case, said: Said) -> bool:
    is_over = case.status.revert_at is not None and case.now >= case.status.revert_at
    return said.reason == OffReason.DONE or (is_over and said.reason in {OffReason.DEADLINE, OffReason.TOLD})


def _noted(case: Case, record: TargetRecord) -> TargetRecord:
    said = said_by(case, record) if record.agent else None
    if said is None:
        return record
    counters = {key[:63]: max(0, count) for key, count in said.counters.items()}
    mechanism = said.mechanism[:_LONGEST] or record.mechanism
    return record.model_copy(update={"mechanism": mechanism, "counters": counters or record.counters})
