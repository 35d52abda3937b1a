"""The chain as it stands now, gate by gate: what `explain` shows, and where a refusal on record comes from.

A decision stops at the first refusal; this asks all of the gates, of the same step and of the same plan, so the first
refusal here is the one that a decision comes to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from homeostat.api.recovery_attempt import TargetPhase
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.core.recovery import signals
from homeostat.core.recovery.gates.chain import (
    TO_ACT,
    TO_ASK_AGAIN,
    TO_GO_ON,
    TO_TELL,
    TO_UNDO,
    name_of,
    still_asked,
)
from homeostat.core.recovery.gates.wish import Gate, Wish
from homeostat.core.recovery.reasons import Block, BlockReason
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan

TRIGGERED = "triggered"
"""What comes before all gates: there is something to heal, and it is not to be waited for any longer."""


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What one gate says: `reason`, `message` and `until` are of a refusal, and empty where it lets pass."""

    name: str
    passed: bool
    reason: str = ""
    message: str = ""
    until: datetime | None = None


def explain(case: Case, signal: Signal | None, planned: Plan | Block | None) -> Iterator[GateAnswer]:
    """Ask the gates that stand before what is due now, in their order; also of a policy that has nothing to do."""
    yield _triggered(case, signal)
    wish = Wish(case, signal or _quiet(case), planned)
    for gate in still_asked(gates_now(case, signal, planned), case):
        yield _asked(gate, wish)


def gates_now(case: Case, signal: Signal | None, planned: Plan | Block | None) -> tuple[Gate, ...]:
    """Say which gates stand before what is due: nothing planned means that a human would be told."""
    if case.status.attempt:
        return tuple(still_asked(_gates_of_attempt(case), case))
    is_blind = signal is not None and signal.state in signals.BLIND
    return TO_TELL if is_blind or planned is None else TO_ACT


def _gates_of_attempt(case: Case) -> tuple[Gate, ...]:
    pending = next((entry for entry in case.status.in_flight if entry.phase is TargetPhase.INTENDED), None)
    if pending is None:
        return TO_GO_ON
    return TO_UNDO if pending.undoes else TO_ASK_AGAIN


def _quiet(case: Case) -> Signal:
    """Stand in for a trigger where none fires: gates can be asked all the same."""
    known = next(iter(case.status.signals), None)
    return known or Signal(trigger=0, state=SignalState.QUIET, since=case.now)


def _triggered(case: Case, signal: Signal | None) -> GateAnswer:
    if signal is None or signal.state is SignalState.QUIET:
        return GateAnswer(TRIGGERED, passed=False, reason=BlockReason.NOT_FIRING, message="No trigger fires.")
    is_waiting = signal.state is SignalState.FIRING and signal.trigger < len(case.spec.triggers)
    due_at = signals.due_at(case.spec, signal) if is_waiting else case.now
    if due_at <= case.now or case.status.attempt:
        return GateAnswer(TRIGGERED, passed=True)
    message = f"{signals.title(case, signal.trigger)} does not fire for long enough yet."
    return GateAnswer(TRIGGERED, passed=False, reason=BlockReason.NOT_YET, message=message, until=due_at)


def _asked(gate: Gate, wish: Wish) -> GateAnswer:
    block = gate(wish)
    if block is None:
        return GateAnswer(name_of(gate), passed=True)
    return GateAnswer(name_of(gate), False, block.reason, block.message, block.until)
