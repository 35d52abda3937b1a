"""Alerts in a real Alertmanager: each is told once when it begins and once when it ends, through a kill -9."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alertmanager_process import running_alertmanager
from cluster.objectives import HURRY, SLO, ago, entry, names_of, pipeline, slo
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.apiserver

FIRING = ["BurnRate 1h", "BurnRate 6h", "TotalOutage"]


class Pager(ThreadingHTTPServer):
    """Notes what Alertmanager tells: how often an alert began and ended, by status and fingerprint."""

    told: Counter[tuple[str, str]]


class _Note(BaseHTTPRequestHandler):
    server: Pager

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.update((alert["status"], alert["fingerprint"]) for alert in body["alerts"])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def pager() -> Iterator[Pager]:
    """Listen on loopback."""
    with Pager(("127.0.0.1", 0), _Note) as server:
        server.told = Counter()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_what_burns_pages_once_and_ends_once_through_a_kill(stage: Stage) -> None:
    """S2, S10: an hour of outage; the alerts of status, of the API and of Alertmanager are the same."""
    with (
        pager() as hook,
        running_alertmanager(
            stage.folder / "alertmanager", f"http://127.0.0.1:{hook.server_address[1]}/"
        ) as alertmanager,
    ):
        stage.put(slo())
        stage.start("--alertmanager-url", alertmanager.url, hurry=HURRY)
        caller = pipeline(stage, "get", "list")
        caller.deliver(*(entry(bad=5, at=ago(minutes=minute)) for minute in range(60)), key="outage")
        status = stage.until_status(SLO, lambda it: names_of(it) == FIRING, f"{FIRING} fire", "checkout")
        assert status["state"] == "Burning"
        fired = until(lambda: len(hook.told) == len(FIRING) and dict(hook.told), "somebody is paged")

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
        assert hook.told == Counter(fired | ended)
        assert set(fired.values()) == {1}
        assert caller.alerts() == []
