"""Asked and measured: what a client sees of a pod under a fault, by real experiments, one after the other.

The pod runs pod_program.py from the operator's image; the client is this process, which reaches it by its address. Each
figure is taken before the fault and under it: delays and memory are the difference; shares and bandwidth stand alone.
Off by: the difference to what was asked, in percent of that; the aim is within 10 %. For the table's sake the share of
CPU is that of the pod's limit, counted by the kernel in the pod's cgroup.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chaos import measures, seen
from bench.chaos.scene import BYSTANDER, IMAGE, experiment, open_stage
from bench.chaos.seen import Eyes
from bench.cluster_api import Api, Failed, complete, connected
from bench.progress import say
from bench.report import Row, publish
from cluster.manifests import Manifest, deployment
from cluster.stage import Stage

TARGET, STRESSED = "target", "stressed"
PROGRAM = Path(__file__).with_name("chaos") / "pod_program.py"
CORES = {TARGET: 1.0, STRESSED: 0.4}
"""The limits: of what is stressed so low that a busy machine can give it."""
AIM = 10.0
SETTLED = 1.0
Measure = Callable[[str], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, what is asked of it, and how that is measured. `adds`: to what was there before."""

    name: str
    fault: Manifest
    asked: float
    unit: str
    measure: Measure
    adds: bool = False
    pod: str = TARGET


def cases(uids: Mapping[str, str], namespace: str) -> list[Case]:
    """Give all cases for pods, by their uids."""
    name = f"{BYSTANDER}.{namespace}.svc.cluster.local."
    udp, port = {"ports": [measures.UDP]}, measures.HTTP

    def network(**settings: Any) -> Manifest:
        return {"network": settings}

    def http(**settings: Any) -> Manifest:
        return {"http": {"port": port, **settings}}

    shares = [
        *(Case(f"network loss {n}%", network(loss=f"{n}%", **udp), n, "%", measures.loss) for n in (10, 30, 60)),
        *(
            Case(
                f"network reset {n}%", network(reset=f"{n}%", ports=[measures.WORD], direction="Ingress"), n, "%",
                measures.resets,
            )
            for n in (10, 30)
        ),
        *(
            Case(f"http status {n}%", http(status=503, percent=f"{n}%"), n, "%", measures.statuses)
            for n in (20, 50)
        ),
        Case("dns fail", {"dns": {"fail": [name.rstrip(".")]}}, 100, "%", measures.dns_failures(name)),
    ]  # fmt: skip
    times = [
        *(
            Case(f"network delay {n}ms", network(delay=f"{n}ms", **udp), n, "ms", measures.delay, adds=True)
            for n in (50, 200)
        ),
        Case("network jitter 50ms", network(delay="100ms", jitter="50ms", **udp), 50, "ms", measures.jitter),
        Case("http delay 300ms", http(delay="300ms"), 300, "ms", measures.http_delay, adds=True),
        Case("dns delay 500ms", {"dns": {"delay": "500ms"}}, 500, "ms", measures.dns_delay(name), adds=True),
    ]
    amounts = [
        *(
            Case(
                f"network bandwidth {n}Mbit",
                network(bandwidth=f"{n}Mbit", ports=[measures.STREAM]),
                n,
                "Mbit",
                measures.bandwidth,
            )
            for n in (1, 10, 100)
        ),
        *(
            Case(
                f"cpu load {n}%",
                {"cpu": {"load": f"{n}%"}},
                n,
                "%",
                measures.cpu_share(uids[STRESSED], CORES[STRESSED]),
                pod=STRESSED,
            )
            for n in (50, 80)
        ),
        Case(
            "memory 64Mi",
            {"memory": {"bytes": "64Mi"}},
            64,
            "MiB",
            measures.memory_used(uids[STRESSED]),
            adds=True,
            pod=STRESSED,
        ),
    ]
    return [*shares, *times, *amounts]


