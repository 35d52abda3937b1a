"""`./hack/bench drills`: shipped experiments with the runbooks and the alert that they prove, each run many times.

Each experiment runs in some namespaces of its own, several times in each, and several namespaces at once; one operator
serves them all, with the rights of dist/ and no others. A row `stable` is the share of the most frequent verdict. The
times of `told` are those of status.proofs, or of status.timings where Kubernetes itself is to heal; those of `seen` are
what the pods, their users and the Deployment show.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from statistics import median

from bench.cluster_api import Failed
from bench.drills.lane import Lane, Outcome
from bench.drills.table import DRILLS, Drill
from bench.faults.metrics import Metrics
from bench.progress import say
from bench.report import FOLDER, Row, percentile, publish
from bench.scene import api_behind, kubeconfig, new_stage, stage_in
from bench.subject import ROOT
from cluster.installation import grant_rights, rightful
from cluster.operator_process import OperatorProcess
from cluster.proxy import FaultProxy
from cluster.stage import MERGE, Api

PREFIX = f"drills-{os.getpid()}"
OURS = "homeostat"
AGENT_IMAGE = "homeostat.dev/operator:dev"
LABELS = {"homeostat.dev/chaos": "allowed", "pod-security.kubernetes.io/enforce": "privileged"}
REPORTS = FOLDER / "drills"


class Arena:
    """One operator for all lanes; the bench asks through a proxy, so as to speak plain HTTP."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._ends_at = time.monotonic() + seconds
        self._own = FaultProxy(kubeconfig())
        self.api: Api = api_behind(self._own)
        grant_rights(self.api)
        self._home = new_stage(self.api, PREFIX, folder)
        self._metrics = Metrics(self.api)
        flags = (
            "--operator-namespace", self._home.system, "--agent-image", AGENT_IMAGE,
            "--prometheus-url", self._metrics.url, "--action-budget", "10000", "--storm-policies", "1000",
            "--allow-networks", "127.0.0.0/8",
        )  # fmt: skip
        self.operator = OperatorProcess(folder, rightful(self._home), "bench", flags)
        self.operator.start()
        self.restarts = 0
        self._is_closed = threading.Event()
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)
        self._keeper.start()

    def _keep_running(self) -> None:
        """Start the operator again when it ends, as Kubernetes would."""
        while not self._is_closed.wait(1.0):
            if not self.operator.is_running():
                self.restarts += 1
                say(f"the operator ended, and is started again: {self.operator.tail()[-200:]}")
                self.operator.start(wait_for="")

    def outcomes(self, drill: Drill, number: int, times: int, *, with_report: bool) -> list[Outcome]:
        """Run one experiment so many times in a namespace of its own. A lane that fails says so in its last outcome."""
        folder, found = Path(tempfile.mkdtemp(dir=self._folder)), list[Outcome]()
        if time.monotonic() >= self._ends_at:
            return found
        try:
            with stage_in(self.api, f"{PREFIX}-{number}", folder) as stage:
                path = f"/api/v1/namespaces/{stage.namespace}"
                self.api("PATCH", path, {"metadata": {"labels": LABELS}}, content_type=MERGE)
                lane = Lane(stage, drill)
                lane.open()
                for run in range(1, times + 1):
                    if time.monotonic() >= self._ends_at:
                        break
                    found.append(lane.run(run))
                    say(told(found[-1]))
                if with_report:
                    report(drill, stage.namespace)
        except (AssertionError, OSError) as error:
            note = "; ".join([str(error), *getattr(error, "__notes__", ())])[:1500]
            found.append(Outcome(drill.name, "none", note=f"the run failed: {note}"))
            say(told(found[-1]))
        return found

    def close(self) -> None:
        """End what was started."""
        self._is_closed.set()
        self._keeper.join()
        self.operator.kill()
        self._home.strike()
        self._metrics.close()
        self._own.close()


def report(drill: Drill, namespace: str) -> None:
    """Keep what `homeostat report` says of the last run."""
    command = [sys.executable, "-m", "homeostat", "report", f"chaos/{drill.name}", "-n", namespace]
    command += ["--kubeconfig", str(kubeconfig())]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"{drill.name}.md").write_text(done.stdout + done.stderr, encoding="utf-8")


def told(found: Outcome) -> str:
    """Tell one run in a line."""
    times = ", ".join(f"{name} {after:.1f} s" for name, after in found.told.items())
    seen = ", ".join(f"{name} {after:.1f} s" for name, after in found.seen.items())
    follows = "" if found.is_followed is not False else "; THE POLICY DOES NOT SAY SO"
    return f"{found.drill}: {found.verdict} ({found.reason}); told: {times}; seen: {seen}{follows} {found.note}"


