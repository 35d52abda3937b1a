"""What policies hear and call in the kill matrix: a signal for each trial, told by this machine, and its webhook."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


class _Patient(ThreadingHTTPServer):
    request_queue_size = 128

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that is killed is no error."""


class Server:
    """Answers 200 or 503 for each trial, and keeps the idempotency keys of the calls it gets."""

    def __init__(self) -> None:
        self._well: set[str] = set()
        self.calls: dict[str, set[str]] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self.path.strip("/") in owner._well else 503)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = self.headers.get("Idempotency-Key") or ""
                owner.calls.setdefault(self.path.strip("/"), set()).add(key)
                self._answer(204)

            def _answer(self, code: int) -> None:
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = _Patient(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, trial: str) -> str:
        """Give the URL of a trial."""
        return f"http://127.0.0.1:{self._server.server_port}/{trial}"

    def heal(self, trial: str) -> None:
        """Let the signal of a trial go quiet."""
        self._well.add(trial)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
