"""Why a policy does what it does at this moment: the chain of a decision, asked to its end, and nothing done."""

from dataclasses import dataclass

from homeostat.api.recovery_status import Signal
from homeostat.api.recovery_step import Step
from homeostat.core.recovery import signals
from homeostat.core.recovery.attempt.sequence import step_at
from homeostat.core.recovery.gates.explanation import GateAnswer, explain
from homeostat.core.recovery.policy import at_hand
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan
from homeostat.core.recovery.telling.deciding import due_plan


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain as it stands, and what stands behind it.

    `signal` is the trigger that is answered, None when all is quiet; `plan` what its step would do, None when that is
    to tell a human.
    """

    case: Case
    signal: Signal | None
    index: int
    step: Step
    plan: Plan | Block | None
    answers: tuple[GateAnswer, ...]


def explained(case: Case) -> Explanation:
    """Explain a policy; total, whatever it does at the moment."""
    case = at_hand(case)
    attempt = case.status.attempt
    signal = signals.of_attempt(case, attempt.trigger) if attempt else signals.urgent(case)
    plan = None if attempt else due_plan(case, signal or signals.of_attempt(case, 0))
    index = attempt.step if attempt else min(case.status.next_step, len(case.spec.steps))
    return Explanation(case, signal, index, step_at(case.spec, index), plan, tuple(explain(case, signal, plan)))
