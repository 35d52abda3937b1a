"""A real API server for tests: where it is, `kubectl`, plain HTTP to it, our CRDs in it, and a namespace."""

import json
import os
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from cluster.ensemble import Ensemble
from cluster.stage import until_takes_pods

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
Api = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """Find the cluster to test on. Being without one is an error, never a silent skip."""
    told = os.environ.get("HOMEOSTAT_TEST_KUBECONFIG") or os.environ.get("KUBECONFIG")
    if not told:
        pytest.fail("no cluster: set HOMEOSTAT_TEST_KUBECONFIG, or run ./hack/test, which starts one")
    path = Path(told)
    if not path.is_file():
        pytest.fail(f"no cluster: {path} is not a file")
    return path


@pytest.fixture(scope="session")
def kubectl_command(kubeconfig: Path) -> list[str]:
    """The command line that starts a kubectl for the cluster: `KUBECTL`, else the one on PATH."""
    told = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not told:
        pytest.fail("no kubectl: put it on PATH or set KUBECTL")
    return [*shlex.split(told), f"--kubeconfig={kubeconfig}"]


@pytest.fixture(scope="session")
def kubectl(kubectl_command: list[str]) -> Kubectl:
    """Run kubectl: `kubectl("get", "pods", stdin="", check=True)` gives a CompletedProcess of text."""

    def run(*args: str, stdin: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [*kubectl_command, *args], input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert not check or done.returncode == 0, f"kubectl {shlex.join(args)}: {done.stderr}{done.stdout}"
        return done

    return run


@pytest.fixture(scope="session")
def api(kubectl_command: list[str]) -> Iterator[Api]:
    """Speak to the API server: `api("GET", "/api", body=None, accept=…, content_type=…)` gives code and answer."""
    with subprocess.Popen([*kubectl_command, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        greeting = proxy.stdout.readline()
        assert "serve on" in greeting, "kubectl proxy did not start"
        address = greeting.rsplit(maxsplit=1)[-1]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def call(
            method: str,
            path: str,
            body: object = None,
            accept: str = "application/json",
            content_type: str = "application/json",
        ) -> tuple[int, dict[str, Any]]:
            request = urllib.request.Request(
                f"http://{address}{path}",
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Accept": accept, "Content-Type": content_type},
            )
            try:
                with opener.open(request, timeout=PATIENCE) as answer:
                    return answer.status, content_of(answer.headers.get_content_type(), answer.read())
            except urllib.error.HTTPError as refusal:
                with refusal:
                    return refusal.code, refusal_of(refusal.read())

        yield call
        proxy.terminate()


def content_of(kind: str, body: bytes) -> dict[str, Any]:
    """Read an answer; what is no JSON, such as a log, is `text`."""
    return json.loads(body) if kind == "application/json" else {"text": body.decode(errors="replace")}


def refusal_of(body: bytes) -> dict[str, Any]:
    """Read why a request was refused; of a group whose first kind is just being served that is plain text."""
    return json.loads(body) if body.startswith(b"{") else {"kind": "Status", "message": body.decode()}


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> None:
    """Our CustomResourceDefinitions as the repository has them, established."""
    folder = str(ROOT / "crds")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", folder)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", folder)


@pytest.fixture
def namespace(kubectl: Kubectl, crds: None, api: Api) -> Iterator[str]:  # noqa: ARG001 - nothing of ours exists without them
    """Make a fresh namespace, which is gone afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    until_takes_pods(api, name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


# --- stories (see ensemble.py) --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def ensemble(request: pytest.FixtureRequest, api: Api, kubeconfig: Path, crds: None) -> Iterator[Ensemble]:  # noqa: ARG001
    """Begin all stories of this session."""
    begun = Ensemble(api, kubeconfig, request.session.items)
    yield begun
    begun.end()


@pytest.fixture
def shop(ensemble: Ensemble, request: pytest.FixtureRequest) -> "Future[None]":
    """A Stage that shares the operator with others. The test gets the Stage; pytest itself sees the story's future."""
    return ensemble.result_of(request.node)


@pytest.fixture
def stage(ensemble: Ensemble, request: pytest.FixtureRequest) -> "Future[None]":
    """A Stage without an operator, which the story starts and kills as it likes: in a pod where there can be one."""
    return ensemble.result_of(request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a story instead of calling its function, which already runs in a thread."""
    story = pyfuncitem.funcargs.get("shop") or pyfuncitem.funcargs.get("stage")
    if not isinstance(story, Future):
        return None
    story.result()
    return True
