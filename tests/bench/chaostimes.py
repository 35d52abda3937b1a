"""How long an experiment takes to begin and to end, as seen from outside: the API server's view, and packets to pods.

Three faults: podKill, which leaves nothing to undo; scale, a held field with its guard; network loss by an agent. Each
run is a new experiment on a lane of its own (a Deployment of one pod), with `steadyFor: 0s` and a hypothesis on a
bystander. `alone`: so many runs at a time as --parallel says. `ten at once`: five of scale, five of network loss.

A fault is on when its pod is told to go, when `spec.replicas` is the fault's, when three packets in a row (one each
40 ms) are lost; it is off when the object is as before and unmarked, and when a packet is answered again. Ends: the
annotation, the deletion, a stop condition (events pushed to an objective: from the push's answer on), a Freeze, and
SIGKILL of the operator, after which the agent's lease and the guard's take the fault off.
"""

import argparse
import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from bench.chaos import seen
from bench.chaos.scene import experiment, open_stage
from bench.chaos.seen import Eyes, Packets
from bench.cluster_api import Api, Failed, complete, connected, leaves
from bench.progress import say
from bench.report import Row, percentile, publish
from cluster.manifests import Manifest, deployment, freeze
from cluster.objectives import Caller, entry, pipeline, slo
from cluster.stage import MERGE, Stage

LANES = 10
KILL, SCALE, LOSS = "podKill", "scale", "network loss"
FAULTS: dict[str, Manifest] = {
    KILL: {"podKill": {"gracePeriod": "0s"}},
    SCALE: {"scale": {"to": 0}},
    LOSS: {"network": {"loss": "100%"}},
}
LONG = "5m"
ON, OFF = "apply to on", "to off"
AIMS = {ON: 3.0, "stop condition to off": 2.0, "Freeze to all off": 5.0}
"""Seconds, of the median and of p95."""
BURNS = "0.5"
"""Of an hour of which only a minute or two were lived: what is not known counts as good."""
NUMBERS = count(1)
End = Callable[[Manifest], Awaitable[float]]
Key = tuple[str, str, str]


@dataclass
class Figures:
    """Seconds by (case, fault, metric), and what went wrong."""

    values: defaultdict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)

    def add(self, case: str, fault: str, metric: str, value: float) -> None:
        """Keep one."""
        self.values[case, fault, metric].append(value)

    def rows(self) -> list[Row]:
        """Give median and p95 of each, and how many kept the aim where there is one."""
        found: list[Row] = []
        for (case, fault, metric), values in self.values.items():
            subject = f"{fault}, {metric}"
            found += [
                Row(case, subject, "median", median(values), "s"),
                Row(case, subject, "p95", percentile(values, 0.95), "s"),
            ]
            aim = AIMS.get(metric)
            if aim is not None:
                kept = sum(value < aim for value in values)
                found.append(Row(case, subject, f"within {aim:.0f} s", kept, f"of {len(values)}"))
        return [*found, Row("total", "homeostat", "runs that did not end as they should", len(self.failures), "1")]


