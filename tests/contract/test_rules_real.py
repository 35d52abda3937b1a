"""The rules in a real Prometheus: it loads and evaluates every one, and the watch learns that from it."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from contract.hostile import on_uvloop
from fakes import FakeClock
from homeostat.api.objective_status import ServiceLevelObjectiveStatus
from homeostat.core.action import InstallRules
from homeostat.core.prometheus.answer import Failure
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import emit
from homeostat.core.rules.holder import Holder, as_file
from homeostat.core.rules.installation import Found, Loaded, RulesSeen, decide_rules
from homeostat.engine.objective.rules_watch import RulesWatch
from homeostat.engine.objects import Key
from homeostat.probe.net.address import Guard
from homeostat.probe.network import NetworkProbes
from homeostat.prometheus.client import Access, PrometheusClient
from prometheus_process import Recorded, RunningPrometheus, openmetrics, running_prometheus
from rule_cases import SPECS
from unit.test_engine_rules_watch import FakeRules

GIVES_UP_AFTER = 60.0  # seconds
KIND = "ServiceLevelObjective"


def series() -> list[Recorded]:
    """Requests of the last hours of two routes, of which one fails, and a ratio of errors of two services."""
    now = int(time.time())
    times = range(now - 2 * 3600, now, 15)
    counters = [
        Recorded("http_requests_total", {"route": route, "code": code}, [(at, each * n) for n, at in enumerate(times)])
        for route, code, each in (("/pay", "200", 9), ("/pay", "500", 1), ("/list", "200", 10))
    ]
    ratios = [
        Recorded("my:errors:ratio", {"service": service}, [(float(at), 0.5) for at in times]) for service in ("a", "b")
    ]
    return [*counters, *ratios]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPrometheus]:
    """One that evaluates all rules of all objectives every second."""
    rules = {
        name.replace(" ", "-"): re.sub("interval: [0-9a-z]+", "interval: 1s", as_file(emit(spec, "shop", name).groups))
        for name, spec in SPECS.items()
    }
    folder = tmp_path_factory.mktemp("prometheus") / "server"
    with running_prometheus(folder, openmetrics(series()), rules=rules) as running:
        yield running


@contextmanager
def client(url: str) -> Iterator[PrometheusClient]:
    probes = NetworkProbes(Guard(allow=[ip_network("127.0.0.0/8")]), time.time)
    try:
        yield PrometheusClient(Access(url, probes.http.fetch), probes.http.fetch)
    finally:
        probes.close()


async def evaluated(prometheus: RunningPrometheus) -> None:
    """Wait until each rule was evaluated."""
    async with asyncio.timeout(GIVES_UP_AFTER):
        while any(  # noqa: ASYNC110 - Prometheus tells nobody
            rule["health"] == "unknown" for group in prometheus.ask("rules")["groups"] for rule in group["rules"]
        ):
            await asyncio.sleep(0.1)


@on_uvloop
async def test_every_rule_is_evaluated_without_an_error(prometheus: RunningPrometheus) -> None:
    """Also those whose groups are called like a label of the alert, of which two fire at once."""
    await evaluated(prometheus)
    wrong = [
        (group["name"], rule["name"], rule["lastError"])
        for group in prometheus.ask("rules")["groups"]
        for rule in group["rules"]
        if rule["health"] != "ok"
    ]

    assert wrong == []


@on_uvloop
async def test_two_groups_called_like_a_label_of_ours_fire_as_two_alerts(prometheus: RunningPrometheus) -> None:
    """Half of all fails in both services: their label `service` is set apart."""
    await evaluated(prometheus)
    async with asyncio.timeout(GIVES_UP_AFTER):
        while len(found := _exported(prometheus)) < 2:  # noqa: ASYNC110 - Prometheus tells nobody
            await asyncio.sleep(0.2)

    assert found == {"a", "b"}


def _exported(prometheus: RunningPrometheus) -> set[str]:
    alerts = prometheus.ask("alerts")["alerts"]
    return {alert["labels"]["exported_service"] for alert in alerts if "exported_service" in alert["labels"]}


@on_uvloop
async def test_the_watch_learns_from_it_which_rules_are_loaded(prometheus: RunningPrometheus) -> None:
    """S13."""
    await evaluated(prometheus)
    with client(prometheus.url) as asking:
        assert not isinstance(await asking.groups(""), Failure)
        found = {name: await _loaded(name, asking) for name in ("counters", "slices")}
        other = await _loaded("counters", asking, changed=True)

    assert found == dict.fromkeys(found, Loaded.LOADED)
    assert other is Loaded.WAITING


async def _loaded(name: str, asking: PrometheusClient, *, changed: bool = False) -> Loaded:
    spec = SPECS[name].model_copy(update={"description": "changed"}) if changed else SPECS[name]
    ref, key = Ref(KIND, "shop", name, "uid"), Key(KIND, "shop", name)
    seen = RulesSeen(Holder.PROMETHEUS_RULE, Found.ABSENT)
    (action,) = decide_rules(spec, ServiceLevelObjectiveStatus(), seen, ref, {}).actions
    assert isinstance(action, InstallRules)
    body = dict(action.body)
    body["metadata"] = {**body["metadata"], "resourceVersion": "1"}
    rules = FakeRules(objects={("shop", body["metadata"]["name"]): body})
    watch = RulesWatch(asking, rules, FakeClock())
    watch.open(key, ref, spec)
    await watch.look()
    known = watch.seen(key)
    assert known is not None
    return known.loaded
