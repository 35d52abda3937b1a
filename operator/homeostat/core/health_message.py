"""The sentence that says why a check is in its state: reasons of ours and numbers, never a word of the target."""

from homeostat.api.health_check import HealthCheckSpec, HealthState
from homeostat.api.meta import format_duration
from homeostat.core.probing import Reason, Verdict
from homeostat.core.track import Blemish, Snapshot

_MOST_REASONS = 3


def describe(track: Snapshot, spec: HealthCheckSpec) -> str:
    """Say what the last runs amount to; at most a few hundred characters, without times or running counters."""
    parts = [_last_result(track, spec)]
    if track.state is HealthState.DEGRADED and track.is_pass:
        parts.append(_blemish(track, spec))
    if track.verdict not in {None, Verdict.PASS, Verdict.FAIL}:
        parts.append(f"the last run ended in {track.reason}")
    return "; ".join(part for part in parts if part)


def _last_result(track: Snapshot, spec: HealthCheckSpec) -> str:
    if track.total < 0:
        return "no result yet"
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
    if track.total == 0:
        return Reason.NO_ENDPOINTS
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