# --- rows -----------------------------------------------------------------------------------------------


def rows(found: Sequence[Outcome]) -> list[Row]:
    """Give the figures of each experiment, and of all."""
    names = dict.fromkeys(one.drill for one in found)
    of_each = {name: [one for one in found if one.drill == name] for name in names}
    table = [row for name, outcomes in of_each.items() for row in _of(name, outcomes)]
    share = 100 * sum(_most_frequent(outcomes) for outcomes in of_each.values()) / len(found)
    policies = [one for one in found if one.is_followed is not None]
    return [
        *table,
        *(_times("policies", policies) if policies else ()),
        Row("total", OURS, "experiments", len(of_each), "1"),
        *_verdicts("total", found, share),
    ]


def _of(name: str, found: Sequence[Outcome]) -> Iterator[Row]:
    yield from _verdicts(name, found, 100 * _most_frequent(found) / len(found))
    yield from _times(name, found)


def _verdicts(name: str, found: Sequence[Outcome], stable: float) -> Iterator[Row]:
    yield Row(name, OURS, "runs", len(found), "1")
    yield Row(name, OURS, "passed", sum(one.verdict == "Passed" for one in found), f"of {len(found)}")
    yield Row(name, OURS, "stable", stable, "%")
    proofs = [one.is_followed for one in found if one.is_followed is not None]
    if proofs:
        yield Row(name, OURS, "policy says so", sum(proofs), f"of {len(proofs)}")


def _times(name: str, found: Sequence[Outcome]) -> Iterator[Row]:
    for subject in ("told", "seen"):
        times = [getattr(one, subject) for one in found]
        for metric in dict.fromkeys(key for one in times for key in one):
            values = [one[metric] for one in times if metric in one]
            yield Row(name, subject, f"{metric} after, median", median(values), f"s, of {len(values)}")
            yield Row(name, subject, f"{metric} after, p95", percentile(values, 0.95), "s")


def _most_frequent(found: Sequence[Outcome]) -> int:
    return Counter(one.verdict for one in found).most_common(1)[0][1]


# --- the bench ------------------------------------------------------------------------------------------


def lanes(drills: Sequence[Drill], times: int, at_most: int) -> list[tuple[Drill, int, bool]]:
    """Share the runs of each experiment among namespaces; the first of each reports. The longest begin first."""
    shares = [(drill, first, min(at_most, times - first)) for first in range(0, times, at_most) for drill in drills]
    return [(drill, share, first == 0) for drill, first, share in shares]


def bench(drills: Sequence[Drill], times: int, at_most: int, parallel: int, seconds: float) -> list[Row]:
    """Run all, so many namespaces at once; begin no run after so many seconds."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-drills-")))
        arena = Arena(folder, seconds)
        stack.callback(arena.close)
        began, found, load = time.monotonic(), list[Outcome](), [os.getloadavg()[0]]
        pool = stack.enter_context(ThreadPoolExecutor(parallel))
        runs = [
            pool.submit(arena.outcomes, drill, number, share, with_report=is_first)
            for number, (drill, share, is_first) in enumerate(lanes(drills, times, at_most), 1)
        ]
        for done in as_completed(runs):
            found += done.result()
            load.append(os.getloadavg()[0])
            say(f"{len(found)} of {len(drills) * times} runs; load {load[-1]:.1f}")
        return [
            *rows(found),
            Row("total", OURS, "operator restarts", arena.restarts, "1"),
            Row("total", OURS, "load of the machine, median", median(load), f"of {os.cpu_count()} cores"),
            Row("total", OURS, "took", time.monotonic() - began, "s"),
        ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drills", default="", help="names, separated by commas; ten of them unless given")
    parser.add_argument("--times", type=int, default=20, help="how often each is run")
    parser.add_argument("--quick", action="store_true", help="run each three times")
    parser.add_argument("--in-a-row", type=int, default=4, help="runs in one namespace at most")
    parser.add_argument("--parallel", type=int, default=5, help="namespaces at the same time")
    parser.add_argument("--minutes", type=float, default=120, help="begin no run after so many minutes")
    options = parser.parse_args()
    wanted = {name.strip() for name in options.drills.split(",") if name}
    drills = [one for one in DRILLS if (one.name in wanted if wanted else one.is_default)]
    times = 3 if options.quick else options.times
    try:
        publish("drills", bench(drills, times, options.in_a_row, options.parallel, options.minutes * 60))
    except Failed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
