"""Where faults and kills take place: a namespace for each, made and removed, with an operator that can be killed."""

import contextlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cluster_api import Failed
from cluster.proxy import FaultProxy
from cluster.stage import Api, Stage
from homeostat.wiring.settings import Settings

PATIENCE = 60


def kubeconfig() -> Path:
    """Find the cluster that hack/bench chose."""
    told = os.environ.get("KUBECONFIG")
    if not told:
        raise Failed("no cluster: KUBECONFIG is not set; ./hack/bench starts one")
    return Path(told)


def api_behind(proxy: FaultProxy) -> Api:
    """Speak JSON to the API server, from any thread."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(
        method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(proxy.url + path, method=method, data=data)  # noqa: S310 - http, of this machine
        request.add_header("Content-Type", content_type)
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, _read(refusal.read())

    return call


def _read(body: bytes) -> dict[str, Any]:
    """Read an answer; that of a pod behind the API server's proxy need not be JSON."""
    found = json.loads(body) if body[:1] == b"{" else {}
    return found if isinstance(found, dict) else {}


def flags_known(**values: str) -> tuple[str, ...]:
    """Give flags of `homeostat run` for those settings that it has."""
    known = {name: value for name, value in values.items() if name in Settings.model_fields}
    return tuple(word for name, value in known.items() for word in (f"--{name.replace('_', '-')}", value))


def make_namespace(api: Api, name: str) -> None:
    """Make a namespace; that it is there already is an error."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    code, answer = api("POST", "/api/v1/namespaces", body)
    if code >= 300:
        raise Failed(f"namespace {name}: {answer.get('message', code)}")


def new_stage(api: Api, namespace: str, folder: Path) -> Stage:
    """Make a Stage in namespaces of its own."""
    stage = Stage(api, kubeconfig(), namespace, folder)
    for name in (stage.namespace, stage.system):
        make_namespace(api, name)
    return stage


@contextlib.contextmanager
def stage_in(api: Api, namespace: str, folder: Path) -> Iterator[Stage]:
    """Have a Stage in namespaces of its own, which is struck afterwards."""
    stage = new_stage(api, namespace, folder)
    try:
        yield stage
    finally:
        stage.strike()
