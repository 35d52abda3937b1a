"""A Prometheus of one metric: `kube_deployment_spec_replicas`, as kube-state-metrics would have it at this moment."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from cluster.stage import Api

NAMESPACE = re.compile(r'namespace="([^"]+)"')


class Metrics:
    """Answers instant queries for the replicas of the Deployment checkout of a namespace."""

    def __init__(self, api: Api) -> None:
        def result(query: str) -> list[dict[str, Any]]:
            found = NAMESPACE.search(query)
            code, body = api("GET", f"/apis/apps/v1/namespaces/{found[1] if found else ''}/deployments/checkout")
            return [{"metric": {}, "value": [time.time(), str(body["spec"]["replicas"])]}] if code == 200 else []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _answer(self, form: str) -> None:
                data = {"resultType": "vector", "result": result(parse_qs(form).get("query", [""])[0])}
                body = json.dumps({"status": "success", "data": data}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
