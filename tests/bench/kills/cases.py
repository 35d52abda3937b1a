"""What each step does, how that shows in what the API server granted, and how often it should."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.manifests import SHOP, Manifest, deployment
from cluster.stage import Stage

TAINT = "homeostat.dev/bench"
"""Keeps the pods of others off the Node of a trial."""
EVICTION = ("POST", r"/pods/[^/]+/eviction$")
OF_SHOP = ("PATCH", r"/deployments/shop\?(?!.*dryRun)")
OF_NODE = ("PATCH", r"/nodes/[^/?]+\?")
NEVER_HEALS = {"stabilise": "0s", "holdFor": "1s", "deadline": "2s"}
TIME_TO_COME_BACK = NEVER_HEALS | {"deadline": "8s"}
"""Of a step that heals: an operator that is killed meanwhile must see a second of quiet before this is over."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a trial takes place: its stage, the Node that is its own, and the URL of its signal and webhook."""

    stage: Stage
    node: str
    url: str


Prepare = Callable[[Site], None]


def nothing(site: Site) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One step: what the policy says of it, what it should do to the cluster, and what that looks like.

    `expected` counts the writes of `effect` that the API server should have granted by the end. With `heals` the
    signal goes quiet once that many were; without, the step has not helped, and what it did is taken back.
    """

    name: str
    steps: Callable[[Site], list[Manifest]]
    effect: tuple[str, str]
    expected: int = 1
    heals: bool = True
    prepare: Prepare = nothing
    target: Callable[[Site], Manifest] = field(default=lambda _: {"kind": "Deployment", "name": SHOP})
    is_called: bool = False
    """Its effect is a call of the webhook, counted by idempotency keys."""
    verify: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "Recovered"
    is_restored: Callable[[Site], bool] = field(default=lambda _: True)
    """Whether the cluster is at the end as it should be."""


def one(step: Manifest) -> Callable[[Site], list[Manifest]]:
    """Make a policy of one step."""
    return lambda _: [{**step, "timeout": "1m"}]


def release(site: Site) -> None:
    """Roll a second revision out, and wait for it."""
    manifest = deployment(2)
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "RELEASE", "value": "2"}]
    site.stage.put(manifest)
    site.stage.until_status("Deployment", lambda it: _is_rolled_out(it, 2), "the second revision is out")


def _is_rolled_out(status: Mapping[str, Any], generation: int) -> bool:
    is_seen = status.get("observedGeneration", 0) >= generation
    return is_seen and status.get("updatedReplicas") == status.get("replicas") == status.get("readyReplicas") == 2


def tenant(site: Site) -> None:
    """Have pods on the trial's own Node."""
    manifest = deployment(2, "tenant")
    pod = manifest["spec"]["template"]["spec"]
    pod["nodeSelector"] = {"kubernetes.io/hostname": site.node}
    pod["tolerations"] = [{"key": TAINT, "operator": "Exists"}]
    site.stage.put(manifest)
    site.stage.until_status("Deployment", lambda it: it.get("readyReplicas") == 2, "two pods on the Node", "tenant")


def neighbour(site: Site) -> None:
    """Have a second Deployment."""
    site.stage.put(deployment(1, "neighbour"))
    site.stage.until_status("Deployment", lambda it: it.get("readyReplicas") == 1, "the neighbour runs", "neighbour")


def has_replicas(count: int) -> Callable[[Site], bool]:
    """Whether the shop has so many replicas in its spec."""
    return lambda site: bool(site.stage.read("Deployment")["spec"]["replicas"] == count)


def has_label(value: str | None) -> Callable[[Site], bool]:
    """Whether the shop has a label `tried` of this value."""
    return lambda site: (site.stage.read("Deployment")["metadata"].get("labels") or {}).get("tried") == value


def has_release(value: str | None) -> Callable[[Site], bool]:
    """Whether the shop's template is of this release."""

    def look(site: Site) -> bool:
        container = site.stage.read("Deployment")["spec"]["template"]["spec"]["containers"][0]
        return next((one["value"] for one in container.get("env", ())), None) == value

    return look


def is_cordoned(*, wanted: bool) -> Callable[[Site], bool]:
    """Whether the trial's Node is unschedulable, as it should be."""

    def look(site: Site) -> bool:
        _, node = site.stage.api("GET", f"/api/v1/nodes/{site.node}")
        return bool(node["spec"].get("unschedulable")) is wanted

    return look


JOB: Manifest = {
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "it", "image": "homeostat.dev/sample:dev", "args": ["-h"]}],
    }
}
PATCH: Manifest = {"patch": {"patch": {"metadata": {"labels": {"tried": "yes"}}}}}


def on_node(site: Site) -> Manifest:
    """Target the trial's own Node."""
    return {"kind": "Node", "name": site.node}


CASES = (
    Case("restartPods", one({"restartPods": {"which": "All"}}), EVICTION, 2),
    Case("rolloutRestart", one({"rolloutRestart": {}}), OF_SHOP),
    Case("scale", one({"scale": {"by": "+1", "max": 5}}), OF_SHOP, is_restored=has_replicas(3)),
    Case(
        "scale undone", one({"scale": {"by": "+1", "max": 5}}), OF_SHOP, 2,
        heals=False, verify=NEVER_HEALS, outcome="Failed", is_restored=has_replicas(2),
    ),
    Case("rolloutUndo", one({"rolloutUndo": {}}), OF_SHOP, prepare=release, is_restored=has_release(None)),
    Case(
        "rolloutUndo undone", one({"rolloutUndo": {}}), OF_SHOP, 2, prepare=release,
        heals=False, verify=NEVER_HEALS, outcome="Failed", is_restored=has_release("2"),
    ),
    Case("patch", one(PATCH), OF_SHOP, is_restored=has_label("yes")),
    Case(
        "patch undone", one(PATCH), OF_SHOP, 2,
        heals=False, verify=NEVER_HEALS, outcome="Failed", is_restored=has_label(None),
    ),
    Case(
        "rolloutRestart of two",
        lambda _: [
            {
                "rolloutRestart": {}, "timeout": "1m",
                "targets": [{"kind": "Deployment", "name": SHOP}, {"kind": "Deployment", "name": "neighbour"}],
            }
        ],
        ("PATCH", r"/deployments/(shop|neighbour)\?(?!.*dryRun)"), 2, prepare=neighbour,
    ),
    Case("evict", one({"evict": {"which": "All"}}), EVICTION, 2),
    Case("cordon", one({"cordon": {}}), OF_NODE, target=on_node, is_restored=is_cordoned(wanted=True)),
    Case(
        "cordon undone", one({"cordon": {}}), OF_NODE, 2, target=on_node,
        heals=False, verify=NEVER_HEALS, outcome="Failed", is_restored=is_cordoned(wanted=False),
    ),
    Case("drain", one({"drain": {}}), ("POST|PATCH", r"/eviction$|/nodes/[^/?]+\?"), 3, target=on_node, prepare=tenant),
    Case("job", one({"job": {"template": JOB}}), ("POST", r"/jobs(\?|$)")),
    Case(
        "webhook", lambda site: [{"webhook": {"url": site.url}, "timeout": "1m"}], ("POST", r"^$"), is_called=True
    ),
    Case(
        "restore",
        lambda _: [
            {"scale": {"by": "+1", "max": 5}, "timeout": "1m"},
            {"restore": {}, "timeout": "1m"},
        ],
        OF_SHOP, 2, verify=TIME_TO_COME_BACK | {"onFailure": "NextStep"}, is_restored=has_replicas(2),
    ),
)  # fmt: skip
