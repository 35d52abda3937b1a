"""How long silence is excused while the fault is on: who has just begun to watch has heard nothing yet (C7).

An operator that was restarted within a run finds results as old as its absence, and no answers. That is its own
silence and not the signal's, so each part gets the time that it needs to speak. The fault ends in time all the same,
and what had no result during the fault does not pass (C15).
"""

from collections.abc import Iterable
from datetime import timedelta

from homeostat.core.chaos.hypothesis.finding import Finding
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case

PATIENCE = timedelta(seconds=30)
"""How long is waited for what has not spoken yet, where nothing else is known of how often it does."""
_MAY_BE_OURS = frozenset({ChaosReason.SIGNAL_STALE, ChaosReason.SIGNAL_MISSING})


def overdue(case: Case, found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Leave out those whose silence may be ours: they have not had the time to speak since we began to watch."""
    return tuple(one for one in found if not _is_excused(case, one))


def _is_excused(case: Case, finding: Finding) -> bool:
    began = case.seen.watched_since
    if finding.gap not in _MAY_BE_OURS or began is None:
        return False
    return case.now <= (finding.due_at or began + PATIENCE)
