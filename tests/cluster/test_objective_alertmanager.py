"""Alerts in a real Alertmanager: each is told once when it begins and once when it ends, through a kill -9."""

from collections import Counter

import pytest

from alertmanager_process import running_alertmanager
from cluster.objectives import HURRY, SLO, ago, entry, names_of, pipeline, slo
from cluster.pager import Pager, pager
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.apiserver

FIRING = ["BurnRate 1h", "BurnRate 6h", "TotalOutage"]


def counted(hook: Pager) -> Counter[tuple[str, str]]:
    """Say how often each alert began and ended, by status and fingerprint."""
    return Counter((one["status"], one["fingerprint"]) for one in hook.told)


def test_what_burns_pages_once_and_ends_once_through_a_kill(stage: Stage) -> None:
    """S2, S10: an hour of outage; the alerts of status, of the API and of Alertmanager are the same."""
    with (
        pager() as hook,
        running_alertmanager(stage.folder / "alertmanager", hook.url) as alertmanager,
    ):
        stage.put(slo())
        stage.start("--alertmanager-url", alertmanager.url, hurry=HURRY)
        caller = pipeline(stage, "get", "list")
        caller.deliver(*(entry(bad=5, at=ago(minutes=minute)) for minute in range(60)), key="outage")
        status = stage.until_status(SLO, lambda it: names_of(it) == FIRING, f"{FIRING} fire", "checkout")
        assert status["state"] == "Burning"
        fired = until(lambda: len(hook.told) == len(FIRING) and counted(hook), "somebody is paged")

        stage.one.kill()
        stage.one.start()
        until(
            lambda: stage.one.metric(r"^homeostat_alertmanager_posts_total.*Taken") >= 1, "Alertmanager is told again"
        )
        ours = until(caller.alerts, "the API tells of alerts")
        theirs = alertmanager.alerts()
        assert {one["fingerprint"]: one["labels"] for one in ours} == {
            one["fingerprint"]: one["labels"] for one in theirs
        }
        assert {one["startsAt"][:19] for one in ours} == {one["startsAt"][:19] for one in theirs}
        assert [one["labels"]["alertname"] for one in caller.alerts("alertname=HomeostatTotalOutage")] == [
            "HomeostatTotalOutage"
        ]

        caller.deliver(entry(good=1_000_000), key="over")
        stage.until_status(SLO, lambda it: not it.get("alerts"), "all is over", "checkout")
        until(lambda: len(hook.told) == 2 * len(FIRING), "the end is told")
        ended = {("resolved", fingerprint): 1 for _, fingerprint in fired}
        assert counted(hook) == Counter(fired | ended)
        assert set(fired.values()) == {1}
        assert caller.alerts() == []
