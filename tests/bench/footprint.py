"""What homeostat takes: its image, its start, its commands, and its memory in a pod by how many objects there are.

The operator is installed by the chart, with its defaults but for the resources, which docs/scaling.md says to raise. Of
the objects 80 % are HealthChecks that ask the Service of one sample pod once a minute, 15 % are objectives of 30 days
on such checks, 5 % are policies that observe, each with a target of its own. They are created as fast as the API server
takes them.

A size is measured when all is at rest: each object has its status, each check has run, and what is written is no more
than figures that are refreshed. Then comes a minute in which nothing happens: memory of the process (VmRSS) and of the
container (the kubelet's working set) at its end, CPU, and writes as the API server counts them. What does not come to
rest in the time it has is measured as it is, and the rows say so: `objects without a status`, `at rest after`, which is
then missing, and `restarts`.

Then a plain Kopf operator has a pod of the same image with the same resources, and the same objects; it writes each a
status once, and does nothing. Both stand in one table, with the ratio. Sloth and Pyrra are not run: their modules
cannot be had here.

A cold start is from the wish for one replica to what the operator logs, and to the Deployment being ready. Commands are
whole processes of this tree, as a user starts them.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.cluster_api import Api, Busy, Failed, complete, connected
from bench.image_size import sizes
from bench.install import ROOT, Scene, passed_until
from bench.progress import POLL, say, until
from bench.report import Row, publish
from bench.scene import api_behind, kubeconfig
from cluster.manifests import SHOP, deployment, health_check, service
from cluster.proxy import FaultProxy
from helm.scene import NAME, SYSTEM

OURS, KOPF, RATIO = "homeostat", "plain Kopf", "homeostat / plain Kopf"
IMAGE = "homeostat.dev/operator:dev"
NAMESPACE = "footprint"
GROUP = f"/apis/homeostat.dev/v1alpha1/namespaces/{NAMESPACE}"
COMPARED = ("memory of the process", "working set of the container", "CPU share of one core", "all have a status after")
COUNTED = ("healthchecks", "servicelevelobjectives", "recoverypolicies")
WRITES = frozenset({"APPLY", "PATCH", "PUT", "UPDATE", "POST"})
RESOURCES = {"requests": {"cpu": "500m", "memory": "384Mi"}, "limits": {"memory": "1Gi"}}
AT_ONCE, MOST_TRIES = 16, 20
PATIENCE = 900  # seconds for the largest size, on a machine with other work
LOOK_FOR_REST, PATIENCE_FOR_REST = 10.0, 300.0  # seconds: how long nothing must happen, and how long that is waited for
FIGURES = 3.0  # writes a second that refresh figures: what goes on at rest
WINDOW = 60.0  # seconds that a size is measured for
TELL_EVERY = 10.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")
COMMANDS = (("version",), ("--help",), ("status", "--help"))
PARTS = ("image", "commands", "start", "memory", "beside")
WORDS = {"started": "listening", "leading": "leads", "loaded": "knows all objects"}
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"

Manifest = dict[str, Any]


# --- the objects ----------------------------------------------------------------------------------------


def mixed(number: int) -> tuple[str, Manifest]:
    """Give the object of a number, and its collection: of 20 there are 16 checks, 3 objectives and a policy."""
    place = number % 20
    if place < 16:
        return "healthchecks", check(number)
    asked = number - place + place % 16  # a check of the same twenty
    return (
        ("servicelevelobjectives", objective(number, asked))
        if place < 19
        else ("recoverypolicies", policy(number, asked))
    )


def check(number: int) -> Manifest:
    """Ask the Service of the sample, once a minute."""
    probe = {"http": {"service": {"name": SHOP, "port": "http", "path": "/healthz"}}}
    return health_check(named(number), probe=probe, interval="60s")


def objective(number: int, of: int) -> Manifest:
    """99.9 % of the runs of a check pass, in 30 days."""
    indicator = {"healthCheck": {"name": named(of)}}
    spec = {"objective": "99.9", "window": {"rolling": "30d"}, "indicator": indicator}
    return ours("ServiceLevelObjective", number, spec)


def policy(number: int, by: int) -> Manifest:
    """Say what would be done when a check fails, each to a Deployment of its own, which need not be there for that."""
    spec = {
        "mode": "Observe", "target": {"kind": "Deployment", "name": named(number)},
        "triggers": [{"healthCheck": {"name": named(by)}}], "steps": [{"restartPods": {}}],
    }  # fmt: skip
    return ours("RecoveryPolicy", number, spec)


def ours(kind: str, number: int, spec: Manifest) -> Manifest:
    """Give an object of ours."""
    return {"apiVersion": "homeostat.dev/v1alpha1", "kind": kind, "metadata": {"name": named(number)}, "spec": spec}


def named(number: int) -> str:
    """Name the object of a number."""
    return f"part-{number:05d}"


def is_settled(body: Manifest) -> bool:
    """Whether an object has its status, and a check has run."""
    status = body.get("status") or {}
    is_told = status.get("observedGeneration", -1) >= 1 and bool(status.get("conditions"))
    return is_told and (body["kind"] != "HealthCheck" or status.get("state", "") != "Unknown")


# --- the pod --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pod:
    """The one pod of an operator: what its first process has used."""

    namespace: str
    name: str
    node: str

    def read(self, path: str) -> str:
        """Read a file in it."""
        return kubectl("-n", self.namespace, "exec", self.name, "--", "cat", path)

    def cpu(self) -> float:
        """Give the CPU seconds since it started."""
        fields = self.read("/proc/1/stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, of: str = "VmRSS") -> float:
        """Give the resident set, or its peak (VmHWM), in MiB."""
        found = re.search(rf"^{of}:\s+(\d+) kB$", self.read("/proc/1/status"), re.MULTILINE)
        if found is None:
            raise Failed(f"no {of} in /proc/1/status of {self.name}")
        return int(found[1]) / 1024

    def restarts(self) -> int:
        """Give how often its container was started again."""
        found = json.loads(kubectl("-n", self.namespace, "get", "pod", self.name, "-o", "json"))
        return sum(one["restartCount"] for one in found["status"].get("containerStatuses", ()))

    def working_set(self) -> float:
        """Give what the kubelet counts for the container, in MiB: what a limit of memory is held against."""
        text = kubectl("get", "--raw", f"/api/v1/nodes/{self.node}/proxy/metrics/resource")
        line = re.compile(rf'^container_memory_working_set_bytes{{.*pod="{self.name}".*}} (\S+)', re.MULTILINE)
        found = line.search(text)
        return float(found[1]) / 2**20 if found else float("nan")


def kubectl(*words: str) -> str:
    """Run kubectl, and give what it prints; its own words end the bench when it fails."""
    done = subprocess.run(["kubectl", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise Failed(f"kubectl {' '.join(words)}: {done.stderr}")
    return done.stdout


def pod_of(namespace: str, selector: str) -> Pod:
    """Find the one pod that runs."""
    found = json.loads(kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))["items"]
    names = [
        (one["metadata"]["name"], one["spec"]["nodeName"])
        for one in found
        if "deletionTimestamp" not in one["metadata"]
    ]
    if len(names) != 1:
        raise Failed(f"{len(names)} pods of {selector} in {namespace}")
    return Pod(namespace, *names[0])


# --- the sizes ------------------------------------------------------------------------------------------


class Sizes:
    """One operator, and more and more objects."""

    def __init__(self, api: Api, subject: str, pod: Pod) -> None:
        self._api = api
        self._subject = subject
        self._pod = pod
        self._settled: set[tuple[str, str]] = set()
        self._idle = 0.0

    async def run(self, sizes: Iterable[int]) -> list[Row]:
        """Measure idle, then each size."""
        rows = await self._measured(0)
        there = 0
        async with asyncio.TaskGroup() as tasks:
            watches = [tasks.create_task(self._api.follow(f"{GROUP}/{plural}", self._see)) for plural in COUNTED]
            for size in sizes:
                began = time.monotonic()
                await self._create(range(there, size))
                say(f"{self._subject}: {size} created in {time.monotonic() - began:.0f} s")
                there = size
                rows += await self._come_to_rest(size, began)
                rows += await self._measured(size)
            for one in watches:
                one.cancel()
        return rows

    def _see(self, body: Manifest) -> None:
        if is_settled(body):
            self._settled.add((body["kind"], body["metadata"]["name"]))

    async def _create(self, numbers: Iterable[int]) -> None:
        waiting = iter(numbers)

        async def work() -> None:
            for number in waiting:
                plural, body = mixed(number)
                await self._make(f"{GROUP}/{plural}", body)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(work())

    async def _make(self, collection: str, body: Manifest) -> None:
        """Create an object, again where the API server had no time for it and perhaps did it."""
        try:
            await self._api.call("POST", collection, body)
        except Busy as busy:
            for _ in range(MOST_TRIES):
                say(f"  once more: {busy}"[:120])
                with suppress(Busy):
                    return await self._api.apply(f"{collection}/{body['metadata']['name']}", body)
            raise

    async def _come_to_rest(self, size: int, began: float) -> list[Row]:
        """Wait until each object has its status, and nothing more happens; as long as that is worth waiting for."""
        case = f"{size:,} objects"
        settled = await self._is_settled(size)
        rows = [Row(case, self._subject, "objects without a status", size - len(self._settled), "1")]
        if settled:
            rows.append(Row(case, self._subject, "all have a status after", time.monotonic() - began, "s"))
        if settled and await self._is_at_rest():
            rows.append(Row(case, self._subject, "at rest after", time.monotonic() - began, "s"))
        rows.append(Row(case, self._subject, "restarts", await asyncio.to_thread(self._pod.restarts), "1"))
        for row in rows:
            say(f"{row.subject}, {row.case}: {row.metric} {row.value:.0f}")
        return rows

    async def _is_settled(self, size: int) -> bool:
        give_up_at = time.monotonic() + PATIENCE
        tell_at = time.monotonic() + TELL_EVERY
        while len(self._settled) < size and time.monotonic() < give_up_at:
            await asyncio.sleep(POLL)
            if time.monotonic() > tell_at:
                say(f"  {self._subject}: {len(self._settled)} of {size} have their status")
                tell_at += TELL_EVERY
        return len(self._settled) >= size

    async def _is_at_rest(self) -> bool:
        give_up_at = time.monotonic() + PATIENCE_FOR_REST
        while time.monotonic() < give_up_at:
            writes = await self._writes()
            await asyncio.sleep(LOOK_FOR_REST)  # a window of measurement, not a wait for something
            if await self._writes() - writes <= FIGURES * LOOK_FOR_REST:
                return True
        return False

    async def _measured(self, size: int) -> list[Row]:
        case = f"{size:,} objects" if size else "idle"
        cpu, writes, began = await asyncio.to_thread(self._pod.cpu), await self._writes(), time.monotonic()
        await asyncio.sleep(WINDOW)  # a window of measurement, not a wait for something
        seconds = time.monotonic() - began
        spent, written = await asyncio.to_thread(self._pod.cpu) - cpu, await self._writes() - writes
        resident = await asyncio.to_thread(self._pod.memory)
        peak = await asyncio.to_thread(self._pod.memory, "VmHWM")
        working = await asyncio.to_thread(self._pod.working_set)
        self._idle = self._idle or resident
        rates = f"{100 * spent / seconds:.1f} % CPU, {written / seconds:.2f} writes/s"
        say(f"{self._subject}, {case}: {resident:.0f} MiB, {rates}")
        rows = [
            Row(case, self._subject, "memory of the process", resident, "MiB"),
            Row(case, self._subject, "memory of the process, peak so far", peak, "MiB"),
            Row(case, self._subject, "working set of the container", working, "MiB"),
            Row(case, self._subject, "CPU share of one core", 100 * spent / seconds, "%"),
            Row(case, self._subject, "writes", written / seconds, "1/s"),
        ]
        if size:
            rows.append(
                Row(
                    case, self._subject, "memory above idle, of an object", (resident - self._idle) * 1024 / size, "KiB"
                )
            )
        return rows

    async def _writes(self) -> float:
        """Count the writes to our kinds and of events."""
        return sum(
            value
            for name, labels, value in await self._api.metrics()
            if name == "apiserver_request_total"
            and labels["verb"] in WRITES
            and labels["resource"] in {*COUNTED, "events"}
        )


async def until_idle(api: Api) -> None:
    """Make the namespace with the sample, and wait until the sample is ready."""
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    await api.apply(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{SHOP}", deployment(1))
    await api.apply(f"/api/v1/namespaces/{NAMESPACE}/services/{SHOP}", service())
    await until_available(api, NAMESPACE, SHOP)


async def until_available(api: Api, namespace: str, name: str) -> None:
    """Wait until a Deployment is."""

    async def look() -> bool:
        found = await api.call("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        return bool((found.get("status") or {}).get("availableReplicas"))

    await until(f"{name} is available", look)


async def start_kopf(api: Api) -> Pod:
    """Have the plain Kopf operator in a pod, as its users would: with all rights here, and the resources of ours."""
    source = (ROOT / "tests/bench/footprint_kopf.py").read_text(encoding="utf-8")
    core, account = (
        f"/api/v1/namespaces/{NAMESPACE}",
        {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE},
    )
    await api.call("POST", f"{core}/configmaps", {"metadata": {"name": "kopf"}, "data": {"operator.py": source}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    await api.call("DELETE", f"{BINDING}/{NAMESPACE}")  # of a run that was broken off
    await api.call("POST", BINDING, {"metadata": {"name": NAMESPACE}, "roleRef": role, "subjects": [account]})
    container = {
        "name": "operator", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "kopf", "run", "--standalone", "--all-namespaces", "/kopf/operator.py"],
        "env": [{"name": "USER", "value": "kopf"}],  # it asks who runs it
        "volumeMounts": [{"name": "source", "mountPath": "/kopf"}],
        "resources": RESOURCES,
    }  # fmt: skip
    labels = {"app": "kopf"}
    volumes = [{"name": "source", "configMap": {"name": "kopf"}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    made = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kopf"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }  # fmt: skip
    await api.apply(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/kopf", made)
    await until_available(api, NAMESPACE, "kopf")
    return pod_of(NAMESPACE, "app=kopf")


async def grow(subject: str, objects: list[int]) -> list[Row]:
    """Measure one operator; the cluster has our kinds, and no objects."""
    async with connected() as api:
        await until_idle(api)
        pod = await start_kopf(api) if subject == KOPF else pod_of(SYSTEM, f"app.kubernetes.io/instance={NAME}")
        found = await Sizes(api, subject, pod).run(objects)
        await remove(api)
    return found


async def remove(api: Api) -> None:
    """Take the objects away, and the namespace."""
    say("removing the objects")
    for plural in COUNTED:
        await api.call("DELETE", f"{GROUP}/{plural}")
    await api.call("DELETE", f"{BINDING}/{NAMESPACE}")
    await api.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}")

    async def look() -> bool:
        return not await api.call("GET", f"/api/v1/namespaces/{NAMESPACE}")

    await until(f"the namespace {NAMESPACE} is gone", look, PATIENCE)


# --- start ----------------------------------------------------------------------------------------------


def cold_starts(scene: Scene, times: int) -> Iterator[Row]:
    """Start the operator where none is, so many times."""
    found = [cold_start(scene) for _ in range(times)]
    for what in found[0]:
        unit = "s of CPU" if what.startswith("CPU") else "s"
        yield Row("cold start, pod to be made", OURS, f"{what}, median", median(one[what] for one in found), unit)
        yield Row("cold start, pod to be made", OURS, f"{what}, worst", max(one[what] for one in found), unit)


def cold_start(scene: Scene) -> dict[str, float]:
    """Start it once, and give the seconds until each thing holds."""
    scene.set_replicas(0)
    passed_until(lambda: not scene.release.pods() and not scene.release.leader(), "it is gone", time.monotonic())
    began, wall = time.monotonic(), time.time()
    scene.set_replicas(1)
    ready = passed_until(scene.is_ready, "it is ready", began)
    pod = pod_of(SYSTEM, f"app.kubernetes.io/instance={NAME}")
    passed_until(lambda: set(WORDS) <= set(logged(pod)), "it knows all objects", began)
    found = {WORDS[word]: at - wall for word, at in logged(pod).items()} | {"ready": ready, "CPU until then": pod.cpu()}
    say("cold start: " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in found.items()))
    return found


def logged(pod: Pod) -> dict[str, float]:
    """Give when the operator said what of its start (epoch seconds)."""
    lines = kubectl("-n", pod.namespace, "logs", pod.name).splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    words = [(str(one.get("event", "")).partition(" ")[0], one.get("timestamp", "")) for one in told]
    return {word: datetime.fromisoformat(at).timestamp() for word, at in reversed(words) if word in WORDS}


def commands(times: int) -> Iterator[Row]:
    """Start each command as a process, in turn, so many times."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(times):
        for words in COMMANDS:
            found.setdefault(" ".join(words), []).append(timed(words))
    for words_, took in found.items():
        wall, cpu = (median(column) * 1000 for column in zip(*took, strict=True))
        say(f"homeostat {words_}: {wall:.0f} ms, {cpu:.0f} ms of CPU")
        yield Row(f"homeostat {words_}", OURS, "whole process, median", wall, "ms")
        yield Row(f"homeostat {words_}", OURS, "CPU, median", cpu, "ms")


