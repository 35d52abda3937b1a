"""A stand-in for Prometheus on loopback: answers range queries from functions of time, and keeps what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from typing_extensions import override

Answer = Callable[[int], float | None]
"""Of a time (epoch s) the value, or None where there is none."""


@dataclass(frozen=True, slots=True)
class RangePrometheus:
    """Where it listens, and the queries that it was asked, with the step of each."""

    url: str
    asked: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def range_prometheus(answers: Mapping[str, Answer], *, most_points: int = 11_000) -> Iterator[RangePrometheus]:
    """Answer the queries that are known by what they hold; refuse all others, and more points than are allowed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            query, start, end, step = (form[name][0] for name in ("query", "start", "end", "step"))
            running.asked.append((query, int(float(step))))
            times = range(int(float(start)), int(float(end)) + 1, int(float(step)))
            answer = next((one for text, one in answers.items() if text in query), None)
            if answer is None or len(times) > most_points:
                self._write(400, {"status": "error", "errorType": "bad_data", "error": "refused"})
                return
            values = [[at, str(answer(at))] for at in times if answer(at) is not None]
            lines = [{"metric": {}, "values": values}] if values else []
            self._write(200, {"status": "success", "data": {"resultType": "matrix", "result": lines}})

        def _write(self, status: int, told: object) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = RangePrometheus(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
