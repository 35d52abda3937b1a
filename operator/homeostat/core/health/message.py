"""The sentence that says why a check is in its state: reasons of ours and numbers, never a word of the target."""

from homeostat.api.health_check import HealthCheckSpec, HealthState
from homeostat.api.meta import format_duration
from homeostat.core.health.track import Blemish, Snapshot
from homeostat.core.probing.explanation import explain
from homeostat.core.probing.result import Reason, Verdict

_MOST_REASONS = 3


def describe(track: Snapshot, spec: HealthCheckSpec) -> str:
    """Say what the last runs amount to; at most a few hundred characters, without times or running counters."""
    parts = [_last_result(track, spec)]
    if track.state is HealthState.DEGRADED and track.is_pass:
        parts.append(_blemish(track, spec))
    if track.verdict not in {None, Verdict.PASS, Verdict.FAIL}:
        parts.append(describe_other(track))
    return "; ".join(part for part in parts if part)


def describe_other(track: Snapshot) -> str:
    """Say what a run that neither passed nor failed ended in, and what that means; "" when the last one did."""
    if track.reason is None or track.verdict in {None, Verdict.PASS, Verdict.FAIL}:
        return ""
    what = "cannot run as written" if track.verdict is Verdict.INVALID else "the last run learnt nothing"
    return f"{what}: {track.reason}: {explain(track.reason)}"


def _last_result(track: Snapshot, spec: HealthCheckSpec) -> str:
    if track.total < 0:
        return "no result yet"
    if track.total == 0:
        return f"no endpoint is ready: {Reason.NO_ENDPOINTS}" + _pending(track, spec)
    share = f"{track.passing} of {track.total} pass"
    if not track.is_pass or track.failing:
        share += f": {_reasons(track)}"
    return share + _pending(track, spec)


def _pending(track: Snapshot, spec: HealthCheckSpec) -> str:
    if track.is_pass and track.state in {HealthState.UNKNOWN, HealthState.UNHEALTHY}:
        return f", not yet {spec.success_threshold} times in a row"
    if not track.is_pass and track.state is not HealthState.UNHEALTHY:
        return f", not yet {spec.failure_threshold} times in a row"
    return ""


def _reasons(track: Snapshot) -> str:
    reasons = sorted({str(reason) for _, _, reason in track.failing})
    return ", ".join(reasons[:_MOST_REASONS]) or "too few"


def _blemish(track: Snapshot, spec: HealthCheckSpec) -> str:
    latency = spec.degraded.latency if spec.degraded else None
    if track.clean:
        return f"clean again, not yet {spec.success_threshold} times in a row"
    if track.blemish is Blemish.SLOW and latency is not None:
        return f"slower than {format_duration(latency)}"
    if track.blemish is Blemish.PARTIAL:
        return "only in part"
    if track.blemish is Blemish.RETRIED:
        return "only after a retry"
    return "not cleanly"
