"""Whether the hypothesis holds: what each HealthCheck of it says now, and how sure that is (C7)."""

from dataclasses import dataclass
from datetime import datetime

from homeostat.api.chaos import CheckHypothesis, DuringFault, HypothesisState
from homeostat.api.health_check import HealthState
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case, CheckSeen

_ACCEPTED = {
    HypothesisState.HEALTHY: frozenset({HealthState.HEALTHY}),
    HypothesisState.DEGRADED: frozenset({HealthState.HEALTHY, HealthState.DEGRADED}),
}
_SILENT = frozenset({HealthState.UNKNOWN, HealthState.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of the hypothesis says. `gap`: why it says nothing, None when it does."""

    check: str
    during: DuringFault
    holds: bool
    gap: ChaosReason | None
    says: str
    observed_at: datetime | None = None
    since: datetime | None = None

    @property
    def is_broken(self) -> bool:
        """Whether there is data, and the data says no."""
        return self.gap is None and not self.holds


def findings(case: Case) -> tuple[Finding, ...]:
    """Judge each part of the hypothesis by itself."""
    return tuple(
        _judge(part.health_check, part.during_fault, case)
        for part in case.spec.hypothesis
        if part.health_check is not None
    )


def broken(found: tuple[Finding, ...]) -> Finding | None:
    """Give the first part that does not hold."""
    return next((one for one in found if one.is_broken), None)


def silent(found: tuple[Finding, ...]) -> Finding | None:
    """Give the first part of which there is no data."""
    return next((one for one in found if one.gap is not None), None)


def is_observed_since(found: tuple[Finding, ...], moment: datetime) -> bool:
    """Whether each part has a result that is younger than `moment`: an older one proves nothing."""
    return all(one.observed_at is not None and one.observed_at > moment for one in found)


def _judge(part: CheckHypothesis, during: DuringFault, case: Case) -> Finding:
    check = case.seen.checks.get(part.name)
    gap = _gap(check, case.now)
    if check is None or gap is not None:
        return Finding(part.name, during, holds=False, gap=gap, says=f"HealthCheck {part.name}: {gap}")
    return Finding(
        check=part.name,
        during=during,
        holds=check.state in _ACCEPTED[part.state],
        gap=None,
        says=f"HealthCheck {part.name} is {check.state}",
        observed_at=check.observed_at,
        since=check.since,
    )


def _gap(check: CheckSeen | None, now: datetime) -> ChaosReason | None:
    if check is None or check.observed_at is None:
        return ChaosReason.SIGNAL_MISSING
    if now - check.observed_at > check.stale_after:
        return ChaosReason.SIGNAL_STALE
    return ChaosReason.SIGNAL_UNKNOWN if check.state in _SILENT else None