@dataclass
class Scene:
    """What runs take place in."""

    api: Api
    stage: Stage
    eyes: Eyes
    caller: Caller
    figures: Figures
    ends_at: float

    def has_time(self) -> bool:
        """Whether another run may begin."""
        return time.monotonic() < self.ends_at

    # --- what is seen of a lane ---------------------------------------------------------------------------

    def on_at(self, fault: str, lane: str, after: float, packets: Packets) -> float | None:
        """Give when the fault was first seen."""
        if fault == KILL:
            return seen.first(self.eyes.leaving[lane], after, bool)
        if fault == SCALE:
            return seen.first(self.eyes.held[lane], after, lambda held: held == (0, True))
        return packets.cut_at(after)

    def off_at(self, fault: str, lane: str, after: float, packets: Packets) -> float | None:
        """Give when nothing of it was seen any more."""
        if fault == SCALE:
            return seen.first(self.eyes.held[lane], after, lambda held: held == (1, False))
        return packets.back_at(after)

    async def until_ready(self, lane: str) -> str:
        """Wait until a lane has a pod that serves; give its address."""
        await seen.until(f"{lane} is ready", lambda: time.monotonic() if self.eyes.address(lane) else None, 90)
        return self.eyes.address(lane)

    async def until_phase(self, name: str, *phases: str) -> None:
        """Wait until an experiment is in one of the phases."""
        sights = self.eyes.phases[name]
        await seen.until(
            f"phase {phases}",
            lambda: seen.first(sights, 0.0, lambda it: it[0] in phases),
            why=lambda: self.eyes.told(name),
        )

    # --- one run ------------------------------------------------------------------------------------------

    async def begin(self, case: str, fault: str, lane: str, packets: Packets, **spec: object) -> Manifest:
        """Apply an experiment, and wait until its fault is on."""
        manifest = experiment(FAULTS[fault], lane, "1s" if fault == KILL else LONG, **spec)
        name, at = manifest["metadata"]["name"], time.monotonic()
        await self.api.call("POST", self.stage.path("ChaosExperiment"), manifest)
        on = await seen.until(
            f"{fault} on {lane} is on", lambda: self.on_at(fault, lane, at, packets), 90, lambda: self.eyes.told(name)
        )  # fmt: skip
        self.figures.add(case, fault, ON, on - at)
        await self.until_phase(name, *(("Running",) if fault != KILL else ("Running", "Recovering", "Finished")))
        return manifest

    async def clear(self, *manifests: Manifest) -> None:
        """Remove experiments, and wait until they are gone."""
        for one in manifests:
            path = self.stage.path("ChaosExperiment", one["metadata"]["name"])
            await self.api.call("DELETE", path)
            for _ in range(600):
                if not await self.api.call("GET", path):
                    break
                await asyncio.sleep(0.1)
            else:
                raise Failed(f"{one['metadata']['name']} does not go")

    async def one(self, fault: str, lane: str, metric: str, end: End | None) -> None:
        """Have one fault by itself, and end it."""
        packets = Packets(await self.until_ready(lane))
        async with seen.aside(packets.send()):
            manifest = await self.begin("alone", fault, lane, packets)
            if end is not None:
                await asyncio.sleep(0.5 + random.random())  # noqa: S311 - at any moment between two looks
                at = await end(manifest)
                off = await seen.until(f"{fault} on {lane} is off", lambda: self.off_at(fault, lane, at, packets))
                self.figures.add("alone", fault, metric, off - at)
        await self.clear(manifest)

    # --- ends ---------------------------------------------------------------------------------------------

    async def abort(self, manifest: Manifest) -> float:
        """Ask by annotation."""
        at = time.monotonic()
        body = {"metadata": {"annotations": {"homeostat.dev/abort": "now"}}}
        await self.api.call("PATCH", self.stage.path("ChaosExperiment", manifest["metadata"]["name"]), body, MERGE)
        return at

    async def delete(self, manifest: Manifest) -> float:
        """Delete it."""
        at = time.monotonic()
        await self.api.call("DELETE", self.stage.path("ChaosExperiment", manifest["metadata"]["name"]))
        return at


# --- many runs ------------------------------------------------------------------------------------------


async def alone(scene: Scene, runs: int, parallel: int) -> None:
    """Run each fault by itself, with each end that is asked of one experiment."""
    wanted = [(KILL, "", None)] * runs
    for fault in (SCALE, LOSS):
        wanted += [(fault, "annotation to off", scene.abort)] * runs + [(fault, "deletion to off", scene.delete)] * runs
    queue, done = list(reversed(wanted)), count(1)

    async def work(lane: str) -> None:
        while queue and scene.has_time():
            fault, metric, end = queue.pop()
            try:
                await scene.one(fault, lane, metric, end)
                say(f"alone {next(done)} of {len(wanted)}: {fault} {metric}: {_last(scene, fault, metric)}")
            except Failed as error:
                _note(scene, error)

    async with asyncio.TaskGroup() as tasks:
        for number in range(parallel):
            tasks.create_task(work(f"lane-{number}"))


def _last(scene: Scene, fault: str, metric: str) -> str:
    found = scene.figures.values
    ends = found.get(("alone", fault, metric), [])
    on = found["alone", fault, ON][-1]
    return f"on after {on:.2f} s" + (f", off after {ends[-1]:.2f} s" if ends else "")


def _note(scene: Scene, error: Failed) -> None:
    scene.figures.failures.append(str(error))
    say(f"NOT as it should be: {error}")


