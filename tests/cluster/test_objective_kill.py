"""kill -9 in the middle of a minute: at most the last five seconds of what a HealthCheck's runs counted are missing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cluster.manifests import health_check
from cluster.objectives import slo
from cluster.stage import Stage
from cluster.waiting import until
from homeostat.store.opening import open_reader
from homeostat.store.reading import known, periods, places_of

pytestmark = pytest.mark.apiserver

LOST = 5  # seconds, and as many runs
UNDER_WAY = 2  # runs: one at the kill, one at the end


class Asked(ThreadingHTTPServer):
    """Answers every third request with an error, and counts them all."""

    count = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Answer(BaseHTTPRequestHandler):
    server: Asked

    def do_GET(self) -> None:
        self.server.count += 1
        self.send_response(200 if self.server.count % 3 else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def asked() -> Iterator[Asked]:
    """Serve on loopback."""
    with Asked(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_kill_in_the_middle_of_a_minute_costs_five_seconds_of_counts_at_most(stage: Stage) -> None:
    """H6, S16: what the server was asked is what the objective counted, but for the last seconds."""
    with asked() as server:
        check = health_check(probe={"http": {"url": server.url}})
        stage.put(check, slo(indicator={"healthCheck": {"name": check["metadata"]["name"]}}))
        stage.start("--allow-networks", "127.0.0.0/8")
        begun = until(lambda: server.count, "the check runs")
        until(lambda: server.count >= begun + 12 and 12 <= datetime.now(UTC).second < 50, "a minute is under way")
        stage.one.kill()
        killed = server.count

        stage.one.start()
        until(lambda: server.count > killed, "it runs again")
        assert stage.one.terminate() == 0
        counted = counted_runs(stage)
        assert server.count - LOST - UNDER_WAY <= counted <= server.count


def counted_runs(stage: Stage) -> int:
    """Count what the store holds of the objective."""
    reader = open_reader(f"sqlite:///{stage.one.store}")
    with reader.connect() as connection:
        names = [one.series for one in known(connection, "", "") if one.series.startswith("slo/")]
        minutes = periods(connection, 60, (0, 1 << 40), names, places_of(connection, names))
    reader.dispose()
    return int(sum(sum(one.counted[1].tolist()) for one in minutes))
