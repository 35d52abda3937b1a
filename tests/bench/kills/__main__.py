"""`./hack/bench kills`: SIGKILL of the operator at every point of every step, on a real API server.

First each step runs once with nothing killed, which tells the points that it comes by. Then it runs once for each of
them, in a namespace and with a Node of its own, with an operator that dies there; another takes over and ends what
was begun. What the API server granted in between is counted by a proxy before it: exactly one action each.
"""

import argparse
import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import count
from pathlib import Path
from queue import Queue
from statistics import median

from bench.cluster_api import Failed
from bench.kills.cases import CASES, TAINT, Case, Site
from bench.kills.server import Server
from bench.kills.trial import How, Trial, Verdict, Wanted
from bench.progress import say
from bench.report import Row, publish
from bench.scene import api_behind, kubeconfig, new_stage
from bench.subject import ROOT
from cluster.manifests import Manifest
from cluster.proxy import FaultProxy
from cluster.stage import Stage

NUMBERS = count(1)
CLUSTER = os.environ.get("HOMEOSTAT_BENCH_DEVCLUSTER", "")
"""The devcluster whose API server may be killed; "" is none."""
AWAY = 5.0  # seconds without an API server
SUCCEEDED = ("restartPods", "rolloutRestart", "scale", "patch")
"""Cases that are also tried with two replicas, and without an API server."""
ACTS = ("EvictPod", "RestartRollout", "Scale", "PatchObject")
ATTEMPTS = 3
"""How often a trial is run that did not come by its point: how many writes there are depends a little on timing."""
LEFT_BEHIND = ("Deployment", "Job")


class Arena:
    """What trials share: a server, and as many places as may be used at once, each with a proxy and a Node."""

    def __init__(self, folder: Path, parallel: int) -> None:
        self._folder = folder
        self._server = Server()
        self._places: Queue[tuple[FaultProxy, str]] = Queue()
        self._stages: list[Stage] = []
        self._proxies = [FaultProxy(kubeconfig()) for _ in range(parallel + 1)]
        self._api = api_behind(self._proxies[-1])
        nodes = [item["metadata"]["name"] for item in self._api("GET", "/api/v1/nodes")[1]["items"]]
        if len(nodes) <= parallel:
            raise Failed(f"{parallel} trials at once need {parallel + 1} Nodes; there are {len(nodes)}")
        self._own_nodes = nodes[:parallel]
        for node in self._own_nodes:
            self._change(node, {"taints": [{"key": TAINT, "effect": "NoSchedule"}]})
        for proxy, node in zip(self._proxies[:-1], nodes, strict=False):
            self._places.put((proxy, node))

    def run(self, wanted: Wanted) -> tuple[Verdict, list[str]]:
        """Run a trial as soon as there is a place, and again if it did not come by its point."""
        verdict, points = self._run(wanted)
        for _ in range(ATTEMPTS - 1):
            if verdict.point or wanted.is_unharmed:
                break
            verdict, points = self._run(wanted)
        return verdict, points

    def _run(self, wanted: Wanted) -> tuple[Verdict, list[str]]:
        proxy, node = self._places.get()
        try:
            stage = new_stage(
                self._api, f"kills-{os.getpid()}-{next(NUMBERS)}", Path(tempfile.mkdtemp(dir=self._folder))
            )
            self._stages.append(stage)
            try:
                site = Site(stage, node, self._server.url(stage.namespace))
                return Trial(wanted, site, self._server, proxy, end_api).run()
            finally:
                self._clear(stage)
        finally:
            self._free(node)
            self._places.put((proxy, node))

    def _clear(self, stage: Stage) -> None:
        """End what runs in a stage; its namespaces go at the very end, since that is work for the cluster."""
        for process in stage.processes:
            process.kill()
        for kind in LEFT_BEHIND:
            self._api("DELETE", f"{stage.path(kind)}?propagationPolicy=Background")

    def _free(self, node: str) -> None:
        self._change(node, {"unschedulable": None})

    def _change(self, node: str, spec: Manifest) -> None:
        self._api("PATCH", f"/api/v1/nodes/{node}", {"spec": spec}, content_type="application/merge-patch+json")

    def close(self) -> None:
        """End what was started."""
        for stage in self._stages:
            stage.strike()
        for node in self._own_nodes:
            self._change(node, {"taints": None})
        self._server.close()
        for proxy in self._proxies:
            proxy.close()


def survey(arena: Arena, cases: Sequence[Case], parallel: int) -> dict[Case, list[str]]:
    """Run each case with nothing killed; leave out those that do not work at all, and say so."""
    found: dict[Case, list[str]] = {}
    with ThreadPoolExecutor(parallel) as pool:
        runs = {pool.submit(arena.run, Wanted(case)): case for case in cases}
        for done in as_completed(runs):
            verdict, points = done.result()
            if verdict.is_right:
                found[runs[done]] = points
                say(f"{verdict.case}: {len(points)} points, {verdict.took:.0f} s")
            else:
                say(f"{verdict.case}: does not work even without a kill: {_what(verdict)}")
    return {case: found[case] for case in cases if case in found}


