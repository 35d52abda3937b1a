"""What a report of a run of an experiment and one of a game day have in common. Pure."""

from datetime import datetime, timedelta
from typing import Any

from homeostat.api.chaos_status import ChaosExperimentStatus, ProofRecord
from homeostat.api.gameday_status import GameDayStatus
from homeostat.api.meta import format_duration
from homeostat.cli.markdown import text

NOTHING = "-"

RunStatus = ChaosExperimentStatus | GameDayStatus


def is_over(status: RunStatus) -> bool:
    """Whether the run, or the day, has ended."""
    return status.phase.value == "Finished"


def as_wire(status: RunStatus) -> dict[str, Any]:
    """Give the run in the words of the API, without conditions."""
    run = status.wire()
    run.pop("conditions", None)
    return run


def verdict(status: RunStatus, run: str) -> str:
    """Write what it has shown; `run` is what it is called."""
    if status.verdict is None:
        return f"**{status.phase}**: {text(status.message) or 'there is no verdict yet.'}"
    so_far = "" if is_over(status) else f", and the {run} is {status.phase}"
    return f"**{status.verdict}** ({status.reason}){so_far}. {text(status.message)}"


def proved(proof: ProofRecord) -> tuple[str, ...]:
    """Write the end of a proof's line: how long the loop took, and what is missing."""
    times = (proof.detected_after, proof.acted_after, proof.verified_after)
    return (*map(took, times), text(proof.message) or NOTHING)


def moment(at: datetime | None) -> str:
    """Write a time, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z" if at else NOTHING


def took(duration: timedelta | None) -> str:
    """Write how long something took, where that is known."""
    return NOTHING if duration is None else format_duration(duration)


def between(start: datetime | None, end: datetime | None) -> str:
    """Write how long it was from one time to another, where both are known."""
    return took(end - start if start and end else None)
