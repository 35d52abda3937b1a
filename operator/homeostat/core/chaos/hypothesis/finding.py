"""What one part of the hypothesis says, and what several of them say together."""

from dataclasses import dataclass
from datetime import datetime

from homeostat.api.chaos import DuringFault
from homeostat.core.chaos.reasons import ChaosReason


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part says. `gap`: why it says nothing, None when it does. `about` names it: `HealthCheck checkout`.

    `observed_at`: as of when; `since`: when what it says began, None where nobody knows. `due_at`: when it has to have
    spoken, counted from when this operator began to watch it; None where that is not known.
    """

    about: str
    during: DuringFault
    holds: bool
    gap: ChaosReason | None
    says: str
    observed_at: datetime | None = None
    since: datetime | None = None
    due_at: datetime | None = None

    @property
    def is_broken(self) -> bool:
        """Whether there is data, and the data says no."""
        return self.gap is None and not self.holds


def broken(found: tuple[Finding, ...]) -> Finding | None:
    """Give the first part that does not hold."""
    return next((one for one in found if one.is_broken), None)


def silent(found: tuple[Finding, ...]) -> Finding | None:
    """Give the first part of which there is no data."""
    return next((one for one in found if one.gap is not None), None)


def is_observed_since(found: tuple[Finding, ...], moment: datetime) -> bool:
    """Whether each part has a result that is younger than `moment`: an older one proves nothing."""
    return all(one.observed_at is not None and one.observed_at > moment for one in found)