def target(name: str) -> Manifest:
    """Give the Deployment of the pod that is measured: all its containers have limits, so all faults are allowed."""
    manifest = deployment(1, name)
    size = {"cpu": f"{CORES[name] * 1000:.0f}m", "memory": "256Mi"}
    manifest["spec"]["template"]["spec"]["containers"] = [
        {
            "name": "python",
            "image": IMAGE,
            "imagePullPolicy": "Never",
            "command": ["python3", "-c", PROGRAM.read_text(encoding="utf-8")],
            "resources": {"requests": size, "limits": size},
            "readinessProbe": {"tcpSocket": {"port": measures.WORD}, "periodSeconds": 1},
        }
    ]
    return manifest


@dataclass
class Scene:
    """One pod, and what is measured of it."""

    api: Api
    stage: Stage
    eyes: Eyes

    async def run(self, case: Case) -> float:
        """Measure under the fault; give the figure that is to be what was asked."""
        address = await self.until_free(case.pod)
        before = await self._measured(case, address)
        manifest = experiment(case.fault, case.pod, "5m")
        name = manifest["metadata"]["name"]
        path = self.stage.path("ChaosExperiment", name)
        await self.api.call("POST", self.stage.path("ChaosExperiment"), manifest)
        try:
            await self._until_running(name)
            await asyncio.sleep(SETTLED)
            during = await self._measured(case, address)
            self._demand(name, "Running")
        finally:
            await self.api.call("DELETE", path)
            await seen.until(f"{name} goes", lambda: None if self._is_there(name) else time.monotonic(), 60)
        say(f"{case.name}: {before:.2f} before, {during:.2f} under the fault")
        return during - before if case.adds else during

    async def until_free(self, pod: str) -> str:
        """Wait until a pod is ready and has no agent in it; give its address."""
        await seen.until(f"{pod} is free", lambda: time.monotonic() if self.eyes.address(pod) else None, 90)
        return self.eyes.address(pod)

    async def _measured(self, case: Case, address: str) -> float:
        async with asyncio.timeout(90):
            return await case.measure(address)

    async def _until_running(self, name: str) -> None:
        def look() -> float | None:
            self._demand(name, "", "Pending", "CheckingSteadyState", "Injecting", "Running")
            return seen.first(self.eyes.phases[name], 0.0, lambda it: it[0] == "Running")

        await seen.until(f"{name} runs", look, 60, lambda: self.eyes.told(name))

    def _demand(self, name: str, *phases: str) -> None:
        sights = self.eyes.phases[name]
        if sights and sights[-1].what[0] not in phases:
            raise Failed(self.eyes.told(name))

    def _is_there(self, name: str) -> bool:
        return self.stage.find("ChaosExperiment", name) is not None


async def bench(only: str) -> list[Row]:
    """Measure all cases."""
    found: list[Row] = []
    with open_stage("fidelity", target(TARGET), target(STRESSED)) as stage:
        async with connected() as api, asyncio.TaskGroup() as tasks:
            scene = Scene(api, stage, Eyes(api, stage))
            watching = scene.eyes.watch(tasks)
            for pod in CORES:
                await scene.until_free(pod)
            uids = {pod: next(iter(scene.eyes.ready[pod])) for pod in CORES}
            for case in cases(uids, stage.namespace):
                if only in case.name:
                    found += await _rows(scene, case)
            for task in watching:
                task.cancel()
    measured = [row.value for row in found if row.metric == "off by"]
    close = sum(abs(value) <= AIM for value in measured)
    return [
        *found,
        Row("total", "homeostat", f"within {AIM:.0f} %", close, f"of {len(measured)}"),
        Row("total", "homeostat", "worst off by", max(map(abs, measured), default=0.0), "%"),
    ]


async def _rows(scene: Scene, case: Case) -> list[Row]:
    """Measure one case; one that could not be measured is off by all of it."""
    try:
        value = await scene.run(case)
    except (Failed, OSError, TimeoutError, EOFError, ExceptionGroup) as error:
        say(f"{case.name}: NOT measured: {error or type(error).__name__}")
        value = 0.0
    return [
        Row(case.name, "homeostat", "asked", case.asked, case.unit),
        Row(case.name, "homeostat", "measured", value, case.unit),
        Row(case.name, "homeostat", "off by", 100 * (value - case.asked) / case.asked, "%"),
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    publish("fidelity", complete(bench(parser.parse_args().only)))


if __name__ == "__main__":
    main()
