"""What an experiment does next, and what it has shown: the decisions of a ChaosExperiment.

    Pending ─▶ AwaitingApproval ─▶ CheckingSteadyState ─▶ Injecting ─▶ Running ─▶ Reverting ─▶ Recovering ─▶ Finished

    run/         the way from phase to phase      schedule.py  when a run begins by itself
    consent/     a plan and a human               limits/      what refuses a run, and how much one may take
    hypothesis/  what must hold, what stops       faults/      how each fault is planned, goes on, stays and goes off
    telling/     verdict, proofs, figures, advice

Before anything is touched there is a finalizer, and then a record of the originals (C2). From the record on
every way leads through Reverting, which looks at the targets and not at the record (C5).
"""

from homeostat.core.chaos.faults.plan import draw
from homeostat.core.chaos.faults.sweeping import orphans
from homeostat.core.chaos.hypothesis.named import objective_names, policies, queries, watches
from homeostat.core.chaos.run.beginning import is_at_rest, is_run_wanted
from homeostat.core.chaos.run.phases import decide
from homeostat.core.chaos.seen import ChaosSeen, CheckSeen, ReactionSeen, recorded, target_selector
from homeostat.core.chaos.telling.standing import planned_fault, significance

__all__ = [
    "ChaosSeen",
    "CheckSeen",
    "ReactionSeen",
    "decide",
    "draw",
    "is_at_rest",
    "is_run_wanted",
    "objective_names",
    "orphans",
    "planned_fault",
    "policies",
    "queries",
    "recorded",
    "significance",
    "target_selector",
    "watches",
]
