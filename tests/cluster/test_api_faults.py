"""An API server that refuses, forgets, stalls and vanishes: the operator survives, does nothing blindly, catches up."""

import time

import pytest

from cluster import proxy
from cluster.manifests import health_check, policy
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

FENCED = 70
NOT_LEASES = r"^(?!.*/leases/)"


def open_case(stage: Stage, *flags: str) -> tuple[dict[str, str], str]:
    before = stage.open_shop(policy(), replicas=2)
    stage.start(*flags)
    stage.until_state("Healthy")
    return before, min(before)


def assert_one_eviction(stage: Stage, before: dict[str, str]) -> None:
    assert len(set(before.values()) - set(stage.until_serving(2).values())) == 1
    assert stage.faults.count("POST", r"/eviction$") == 1


def test_a_storm_of_429_delays_and_loses_nothing(stage: Stage) -> None:
    """R2: writes are refused with Retry-After for a while; then the loop goes on, with one eviction."""
    before, victim = open_case(stage)
    refuse = proxy.answer(429, "TooManyRequests", **{"Retry-After": "1"})
    with stage.faults.always("PATCH|POST", NOT_LEASES, refuse) as storm:
        stage.break_pod(victim)
        assert storm.has_hit.wait(60)
        until(lambda: storm.times == float("inf"), "the storm goes on")
        assert stage.pods() == before
    stage.until_recovered()
    assert_one_eviction(stage, before)


@pytest.mark.parametrize("code", [500, 503])
def test_errors_on_every_write_for_a_while_are_survived(stage: Stage, code: int) -> None:
    """R2, R12: ten writes fail; what was decided is decided anew on what the API server then holds."""
    before, victim = open_case(stage)
    stage.faults.on("PATCH|POST", NOT_LEASES, proxy.answer(code, "InternalError"), times=10)
    stage.break_pod(victim)
    stage.until_recovered()
    assert_one_eviction(stage, before)


def test_a_status_that_somebody_else_just_wrote_is_decided_anew(stage: Stage) -> None:
    """R2: 409 on the intent: nothing was done on its account; then it goes on."""
    before, victim = open_case(stage)
    stage.faults.on("PATCH", r"/recoverypolicies/shop/status", proxy.answer(409, "Conflict"), times=4)
    stage.break_pod(victim)
    stage.until_recovered()
    assert_one_eviction(stage, before)


@pytest.mark.parametrize("path", [r"/eviction$", r"/recoverypolicies/shop/status"])
def test_a_write_that_went_through_and_was_answered_with_504_is_not_doubled(stage: Stage, path: str) -> None:
    """R2: after a timeout that came after the commit, the cluster is asked, not the memory."""
    before, victim = open_case(stage)
    lost = stage.faults.on("POST|PATCH", path, proxy.committed_but(504, "Timeout"))
    stage.break_pod(victim)
    stage.until_recovered()
    assert lost.has_hit.is_set()
    assert_one_eviction(stage, before)


def test_an_api_server_that_is_gone_for_a_moment_is_waited_for(stage: Stage) -> None:
    """R12: five seconds without it: no action, no exit, then the loop goes on."""
    before, victim = open_case(stage)
    stage.break_pod(victim)
    with stage.faults.always("GET|PUT|PATCH|POST|DELETE", r"/", proxy.drop) as gone:
        assert gone.has_hit.wait(60)
        back_at = time.monotonic() + 5
        until(lambda: time.monotonic() > back_at or not stage.one.is_running(), "five seconds")
        assert stage.pods() == before or stage.faults.count("POST", r"/eviction$") == 1
    assert stage.one.is_running()
    stage.until_recovered()
    assert_one_eviction(stage, before)


def test_an_api_server_that_is_gone_for_long_ends_the_process_and_its_successor_catches_up(stage: Stage) -> None:
    """R2, R12: without the Lease nobody may act; whoever starts afterwards does the work, once."""
    before, victim = open_case(stage)
    with stage.faults.always("GET|PUT|PATCH|POST|DELETE", r"/", proxy.drop):
        stage.break_pod(victim)
        assert stage.one.await_end() == FENCED
        stage.one.start(wait_for="started")
        until(lambda: stage.one.get("/livez")[0] == 200, "it waits, alive")
        assert stage.pods() == before
    stage.one.await_log("loaded")
    stage.until_recovered()
    assert_one_eviction(stage, before)


def test_watches_that_are_told_410_begin_anew(stage: Stage) -> None:
    """H3: new objects are still noticed."""
    stage.open_shop(replicas=2)
    stage.start(wait_for="started")
    stage.faults.on("GET", r"watch=true", proxy.expired_watch, times=12)
    stage.until_state("Healthy")
    stage.put(health_check("late"))
    stage.until_state("Healthy", "late")


def test_watches_that_break_all_the_time_miss_nothing(stage: Stage) -> None:
    """H3: every watch is cut as soon as it begins, for a while."""
    stage.open_shop(replicas=2)
    stage.start()
    stage.until_state("Healthy")
    stage.faults.on("GET", r"watch=true", proxy.drop, times=12)
    stage.put(health_check("late"))
    stage.until_state("Healthy", "late")


def test_what_a_watch_loses_the_resync_finds_and_counts(stage: Stage) -> None:
    """H3: no event of the new check ever comes; the sweep finds it, and says so in a metric."""
    stage.open_shop(replicas=2)
    stage.start("--resync-seconds", "3")
    stage.until_state("Healthy")
    # Only then: before its watch begins, Kopf lists, and a listing loses nothing.
    until(lambda: stage.faults.count("GET", r"/healthchecks\?.*watch=true"), "the watch has begun")
    with stage.faults.losing(lambda event: event["object"]["metadata"].get("name") == "unheard"):
        stage.put(health_check("unheard"))
        stage.until_state("Healthy", "unheard")
        assert stage.one.metric(r'homeostat_store_drift_total\{kind="HealthCheck"') >= 1
