"""The development cluster itself: side by side, after kill -9, and without a trace when it is down.

These tests start clusters of their own, in a state folder of their own; they leave the one under test alone.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "hack" / "devcluster"
PATIENCE = 600
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: sample}
spec:
  replicas: 2
  selector: {matchLabels: {app: sample}}
  template:
    metadata: {labels: {app: sample}}
    spec:
      dnsPolicy: Default
      terminationGracePeriodSeconds: 1
      containers:
        - name: sample
          image: homeostat.dev/sample:dev
          imagePullPolicy: Never
          readinessProbe: {httpGet: {path: /livez, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: sample}
spec: {selector: {app: sample}, ports: [{port: 80, targetPort: 8080}]}
"""

Run = Callable[..., str]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Variables that give clusters a state folder of the test's own."""
    state = tempfile.mkdtemp(prefix="hs-", dir="/tmp")  # paths of Unix sockets must be short
    yield {**os.environ, "XDG_STATE_HOME": state}
    shutil.rmtree(state)


@pytest.fixture
def devcluster(environment: dict[str, str]) -> Iterator[Run]:
    """Run `hack/devcluster`; all its clusters are down afterwards."""

    def run(*arguments: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            [LAUNCHER, *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, f"devcluster {arguments}: {done.stderr}{done.stdout}"
        return done.stdout + done.stderr

    yield run
    run("down", "--all")


@pytest.fixture(scope="session")
def sample_archive() -> str:
    built = subprocess.run(
        [ROOT / "hack" / "build-image", "sample"], stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
    )
    return built.stdout.strip()


def left_behind(status: str, folder: str) -> list[str]:
    """Find what a cluster that is down now has left on this machine: its status tells its range of addresses."""
    index = re.search(r"pods 198\.18\.(\d+)\.", status)
    assert index, status
    marks = rf"homeostat-?{index[1]}\b|198\.1[89]\.{index[1]}\.|{re.escape(folder)}/"
    lines: list[str] = []
    for command in ("ip -o link", "ip -o address", "ip route", "iptables-save"):
        lines += subprocess.run(command.split(), capture_output=True, text=True, check=False).stdout.splitlines()
    lines += Path("/proc/self/mounts").read_text().splitlines()
    lines += [str(found) for found in Path("/sys/fs/cgroup").glob("*/homeostat-*")]
    lines += [str(found) for found in Path(folder).glob("homeostat/clusters/*/*")]
    lines += command_lines()
    return [line for line in lines if re.search(marks, line)]


def command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it ended meanwhile
    return lines


def components(status: str) -> dict[str, int]:
    return {found[1]: int(found[2]) for found in re.finditer(r"^([a-z-]+) +(\d+) ", status, re.MULTILINE)}


def kill_everything(status: str) -> None:
    for pid in components(status).values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # a part of the node, which ended with its first process


def deploy(devcluster: Run, name: str, archive: str) -> str:
    """Run the sample; give the URL of its service."""
    devcluster("load", "--name", name, archive)
    devcluster("kubectl", "--name", name, "apply", "-f", "-", stdin=DEPLOYMENT)
    devcluster("kubectl", "--name", name, "rollout", "status", "deployment/sample", "--timeout=180s")
    address = devcluster("kubectl", "--name", name, "get", "service/sample", "-o", "jsonpath={.spec.clusterIP}")
    return f"http://{address.strip()}/"


def answer_of(url: str) -> str:
    """Ask until there is an answer: rules of a new service take a moment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 120
    while True:
        try:
            with opener.open(url, timeout=2) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.mark.cluster
@needs_root
def test_two_clusters_run_side_by_side_and_leave_nothing(
    devcluster: Run, environment: dict[str, str], sample_archive: str
) -> None:
    names = ("side-one", "side-two")
    for name in names:
        devcluster("up", "--name", name)
    urls = [deploy(devcluster, name, sample_archive) for name in names]
    assert [answer_of(url) for url in urls] == ["homeostat sample\n"] * 2
    assert urls[0].split(".")[2] != urls[1].split(".")[2], "both have the same range of services"
    statuses = [devcluster("status", "--name", name) for name in names]
    devcluster("down", "--name", names[0])
    assert answer_of(urls[1]) == "homeostat sample\n"
    devcluster("down", "--name", names[1])
    for status in statuses:
        assert left_behind(status, environment["XDG_STATE_HOME"]) == []


@pytest.mark.cluster
@needs_root
def test_a_cluster_comes_back_after_kill_9_with_its_pods(devcluster: Run, sample_archive: str) -> None:
    devcluster("up", "--name", "killed")
    url = deploy(devcluster, "killed", sample_archive)
    kill_everything(devcluster("status", "--name", "killed"))
    assert "not up" in devcluster("status", "--name", "killed", check=False)
    devcluster("up", "--name", "killed")
    assert answer_of(url) == "homeostat sample\n"


@pytest.mark.cluster
@needs_root
def test_down_after_kill_9_leaves_nothing(devcluster: Run, environment: dict[str, str]) -> None:
    devcluster("up", "--name", "gone")
    status = devcluster("status", "--name", "gone")
    kill_everything(status)
    devcluster("down", "--name", "gone")
    assert left_behind(status, environment["XDG_STATE_HOME"]) == []


@pytest.mark.cluster
@needs_root
def test_the_node_starts_its_components_again(devcluster: Run) -> None:
    devcluster("up", "--name", "healed")
    before = components(devcluster("status", "--name", "healed"))
    for name in ("containerd", "kubelet", "kube-proxy"):
        os.kill(before[name], signal.SIGKILL)

    def is_healed() -> bool:
        # Both at once: it counts as up until the API server notices that the kubelet is gone.
        status = devcluster("status", "--name", "healed", check=False)
        return "healed: up" in status and components(status).get("kubelet") not in {None, before["kubelet"]}

    deadline = time.monotonic() + 180
    while not is_healed():
        assert time.monotonic() < deadline, "the node did not heal"
        time.sleep(0.2)


@pytest.mark.apiserver
def test_a_control_plane_alone_claims_that_pods_run(devcluster: Run) -> None:
    devcluster("up", "--name", "alone", "--control-plane-only", "--fake-nodes", "2")
    assert "is up already" in devcluster("up", "--name", "alone", "--control-plane-only")

    def kubectl(*arguments: str) -> str:
        return devcluster("kubectl", "--name", "alone", *arguments)

    assert len(kubectl("get", "nodes", "--no-headers").splitlines()) == 2
    kubectl("create", "deployment", "web", "--image=none", "--replicas=4")
    kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    kubectl("delete", "pods", "--all", "--wait", "--timeout=120s")
    kubectl("create", "job", "once", "--image=none")
    kubectl("wait", "--for=condition=complete", "job/once", "--timeout=120s")


@pytest.mark.apiserver
def test_an_up_that_was_killed_is_finished_by_the_next(devcluster: Run, environment: dict[str, str]) -> None:
    command = [str(LAUNCHER), "up", "--name", "half", "--control-plane-only"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as first:
        while "etcd" not in components(devcluster("status", "--name", "half", check=False)):
            assert first.poll() is None, "the first up ended before it was killed"
        first.kill()
    assert "half: not up" in devcluster("status", "--name", "half", check=False)
    devcluster("up", "--name", "half", "--control-plane-only")
    assert "half: up" in devcluster("status", "--name", "half")
