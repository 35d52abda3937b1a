"""The kinds of fault, each in real pods: what is there, what breaks, which runbook heals it, or why none may.

A Node that somebody cordoned is no kind: no step uncordons what it did not cordon, and none should.
"""

import time
from collections.abc import Callable
from typing import Any

from bench.faults import expiry, nodes, shop
from bench.faults.run import Kind, Run, is_ready
from cluster.manifests import SAMPLE, Manifest, disruption_budget, objective
from cluster.waiting import until

EVICTION = r"^POST .*/pods/checkout-[^/]+/eviction$"
ROLLBACK = r"^PATCH .*/deployments/checkout\?"
ROOM = rf"^PATCH .*/pods/checkout-[^/]+/resize|{EVICTION}"
EITHER = f"{EVICTION}|{ROLLBACK}"
LONG: dict[str, Any] = {"duration": "15m"}


# --- what is there --------------------------------------------------------------------------------------


def plain(run: Run) -> list[Manifest]:
    """The shop and its check."""
    return [shop.deployment(replicas=run.desired["checkout"]), shop.service(), shop.check()]


def of_five(run: Run) -> list[Manifest]:
    """The shop with five pods."""
    run.desired["checkout"] = 5
    return plain(run)


def seen_by_users(_: Run) -> list[Manifest]:
    """The shop, with a check that asks for what users ask for and looks at what they get."""
    expect = {"body": {"contains": "homeostat sample"}}
    http = {"service": {"name": "checkout", "port": "http", "path": "/"}, "expect": expect}
    return [shop.deployment(), shop.service(), shop.check(probe={"http": http})]


def sharing_processes(run: Run) -> list[Manifest]:
    """The shop, whose process is not the first of its PID namespace, and that no kubelet asks whether it lives."""
    manifest = shop.in_pod(shop.deployment(), shareProcessNamespace=True)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    if run.with_policy:
        del container["livenessProbe"]
    return [manifest, shop.service(), shop.check()]


def ready_by_users_port(_: Run) -> list[Manifest]:
    """The shop, whose readiness is asked of the port that users have."""
    return [shop.deployment(is_probed_by="http"), shop.service(), shop.check()]


def with_deadline(_: Run) -> list[Manifest]:
    """The same, whose rollouts must get on within ten seconds."""
    return [shop.deployment(is_probed_by="http", progressDeadlineSeconds=10), shop.service(), shop.check()]


def with_objective(run: Run) -> list[Manifest]:
    """The shop with an objective."""
    return [*plain(run), named(objective("checkout"), "checkout")]


def with_sidecar(_: Run) -> list[Manifest]:
    """The shop with a sidecar in each pod."""
    manifest = shop.deployment()
    pod = manifest["spec"]["template"]["spec"]
    args = ["-http", ":9080", "-grpc", ":9051", "-tls", ":9443", "-control", ":9081", "-scratch", "/own"]
    pod["containers"].append(
        {
            "name": "sidecar", "image": SAMPLE, "imagePullPolicy": "Never", "args": args,
            "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "48Mi"}},
            "volumeMounts": [{"name": "own", "mountPath": "/own"}],
        }
    )  # fmt: skip
    pod["volumes"].append({"name": "own", "emptyDir": {}})
    return [manifest, shop.service(), shop.check()]


def before_database(run: Run) -> list[Manifest]:
    """The shop and the database that it needs, which its check says."""
    run.desired["database"] = 1
    return [
        shop.deployment(args=["-upstream", "database:80"]), shop.service(),
        shop.deployment("database", 1), shop.service("database"),
        shop.check("database"), shop.check(dependsOn=[{"name": "database"}]),
    ]  # fmt: skip


def around_database(run: Run) -> list[Manifest]:
    """A database with few connections, and two that use it."""
    run.desired |= {"checkout": 1, "worker": 1, "database": 1}
    return [
        shop.deployment("database", 1, ["-connections", "8"]), shop.service("database"), shop.check("database"),
        shop.deployment("worker", 1), shop.deployment(replicas=1),
    ]  # fmt: skip


