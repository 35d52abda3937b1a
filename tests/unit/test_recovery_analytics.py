"""How well healing works: what counts as an attempt, how its parts are timed, and how attempts are summed up (R17)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from homeostat.api.recovery_attempt import AttemptRecord
from homeostat.core.recovery.analytics import Part, Told, grouped, timings
from homeostat.telemetry.healing import Healing, Policy

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def record(**changes: Any) -> AttemptRecord:
    """Make a record: first sign at 0 s, fired at 5, intent at 10, acted at 11, quiet at 30."""
    known: dict[str, Any] = {
        "id": "a", "step": 0, "name": "restartPods", "trigger": 0, "cause": "healthCheck checkout",
        "began_at": at(0), "detected_at": at(5), "started_at": at(10), "acted_at": at(11), "recovered_at": at(30),
        "ended_at": at(60), "outcome": "Recovered",
    }  # fmt: skip
    return AttemptRecord(**(known | changes))


def told(name: str = "heal", **changes: Any) -> Told:
    return Told("shop", name, record(**changes))


def test_each_part_is_timed_from_where_the_one_before_ended_and_recovery_from_detection() -> None:
    """R17: detect, decide and act follow each other; recover is what users waited for once it was known."""
    seconds = {part: span.total_seconds() for part, span in timings(record()).items()}
    assert seconds == {Part.DETECT: 5, Part.DECIDE: 5, Part.ACT: 1, Part.RECOVER: 25}


def test_what_is_not_known_is_not_timed() -> None:
    """R17: a source without a first sign gives no time to detect, an attempt that failed none to recover."""
    assert set(timings(record(began_at=None, recovered_at=None))) == {Part.DECIDE, Part.ACT}


def test_an_attempt_that_did_not_act_is_no_attempt_but_is_told_of() -> None:
    """R17: a refusal is neither a success nor a failure of healing."""
    (found,) = grouped([told(), told(acted_at=None, recovered_at=None, outcome="NotStarted")], "policy")
    assert (found.attempts, found.recovered, found.success_rate) == (1, 1, 1.0)
    assert found.outcomes == {"Recovered": 1, "NotStarted": 1}
    assert found.took[Part.DECIDE].count == 1


def test_a_group_in_which_nothing_acted_has_no_success_rate() -> None:
    """R17: 0 of 0 is not 0 %."""
    (found,) = grouped([told(acted_at=None, recovered_at=None, outcome="WouldDo")], "policy")
    assert found.success_rate is None


def test_attempts_are_summed_up_by_policy_by_step_and_by_cause() -> None:
    """R17: per policy, step and cause."""
    attempts = [told(), told(name="other"), told(name="other", cause="", outcome="Failed", recovered_at=None)]
    assert [one.key for one in grouped(attempts, "policy")] == [("shop/heal",), ("shop/other",)]
    assert [one.key for one in grouped(attempts, "step")] == [
        ("shop/heal", "restartPods"), ("shop/other", "restartPods"),
    ]  # fmt: skip
    causes = grouped(attempts, "cause")
    assert [(one.key[1], one.recovered) for one in causes] == [
        ("healthCheck checkout", 1), ("healthCheck checkout", 1), ("unknown", 0),
    ]  # fmt: skip


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_a_percentile_is_a_time_that_there_was_and_so_many_were_no_longer(seconds: list[float]) -> None:
    """R17: nearest rank: half of the attempts took no longer than the median, 95 % no longer than p95."""
    attempts = [told(recovered_at=at(5 + one)) for one in seconds]
    (found,) = grouped(attempts, "policy")
    spans = sorted(timings(one.record)[Part.RECOVER] for one in attempts)
    spread = found.took[Part.RECOVER]
    assert {spread.median, spread.p95} <= set(spans)
    for share, value in ((0.5, spread.median), (0.95, spread.p95)):
        assert sum(one <= value for one in spans) >= share * len(spans)
        assert sum(one < value for one in spans) < share * len(spans) + 1e-9


def test_a_clock_that_was_set_back_makes_no_time_negative() -> None:
    """R17: a figure may be lost, but not be nonsense."""
    assert timings(record(started_at=at(1)))[Part.DECIDE] == timedelta(0)


def shown(registry: CollectorRegistry) -> dict[str, float]:
    lines = (line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#"))
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if "_created" not in line}


def test_a_policy_shows_its_steps_from_the_start_counts_its_attempts_and_takes_its_series_along() -> None:
    """R17, H10: at 0 from the start, bounded labels, and nothing stays of a policy that is gone."""
    registry = CollectorRegistry()
    healing, policy = Healing(registry), Policy("shop", "heal")
    healing.show(policy, ["restartPods"])
    series = 'homeostat_recovery_attempts_total{name="heal",namespace="shop",outcome="Recovered",step="restartPods"}'
    assert shown(registry)[series] == 0

    healing.ended(policy, step="restartPods", cause="healthCheck checkout", outcome="Recovered", seconds={"act": 2.0})
    healing.show(policy, ["restartPods"])  # an edit: what was counted stays
    assert shown(registry)[series] == 1
    assert shown(registry)['homeostat_recovery_seconds_sum{name="heal",namespace="shop",part="act"}'] == 2

    healing.forget(policy)
    assert shown(registry) == {}
