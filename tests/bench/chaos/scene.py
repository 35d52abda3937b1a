"""The scene: lanes with one pod each, a bystander whose health is the hypothesis, and an operator with its own rights.

The operator runs here as a process, with the rights of dist/ and no others; agents and guards are real containers.
"""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.report import FOLDER
from bench.scene import api_behind, kubeconfig, stage_in
from cluster.installation import grant_rights, rightful
from cluster.manifests import OURS, Manifest, deployment, health_check, service
from cluster.objectives import HURRY
from cluster.proxy import FaultProxy
from cluster.stage import Stage, until_takes_pods
from cluster.waiting import until

IMAGE = "homeostat.dev/operator:dev"
BYSTANDER = "bystander"
STEADY = {"healthCheck": {"name": BYSTANDER}, "duringFault": "MayBreak"}
ALLOWED = {"metadata": {"labels": {"homeostat.dev/chaos": "allowed"}}}
NUMBERS = itertools.count(1)


@contextlib.contextmanager
def open_stage(name: str, *deployments: Manifest) -> Iterator[Stage]:
    """Have a stage with a bystander, its check, these Deployments ready, and an operator that serves it."""
    with contextlib.ExitStack() as stack:
        proxy = FaultProxy(kubeconfig())
        stack.callback(proxy.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"homeostat-{name}-")))
        grant_rights(api_behind(proxy))
        stage = stack.enter_context(stage_in(api_behind(proxy), f"{name}-{os.getpid()}", folder))
        stage.api("PATCH", f"/api/v1/namespaces/{stage.namespace}", ALLOWED, "application/merge-patch+json")
        until_takes_pods(stage.api, stage.namespace)
        asked = {"http": {"service": {"name": BYSTANDER, "port": "http", "path": "/healthz"}}}
        stage.put(
            deployment(1, BYSTANDER), service(BYSTANDER), *deployments,
            health_check(BYSTANDER, probe=asked, failureThreshold=5),
        )  # fmt: skip
        for one in deployments:
            until_ready(stage, one["metadata"]["name"])
        flags = ("--agent-image", IMAGE, "--allow-networks", "127.0.0.0/8", "--workers", "32")
        stage.start(*flags, kubeconfig=rightful(stage), hurry=HURRY)
        stack.callback(_keep_log, stage, name)
        yield stage


def _keep_log(stage: Stage, name: str) -> None:
    """Keep the operator's log beside the figures: who misses an aim will want to know why."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(stage.one.log, FOLDER / f"{name}-operator.log")


def until_ready(stage: Stage, name: str) -> None:
    """Wait until a Deployment has all pods that it wants."""

    def look() -> bool:
        found = stage.read("Deployment", name)
        return bool(found.get("status", {}).get("readyReplicas", 0) == found["spec"]["replicas"])

    until(look, f"{name} is ready", 120)


def experiment(fault: Manifest, lane: str, duration: str, **spec: Any) -> Manifest:
    """Give an experiment on the one pod of a lane, or on its Deployment, that begins at once."""
    is_scale = "scale" in fault
    by_name, by_label = {"name": lane}, {"selector": {"matchLabels": {"app": lane}}}
    target = {"kind": "Deployment" if is_scale else "Pod", **(by_name if is_scale else by_label)}
    defaults = {
        "fault": fault, "target": target, "duration": duration, "hypothesis": [STEADY], "steadyFor": "0s",
        "recoveryTimeout": "1m", "blastRadius": {"minAvailable": 0},
    }  # fmt: skip
    name = f"{lane}-{next(NUMBERS)}"
    return {"apiVersion": OURS, "kind": "ChaosExperiment", "metadata": {"name": name}, "spec": defaults | spec}
