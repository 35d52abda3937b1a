"""What stands before every write: the engine's token bucket, asked with how urgent the write is."""

from enum import IntEnum
from typing import Protocol


class Urgency(IntEnum):
    """How urgent a write is: what is below ACTION may be made to wait, the rest is only counted."""

    EVENT = 0  # told to humans; may wait long
    STATUS = 1  # what a decision wrote
    ACTION = 2  # acts, locks, tokens, finalizers: somebody waits to be healed or undone
    LEASE = 3  # leadership: never made to wait, a late renewal is a lost one


class WriteGate(Protocol):
    """Lets writes pass at the rate that the API server is meant to see."""

    async def pass_(self, urgency: Urgency) -> None:
        """Return when one write may go."""
        ...


class OpenGate:
    """A gate that never holds anything back."""

    async def pass_(self, urgency: Urgency) -> None:
        """Return at once."""
