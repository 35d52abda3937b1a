"""Whether a trigger comes and goes: so many changes between firing and quiet within a window (R6).

    trusted ──`transitions` turns within `window`──▶ flapping ──no turn for `holdFor`──▶ trusted

The turns are in `status.signals`, so that a restart forgets none. Only what was seen on both sides of a change is a
turn: a gap in the data is none, lest an operator that is restarted again and again takes itself for the trouble.
"""

from collections.abc import Sequence
from datetime import datetime

from homeostat.api.recovery_limits import FlappingLimit
from homeostat.api.recovery_status import Signal, SignalState
from homeostat.core.health.flapping import with_turn
from homeostat.core.recovery.seen import Case

_TOLD = frozenset({SignalState.FIRING, SignalState.QUIET})


def turns(known: Signal | None, state: SignalState, now: datetime) -> tuple[datetime, ...]:
    """Give the changes of a trigger with the one that leads to `state`, if that is one."""
    if known is None:
        return ()
    is_turn = state is not known.state and {state, known.state} == _TOLD
    return with_turn(known.turns, now) if is_turn else known.turns


def is_flapping(case: Case, signal: Signal) -> datetime | None:
    """Say until when a trigger is not trusted, if it does not turn again; None when it is trusted."""
    return held_until(case.spec.limits.flapping, signal.turns, case.now)


def held_until(limit: FlappingLimit, turned: Sequence[datetime], now: datetime) -> datetime | None:
    """Say until when such turns hold a policy; those that lie ahead do not count: the clock was set back."""
    until: datetime | None = None
    counted: list[datetime] = []
    for turn in (turn for turn in turned if turn <= now):
        if until is not None and turn >= until:  # it was steady: it starts anew
            until, counted = None, []
        counted = [other for other in counted if turn - other < limit.window] + [turn]
        if until is not None or len(counted) >= limit.transitions:
            until = turn + limit.hold_for
    return until if until is not None and until > now else None
