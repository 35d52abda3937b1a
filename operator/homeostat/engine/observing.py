"""What several controllers look at: how a HealthCheck fares now, from the running check itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.api.health_check import HealthState
from homeostat.core.decision import Ref
from homeostat.core.plan import Plan
from homeostat.core.track import Track
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objects import Key

INTERVALS_UNTIL_STALE = 3


@dataclass(frozen=True, slots=True)
class CheckReading:
    """How a check fares: its state and since when, when it last passed or failed, and which pods fail.

    `fresh_at` is `observed_at`, or when watching began if that is later: a restart is not a silence.
    """

    state: HealthState
    since: datetime
    observed_at: datetime | None
    fresh_at: datetime
    stale_after: timedelta
    interval: timedelta
    failing: tuple[Ref, ...]


def read_check(checks: Checks, namespace: str, name: str) -> CheckReading | None:
    """Read a running check; None when there is none: unknown, suspended, or not implemented.

    Read from the check itself and not from its status, which is written a moment later and figures much later.
    """
    check = checks.get(Key("HealthCheck", namespace, name))
    return None if check is None else _reading(check.plan, check.track, check)


def _reading(plan: Plan, track: Track, check: Check) -> CheckReading:
    interval = timedelta(seconds=plan.interval)
    return CheckReading(
        state=HealthState.UNKNOWN if check.is_silent else track.state,
        since=track.since,
        observed_at=track.at,
        fresh_at=track.fresh_at,
        stale_after=INTERVALS_UNTIL_STALE * interval + timedelta(seconds=plan.timeout),
        interval=interval,
        failing=tuple(pod for pod, _, _ in track.failing if pod is not None),
    )
