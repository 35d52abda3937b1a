"""What stories about experiments share: a booth for each fault, experiments on them, and the proof that all is gone."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from cluster.manifests import OURS, SHOP, Manifest, deployment, health_check, service
from cluster.stage import Stage
from cluster.waiting import until

CHAOS, MARKER = "ChaosExperiment", "homeostat.dev/chaos"
AGENT = "homeostat-"
"""How the names of the agents' containers begin."""
Status = dict[str, Any]
_TURNS = threading.Semaphore(3)


def in_turn(story: Callable[..., None]) -> Callable[..., None]:
    """Let only a few such stories play at once: where too many containers start at once, beats come too late."""

    @wraps(story)
    def play(**roles: Any) -> None:
        with _TURNS:
            story(**roles)

    return play


def booth(name: str, replicas: int = 1, **spec: Any) -> tuple[Manifest, Manifest]:
    """A Deployment of its own for one fault, with limits for what starves, and its Service."""
    manifest = deployment(replicas, name)
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    container["resources"] = {
        "requests": {"cpu": "30m", "memory": "16Mi"},  # who is to be broken yields to the operator that breaks it
        "limits": {"cpu": "500m", "memory": "64Mi"},
    }
    pod |= spec
    return manifest, service(name)


def check_of(name: str, **spec: Any) -> Manifest:
    """The eyes of a client: each pod of a booth is asked every second."""
    return health_check(name, probe={"http": {"service": {"name": name, "port": "http", "path": "/healthz"}}}, **spec)


def experiment(name: str, fault: Manifest, kind: str = "Pod", **spec: Any) -> Manifest:
    """Break a booth; that its check notices is allowed, as long as all is well again afterwards."""
    selector = {"selector": {"matchLabels": {"app": name}}}
    defaults = {
        "fault": fault,
        "target": {"kind": kind} | (selector if kind == "Pod" else {"name": name}),
        "duration": "20s",
        "blastRadius": {"minAvailable": 0},
        "hypothesis": [may_break(name)],
        "steadyFor": "1s",
        "recoveryTimeout": "5m",
    }
    return {"apiVersion": OURS, "kind": CHAOS, "metadata": {"name": name}, "spec": defaults | spec}


def may_break(check: str) -> Manifest:
    """Have a check that is Healthy before and after."""
    return {"healthCheck": {"name": check}, "duringFault": "MayBreak"}


def open_booths(stage: Stage, *names: str, **spec: Any) -> None:
    """Open some, each with its check, and wait until clients are content."""
    for name in names:
        stage.put(*booth(name, **spec), check_of(name))
    until_content(stage, *names)


def until_content(stage: Stage, *names: str) -> None:
    """Wait until clients of booths are content."""
    for name in names:
        stage.until_state("Healthy", name)


def pods_of(stage: Stage, name: str = SHOP) -> dict[str, Manifest]:
    """Give a booth's pods that are not on their way out, by uid."""
    return {
        pod["metadata"]["uid"]: pod
        for pod in stage.all_of("Pod")
        if pod["metadata"]["labels"].get("app") == name and "deletionTimestamp" not in pod["metadata"]
    }


def restarts_of(stage: Stage, name: str) -> int:
    """Count the restarts of a booth's containers."""
    statuses = [one for pod in pods_of(stage, name).values() for one in pod["status"].get("containerStatuses", [])]
    return sum(one["restartCount"] for one in statuses)


def agents_of(stage: Stage, name: str = SHOP) -> list[str]:
    """Tell in a word how each fault agent in a booth's pods is: waiting, running or terminated."""
    statuses = [
        one for pod in pods_of(stage, name).values() for one in pod["status"].get("ephemeralContainerStatuses", [])
    ]
    return [next(iter(one["state"]), "waiting") for one in statuses if one["name"].startswith(AGENT)]


def specs_of(stage: Stage, *names: str) -> dict[str, Manifest]:
    """Give the specs of Deployments, to compare."""
    return {name: stage.read("Deployment", name)["spec"] for name in names}


def is_marked(stage: Stage, name: str = SHOP) -> bool:
    """Whether a Deployment or one of its pods bears the mark of a fault."""
    objects = [stage.read("Deployment", name), *pods_of(stage, name).values()]
    return any(MARKER in one["metadata"].get("annotations", {}) for one in objects)


def guards_of(stage: Stage, uid: str = "") -> list[str]:
    """Name the guards of an experiment, or those of all experiments of the stage, whoever's operator made them."""
    label = f"homeostat.dev/guard-of={uid}" if uid else f"homeostat.dev/guard-namespace={stage.namespace}"
    paths = (f"/api/v1/pods?labelSelector={label}", f"/apis/coordination.k8s.io/v1/leases?labelSelector={label}")
    return [one["metadata"]["name"] for path in paths for one in stage.api("GET", path)[1]["items"]]


def disarm_guards(stage: Stage) -> None:
    """Take their rights from the guards of a stage, which then are as good as dead; the operator keeps its own."""
    for name in ("homeostat-undo", "homeostat-undo-nodes"):
        stage.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}-{stage.namespace}")


def until_nothing_is_left(stage: Stage, before: dict[str, Manifest]) -> None:
    """Wait until Deployments are what they were, unmarked, without agents at work, and no guard stands by."""

    def left() -> str:
        for name, spec in before.items():
            if stage.read("Deployment", name)["spec"] != spec:
                return f"the spec of {name} is another"
            if is_marked(stage, name):
                return f"{name} is marked"
            if "running" in agents_of(stage, name):
                return f"an agent is at work in {name}"
        return "a guard stands by" if guards_of(stage) else ""

    last: list[str] = []

    def is_clean() -> bool:
        last[:] = [left()]
        return not last[0]

    try:
        until(is_clean, "nothing is left")
    except AssertionError as error:
        error.add_note(last[0])
        raise


def until_judged(stage: Stage, *names: str) -> dict[str, Status]:
    """Wait until experiments are over, and give how; one whose agent was lost runs once more, and that run counts.

    An agent takes its fault off when it has not heard of the operator for 3 s, as it should, and such a run proves
    nothing. A busy machine may well stop for that long, but not in each of two runs.
    """
    ends = {name: stage.until_finished(name=name) for name in names}
    lost = [name for name, status in ends.items() if ended(status) == ("Inconclusive", "AgentLost")]
    for name in lost:
        stage.patch(CHAOS, {"metadata": {"annotations": {"homeostat.dev/run": "2"}}}, name)
    return ends | {name: stage.until_finished(2, name) for name in lost}


def ended(status: Status) -> tuple[str | None, str | None]:
    """Give verdict and reason."""
    return status.get("verdict"), status.get("reason")


def said(status: Status) -> str:
    """Give what a run saw, as one text."""
    return "; ".join(one["what"] for one in status.get("observations", []))
