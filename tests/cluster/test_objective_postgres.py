"""PostgreSQL as the store: it crashes under load, its operator is replaced, and nothing acknowledged is lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from signal import SIGQUIT

import pytest

from cluster.objectives import HURRY, SLO, Caller, entry, pipeline, slo, until_counted
from cluster.stage import Stage
from cluster.waiting import until
from postgres_process import running

pytestmark = pytest.mark.apiserver

LAST = 1000
"""Bad events that are pushed last: the status is only written when the budget moves."""


class Load:
    """Pushes one batch after the other, each until it is taken: nine good events and a bad one."""

    def __init__(self, caller: Caller) -> None:
        self.taken = self.refused = 0
        self._caller = caller
        self._stop = threading.Event()

    def run(self) -> None:
        """Push until told to stop, at which the last batch is taken, too."""
        while not self._stop.is_set():
            while not self._is_taken(f"batch-{self.taken}"):
                self.refused += 1
                self._stop.wait(0.05)
            self.taken += 1

    def stop(self) -> None:
        """Ask it to stop."""
        self._stop.set()

    def _is_taken(self, key: str) -> bool:
        try:
            code, answer = self._caller.push(entry(good=9, bad=1), key=key)
        except (OSError, HTTPException):  # nobody answered: whether it was counted is not known
            return False
        assert code in {200, 503}, answer
        return code == 200


@contextmanager
def load(caller: Caller) -> Iterator[Load]:
    """Push meanwhile."""
    pushing = Load(caller)
    thread = threading.Thread(target=pushing.run, daemon=True)
    thread.start()
    try:
        yield pushing
    finally:
        pushing.stop()
        thread.join(60)
    assert not thread.is_alive(), "what was pushed last was never taken"


def test_a_crash_of_postgresql_under_load_loses_nothing_acknowledged(stage: Stage) -> None:
    """S4, S16: requests are refused meanwhile and repeated with their keys; the same when the operator starts then."""
    with running() as server:
        stage.put(slo(window={"rolling": "1h"}))
        stage.start("--store-url", server.create(), hurry=HURRY)
        caller = pipeline(stage)
        caller.deliver(entry(good=1), key="first")
        with load(caller) as pushing:
            until(lambda: pushing.taken > 50, "events are taken")
            server.stop(SIGQUIT)
            until(lambda: pushing.refused > 3, "events are refused")
            assert stage.one.get("/livez")[0] == 200
            before = pushing.taken
            server.start()
            until(lambda: pushing.taken > before + 50, "events are taken again")

        server.stop()
        stage.one.kill()
        stage.one.start()
        assert caller.push(entry(bad=LAST), key="last")[1]["error"]["reason"] in {"NotReady", "StoreUnavailable"}
        server.start()
        caller.deliver(entry(bad=LAST), key="last")
        until_counted(stage, 1 + 9 * pushing.taken, pushing.taken + LAST)


def test_a_second_replica_takes_over_with_all_counts(stage: Stage) -> None:
    """S16: the leader is killed under load; the other serves the API, knows the keys, and has every event."""
    with running() as server:
        url = server.create()
        stage.put(slo(window={"rolling": "1h"}))
        leader = stage.start("--store-url", url, identity="one", hurry=HURRY)
        standby = stage.start("--store-url", url, identity="two", wait_for="started", hurry=HURRY)
        caller = pipeline(stage)
        caller.deliver(entry(good=1), key="first")
        with load(caller) as pushing:
            until(lambda: pushing.taken > 50, "events are taken")
            leader.kill()
            stage.operator = standby
            code, answer = caller.push(entry(good=1))
            assert (code, answer["error"]["reason"]) == (503, "NotLeader")
            standby.await_log("loaded")
            before = pushing.taken
            until(lambda: pushing.taken > before + 50, "the other takes events")

        assert caller.push(entry(good=999), key="first") == (200, {"accepted": 0, "duplicate": True})
        caller.deliver(entry(bad=LAST), key="last")
        until_counted(stage, 1 + 9 * pushing.taken, pushing.taken + LAST)
        assert stage.condition(SLO, "Ready", "checkout")["status"] == "True"