def matrix(points: Mapping[Case, Sequence[str]], limit: int) -> list[Wanted]:
    """List the kills: each case at each of its points, and some with a successor; `limit` of them, 0 for all.

    Fewer than all are first each point by its name of each step, then what a step comes by again, spread evenly; more
    than all go round again.
    """
    first = [Wanted(case, names.index(name) + 1) for case, names in points.items() for name in dict.fromkeys(names)]
    first += [
        Wanted(case, names.index(name) + 1, How.SUCCEEDED)
        for case, names in points.items()
        if case.name in SUCCEEDED
        for name in dict.fromkeys(names)
        if name.endswith(("intent", *ACTS))
    ]
    again = [
        Wanted(case, number)
        for case, names in points.items()
        for number, name in enumerate(names, 1)
        if names.index(name) + 1 != number
    ]
    whole = [*first, *again]
    if not limit:
        return whole
    if limit <= len(first):
        return spread(first, limit)
    if limit <= len(whole):
        return [*first, *spread(again, limit - len(first))]
    return [whole[place % len(whole)] for place in range(limit)]


def spread(wanted: Sequence[Wanted], count: int) -> list[Wanted]:
    """Pick so many at even distances."""
    return [wanted[place * len(wanted) // count] for place in range(count)]


def killed(arena: Arena, wanted: Sequence[Wanted], parallel: int) -> Iterator[Verdict]:
    """Run these trials, so many at once."""
    with ThreadPoolExecutor(parallel) as pool:
        runs = [pool.submit(arena.run, one) for one in wanted]
        for number, done in enumerate(as_completed(runs), 1):
            yield _said(done.result()[0], f"{number} of {len(runs)}")


def without_api(arena: Arena, cases: Iterable[Case]) -> Iterator[Verdict]:
    """Kill the API server before and after the act, one trial after another: they share it."""
    for case in cases:
        if CLUSTER and case.name in SUCCEEDED:
            for how in (How.API_BEFORE, How.API_AFTER):
                yield _said(arena.run(Wanted(case, 0, how))[0], how.value)


def _said(verdict: Verdict, where: str) -> Verdict:
    word = "exactly once" if verdict.is_right else f"WRONG: {_what(verdict)}"
    if not verdict.point:
        word = f"NOT KILLED: {_what(verdict)}"
    say(f"{where}: {verdict.case}, killed at {verdict.number or ''} {verdict.point} ({verdict.took:.0f} s): {word}")
    return verdict


def end_api() -> None:
    """Kill the API server of the devcluster that the bench has for itself, and start it again."""
    command = str(ROOT / "hack" / "devcluster")
    lines = subprocess.run([command, "status", "--name", CLUSTER], capture_output=True, text=True, check=False).stdout
    pid = next(int(line.split()[1]) for line in lines.splitlines() if line.startswith("kube-apiserver"))
    os.kill(pid, signal.SIGKILL)
    time.sleep(AWAY)
    subprocess.run([command, "up", "--name", CLUSTER, "--control-plane-only"], capture_output=True, check=True)


def _what(verdict: Verdict) -> str:
    return (
        f"{verdict.effects} effects of {verdict.expected}, over: {verdict.is_over}, "
        f"as it should be: {verdict.is_clean} ({verdict.note})"
    )


def rows(verdicts: Sequence[Verdict], left_out: Sequence[str]) -> list[Row]:
    """Give the figures of each case, and of all."""
    found = []
    for name in dict.fromkeys(verdict.case for verdict in verdicts):
        found += _summary(name, [one for one in verdicts if one.case == name])
    found += _summary("total", verdicts)
    return [*found, Row("total", "homeostat", "steps left out", len(left_out), "1")]


def _summary(case: str, verdicts: Sequence[Verdict]) -> list[Row]:
    figures = {
        "kills": sum(bool(one.point) for one in verdicts),
        "exactly_once": sum(bool(one.point) and one.is_right for one in verdicts),
        "repeated": sum(one.repeated for one in verdicts),
        "lost": sum(one.lost for one in verdicts),
        "half_done": sum(one.is_half_done for one in verdicts),
        "not_killed": sum(not one.point for one in verdicts),
    }
    counted = [Row(case, "homeostat", metric, value, "1") for metric, value in figures.items()]
    return [*counted, Row(case, "homeostat", "trial took, median", median(one.took for one in verdicts), "s")]


def bench(cases: Sequence[Case], parallel: int, limit: int) -> list[Row]:
    """Run the matrix."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-kills-")))
        arena = Arena(folder, parallel)
        stack.callback(arena.close)
        points = survey(arena, cases, parallel)
        verdicts = list(killed(arena, matrix(points, limit), parallel))
        verdicts += without_api(arena, points)
    if not verdicts:
        raise Failed("no step works, so none was killed")
    took = Row("total", "homeostat", "matrix took", time.monotonic() - began, "s")
    return [*rows(verdicts, [case.name for case in cases if case not in points]), took]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="", help="names of cases, separated by commas; all unless given")
    parser.add_argument("--parallel", type=int, default=6, help="trials at the same time")
    parser.add_argument("--limit", type=int, default=240, help="kills of the operator in all; 0: all of the matrix")
    options = parser.parse_args()
    wanted = {name.strip() for name in options.cases.split(",") if name}
    if unknown := wanted - {case.name for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in CASES)}")
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # of the proxies, while there is no API server
    try:
        found = bench([case for case in CASES if not wanted or case.name in wanted], options.parallel, options.limit)
    except Failed as error:
        sys.exit(str(error))
    publish("kills", found)


if __name__ == "__main__":
    main()