def timed(words: tuple[str, ...]) -> tuple[float, float]:
    """Run a command, and give its seconds by the clock and of CPU."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "homeostat", *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"homeostat {' '.join(words)}: exit code {process.returncode}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime


# --- all ------------------------------------------------------------------------------------------------


def archive_of_operator() -> Path:
    """Find the image's archive, which hack/bench has built."""
    done = subprocess.run(["hack/build-image", "operator"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr)
    return Path(done.stdout.strip())


def in_cluster(scene: Scene, asked: argparse.Namespace) -> Iterator[Row]:
    """Measure what needs a cluster."""
    say("installing by Helm")
    scene.clear()
    scene.estate.until_gone(NAMESPACE)
    scene.release.install({"resources": RESOURCES})
    scene.release.until_leads()
    if "start" in asked.only:
        yield from cold_starts(scene, asked.times)
    rows: list[Row] = []
    if "memory" in asked.only:
        rows += complete(grow(OURS, asked.objects))
    if "beside" in asked.only:
        scene.release.uninstall()
        rows += complete(grow(KOPF, asked.objects))
    yield from rows
    yield from ratios(rows)
    scene.clear()


def ratios(rows: Iterable[Row]) -> Iterator[Row]:
    """Compare what both did in this run."""
    found = {(row.subject, row.case, row.metric): row.value for row in rows}
    for (subject, case, metric), value in found.items():
        theirs = found.get((KOPF, case, metric))
        if subject == OURS and metric in COMPARED and theirs:
            yield Row(case, RATIO, metric, value / theirs, "x")


def measured(asked: argparse.Namespace) -> Iterator[Row]:
    """Measure all that is asked for."""
    if "image" in asked.only:
        yield from sizes(archive_of_operator())
    if "commands" in asked.only:
        yield from commands(2 * asked.times + 1)
    if not asked.only.isdisjoint({"start", "memory", "beside"}):
        with TemporaryDirectory(prefix="homeostat-bench-") as folder, closing(FaultProxy(kubeconfig())) as proxy:
            yield from in_cluster(Scene(api_behind(proxy), Path(folder)), asked)


def numbers(text: str) -> list[int]:
    """Read the sizes of a flag, smallest first."""
    return sorted(map(int, text.split(",")))


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="bench footprint", description=__doc__)
    parser.add_argument("--objects", type=numbers, default=[100, 1000, 10000], help="such as 100,1000")
    parser.add_argument("--times", type=int, default=5, help="how often it is started")
    parser.add_argument(
        "--only", type=lambda text: set(text.split(",")), default=set(PARTS), help=f"of {', '.join(PARTS)}"
    )
    publish("footprint", measured(parser.parse_args()))


if __name__ == "__main__":
    main()
