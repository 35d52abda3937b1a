"""What a game day does next, and what it has shown: the decisions of a GameDay.

    Pending ─▶ [gate ─▶ ask ─▶ watch] for each step ─▶ Finished
               (gate.py) (asking.py) (watching.py)    (ending.py)

An experiment is asked for a run by its annotation, with a value that names the day and the step and that is on record
before it is written. So a step is never asked for twice and never lost, whenever the operator is killed; and whatever
holds an experiment back (a Freeze, a budget, an approval) holds it back here, for it runs by its own rules.
What it writes is nobody's word but the operator's: the name of whoever asked something before goes with it.
"""

from homeostat.core.gameday.phases import decide
from homeostat.core.gameday.seen import ExperimentSeen, GameDaySeen, Rehearsal, WordSeen
from homeostat.core.gameday.standing import checks_of, experiments_of, is_dry_run_due, significance

__all__ = [
    "ExperimentSeen",
    "GameDaySeen",
    "Rehearsal",
    "WordSeen",
    "checks_of",
    "decide",
    "experiments_of",
    "is_dry_run_due",
    "significance",
]
