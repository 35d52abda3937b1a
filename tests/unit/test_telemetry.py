"""What Prometheus sees: every metric from the start, no label without bounds; and the three pages that are served."""

import asyncio
import json
import logging
from math import inf
from typing import Any

import aiohttp
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fakes import NOON, body_of, check_body
from homeostat.api.health_check import HealthCheckSpec, HealthState
from homeostat.core.action import Verb
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.track import Track
from homeostat.core.probing.result import Phases, Reason
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objects import ObjectStore, entry_from
from homeostat.engine.readings import read_checks, read_experiments, read_objectives
from homeostat.telemetry import log
from homeostat.telemetry import metrics as our_metrics
from homeostat.telemetry.histogram import Histograms
from homeostat.telemetry.metrics import PHASE_BUCKETS, Metrics
from homeostat.telemetry.server import serving

BOUNDED = {
    "namespace", "name", "state", "result", "window", "kind", "action", "outcome", "reason", "verb", "status", "type",
    "le", "phase", "service", "criticality", "route", "severity", "long", "short", "group", "hold",
}  # fmt: skip
WEB = {"namespace": "shop", "name": "web"}
ALERT = {"type": "BurnRate", "severity": "Page", "long": "1h", "short": "5m", "since": "2026-11-21T12:00:00Z"}
HOLDING = {
    "budgetPolicy": [
        {"remainingBelow": "25%", "hold": ["Chaos"]},
        {"remainingBelow": "0%", "hold": ["Chaos", "Rollouts"]},
    ]
}


def check_of(name: str = "web", **spec: Any) -> Check:
    body = check_body(name, spec, uid=name)
    entry = entry_from(body, "HealthCheck")
    plan = compile(HealthCheckSpec.model_validate(body["spec"]), entry.ref)
    assert isinstance(plan, Plan)
    return Check(entry.key, entry.ref, plan, Track(since=NOON, fresh=0.0), slot=0)


def fares(check: Check, state: HealthState, passing: int = -1, total: int = -1) -> Check:
    check.track.state, check.track.passing, check.track.total = state, passing, total
    return check


def checks_of(*all_: Check) -> Checks:
    checks = Checks()
    for check in all_:
        checks.put(check)
    return checks


def metrics_of(checks: Checks, store: ObjectStore | None = None) -> Metrics:
    metrics = Metrics()
    metrics.read_from(lambda: read_checks(checks), lambda: read_objectives(store or ObjectStore()))
    return metrics


async def families_of(metrics: Metrics) -> list[Metric]:
    """Read the page as Prometheus does."""
    return list(text_string_to_metric_families((await metrics.page()).decode()))