def with_standby(run: Run) -> list[Manifest]:
    """A model server, its standby, and a check that asks the Service, as clients do."""
    run.desired = {"model": 1, "model-standby": 1}
    return [
        shop.deployment("model", 1), shop.service("model"), shop.deployment("model-standby", 1), shop.check("model"),
    ]  # fmt: skip


def with_disruption_budget(run: Run) -> list[Manifest]:
    """The shop, of which no pod may go."""
    budget = disruption_budget(3)
    budget["spec"]["selector"] = {"matchLabels": {"app": "checkout"}}
    return [*plain(run), named(budget, "checkout")]


def named(manifest: Manifest, name: str) -> Manifest:
    """Give a manifest another name."""
    return manifest | {"metadata": {"name": name}}


# --- what breaks ----------------------------------------------------------------------------------------


def one_pod(**fault: Any) -> Callable[[Run], None]:
    """Break one pod."""
    return lambda run: run.break_pod(run.names()[0], **fault)


def all_pods(run: Run) -> None:
    """Break all pods."""
    for name in run.names():
        run.break_pod(name, kind="fail", **LONG)


def release(args: list[str] | None = None, *, is_awaited: bool = False, **container: Any) -> Callable[[Run], None]:
    """Roll out a release; where it is awaited, until all pods are of it."""

    def inject(run: Run) -> None:
        found = run.stage.read("Deployment", "checkout")["spec"]["template"]["spec"]["containers"][0]
        changes = container | ({"args": [*found["args"], *args]} if args else {})
        patch = {"spec": {"template": {"spec": {"containers": [found | changes]}}}}
        before = set(run.names())
        run.stage.patch("Deployment", patch, "checkout")
        if is_awaited:
            until(lambda: not before & set(run.names()), "the release is out")

    return inject


def scaled_down(run: Run) -> None:
    """Somebody leaves one replica."""
    run.stage.patch("Deployment", {"spec": {"replicas": 1}}, "checkout")


def hog(run: Run) -> None:
    """A client keeps more connections than there are."""
    run.break_pod(run.names("worker")[0], kind="hog", address="database:80", count=12)


def broken_database(run: Run) -> None:
    """The database refuses everybody."""
    run.break_pod(run.names("database")[0], kind="refuse", **LONG)


def broken_model(run: Run) -> None:
    """The model server fails, and whatever replaces it does."""
    patch: dict[str, Any] = {"spec": {"template": {"spec": {"containers": None}}}}
    found = run.stage.read("Deployment", "model")["spec"]["template"]["spec"]["containers"][0]
    found["args"] = [*found["args"], "-fault", '{"kind":"fail"}']
    patch["spec"]["template"]["spec"]["containers"] = [found]
    run.stage.patch("Deployment", patch, "model")


def serves_by_standby(run: Run) -> bool:
    """Whether the Service leads to the standby, which serves."""
    selector = run.stage.read("Service", "model")["spec"]["selector"]
    return bool(selector == {"app": "model-standby"} and all(map(is_ready, run.pods("model-standby"))))


def suspended(run: Run) -> None:
    """Somebody suspends the check, and then a pod breaks."""
    run.stage.patch("HealthCheck", {"spec": {"suspend": True}}, "checkout")
    one_pod(kind="fail", **LONG)(run)


def paused(run: Run) -> None:
    """Somebody pauses the rollouts, and then a pod breaks."""
    run.stage.patch("Deployment", {"spec": {"paused": True}}, "checkout")
    one_pod(kind="fail", **LONG)(run)


def while_rolling_out(run: Run) -> None:
    """A slow rollout begins, and a pod of before breaks."""
    victim = run.names()[0]
    slow = {"minReadySeconds": 300, "template": {"metadata": {"annotations": {"release": "2"}}}}
    run.stage.patch("Deployment", {"spec": slow}, "checkout")
    until(lambda: len(run.names()) > 3, "the rollout began")
    run.break_pod(victim, kind="fail", **LONG)


def frozen(run: Run) -> None:
    """A Freeze is put up, and then a pod breaks."""
    name = f"bench-{run.stage.namespace}"
    run.stage.put(shop.freeze(name, run.stage.namespace))
    one_pod(kind="fail", **LONG)(run)


