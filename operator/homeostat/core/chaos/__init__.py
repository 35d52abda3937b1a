"""What an experiment does next, and what it has shown: the decisions of a ChaosExperiment.

    Pending ─▶ CheckingSteadyState ─▶ Injecting ─▶ Running ─▶ Reverting ─▶ Recovering ─▶ Finished
    (start.py: gates.py, plan.py, steady_state.py, injection.py) (running.py, undo.py) (recovery.py)

Before anything is touched there is a finalizer, and then a record of the originals (C2). From the record on
every way leads through Reverting, which looks at the targets and not at the record (C5).
"""

from homeostat.core.chaos.phases import decide
from homeostat.core.chaos.plan import draw
from homeostat.core.chaos.seen import ChaosSeen, CheckSeen, ReactionSeen, recorded, target_selector
from homeostat.core.chaos.standing import planned_fault, significance, watches
from homeostat.core.chaos.undo import orphans

__all__ = [
    "ChaosSeen",
    "CheckSeen",
    "ReactionSeen",
    "decide",
    "draw",
    "orphans",
    "planned_fault",
    "recorded",
    "significance",
    "target_selector",
    "watches",
]
