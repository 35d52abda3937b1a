"""What a restart keeps: uptime, streaks, thresholds and the counts of objectives."""

from datetime import UTC, datetime

import pytest

from cluster.manifests import health_check, objective
from cluster.stage import Stage
from cluster.waiting import until
from homeostat.ports import HistoryUnavailable
from homeostat.store.opening import open_reader
from homeostat.store.reading import known, periods, places_of

pytestmark = pytest.mark.cluster


def results(stage: Stage) -> int:
    """Give how many runs the objective has counted."""
    status = stage.status("ServiceLevelObjective")
    return int(status.get("good") or 0) + int(status.get("bad") or 0)


def second() -> int:
    """Give the second of the running minute."""
    return datetime.now(UTC).second


def test_a_graceful_restart_keeps_uptime_streak_and_the_counts_of_objectives(stage: Stage) -> None:
    """H6, S16: SIGTERM writes the unfinished minute; nothing counted is lost."""
    victim = min(stage.open_shop(objective(), replicas=2))
    stage.start("--refreshes-per-second", "100")
    stage.until_state("Healthy")
    stage.break_pod(victim)
    stage.until_state("Unhealthy")
    before = stage.until_status("ServiceLevelObjective", lambda it: (it.get("bad") or 0) >= 2, "bad runs")
    assert stage.one.terminate() == 0
    restarted_after = stage.status("ServiceLevelObjective")["window"]["end"]

    stage.one.start()
    status = stage.until_status(
        "ServiceLevelObjective", lambda it: it["window"]["end"] > restarted_after, "counted on", seconds=150
    )
    assert status["bad"] >= before["bad"]
    assert status["good"] >= before["good"]
    check = stage.until_status(  # not at once where it was down for so long that nothing of it was fresh
        "HealthCheck", lambda it: it["state"] == "Unhealthy" and it["streak"]["count"] >= 2, "failing as before"
    )
    assert check["streak"]["result"] == "Fail"


def test_after_a_kill_the_state_and_its_thresholds_go_on(stage: Stage) -> None:
    """H2, H6: Unhealthy stays Unhealthy without failing its threshold again, and `since` does not move."""
    victim = min(stage.open_shop(replicas=2, check=health_check(failureThreshold=3, interval="5s", timeout="5s")))
    stage.start()
    stage.until_state("Healthy")
    stage.break_pod(victim)
    before = stage.until_state("Unhealthy")
    stage.one.kill()
    stage.one.start()
    after = stage.until_status(
        "HealthCheck", lambda it: it.get("lastProbe", "") > before["lastProbe"] or None, "probed again", seconds=150
    )

    assert (after["state"], after["since"]) == ("Unhealthy", before["since"])


def test_a_kill_loses_at_most_the_unfinished_minute(stage: Stage) -> None:
    """H6: minutes that ended are in the history store. Bad runs: good ones alone are not worth a refresh."""
    stage.open_shop(objective(), replicas=1, check=health_check(path="/no-such-page"))
    stage.start("--refreshes-per-second", "100")
    stage.until_state("Unhealthy")
    until(lambda: second() >= 50, "a minute is about to end", 90)
    until(lambda: 4 <= second() < 30, "the minute was booked", 90)
    booked = until(lambda: _stored(stage), "the store has the minute", 60)
    stage.one.kill()

    stage.one.start()
    until(lambda: results(stage) >= booked, f"the {booked} runs of the minute still count", 150)


def _stored(stage: Stage) -> int:
    """Count the runs in the minutes that the store holds, of the check or of the objective, whichever has fewer."""
    try:
        reader = open_reader(f"sqlite:///{stage.one.store}")
    except HistoryUnavailable:  # it has not been made yet
        return 0
    with reader.connect() as connection:
        names = [one.series for one in known(connection, "", "")]
        minutes = periods(connection, 60, (0, 1 << 40), names, places_of(connection, names))
    reader.dispose()
    return min((sum(totals) for totals in zip(*(one.counted[1].tolist() for one in minutes), strict=True)), default=0)