def flap(run: Run) -> None:
    """A pod is ill for two seconds of four."""
    if int(time.monotonic()) % 4 == 0:
        for name in run.names()[:1]:
            run.break_pod(name, kind="fail", duration="1600ms")


def spend_budget(run: Run) -> None:
    """Have users fail until the objective holds recovery, then be well again."""
    victim = run.names()[0]
    run.break_pod(victim, kind="fail", **LONG)
    run.stage.until_status("ServiceLevelObjective", lambda it: "Recovery" in it.get("holds", ()), "held", "checkout")
    path = f"/api/v1/namespaces/{run.stage.namespace}/pods/http:{victim}:8081/proxy/fault"
    run.stage.api("DELETE", path)
    run.stage.until_state("Healthy", "checkout")


def guarded(run: Run) -> list[Manifest]:
    """The shop with an objective that holds recovery once little of its budget is left."""
    manifest = named(objective("checkout"), "checkout")
    rules = [{"remainingBelow": "95%", "hold": ["Recovery"]}]
    return [*plain(run), manifest | {"spec": manifest["spec"] | {"window": {"rolling": "1h"}, "budgetPolicy": rules}}]


# --- how it is healed -----------------------------------------------------------------------------------


def by(name: str, **changes: Any) -> Callable[[Run], Manifest]:
    """Heal by a shipped runbook."""

    def policy(run: Run) -> Manifest:
        run.policy = name
        return shop.runbook(name, changes)

    return policy


def full_disk(run: Run) -> Manifest:
    """The runbook, whose Job is one that this cluster has an image for."""
    found = shop.runbook("full-disk")
    found["spec"]["steps"][0]["job"]["template"] = shop.JOB
    run.policy = "full-disk"
    return found


def too_few(run: Run) -> Manifest:
    """The runbook, which asks for the replicas in this namespace."""
    run.policy = "too-few-replicas"
    found = shop.runbook("too-few-replicas")
    asked = found["spec"]["triggers"][0]["promql"]
    asked["query"] = asked["query"].replace('"shop"', f'"{run.stage.namespace}"')
    return found


def node_not_ready(run: Run) -> Manifest:
    """The runbook, for the Node of the run alone, in a cluster that has few of them."""
    run.policy = "node-not-ready"
    found = shop.runbook("node-not-ready")
    found["spec"]["target"] = {"kind": "Node", "name": run.nodes[0]}
    found["spec"]["limits"]["maxUnhealthy"] = "100%"
    return found


def against_flapping(run: Run) -> Manifest:
    """The runbook, with a limit of flapping that fits into a minute."""
    run.policy = "hung-process"
    found = shop.runbook("hung-process", wait="6s")
    found["spec"]["limits"]["flapping"] = {"transitions": 4, "window": "1m", "holdFor": "30s"}
    return found


USUAL = shop.probed_as_usual
HUNG, CRASH = by("hung-process"), by("crash-loop-bad-config")

