"""How a game day stands, for others: conditions, what must be read for it, what is worth writing."""

import re

from homeostat.api.chaos_status import Verdict
from homeostat.api.gameday import GameDaySpec
from homeostat.api.gameday_status import DayPhase, GameDayStatus
from homeostat.api.meta import ConditionStatus
from homeostat.core.condition import set_condition, stalled
from homeostat.core.gameday.reasons import STALLING, DayReason
from homeostat.core.gameday.seen import Case, current
from homeostat.core.significance import Significance

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_WORD = re.compile(r"[A-Za-z]([A-Za-z0-9_]{0,61}[A-Za-z0-9])?")
AHEAD = 2
"""Steps that are read at once: the current one may end, and the next one begin, in one decision."""


def with_conditions(case: Case) -> GameDayStatus:
    """Derive the conditions from the rest of the status."""
    conditions, generation = case.status.conditions, max(-1, case.seen.generation)
    for name, standing in {"Ready": _ready(case), "Succeeded": _succeeded(case.status)}.items():
        conditions = set_condition(conditions, name, *standing, generation, case.now)
    return case.status.model_copy(update={"conditions": stalled(conditions, STALLING, case.now)})


def significance(old: GameDayStatus, new: GameDayStatus) -> Significance:
    """Every difference is control state."""
    return Significance.NOTHING if old == new else Significance.CHANGE


def experiments_of(spec: GameDaySpec, status: GameDayStatus) -> tuple[str, ...]:
    """Name the experiments that the next decision must look at, when a day is under way or to begin."""
    if status.phase in {DayPhase.PENDING, DayPhase.FINISHED}:
        return tuple(dict.fromkeys(step.experiment for step in spec.steps[:AHEAD]))
    place = current(status)
    ahead = status.steps[place : place + AHEAD] if place is not None else ()
    return tuple(dict.fromkeys(step.experiment for step in ahead))


def checks_of(spec: GameDaySpec) -> tuple[str, ...]:
    """Name the HealthChecks of all gates, whose changes must wake the day."""
    return tuple(dict.fromkeys(check.name for step in spec.steps for check in step.gate.health_checks))


def is_dry_run_due(spec: GameDaySpec, status: GameDayStatus, run_requested: str) -> bool:
    """Whether the next decision draws the plans of a dry run, so that all of them are needed."""
    if not spec.dry_run or spec.suspend:
        return False
    return status.phase is DayPhase.PENDING or (
        status.phase is DayPhase.FINISHED and run_requested not in {"", status.run}
    )


def _ready(case: Case) -> tuple[ConditionStatus, str, str]:
    if case.seen.problem is None:
        return TRUE, "Accepted", "The game day is evaluated."
    reason, message = case.seen.problem
    return FALSE, reason if _WORD.fullmatch(reason) else DayReason.NOT_EVALUATED, message


def _succeeded(status: GameDayStatus) -> tuple[ConditionStatus, str, str]:
    if status.verdict is None or status.phase is not DayPhase.FINISHED:
        return UNKNOWN, "NoVerdict", "The day has no verdict yet."
    if status.verdict is Verdict.PASSED:
        return TRUE, status.verdict, status.message
    known = UNKNOWN if status.verdict is Verdict.INCONCLUSIVE else FALSE
    return known, status.reason if _WORD.fullmatch(status.reason) else status.verdict, status.message
