"""The loop: a pod of the sample shop breaks for its users alone; when that is noticed, acted on, and over.

The rules are those of examples/ with short rests, so that 20 runs fit into a few minutes. Every time but the
fault's own is read from what the operator wrote into the API server; the fault's is taken before the request that
injects it is sent. Beside it the kubelet, with a livenessProbe on the users' path that has Kubernetes' defaults
(10 s, 3 times): each of its pods breaks only once, since a second time it would be put off (CrashLoopBackOff).
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import yaml

from bench.cluster_api import Api, Failed, complete, connected
from bench.progress import say, until
from bench.report import Row, percentile, publish
from bench.subject import ROOT, Subject

Manifest = dict[str, Any]

NAMESPACE, SHOP, ASIDE = "bench-loop", "checkout", "checkout-kubelet"
OURS = "apis/homeostat.dev/v1alpha1"
PLURALS = {
    "Namespace": "api/v1/namespaces", "Deployment": "apis/apps/v1/{}deployments", "Service": "api/v1/{}services",
    "HealthCheck": OURS + "/{}healthchecks", "RecoveryPolicy": OURS + "/{}recoverypolicies",
}  # fmt: skip
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
NEVER = float("inf")
SLACK = 1.0  # seconds: what the promises allow beyond thresholds and `for`


# --- what is put into the cluster -----------------------------------------------------------------------


def example(name: str, *kinds: str) -> list[Manifest]:
    """Read an example of ours into the benchmark's namespace."""
    found: list[Manifest] = list(yaml.safe_load_all((ROOT / "examples" / name).read_text(encoding="utf-8")))
    for manifest in found:
        holder = "name" if manifest["kind"] == "Namespace" else "namespace"
        manifest["metadata"][holder] = NAMESPACE
    return [one for one in found if not kinds or one["kind"] in kinds]


def check() -> Manifest:
    """Give the shop's check: each pod, every second, three times."""
    return next(one for one in example("healthcheck.yaml") if one["metadata"]["name"] == SHOP)


def policy() -> Manifest:
    """Give the shop's policy, with short rests and nothing that stops it."""
    found = example("recoverypolicy.yaml")[0]
    found["spec"]["limits"] |= {"cooldown": "1s", "budget": {"actions": 100, "per": "1h"}}
    found["spec"]["verify"] |= {"stabilise": "0s", "holdFor": "2s"}
    return found


def aside(replicas: int) -> Manifest:
    """Give the shop's Deployment as the kubelet would have to heal it: its default probe asks what users ask."""
    found = deepcopy(example("shop.yaml", "Deployment")[0])
    labels = {"app": ASIDE}
    found["metadata"] |= {"name": ASIDE, "labels": labels}
    found["spec"] |= {"replicas": replicas, "selector": {"matchLabels": labels}}
    found["spec"]["template"]["metadata"]["labels"] = labels
    container = found["spec"]["template"]["spec"]["containers"][0]
    container["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": "http"}}
    return found


def path_of(kind: str, name: str) -> str:
    """Give the path of an object."""
    return f"/{PLURALS[kind].format(f'namespaces/{NAMESPACE}/')}/{name}"


async def put(api: Api, *manifests: Manifest) -> None:
    """Apply manifests."""
    for manifest in manifests:
        await api.apply(path_of(manifest["kind"], manifest["metadata"]["name"]), manifest)


async def until_serving(api: Api, name: str) -> None:
    """Wait until a Deployment has all its pods."""

    async def look() -> bool:
        found = await api.call("GET", path_of("Deployment", name))
        return bool(found.get("status", {}).get("readyReplicas", 0) == found["spec"]["replicas"])

    await until(f"all pods of {name} are ready", look)


@contextlib.asynccontextmanager
async def namespace(api: Api) -> AsyncIterator[None]:
    """Have the sample shop, and remove it afterwards."""
    if await api.call("GET", path_of("Namespace", NAMESPACE)):
        raise Failed(f"there is a namespace {NAMESPACE} already: remove it first")
    try:
        await put(api, *example("shop.yaml"))
        await until_serving(api, SHOP)
        yield
    finally:
        await api.call("DELETE", path_of("Namespace", NAMESPACE))


# --- faults ---------------------------------------------------------------------------------------------


async def pods(api: Api, app: str) -> list[Manifest]:
    """List the pods that are not on their way out, in order of their names."""
    items: list[Manifest] = (await api.call("GET", f"{PODS}?labelSelector=app%3D{app}"))["items"]
    staying = [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]
    return sorted(staying, key=lambda pod: str(pod["metadata"]["name"]))


async def break_pod(api: Api, name: str) -> datetime:
    """Make one pod fail its users, while its control port goes on to say that it lives; give when."""
    at = datetime.now(UTC)
    fault = {"kind": "fail", "status": 503, "duration": "10m"}
    await api.call("POST", f"{PODS}/http:{name}:8081/proxy/fault", fault)
    return at


def since(at: datetime, text: str) -> float:
    """Give the seconds from a moment to a time of the API."""
    return (datetime.fromisoformat(text) - at).total_seconds()


# --- homeostat ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds from the fault on; what did not happen is infinitely late."""

    detection: float
    action: float
    recovery: float


async def rest(api: Api) -> None:
    """Wait until all is well and the policy would act again."""

    async def look() -> bool:
        health = (await api.call("GET", path_of("HealthCheck", SHOP))).get("status", {})
        recovery = (await api.call("GET", path_of("RecoveryPolicy", "restart-checkout"))).get("status", {})
        is_well = health.get("state") == "Healthy" and health.get("passing") == "3/3"
        return bool(is_well and recovery.get("phase") == "Idle")

    await until("the shop is healthy and the policy at rest", look)


