"""Slices of the past, counted anew from its events: the operator would have counted them as each ended."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.core.history.window import MINUTE, Bucket, Counts
from homeostat.core.objective.slices import verdict
from homeostat.core.objective.tally import slice_seconds
from homeostat.core.simulation.recorded import Recorded


def sliced(events: Recorded, spec: ServiceLevelObjectiveSpec, until: int) -> Recorded:
    """Give the slices that an objective makes of events; the events themselves where it counts those.

    `until` (epoch s): up to when events are known. A slice is booked in the minute that it ends with. One without data
    is not there, one that is not over is not yet.
    """
    seconds = slice_seconds(spec)
    return Recorded(_slices(events, spec, seconds, until)) if seconds and len(events) else events


def _slices(events: Recorded, spec: ServiceLevelObjectiveSpec, seconds: int, until: int) -> Iterator[Bucket]:
    share = spec.budgeting.slice_objective
    objective: Decimal | None = None if share is None else share / 100
    table = events.table
    numbers = (table.starts // seconds).astype(np.int64)
    for number in np.unique(numbers[numbers < until // seconds]).tolist():
        first, last = np.searchsorted(numbers, (number, number + 1))
        bad, total, minutes = table.table[2:, first:last].sum(axis=1).tolist()
        found = verdict(spec.budgeting.method, objective, Counts(total - bad, total, minutes * MINUTE, seconds))
        if found is not None:
            yield Bucket("", (number + 1) * seconds - MINUTE, MINUTE, found[1] - found[0], found[1], 1)
