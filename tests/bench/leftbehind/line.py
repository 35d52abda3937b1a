"""A line to the API server for each thread: kept open, with the administrator's certificate, past no proxy."""

import http.client
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.proxy import _upstream
from cluster.stage import Api

PATIENCE = 30
SERVER_ERROR = 500


def direct_api(kubeconfig: Path) -> Api:
    """Speak JSON to the API server; raises OSError or HTTPException while it is away, or not quite back."""
    server, tls = _upstream(kubeconfig, is_administrator=True)
    host, own = urlsplit(server).netloc, threading.local()

    def ask(method: str, path: str, data: bytes | None, content_type: str) -> tuple[int, bytes]:
        if getattr(own, "line", None) is None:
            own.line = http.client.HTTPSConnection(host, timeout=PATIENCE, context=tls)
        try:
            own.line.request(method, path, data, {"Content-Type": content_type})
            answer = own.line.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            own.line.close()
            own.line = None
            raise

    def call(
        method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        try:
            code, text = ask(method, path, data, content_type)
        except http.client.RemoteDisconnected:
            code, text = ask(method, path, data, content_type)
        if code >= SERVER_ERROR:
            raise ConnectionError(f"{method} {path}: {code}")
        found = json.loads(text) if text[:1] == b"{" else {}
        return code, found if isinstance(found, dict) else {}

    return call