async def samples_of(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Give the samples of one name by the values of their labels, in the order of the labels' names."""
    samples = [one for family in await families_of(metrics) for one in family.samples if one.name == name]
    found = {tuple(one.labels[label] for label in sorted(one.labels)): one.value for one in samples}
    assert len(found) == len(samples), "a series is there twice"
    return found


async def value_of(metrics: Metrics, name: str, labels: dict[str, str] | None = None) -> float | None:
    found = await samples_of(metrics, name)
    return found.get(tuple(value for _, value in sorted((labels or {}).items())))


def objective_body(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    body = check_body("slo", status=status)
    return {**body, "kind": "ServiceLevelObjective", "spec": spec or {}}


def shown_objective(spec: dict[str, Any] | None = None, **status: Any) -> Metrics:
    store = ObjectStore()
    store.put(entry_from(objective_body(spec, objective="99.9", **status), "ServiceLevelObjective"))
    return metrics_of(Checks(), store)


# --- checks ---------------------------------------------------------------------------------------------


async def test_the_metrics_of_a_check_are_there_at_0_when_it_appears() -> None:
    """H10: created at 0 when the check appears."""
    checks = Checks()
    metrics = metrics_of(checks)
    assert await samples_of(metrics, "homeostat_check_results_total") == {}
    checks.put(check_of())

    results = await samples_of(metrics, "homeostat_check_results_total")
    assert results == {
        ("web", "shop", result): 0 for result in ("Pass", "Fail", "Invalid", "Error", "Skipped", "Unknown")
    }
    assert await value_of(metrics, "homeostat_check_missed_runs_total", WEB) == 0
    assert await value_of(metrics, "homeostat_check_flapping", WEB) == 0
    assert await value_of(metrics, "homeostat_check_state", {**WEB, "state": "Unknown"}) == 1


async def test_the_histograms_of_a_type_are_there_at_0_when_a_check_of_it_appears() -> None:
    """H10."""
    metrics = metrics_of(
        checks_of(check_of(), check_of("api", probe={"workload": {"kind": "Deployment", "name": "api"}}))
    )
    phases = await samples_of(metrics, "homeostat_probe_phase_seconds_count")
    durations = await samples_of(metrics, "homeostat_probe_duration_seconds_count")

    assert phases == {(phase, "tcp"): 0 for phase in ("resolve", "connect", "tls", "first_byte", "transfer")}
    assert durations == {(result, kind): 0 for kind in ("tcp", "workload") for result in ("Pass", "Fail")}


async def test_what_a_check_counts_is_shown() -> None:
    check = check_of()
    check.track.counts[1] = 7
    check.track.missed = 3
    metrics = metrics_of(checks_of(check))

    assert await value_of(metrics, "homeostat_check_results_total", {**WEB, "result": "Fail"}) == 7
    assert await value_of(metrics, "homeostat_check_results_total", {**WEB, "result": "Pass"}) == 0
    assert await value_of(metrics, "homeostat_check_missed_runs_total", WEB) == 3


async def test_the_metrics_of_a_check_go_with_it() -> None:
    check = check_of()
    checks = checks_of(check)
    checks.remove(check.key)

    assert b'"web"' not in await metrics_of(checks).page()


async def test_a_silent_check_is_shown_as_unknown_and_not_as_it_last_was() -> None:
    """S13: silent failure is the worst failure."""
    check = fares(check_of(), HealthState.HEALTHY, 1, 1)
    check.is_silent = True
    metrics = metrics_of(checks_of(check))

    assert await samples_of(metrics, "homeostat_check_state") == {("web", "shop", "Unknown"): 1}
    assert await samples_of(metrics, "homeostat_check_score") == {}


async def test_a_check_in_maintenance_is_shown_as_suspended_and_without_a_score() -> None:
    check = fares(check_of(), HealthState.UNHEALTHY, 0, 1)
    check.track.reason = Reason.MAINTENANCE
    metrics = metrics_of(checks_of(check))

    assert await samples_of(metrics, "homeostat_check_state") == {("web", "shop", "Suspended"): 1}
    assert await samples_of(metrics, "homeostat_check_score") == {}


async def test_a_certificate_and_endpoints_are_shown_when_there_are_some() -> None:
    check = fares(check_of(), HealthState.DEGRADED, 2, 4)
    check.track.not_after = 1_800_000_000.0
    check.track.is_flapping = True
    metrics = metrics_of(checks_of(check, check_of("new")))

    assert await samples_of(metrics, "homeostat_check_certificate_expiry_timestamp_seconds") == {("web", "shop"): 1.8e9}
    assert await samples_of(metrics, "homeostat_check_passing_ratio") == {("web", "shop"): 0.5}
    assert await value_of(metrics, "homeostat_check_flapping", WEB) == 1


async def test_labels_to_join_are_shown_of_each_check() -> None:
    web = check_of(service="shop-front", criticality="Critical", probe={"http": {"service": {"name": "w", "port": 80}}})
    metrics = metrics_of(checks_of(web, check_of("db")))

    assert await samples_of(metrics, "homeostat_check_info") == {
        ("Critical", "web", "shop", "shop-front", "http"): 1, ("Medium", "db", "shop", "db", "tcp"): 1,
    }  # fmt: skip


async def test_no_check_shows_nothing_and_no_score() -> None:
    metrics = metrics_of(Checks())
    shown = {one.name for family in await families_of(metrics) for one in family.samples}

    assert not {
        name for name in shown if name.startswith(("homeostat_check", "homeostat_service", "homeostat_cluster"))
    }


# --- scores ---------------------------------------------------------------------------------------------


async def test_scores_are_shown_of_checks_services_namespaces_and_the_cluster() -> None:
    """H7."""
    metrics = metrics_of(
        checks_of(
            fares(check_of("web", service="front", criticality="Critical"), HealthState.HEALTHY, 1, 1),
            fares(check_of("cart", service="front", criticality="High"), HealthState.DEGRADED, 2, 3),
            check_of("new", service="front"),
            fares(check_of("db", criticality="Critical"), HealthState.UNHEALTHY, 0, 1),
        )
    )

    assert await samples_of(metrics, "homeostat_check_score") == {
        ("web", "shop"): 100, ("cart", "shop"): 33, ("db", "shop"): 0,
    }  # fmt: skip
    assert await samples_of(metrics, "homeostat_service_score") == {("shop", "front"): 77, ("shop", "db"): 0}
    coverage = await samples_of(metrics, "homeostat_service_score_coverage_ratio")
    assert coverage == {("shop", "front"): pytest.approx(2 / 3), ("shop", "db"): 1}
    assert await samples_of(metrics, "homeostat_namespace_score") == {("shop",): 38}
    assert await value_of(metrics, "homeostat_cluster_score") == 38
    assert await value_of(metrics, "homeostat_cluster_score_coverage_ratio") == 0.75


async def test_a_service_of_which_nothing_is_known_shows_its_coverage_and_no_score() -> None:
    """S5: nothing is ever NaN in metrics."""
    metrics = metrics_of(checks_of(check_of()))

    assert await samples_of(metrics, "homeostat_service_score_coverage_ratio") == {("shop", "web"): 0}
    assert await samples_of(metrics, "homeostat_service_score") == {}
    assert await samples_of(metrics, "homeostat_cluster_score") == {}


async def test_a_check_that_is_called_like_a_service_is_scored_with_it_and_not_shown_twice() -> None:
    web = fares(check_of("web"), HealthState.HEALTHY, 1, 1)
    other = fares(check_of("other", service="web"), HealthState.UNHEALTHY, 0, 1)

    assert await samples_of(metrics_of(checks_of(web, other)), "homeostat_service_score") == {("shop", "web"): 50}


# --- histograms -----------------------------------------------------------------------------------------


async def test_each_phase_that_a_probe_had_is_observed_once() -> None:
    metrics = Metrics()
    metrics.phased("http", Phases(connect=0.002, first_byte=0.2, transfer=0.0004))
    metrics.phased("http", Phases(resolve=0.03, connect=0.004, tls=0.02, first_byte=20.0, transfer=0.0005))
    counts = await samples_of(metrics, "homeostat_probe_phase_seconds_count")
    sums = await samples_of(metrics, "homeostat_probe_phase_seconds_sum")

    assert counts == {
        ("resolve", "http"): 1, ("connect", "http"): 2, ("tls", "http"): 1, ("first_byte", "http"): 2,
        ("transfer", "http"): 2,
    }  # fmt: skip
    assert sums["first_byte", "http"] == pytest.approx(20.2)
    buckets = await samples_of(metrics, "homeostat_probe_phase_seconds_bucket")
    assert buckets["0.0005", "transfer", "http"] == 2, "a bound is part of its bucket"
    assert (buckets["10.0", "first_byte", "http"], buckets["+Inf", "first_byte", "http"]) == (1, 2)


@given(st.lists(st.floats(0, 30, allow_nan=False), max_size=50))
def test_a_bucket_counts_what_is_not_above_its_bound(observed: list[float]) -> None:
    histograms = Histograms("x_seconds", "X.", ("type",), PHASE_BUCKETS)
    for seconds in observed:
        histograms.child(("http",)).observe(seconds)
    family = next(iter(histograms.collect()))
    buckets = {one.labels["le"]: one.value for one in family.samples if one.name == "x_seconds_bucket"}

    expected = {} if not observed else {
        ("+Inf" if bound == inf else str(bound)): sum(seconds <= bound for seconds in observed)
        for bound in (*PHASE_BUCKETS, inf)
    }  # fmt: skip
    assert buckets == expected


# --- all of it ------------------------------------------------------------------------------------------


async def test_no_metric_has_a_label_without_bounds() -> None:
    """H10: bounded labels, no error text in a label."""
    store = ObjectStore()
    store.put(
        entry_from(
            objective_body(
                objective="99.9", sli="99.95", burnRates=[{"window": "1h", "rate": "0.5"}],
                budget={"total": "0.1", "consumed": "0.05", "remaining": "0.5"}, alerts=[ALERT], holds=["Chaos"],
                groups=[{"name": "region=eu", "state": "Met", "sli": "99.99"}], spec=HOLDING,
            ),
            "ServiceLevelObjective",
        )
    )  # fmt: skip
    metrics = metrics_of(checks_of(fares(check_of(), HealthState.HEALTHY, 1, 1)), store)
    exercise(metrics)
    samples = [one for family in await families_of(metrics) for one in family.samples]

    assert {label for one in samples for label in one.labels} == BOUNDED
    assert (
        await value_of(metrics, "homeostat_slo_burn_rate", {"namespace": "shop", "name": "slo", "window": "1h"}) == 0.5
    )


async def test_every_metric_is_there_once_with_a_type_and_a_text() -> None:
    metrics = metrics_of(checks_of(check_of()))
    exercise(metrics)
    page = (await metrics.page()).decode()
    names = [line.split()[2] for line in page.splitlines() if line.startswith("# HELP")]

    assert len(names) == len(set(names))
    assert all(line.split(maxsplit=3)[3].endswith(".") for line in page.splitlines() if line.startswith("# HELP"))
    assert names == [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]


def exercise(metrics: Metrics) -> None:
    metrics.decided("HealthCheck")
    metrics.acted("RecoveryPolicy", "EvictPod", Verb.DONE)
    metrics.put_off("HealthCheck", "Conflict")
    metrics.requested("GET", "2xx")
    metrics.probed("http", "Pass", 0.1)
    metrics.phased("http", Phases(connect=0.1))
    metrics.started_late(0.001)
    metrics.lagged(0.001)
    metrics.history_failed()
    metrics.history_dropped(3)
    metrics.history_takes(4096)
    metrics.drifted("HealthCheck")
    metrics.knows("HealthCheck", 4)
    metrics.leads(is_leader=True)
    metrics.served("events", "2xx")
    metrics.pushed("Accepted")
    metrics.pushed_events(3)
    metrics.alerts_posted("Taken")


EXPERIMENT = {"fault": "podKill", "injectedAt": "2026-11-21T12:00:00Z"}
HIT = {"kind": "Pod", "name": "web-1", "uid": "pod-1", "phase": "Injected",
       "workload": {"kind": "Deployment", "name": "web", "uid": "web", "readyBefore": 3}}  # fmt: skip


async def shown_experiment(**status: Any) -> tuple[float | None, float | None]:
    """Give what the page says of one: whether it is at work, and how many faults are left."""
    store, metrics = ObjectStore(), Metrics()
    body = body_of("ChaosExperiment", "kill", {}, status=EXPERIMENT | status)
    store.put(entry_from(body, "ChaosExperiment"))
    metrics.read_from(tuple, tuple, tuple, lambda: read_experiments(store))
    of = {"namespace": "shop", "name": "kill"}
    active = await value_of(metrics, "homeostat_chaos_active", {**of, "fault": "podKill"})
    return active, await value_of(metrics, "homeostat_chaos_faults_left", of)


async def test_an_experiment_is_shown_while_it_is_at_work() -> None:
    """H10: one series at a time."""
    assert await shown_experiment(phase="CheckingSteadyState") == (None, None)
    assert await shown_experiment(phase="Running", targets=[HIT]) == (1, 0)
    assert await shown_experiment(phase="Recovering", targets=[HIT | {"phase": "Reverted"}]) == (1, 0)
    assert await shown_experiment(phase="Finished", targets=[HIT | {"phase": "Recovered"}]) == (None, None)


async def test_faults_that_could_not_be_taken_off_are_counted() -> None:
    """C16: an unclean end is loud."""
    targets = [HIT, HIT | {"uid": "pod-2", "phase": "Reverted"}]

    assert await shown_experiment(phase="Reverting", targets=targets) == (1, 0)
    assert await shown_experiment(phase="Reverting", targets=targets, reason="RecoveryFailed") == (1, 1)
    assert await shown_experiment(phase="Recovering", targets=targets[1:], reason="RecoveryFailed") == (1, 0)


async def test_the_size_of_history_is_shown() -> None:
    metrics = Metrics()
    metrics.history_takes(123_456_789)

    assert await value_of(metrics, "homeostat_history_bytes") == 123_456_789


async def test_an_objective_without_figures_shows_none_rather_than_nan() -> None:
    """S5: nothing is ever NaN in metrics."""
    store = ObjectStore()
    store.put(entry_from(objective_body(objective="99.9"), "ServiceLevelObjective"))
    metrics = metrics_of(Checks(), store)

    assert await value_of(metrics, "homeostat_slo_objective_ratio", {"namespace": "shop", "name": "slo"}) == 0.999
    assert await samples_of(metrics, "homeostat_slo_sli_ratio") == {}
    assert "nan" not in (await metrics.page()).decode().lower().replace("namespace", "")


async def test_the_figures_of_a_window_are_those_of_the_status() -> None:
    window = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-21T12:00:00Z", "coverage": "12.5"}
    metrics = shown_objective(state="Burning", window=window, good=1999, bad=1)
    slo = {"namespace": "shop", "name": "slo"}

    assert await samples_of(metrics, "homeostat_slo_state") == {("slo", "shop", "Burning"): 1}
    assert await value_of(metrics, "homeostat_slo_window_coverage_ratio", slo) == 0.125
    assert await value_of(metrics, "homeostat_slo_good_events", slo) == 1999
    assert await value_of(metrics, "homeostat_slo_bad_events", slo) == 1


async def test_alerts_are_shown_while_they_fire_and_one_that_is_there_twice_once() -> None:
    exhausted = {"type": "BudgetExhausted", "severity": "Ticket", "group": "r=eu", "since": ALERT["since"]}
    metrics = shown_objective(alerts=[ALERT, ALERT, exhausted])

    assert await samples_of(metrics, "homeostat_slo_alert_firing") == {
        ("", "1h", "slo", "shop", "Page", "5m", "BurnRate"): 1,
        ("r=eu", "", "slo", "shop", "Ticket", "", "BudgetExhausted"): 1,
    }
    assert await samples_of(shown_objective(), "homeostat_slo_alert_firing") == {}


async def test_what_a_policy_can_hold_is_shown_held_or_not_and_nothing_else() -> None:
    """A pipeline must tell 0 from nothing: without a rule there is nothing to gate on."""
    held = shown_objective(HOLDING, holds=["Chaos"])

    assert await samples_of(held, "homeostat_slo_hold") == {("Chaos", "slo", "shop"): 1, ("Rollouts", "slo", "shop"): 0}
    assert await samples_of(shown_objective(), "homeostat_slo_hold") == {}


async def test_groups_are_shown_with_what_is_known_of_them() -> None:
    """S14: a budget per group."""
    groups = [
        {"name": 'route="/pay"', "state": "Exhausted", "sli": "99", "remaining": "-900"},
        {"name": "route=/new", "state": "Unknown"},
    ]
    metrics = shown_objective(groups=groups)

    assert await samples_of(metrics, "homeostat_slo_group_sli_ratio") == {('route="/pay"', "slo", "shop"): 0.99}
    assert await samples_of(metrics, "homeostat_slo_group_error_budget_remaining_ratio") == {
        ('route="/pay"', "slo", "shop"): -9
    }


def test_an_objective_that_was_never_evaluated_shows_nothing() -> None:
    store = ObjectStore()
    store.put(entry_from(objective_body(), "ServiceLevelObjective"))

    assert list(read_objectives(store)) == []


async def test_a_name_cannot_break_out_of_its_label() -> None:
    """Everywhere: text from the cluster is data; escaping on every output."""
    name = 'we"b\n# bad\\'
    metrics = metrics_of(checks_of(fares(check_of(name), HealthState.HEALTHY, 1, 1)))
    shown = (await metrics.page()).decode()

    assert "\n# bad" not in shown
    assert await samples_of(metrics, "homeostat_check_score") == {(name, "shop"): 100}
    assert await samples_of(metrics, "homeostat_service_score") == {("shop", name): 100}


async def test_others_get_a_turn_while_a_page_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape of 10,000 checks must not keep the loop. Here the turn is over after each check and each service."""
    monkeypatch.setattr(our_metrics, "TURN", 0.0)
    metrics = metrics_of(checks_of(*(fares(check_of(f"check-{i}"), HealthState.HEALTHY) for i in range(200))))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with asyncio.TaskGroup() as tasks:
        beside = tasks.create_task(others())
        page = await metrics.page()
        beside.cancel()

    assert turns >= 400
    assert page.count(b"homeostat_check_score{") == 200


async def test_a_check_that_goes_while_a_page_is_written_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(our_metrics, "TURN", 0.0)
    all_ = [fares(check_of(f"check-{i}"), HealthState.HEALTHY) for i in range(50)]
    checks = checks_of(*all_)

    async def remove() -> None:
        for check in all_:
            await asyncio.sleep(0)
            checks.remove(check.key)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(remove())
        pages = [await metrics_of(checks).page() for _ in range(3)]

    assert b"homeostat_check_score{" not in pages[-1]


# --- the server -----------------------------------------------------------------------------------------


async def test_the_pages_tell_what_holds_and_what_does_not() -> None:
    holds = {"leads": True, "resync is recent": True}
    metrics = metrics_of(Checks())
    async with (
        serving("127.0.0.1", 0, metrics.page, is_alive=dict, is_ready=lambda: holds) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.get("/livez") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with client.get("/readyz") as answer:
            assert answer.status == 200
        holds["resync is recent"] = False
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "ok   leads\nFAIL resync is recent\n")
        async with client.get("/metrics") as answer:
            assert "homeostat_leader" in await answer.text()
        async with client.get("/settings") as answer:
            assert answer.status == 404


@pytest.fixture
def _as_it_was() -> Any:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_as_it_was")
def test_a_log_line_is_one_json_object_whoever_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("INFO")
    structlog.get_logger("homeostat.test").info("decided", name="web\nforged")
    logging.getLogger("some.library").warning("it %s", "happened\nforged")
    logging.getLogger("kopf").info("chatter")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("decided", "info", "homeostat.test"),
        ("it happened\nforged", "warning", "some.library"),
    ]
