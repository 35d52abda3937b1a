"""How much a new status differs from the one that is written: enough to write now, later, or not at all."""

from enum import IntEnum


class Significance(IntEnum):
    """What a difference between two statuses is worth; `max` of several is the worth of all."""

    NOTHING = 0  # equal: no write
    REFRESH = 1  # only numbers that always move: write when the budget allows, at most once a minute
    CHANGE = 2  # something a human or another decision acts on: write now