HEALED = (
    Kind("hang", plain, HUNG, one_pod(kind="hang", **LONG), EVICTION, usual=USUAL),
    Kind("slow responses", plain, HUNG, one_pod(kind="slow", delay="5s", **LONG), EVICTION, usual=USUAL),
    Kind("refused connections", plain, HUNG, one_pod(kind="refuse", **LONG), EVICTION, usual=USUAL),
    Kind("errors", plain, HUNG, one_pod(kind="fail", **LONG), EVICTION, usual=USUAL),
    Kind("errors behind a good health page", seen_by_users, HUNG, one_pod(kind="lie", **LONG), EVICTION, usual=USUAL),
    Kind("wrong answers", seen_by_users, HUNG, one_pod(kind="garble", **LONG), EVICTION, usual=USUAL),
    Kind("one bad replica of five", of_five, HUNG, one_pod(kind="hang", **LONG), EVICTION, usual=USUAL),
    Kind("paused process", sharing_processes, by("not-ready-pods"), one_pod(kind="pause"), EVICTION),
    Kind("paused process asked by a check", sharing_processes, HUNG, one_pod(kind="pause"), EVICTION),
    Kind("crash loop", plain, CRASH, one_pod(kind="crash", keep=True), EITHER, usual=USUAL, patience=110),
    Kind("killed sidecar", with_sidecar, CRASH,
         lambda run: run.break_pod(run.names()[0], port=9081, kind="crash", keep=True), EITHER, patience=110),
    Kind("bad config roll-out", plain, CRASH, release(["-no-such-setting"]), EITHER, usual=USUAL, patience=110),
    Kind("bad image", plain, by("bad-image"),
         release(image="homeostat.invalid/none:1", imagePullPolicy="IfNotPresent"), ROLLBACK, patience=110),
    Kind("stuck rollout", with_deadline, by("stuck-rollout"), release(["-fault", '{"kind":"fail","all":true}']),
         ROLLBACK, patience=110),
    Kind("error rate after a deploy", with_objective, by("high-error-rate-after-deploy"),
         release(["-fault", '{"kind":"fail"}'], is_awaited=True), ROLLBACK, usual=USUAL, patience=110),
    Kind("leak", plain, by("memory-leak"), one_pod(kind="leak", rate=16), ROOM),
    Kind("out of memory again and again", plain, by("memory-leak"), one_pod(kind="leak", rate=32, keep=True),
         ROOM, patience=140),
    Kind("deadlocked readiness", ready_by_users_port, by("not-ready-pods"),
         one_pod(kind="hang", all=True, **LONG), EVICTION),
    Kind("full emptyDir", plain, full_disk, one_pod(kind="fill"), r"^POST .*/jobs|" + EVICTION,
         usual=USUAL, patience=110),
    Kind("pool exhaustion", around_database, by("connection-pool-exhaustion"), hog,
         r"^PATCH .*/deployments/(worker|checkout)\?", patience=110, usual=USUAL),
    Kind("model server", with_standby, by("model-server"), broken_model,
         r"^POST .*/pods/model-[^/]+/eviction$|^PATCH .*/services/model\?", is_healed=serves_by_standby, patience=140),
    Kind("certificate expiry", expiry.with_certificate, expiry.runbook, expiry.expires, r"^POST .*/jobs",
         is_healed=expiry.is_renewed, meanwhile=expiry.renewed_by_job),
    Kind("stuck terminating", plain, by("stuck-terminating"), nodes.stuck_pod,
         rf"^DELETE .*/pods/checkout-stuck|{EVICTION}", is_healed=nodes.all_have_gone),
    Kind("node not ready", plain, node_not_ready, nodes.dies,
         r"^PATCH /api/v1/nodes/|^POST .*/pods/guest-[^/]+/eviction$", prepare=nodes.with_guests,
         is_healed=nodes.have_moved, meanwhile=nodes.ended, is_of_nodes=True, patience=140),
    Kind("wrong scale", plain, too_few, scaled_down, ROLLBACK),
)  # fmt: skip

LEFT_ALONE = (
    Kind("dependency down", before_database, HUNG, broken_database, "^$",
         ("DependencyUnhealthy", "DependencyUnknown")),
    Kind("storm", plain, HUNG, all_pods, "^$", ("TooManyUnhealthy",)),
    Kind("flapping", plain, against_flapping, lambda _: None, "^$", ("Flapping",), meanwhile=flap),
    Kind("no data", plain, HUNG, suspended, "^$", ("SignalMissing", "SignalStale")),
    Kind("mid-rollout", plain, HUNG, while_rolling_out, "^$", ("RolloutInProgress",)),
    Kind("freeze", plain, HUNG, frozen, "^$", ("Frozen",)),
    Kind("error budget held", guarded, HUNG, one_pod(kind="fail", **LONG), "^$", ("BudgetHeld",), prepare=spend_budget),
    Kind("disruption budget at zero", with_disruption_budget, HUNG, one_pod(kind="fail", **LONG), "^$",
         ("PodDisruptionBudget",)),
    Kind("rollouts paused", plain, HUNG, paused, "^$", ("TargetPaused",)),
)  # fmt: skip
KINDS = HEALED + LEFT_ALONE
