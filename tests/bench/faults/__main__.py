"""`./hack/bench faults`: kinds of fault, each injected several times into real pods, and what Kubernetes heals.

Each run has a namespace of its own; one operator serves them all, by the shipped runbooks in a hurry (short waits, the
same steps). What it did is counted by a proxy before the API server, and by action ids in its log; whether it helped
is asked of the pods themselves, as their users would. It was healed by the policy when its first act was granted
before all was well; else by Kubernetes. Kinds that must not be acted on are right when nothing was written and the
reason that is expected stands on the policy. `alone` is the same fault with the probes and restarts of Kubernetes only.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import count
from pathlib import Path
from statistics import median

from bench.cluster_api import Failed
from bench.faults.kinds import KINDS
from bench.faults.metrics import Metrics
from bench.faults.run import Audit, Kind, Outcome, Run, carry_out
from bench.progress import say
from bench.report import Row, percentile, publish
from bench.scene import api_behind, flags_known, kubeconfig, make_namespace, stage_in
from cluster.operator_process import OperatorProcess, kubeconfig_for
from cluster.proxy import FaultProxy
from cluster.stage import Api

PREFIX = f"faults-{os.getpid()}"
SYSTEM = f"{PREFIX}-system"
OURS, ALONE = "homeostat", "Kubernetes alone"
NUMBERS = count(1)


def place(number: int, *, of_nodes: bool) -> str:
    """Name the namespace of a run; those that may touch Nodes are told to the operator at its start."""
    return f"{PREFIX}-node-{number}" if of_nodes else f"{PREFIX}-{number}"


class Arena:
    """One operator for all runs, seen through a proxy, and another proxy for the bench itself."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._audit, self._own = FaultProxy(kubeconfig()), FaultProxy(kubeconfig())
        self.api: Api = api_behind(self._own)
        make_namespace(self.api, SYSTEM)
        self._metrics = Metrics(self.api)
        for_nodes = json.dumps([place(number, of_nodes=True) for number in range(1, most)])
        flags = (
            "--operator-namespace", SYSTEM, "--prometheus-url", self._metrics.url, "--action-budget", "10000",
            "--allow-networks", "127.0.0.0/8",
            *flags_known(storm_policies="1000", node_namespaces=for_nodes),
        )  # fmt: skip
        self.operator = OperatorProcess(folder, kubeconfig_for(folder, self._audit.url), "bench", flags)
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
                say(f"the operator ended, and is started again: {self.operator.tail()[-300:]}")
                self.operator.start(wait_for="")

    def run(self, kind: Kind, *, with_policy: bool) -> Outcome:
        """Carry one run out."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            name = place(next(NUMBERS), of_nodes=kind.is_of_nodes)
            with stage_in(self.api, name, folder) as stage:
                run = Run(stage, "hung-process", with_policy)
                with run.closing:
                    return carry_out(kind, run, Audit(self._audit.seen, self.operator.log))
        except (AssertionError, OSError) as error:
            note = "; ".join([str(error), *getattr(error, "__notes__", ())])[:1500]
            return Outcome(kind.name, not with_policy, False, bool(kind.reasons), note=f"the run failed: {note}")

    def close(self) -> None:
        """End what was started."""
        self._is_closed.set()
        self._keeper.join()
        self.operator.kill()
        self.api("DELETE", f"/api/v1/namespaces/{SYSTEM}")
        self._metrics.close()
        for proxy in (self._audit, self._own):
            proxy.close()


def outcomes(arena: Arena, kinds: Sequence[Kind], times: int, alone: int, parallel: int) -> Iterator[Outcome]:
    """Run all kinds, so many at once, and say how each went."""
    wanted = [(kind, True) for _ in range(times) for kind in kinds]
    wanted += [(kind, False) for _ in range(alone) for kind in kinds if not kind.reasons]
    with ThreadPoolExecutor(parallel) as pool:
        runs = [pool.submit(arena.run, kind, with_policy=with_policy) for kind, with_policy in wanted]
        for number, done in enumerate(as_completed(runs), 1):
            found = done.result()
            say(f"{number} of {len(wanted)}: {told(found)}")
            yield found


def told(found: Outcome) -> str:
    """Tell one run in a line."""
    who = ALONE if found.is_alone else OURS
    what = ("left alone" if found.is_right else "NOT as it should be") if found.must_not else (
        f"healed after {found.recovered:.1f} s" if found.recovered is not None else "NOT healed"
    )  # fmt: skip
    return f"{found.kind}, {who}: {what}, {found.actions} actions, {found.wrong} wrong. {found.note}"


def rows(found: Sequence[Outcome]) -> list[Row]:
    """Give the figures of each kind, and of all."""
    table: list[Row] = []
    for name in dict.fromkeys(kind.name for kind in KINDS):
        for subject, is_alone in ((OURS, False), (ALONE, True)):
            of_kind = [one for one in found if one.kind == name and one.is_alone is is_alone]
            table += _of_kind(name, subject, of_kind) if of_kind else []
    return [*table, *_total(found)]


def _of_kind(name: str, subject: str, found: Sequence[Outcome]) -> list[Row]:
    what = "left alone" if found[0].must_not else "healed"
    table = [Row(name, subject, what, sum(one.is_right for one in found), f"of {len(found)}")]
    if subject == OURS:
        table += [
            Row(name, subject, "actions", sum(one.actions for one in found), "1"),
            Row(name, subject, "wrong actions", sum(one.wrong for one in found), "1"),
            Row(name, subject, "repeated actions", sum(one.repeated for one in found), "1"),
        ]
    if subject == OURS and not found[0].must_not:
        table += _healers(name, found)
    for metric in ("detected", "acted", "recovered"):
        values = [value for one in found if (value := getattr(one, metric)) is not None]
        table += [Row(name, subject, f"{metric} after, median", median(values), "s")] if values else []
    return table


def _healers(name: str, found: Sequence[Outcome]) -> list[Row]:
    """Say what healed: the policy had acted before all was well, or Kubernetes was faster."""
    by_policy = sum(one.is_by_policy for one in found)
    by_kubernetes = sum(one.is_right and not one.must_not for one in found) - by_policy
    return [
        Row(name, OURS, "healed_by_policy", by_policy, "1"),
        Row(name, OURS, "healed_by_kubernetes", by_kubernetes, "1"),
    ]


def _total(found: Sequence[Outcome]) -> list[Row]:
    ours = [one for one in found if not one.is_alone]
    healing, sparing = [one for one in ours if not one.must_not], [one for one in ours if one.must_not]
    alone = [one for one in found if one.is_alone]
    table = [
        Row("total", OURS, "faults", len(ours), "1"),
        Row("total", OURS, "kinds", len({one.kind for one in ours}), "1"),
        Row("total", OURS, "healed_share", _share(healing), "% (aim 80)"),
        *_healers("total", healing),
        Row("total", OURS, "left_alone_share", _share(sparing), "% (aim 100)"),
        Row("total", OURS, "wrong_actions", sum(one.wrong for one in ours), "1"),
        Row("total", OURS, "repeated_actions", sum(one.repeated for one in ours), "1"),
        Row("total", ALONE, "healed_share", _share(alone), "%"),
    ]
    for metric in ("detected", "acted", "recovered"):
        values = [value for one in healing if (value := getattr(one, metric)) is not None]
        table.append(Row("total", OURS, f"{metric} after, median", median(values) if values else 0, "s"))
        table.append(Row("total", OURS, f"{metric} after, p95", percentile(values, 0.95), "s"))
    return table


def _share(found: Sequence[Outcome]) -> float:
    return 100 * sum(one.is_right for one in found) / len(found) if found else 0.0


def bench(kinds: Sequence[Kind], times: int, alone: int, parallel: int) -> list[Row]:
    """Run the matrix."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-faults-")))
        arena = Arena(folder, len(kinds) * (times + alone) + 1)
        stack.callback(arena.close)
        began, load = time.monotonic(), [os.getloadavg()[0]]
        found = []
        for one in outcomes(arena, kinds, times, alone, parallel):
            found.append(one)
            load.append(os.getloadavg()[0])
        return [
            *rows(found),
            Row("total", OURS, "operator restarts", arena.restarts, "1"),
            Row("total", OURS, "load of the machine, median", median(load), f"of {os.cpu_count()} cores"),
            Row("total", OURS, "matrix took", time.monotonic() - began, "s"),
        ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default="", help="names, separated by commas; all unless given")
    parser.add_argument("--times", type=int, default=5, help="how often each is injected")
    parser.add_argument("--alone", type=int, default=1, help="how often each is injected with Kubernetes alone")
    parser.add_argument("--parallel", type=int, default=6, help="runs at the same time")
    options = parser.parse_args()
    wanted = {name.strip() for name in options.kinds.split(",") if name}
    kinds = [kind for kind in KINDS if not wanted or kind.name in wanted]
    try:
        publish("faults", bench(kinds, options.times, options.alone, options.parallel))
    except Failed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