async def heal(api: Api, subject: Subject) -> Run:
    """Break a pod, and read from the policy's status how that went."""
    victim = (await pods(api, SHOP))[0]["metadata"]["name"]
    at = await break_pod(api, victim)

    async def look() -> Manifest | None:
        subject.demand_life()
        status = (await api.call("GET", path_of("RecoveryPolicy", "restart-checkout"))).get("status", {})
        return next((one for one in status.get("last", ()) if since(at, one["startedAt"]) > 0), None)

    attempt = await until(f"an attempt to heal {victim} is over", look)
    action = since(at, attempt["actedAt"]) if "actedAt" in attempt else NEVER
    recovery = since(at, attempt["recoveredAt"]) if "recoveredAt" in attempt else NEVER
    return Run(since(at, attempt["detectedAt"]), action, recovery)


async def homeostat(api: Api, runs: int) -> list[Run]:
    """Run the loop again and again; each fault meets another moment between two probes."""
    await put(api, check(), policy())
    subject = Subject("homeostat", NAMESPACE, "--action-budget", "10000")
    found: list[Run] = []
    try:
        for number in range(runs):
            await rest(api)
            await asyncio.sleep(number / runs)
            found.append(await heal(api, subject))
            run = found[-1]
            say(
                f"run {number + 1} of {runs}: detected after {run.detection:.2f} s, "
                f"acted after {run.action:.2f} s, recovered after {run.recovery:.2f} s"
            )
    except Failed as error:
        raise Failed(f"{error}\nthe operator said last:\n{subject.tail()}") from None
    finally:
        subject.stop()
    return found


# --- the kubelet ----------------------------------------------------------------------------------------


async def restarted(api: Api, name: str, at: datetime) -> tuple[float, float]:
    """Give the seconds from the fault until the container was restarted, and until it was ready again."""

    async def look(*, is_ready: bool) -> float | None:
        container = (await api.call("GET", f"{PODS}/{name}"))["status"]["containerStatuses"][0]
        has_happened = container["restartCount"] > 0 and (container["ready"] or not is_ready)
        return (datetime.now(UTC) - at).total_seconds() if has_happened else None

    action = await until(f"the kubelet restarts {name}", lambda: look(is_ready=False))
    return action, await until(f"{name} is ready again", lambda: look(is_ready=True))


async def kubelet(api: Api, runs: int) -> list[tuple[float, float]]:
    """Break pods at different moments between two probes, and wait for the kubelet."""
    await put(api, aside(runs))
    await until_serving(api, ASIDE)
    say(f"the kubelet: breaking {runs} pods")
    waiting: list[asyncio.Task[tuple[float, float]]] = []
    async with asyncio.TaskGroup() as tasks:
        for pod in await pods(api, ASIDE):
            name = pod["metadata"]["name"]
            waiting.append(tasks.create_task(restarted(api, name, await break_pod(api, name))))
            await asyncio.sleep(10 / runs)
    await api.call("DELETE", path_of("Deployment", ASIDE))
    return [task.result() for task in waiting]


# --- figures --------------------------------------------------------------------------------------------


def rows(runs: list[Run], asides: list[tuple[float, float]]) -> list[Row]:
    """Give the figures, and how often what is promised was kept."""
    ours = {
        "fault to detection": [run.detection for run in runs],
        "detection to action": [run.action - run.detection for run in runs],
        "fault to action": [run.action for run in runs],
        "fault to recovery": [run.recovery for run in runs],
    }
    theirs = {
        "fault to action": [action for action, _ in asides],
        "fault to recovery": [ready for _, ready in asides],
    }
    found = [row for case, values in ours.items() for row in spread("homeostat", case, known(values))]
    for case, values in theirs.items():
        found += spread("kubelet", case, values)
        if values and known(ours[case]):
            found.append(Row(case, "kubelet / homeostat", "median", median(values) / median(known(ours[case])), "x"))
    return found + promises(runs)


def known(values: list[float]) -> list[float]:
    """Leave out what never happened: the promises say how often that was."""
    return [value for value in values if abs(value) < NEVER]


def spread(subject: str, case: str, values: list[float]) -> list[Row]:
    """Give median and p95, if there is anything to give."""
    if not values:
        return []
    return [
        Row(case, subject, "median", median(values), "s"),
        Row(case, subject, "p95", percentile(values, 0.95), "s"),
    ]


def promises(runs: list[Run]) -> list[Row]:
    """Count the runs in which detection and action were in time, by the thresholds of the manifests themselves."""
    spec = check()["spec"]
    detection = spec["failureThreshold"] * seconds(spec["interval"]) + SLACK
    action = seconds(policy()["spec"]["triggers"][0]["for"]) + SLACK
    kept = {
        f"detection within {detection:.0f} s": sum(run.detection <= detection for run in runs),
        f"action within {action:.0f} s of detection": sum(run.action - run.detection <= action for run in runs),
        "recovered": sum(run.recovery < NEVER for run in runs),
    }
    return [Row("promises kept", "homeostat", what, count, f"of {len(runs)}") for what, count in kept.items()]


def seconds(text: str) -> float:
    """Read a duration in whole seconds, as the examples have it."""
    return float(text.removesuffix("s"))


async def bench(runs: int, kubelet_runs: int) -> list[Row]:
    """Run both subjects on the same cluster, one after the other."""
    async with connected() as api, namespace(api):
        say("the sample shop is open")
        asides = await kubelet(api, kubelet_runs) if kubelet_runs else []
        return rows(await homeostat(api, runs), asides)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kubelet-runs", type=int, default=5)
    options = parser.parse_args()
    publish("loop", complete(bench(options.runs, options.kubelet_runs)))


if __name__ == "__main__":
    main()
