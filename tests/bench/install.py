"""From nothing until the operator leads, and until the first objective shows a row: how long, and what is typed for it.

The cluster is up and has the image: what is measured is the API server, the kubelet, and us. "Nothing" is a cluster
without any of our kinds. Sloth and Pyrra are not run: neither their modules nor their images can be had here.
"""

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.cluster_api import Failed
from bench.progress import say
from bench.quickstarts import PYRRA, PYRRA_WITH_STACK, ROOT, SLOTH, QuickStart, shipped, tutorial
from bench.report import Row, percentile, publish
from bench.scene import api_behind, kubeconfig
from cluster.proxy import FaultProxy
from cluster.stage import MERGE, Api
from helm.scene import NAME, SYSTEM, Estate, Release
from helm.tool import Helm

OURS = "homeostat"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{NAME}"
MANIFEST = "dist/install.yaml"
HELM = f"helm install {NAME} charts/homeostat --namespace {SYSTEM} --create-namespace --wait"
APPLY = (
    f"kubectl apply --server-side -f {MANIFEST} && kubectl -n {SYSTEM} rollout status deployment/{NAME} --timeout=120s"
)
POLL = 0.02
PATIENCE = 300


class Scene:
    """A cluster for these measurements alone."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.estate = Estate(api, Helm("helm", kubeconfig(), folder), kubeconfig(), folder)
        self.release = Release(self.estate.helm, api)

    def clear(self) -> None:
        """Have nothing of ours in the cluster, and no shop."""
        self.estate.until_gone("shop")
        self.estate.clean()

    def type(self, command: str) -> str:
        """Have a shell run what a user types, and give what it prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def set_replicas(self, replicas: int) -> None:
        """Have so many operators wished for."""
        code, answer = self.api("PATCH", DEPLOYMENT, {"spec": {"replicas": replicas}}, content_type=MERGE)
        if code != 200:
            raise Failed(str(answer.get("message")))

    def is_ready(self) -> bool:
        """Whether the Deployment is."""
        return bool(self.api("GET", DEPLOYMENT)[1].get("status", {}).get("readyReplicas"))


def passed_until(holds: Callable[[], object], what: str, since: float) -> float:
    """Wait until something holds, and give the seconds since then."""
    while not holds():
        if time.monotonic() - since > PATIENCE:
            raise Failed(f"not within {PATIENCE} s: {what}")
        time.sleep(POLL)
    return time.monotonic() - since


def installed(scene: Scene, command: str) -> float:
    """Install from nothing by one command, and give how long it took until that said that all is ready."""
    scene.clear()
    began = time.monotonic()
    scene.type(command)
    took = time.monotonic() - began
    scene.release.until_leads()
    return took


def cold_start(scene: Scene) -> tuple[float, float]:
    """Start the one operator where none is, and give how long it took to lead and to be ready."""
    scene.set_replicas(0)
    passed_until(lambda: not scene.release.pods(), "the operator is gone", time.monotonic())
    passed_until(lambda: not scene.release.leader(), "the lead is given up", time.monotonic())
    began = time.monotonic()
    scene.set_replicas(1)
    leads = passed_until(scene.release.leader, "somebody leads", began)
    return leads, passed_until(scene.is_ready, "it is ready", began)


def first_row(scene: Scene, start: QuickStart) -> float:
    """Type a quick start from nothing, the last command until it shows a row with an indicator, and give the time."""
    scene.clear()
    *before, last = start.commands
    began = time.monotonic()
    for command in before:
        scene.type(command)
    return passed_until(lambda: shows_row(scene.type(last)), "a row with figures", began)


def shows_row(text: str) -> bool:
    """Whether the table of objectives has a row with an SLI."""
    head, *rows = next((part.splitlines() for part in text.split("\n\n") if "SLI" in part), [""])
    header = next((line for line in (head, *rows) if "SLI" in line), "")
    at = header.find("SLI")
    below = rows[rows.index(header) + 1 :] if header in rows else rows
    return any(line[at : at + 1].isdigit() for line in below)


def measured(scene: Scene, times: int) -> Iterator[Row]:
    """Measure all that can be."""
    for case, command in (("helm install --wait", HELM), ("kubectl apply until ready", APPLY)):
        if command is APPLY and not (ROOT / MANIFEST).exists():
            say(f"{MANIFEST} is not there: left out")
            continue
        took = [installed(scene, command) for _ in range(times)]
        say(f"{case}: {median(took):.1f} s")
        yield from timed(case, "ready", took)
    started = [cold_start(scene) for _ in range(times)]
    yield from timed("cold start, pod to be made", "leads", [leads for leads, _ in started])
    yield from timed("cold start, pod to be made", "ready", [ready for _, ready in started])
    for start in (shipped(), tutorial()):
        took = [first_row(scene, start) for _ in range(times)]
        say(f"first row, {start.case}: {median(took):.1f} s")
        yield from timed(f"nothing to first row, {start.case}", "shown", took)
    scene.clear()


def timed(case: str, what: str, took: list[float]) -> Iterator[Row]:
    """Give median and worst."""
    yield Row(case, OURS, f"{what}, median", median(took), "s")
    yield Row(case, OURS, f"{what}, p95", percentile(took, 0.95), "s")


def typed() -> Iterator[Row]:
    """Count what is typed, and compare."""
    ours = shipped()
    for start in (ours, tutorial(), SLOTH, PYRRA, PYRRA_WITH_STACK):
        case = f"nothing to first row, {start.case}"
        yield Row(case, start.subject, "keystrokes", start.keystrokes, "characters")
        yield Row(case, start.subject, "commands", start.lines, "commands")
        if start.subject != OURS:
            yield Row(case, start.subject, "keystrokes / homeostat's", start.keystrokes / ours.keystrokes, "x")
            say(f"{start.subject}: not run, for neither its module nor its images can be had here; {start.source}")


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="bench install", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each is done")
    asked = parser.parse_args()
    counted = list(typed())
    with TemporaryDirectory(prefix="homeostat-bench-") as folder, closing(FaultProxy(kubeconfig())) as proxy:
        publish("install", [*measured(Scene(api_behind(proxy), Path(folder)), asked.times), *counted])


if __name__ == "__main__":
    main()
