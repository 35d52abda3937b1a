"""What Prometheus sees: every metric from the start, no label without bounds; and the three pages that are served."""

import json
import logging
from typing import Any

import aiohttp
import pytest
import structlog
from prometheus_client.exposition import generate_latest

from fakes import NOON, check_body
from homeostat.api.health_check import HealthCheckSpec, HealthState
from homeostat.core.decision import Verb
from homeostat.core.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.track import Track
from homeostat.engine.checks import Check, Checks
from homeostat.engine.objects import ObjectStore, entry_from
from homeostat.engine.readings import read_checks, read_objectives
from homeostat.telemetry import log
from homeostat.telemetry.metrics import Metrics
from homeostat.telemetry.server import serving

BOUNDED = {
    "namespace", "name", "state", "result", "window", "kind", "action", "outcome", "reason", "verb", "status", "type",
    "le",
}  # fmt: skip


def check_of(name: str = "web") -> Check:
    body = check_body(name, uid=name)
    entry = entry_from(body, "HealthCheck")
    plan = compile(HealthCheckSpec.model_validate(body["spec"]), entry.ref)
    assert isinstance(plan, Plan)
    return Check(entry.key, entry.ref, plan, Track(since=NOON, fresh_at=NOON), slot=0)


def metrics_of(checks: Checks, store: ObjectStore | None = None) -> Metrics:
    metrics = Metrics()
    metrics.read_from(lambda: read_checks(checks), lambda: read_objectives(store or ObjectStore()))
    return metrics


def objective_body(**status: Any) -> dict[str, Any]:
    body = check_body("slo", status=status)
    return {**body, "kind": "ServiceLevelObjective", "spec": {}}


def test_the_metrics_of_a_check_are_there_at_0_when_it_appears() -> None:
    """H10: created at 0 when the check appears."""
    checks = Checks()
    metrics = metrics_of(checks)
    checks.put(check_of())
    of = {"namespace": "shop", "name": "web"}
    sample = metrics.registry.get_sample_value

    for result in ("Pass", "Fail", "Invalid", "Error", "Skipped", "Unknown"):
        assert sample("homeostat_check_results_total", {**of, "result": result}) == 0
    assert sample("homeostat_check_missed_runs_total", of) == 0
    assert sample("homeostat_check_state", {**of, "state": "Unknown"}) == 1


def test_the_metrics_of_a_check_go_with_it() -> None:
    checks = Checks()
    metrics = metrics_of(checks)
    check = check_of()
    checks.put(check)
    checks.remove(check.key)

    assert b'name="web"' not in generate_latest(metrics.registry)


def test_a_silent_check_is_shown_as_unknown_and_not_as_it_last_was() -> None:
    """S13: silent failure is the worst failure."""
    checks = Checks()
    metrics = metrics_of(checks)
    check = check_of()
    check.track.state = HealthState.HEALTHY
    check.is_silent = True
    checks.put(check)
    of = {"namespace": "shop", "name": "web"}

    assert metrics.registry.get_sample_value("homeostat_check_state", {**of, "state": "Unknown"}) == 1
    assert metrics.registry.get_sample_value("homeostat_check_state", {**of, "state": "Healthy"}) is None


def test_no_metric_has_a_label_without_bounds() -> None:
    """H10: bounded labels, no error text in a label."""
    checks, store = Checks(), ObjectStore()
    checks.put(check_of())
    store.put(
        entry_from(
            objective_body(
                objective="99.9", sli="99.95", burnRates=[{"window": "1h", "rate": "0.5"}],
                budget={"total": "0.1", "consumed": "0.05", "remaining": "0.5"},
            ),
            "ServiceLevelObjective",
        )
    )  # fmt: skip
    metrics = metrics_of(checks, store)
    exercise(metrics)
    labels = {
        (family.name, label) for family in metrics.registry.collect() for one in family.samples for label in one.labels
    }

    assert {label for _, label in labels} <= BOUNDED
    assert ("homeostat_check_results", "result") in labels


def exercise(metrics: Metrics) -> None:
    metrics.decided("HealthCheck")
    metrics.acted("RecoveryPolicy", "EvictPod", Verb.DONE)
    metrics.put_off("HealthCheck", "Conflict")
    metrics.requested("GET", "2xx")
    metrics.probed("http", "Pass", 0.1)
    metrics.started_late(0.001)
    metrics.lagged(0.001)
    metrics.history_failed()
    metrics.history_dropped(3)
    metrics.drifted("HealthCheck")
    metrics.knows("HealthCheck", 4)
    metrics.leads(is_leader=True)


def test_an_objective_without_figures_shows_none_rather_than_nan() -> None:
    """S5: nothing is ever NaN in metrics."""
    store = ObjectStore()
    store.put(entry_from(objective_body(objective="99.9"), "ServiceLevelObjective"))
    shown = generate_latest(metrics_of(Checks(), store).registry).decode()

    assert 'homeostat_slo_objective_ratio{name="slo",namespace="shop"} 0.99' in shown
    assert "homeostat_slo_sli_ratio{" not in shown
    assert "nan" not in shown.lower().replace("namespace", "")


def test_an_objective_that_was_never_evaluated_shows_nothing() -> None:
    store = ObjectStore()
    store.put(entry_from(objective_body(), "ServiceLevelObjective"))

    assert list(read_objectives(store)) == []


def test_a_name_cannot_break_out_of_its_label() -> None:
    """Everywhere: text from the cluster is data; escaping on every output."""
    checks = Checks()
    checks.put(check_of('we"b\n# bad'))
    shown = generate_latest(metrics_of(checks).registry).decode()

    assert "\n# bad" not in shown
    assert 'name="we\\"b\\n# bad"' in shown


async def test_the_pages_tell_what_holds_and_what_does_not() -> None:
    holds = {"leads": True, "resync is recent": True}
    metrics = metrics_of(Checks())
    async with (
        serving("127.0.0.1", 0, metrics.registry, is_alive=dict, is_ready=lambda: holds) as port,
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
