"""A TLS server whose certificate expires soon, and who renews it: what cert-manager does once a Job asks for it."""

import contextlib
import socket
import ssl
import tempfile
import threading
import time
from pathlib import Path

from bench.faults import shop
from bench.faults.run import Run
from cluster.manifests import Manifest, secret
from contract.certificates import AUTHORITY, KEY, certificate

NAME = "checkout-certificate"
HOST = "shop.test"
SHORT, LONG = 600.0, 30 * 86400.0  # seconds
PATIENCE = 2.0


class TlsServer:
    """Shakes hands, with a certificate that can be changed."""

    def __init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.valid_for = 0.0
        self.issue(LONG)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def issue(self, seconds: float) -> None:
        """Have a new certificate, valid for so long."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "chain.pem")
            file.write_text(certificate(HOST, "homeostat test ca", until=time.time() + seconds) + KEY)
            self._context.load_cert_chain(file)
        self.valid_for = seconds

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            client.settimeout(PATIENCE)
            with contextlib.suppress(OSError), self._context.wrap_socket(client, server_side=True) as connection:
                connection.recv(1)


_SERVERS: dict[str, TlsServer] = {}


def with_certificate(run: Run) -> list[Manifest]:
    """The shop, and a server with a certificate that is looked at."""
    server = _SERVERS[run.stage.namespace] = TlsServer()
    run.closing.callback(server.close)
    probe = {
        "tls": {
            "address": f"127.0.0.1:{server.port}", "serverName": HOST, "minValidity": "1h",
            "caRef": {"secretRef": {"name": "authority", "key": "ca.crt"}},
        }
    }  # fmt: skip
    found = secret("authority", ca_crt=AUTHORITY)
    return [shop.deployment(), shop.service(), found, shop.check(NAME, probe=probe)]


def expires(run: Run) -> None:
    """The certificate is about to expire."""
    _SERVERS[run.stage.namespace].issue(SHORT)


def renewed_by_job(run: Run) -> None:
    """Renew it once a Job of the runbook has asked for it."""
    server = _SERVERS[run.stage.namespace]
    if server.valid_for == SHORT and any(job.get("status", {}).get("succeeded") for job in run.stage.all_of("Job")):
        server.issue(LONG)


def is_renewed(run: Run) -> bool:
    """Whether the certificate lasts."""
    return _SERVERS[run.stage.namespace].valid_for == LONG


def runbook(run: Run) -> Manifest:
    """The runbook, whose Job is one that this cluster has an image for."""
    run.policy = "certificate-expiry"
    found = shop.runbook(run.policy)
    found["spec"]["steps"][0]["job"]["template"] = shop.JOB
    return found
