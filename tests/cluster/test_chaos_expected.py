"""Expected alerts on a real cluster, with a real Alertmanager: to the owner during the run, to the pager after it."""

import pytest

from alertmanager_process import running_alertmanager
from cluster.manifests import bystander, scale_experiment
from cluster.objectives import CHECKOUT, HURRY, SLO, ago, entry, pipeline, slo
from cluster.pager import Pager, pager
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

OUTAGE = "HomeostatTotalOutage"
TOO_FEW = {"minBadEvents": 1000}
"""Of the alerts only that of a total outage fires: it ends with the first good event."""


def told(hook: Pager) -> list[tuple[str, str, str]]:
    """Give what somebody was told, in order."""
    found = ((one["status"], one["labels"]) for one in hook.told)
    return [(status, labels["alertname"], labels.get("expected_by", "")) for status, labels in found]


def test_an_expected_alert_goes_to_its_owner_and_to_the_pager_when_it_outlasts_the_run(stage: Stage) -> None:
    """C13: the drill's alert never paged while the run was on; that it still fired afterwards did, once."""
    with (
        pager() as hook,
        pager() as owner,
        running_alertmanager(stage.folder / "alertmanager", hook.url, owner=owner.url, host=stage.host) as alertmanager,
    ):
        stage.start("--alertmanager-url", alertmanager.url, hurry=HURRY)
        stage.open_healthy_shop(bystander())
        stage.put(slo(alerting=TOO_FEW))
        caller = pipeline(stage, "get", "list")
        until(lambda: caller.push(entry(good=-1))[0] == 422, "events are read before the run: these are not counted")
        stage.put(scale_experiment(to=4, duration="60s", recoveryTimeout="30s", proves=[{"slo": CHECKOUT}]))
        stage.until_phase("Running")
        caller.deliver(*(entry(bad=5, at=ago(minutes=minute)) for minute in range(3)), key="outage")
        fired = stage.until_status(SLO, lambda it: it.get("alerts"), "it pages", CHECKOUT)
        until(lambda: owner.told, "the owner is told")
        [ours] = until(caller.alerts, "the API tells of it")
        assert (fired["alerts"][0]["expectedBy"], ours["labels"]["expected_by"]) == ("shop", "shop")
        until(lambda: stage.one.metric(r'^homeostat_chaos_active.*fault="scale"') == 1, "metrics tell of the fault")

        status = stage.until_finished()
        assert (status["verdict"], status["reason"]) == ("Failed", "NotProved"), status
        until(lambda: hook.told, "somebody is paged: it still fires, and the run is over")
        until(lambda: len(owner.told) == 2, "the owner is told that it is no longer theirs")
        assert [one["labels"].get("expected_by", "") for one in alertmanager.alerts()] == [""]
        assert until(lambda: stage.events("AlertNotExpected"), "an event tells of it")

        caller.deliver(entry(good=1_000_000), key="over")
        until(lambda: len(hook.told) == 2, "the end is told")
        assert told(owner) == [("firing", OUTAGE, "shop"), ("resolved", OUTAGE, "shop")]
        assert told(hook) == [("firing", OUTAGE, ""), ("resolved", OUTAGE, "")]