async def together(scene: Scene, case: str, end: Callable[[], Awaitable[float]], **spec: object) -> None:
    """Have ten faults at once, end them all by one act, and see each off."""
    lanes = [(f"lane-{number}", SCALE if number % 2 else LOSS) for number in range(LANES)]
    packets = {lane: Packets(await scene.until_ready(lane)) for lane, _ in lanes}
    async with asyncio.TaskGroup() as senders:
        sending = [senders.create_task(packets[lane].send()) for lane, fault in lanes if fault == LOSS]
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane, fault in lanes:
                    tasks.create_task(scene.begin("ten at once", fault, lane, packets[lane], **spec))
            await asyncio.sleep(0.5 + random.random())  # noqa: S311 - at any moment between two looks
            at = await end()
            offs = [
                (fault, await seen.until(f"{fault} on {lane} is off", lambda lane=lane, fault=fault: scene.off_at(
                    fault, lane, at, packets[lane])) - at)
                for lane, fault in lanes
            ]  # fmt: skip
        finally:
            for task in sending:
                task.cancel()
    for fault, took in offs:
        scene.figures.add("ten at once", fault, f"{case} {OFF}", took)
    scene.figures.add("ten at once", "all", f"{case} to all off", max(took for _, took in offs))
    say(f"{case}: all off after {max(took for _, took in offs):.2f} s")


async def rounds(scene: Scene, runs: int, freezes: int) -> None:
    """End ten at once, in each of the ways that end them all."""
    each = -(-runs // (LANES // 2))
    left = {stopped: each, frozen: freezes, killed: each}
    while any(left.values()):
        for way in [way for way, times in left.items() if times and scene.has_time()]:
            left[way] -= 1
            await _round(scene, way)
        if not scene.has_time():
            say(f"out of time: {sum(left.values())} rounds are left out")
            return


async def _round(scene: Scene, way: Callable[[Scene], Awaitable[None]]) -> None:
    try:
        await way(scene)
    except* Failed as group:
        for error in leaves(group):
            _note(scene, error)
    await sweep(scene)


async def sweep(scene: Scene) -> None:
    """Remove all experiments of the stage, so that the next round begins with none."""
    listed = await scene.api.call("GET", scene.stage.path("ChaosExperiment"))
    await scene.clear(*listed["items"])


async def stopped(scene: Scene) -> None:
    """Have an objective burn: from the answer to the push on."""
    name = f"burns-{next(NUMBERS)}"
    scene.stage.put(slo(name))
    await asyncio.to_thread(scene.caller.deliver, entry(good=1000), key=f"{name}-first", name=name)

    async def push() -> float:
        code, answer = await asyncio.to_thread(scene.caller.push, entry(bad=100_000), key=f"{name}-bad", name=name)
        if code != 200:
            raise Failed(f"the push was not taken: {answer}")
        return time.monotonic()

    await together(scene, "stop condition", push, stopConditions=[{"slo": {"name": name, "burnRateAbove": BURNS}}])
    scene.stage.delete("ServiceLevelObjective", name)


async def frozen(scene: Scene) -> None:
    """Apply a Freeze."""
    manifest = freeze(f"{scene.stage.namespace}-{next(NUMBERS)}", scene.stage.namespace, "Chaos")

    async def apply() -> float:
        at = time.monotonic()
        await scene.api.call("POST", scene.stage.path("Freeze"), manifest)
        return at

    try:
        await together(scene, "Freeze", apply)
    finally:
        scene.stage.delete("Freeze", manifest["metadata"]["name"])


async def killed(scene: Scene) -> None:
    """Kill the operator for good; it is started again when all is off."""

    async def kill() -> float:
        at = time.monotonic()
        await asyncio.to_thread(scene.stage.one.kill)
        return at

    try:
        await together(scene, "SIGKILL", kill)
    finally:
        await asyncio.to_thread(scene.stage.one.start)


async def bench(options: argparse.Namespace) -> list[Row]:
    """Measure all."""
    deployments = [deployment(1, f"lane-{number}") for number in range(LANES)]
    with open_stage("chaostimes", *deployments) as stage:
        say("the lanes are open")
        async with connected() as api, asyncio.TaskGroup() as tasks:
            ends_at = time.monotonic() + 60 * options.minutes
            scene = Scene(api, stage, Eyes(api, stage), pipeline(stage), Figures(), ends_at)
            watching = scene.eyes.watch(tasks)
            try:
                if "alone" in options.only:
                    await alone(scene, options.runs, options.parallel)
                if "together" in options.only:
                    await rounds(scene, options.runs, options.freezes)
            finally:
                for task in watching:
                    task.cancel()
            return [
                *scene.figures.rows(),
                Row("total", "machine", "load at the end", os.getloadavg()[0], f"of {os.cpu_count()} cores"),
            ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each fault and end")
    parser.add_argument("--freezes", type=int, default=20, help="rounds of ten that a Freeze ends")
    parser.add_argument("--parallel", type=int, default=2, help="lanes at work in `alone`")
    parser.add_argument("--only", default="alone,together")
    parser.add_argument("--minutes", type=float, default=40, help="after which no run begins")
    publish("chaostimes", complete(bench(parser.parse_args())))


if __name__ == "__main__":
    main()
