"""What several controllers look at: how a HealthCheck fares now, from the running check itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat.api.health_check import HealthState
from homeostat.core.health.maintenance import rests_until
from homeostat.core.ref import Ref
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objects import Key
from homeostat.ports import Clock

INTERVALS_UNTIL_STALE = 3


@dataclass(frozen=True, slots=True)
class CheckReading:
    """How a check fares: its state and since when, when it last passed or failed, and which pods fail.

    `fresh_at` is `observed_at`, or when watching began if that is later: a restart is not a silence. It is wall time
    found by a clock that never jumps. `began_at` is when it last began to falter, even if it recovered since.
    `reason`: why its last run came out as it did.
    """

    state: HealthState
    since: datetime
    observed_at: datetime | None
    fresh_at: datetime
    stale_after: timedelta
    interval: timedelta
    failing: tuple[Ref, ...]
    began_at: datetime | None = None
    reason: str = ""


def read_check(checks: Checks, namespace: str, name: str, clock: Clock) -> CheckReading | None:
    """Read a running check; None when there is none: unknown, suspended, or not implemented.

    Read from the check itself and not from its status, which is written a moment later and figures much later.
    """
    check = checks.get(Key("HealthCheck", namespace, name))
    return None if check is None else _reading(check, clock)


def state_of(checks: Checks, namespace: str, name: str, now: datetime) -> HealthState | None:
    """Give only the state of a running check, as `read_check` does, for those who look at many."""
    check = checks.get(Key("HealthCheck", namespace, name))
    return None if check is None else _state(check, now)


def _state(check: Check, now: datetime) -> HealthState:
    return HealthState.SUSPENDED if rests_until(check.plan.maintenance, now) else check.state


def _reading(check: Check, clock: Clock) -> CheckReading:
    plan, track, now = check.plan, check.track, clock.now()
    interval = timedelta(seconds=plan.interval)
    return CheckReading(
        state=_state(check, now),
        since=track.since,
        observed_at=track.at,
        fresh_at=now - timedelta(seconds=clock.monotonic() - track.fresh),
        stale_after=INTERVALS_UNTIL_STALE * interval + timedelta(seconds=plan.timeout),
        interval=interval,
        failing=tuple(pod for pod, _, _ in track.failing if pod is not None),
        began_at=track.faltered_at,
        reason=track.reason.value if track.reason else "",
    )
