"""One trial: a policy with one step, an operator that dies at one point, one that takes over, a count of effects."""

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.cluster_api import Failed
from bench.kills.cases import Case, Site
from bench.kills.server import Server
from bench.scene import flags_known
from cluster.manifests import OURS, SHOP, Manifest, deployment, health_check
from cluster.operator_process import OperatorProcess, kubeconfig_for
from cluster.proxy import FaultProxy, after, instead
from cluster.stage import Stage
from cluster.waiting import until

DOOMED = Path(__file__).with_name("doomed.py")
LEADER = "homeostat-leader"
PATIENCE = 180.0
SETTLE = 1.5  # seconds after the end of an attempt, in which nothing more may happen
POLL = 0.1


class DoomedProcess(OperatorProcess):
    """An operator that kills itself at a point."""

    def __init__(self, folder: Path, kubeconfig: Path, flags: tuple[str, ...], number: int) -> None:
        super().__init__(folder, kubeconfig, "one", flags)
        self.points = folder / "points"
        at = self._command.index("run")
        self._command = [sys.executable, str(DOOMED), str(number), str(self.points), "--", *self._command[at:]]

    def reached(self) -> list[str]:
        """Name the points that it came by."""
        return self.points.read_text(encoding="utf-8").splitlines() if self.points.exists() else []


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one trial."""

    case: str
    number: int
    point: str
    effects: int
    expected: int
    is_over: bool
    is_clean: bool
    took: float
    note: str = ""

    @property
    def repeated(self) -> int:
        """How many effects there were too many."""
        return max(0, self.effects - self.expected)

    @property
    def is_lost(self) -> bool:
        """Whether an effect is missing."""
        return self.effects < self.expected

    @property
    def is_half_done(self) -> bool:
        """Whether the attempt did not end, or what it did was not finished or not taken back."""
        return not (self.is_over and self.is_clean)

    @property
    def is_right(self) -> bool:
        """Whether all was done, once."""
        return not (self.repeated or self.is_lost or self.is_half_done)


class How(StrEnum):
    """What dies in a trial, and who goes on."""

    RESTARTED = "restarted"  # the operator; the same one is started again
    SUCCEEDED = "succeeded"  # the operator; another replica, which waited, takes the lead
    API_BEFORE = "API server killed before the act"
    API_AFTER = "API server killed after the act"


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """One trial to run: of 0 nothing is killed."""

    case: Case
    number: int = 0
    how: How = How.RESTARTED

    @property
    def name(self) -> str:
        """Name its case in tables."""
        return {
            How.RESTARTED: self.case.name,
            How.SUCCEEDED: f"{self.case.name}, another replica takes over",
        }.get(self.how, f"{self.case.name}, {self.how.value}")


class Trial:
    """One trial in a stage of its own. `end_api` kills the API server, and starts it again."""

    def __init__(
        self, wanted: Wanted, site: Site, server: Server, proxy: FaultProxy, end_api: Callable[[], None]
    ) -> None:
        self._wanted = wanted
        self._case = wanted.case
        self._number = wanted.number
        self._end_api = end_api
        self._is_api_killed = False
        self._site = site
        self._stage = site.stage
        self._server = server
        self._proxy = proxy
        self._trial = site.stage.namespace

    def run(self) -> tuple[Verdict, list[str]]:
        """Run it; give what became of it, and the points that the first process came by."""
        began = time.monotonic()
        self._prepare()
        stage = self._stage
        flags = (
            "--namespaces", stage.namespace, "--operator-namespace", stage.system, "--allow-networks", "127.0.0.0/8",
            "--action-budget", "1000", *flags_known(node_namespaces=stage.namespace),
        )  # fmt: skip
        kubeconfig = kubeconfig_for(stage.folder, self._proxy.url)
        first = DoomedProcess(stage.folder, kubeconfig, flags, self._number)
        stage.processes.append(first)
        self._arm()
        first.start(wait_for="")
        if self._wanted.how is How.SUCCEEDED:
            self._second("two", kubeconfig, flags)
        is_over = self._watch(lambda: not first.is_running())
        if not is_over and not first.is_running():
            if self._wanted.how is not How.SUCCEEDED:
                self._second("one", kubeconfig, flags)
            is_over = self._watch(lambda: False)
        if is_over:
            time.sleep(SETTLE)
        points = first.reached()
        return self._judge(points, time.monotonic() - began, is_over=is_over), points

    def _second(self, identity: str, kubeconfig: Path, flags: tuple[str, ...]) -> None:
        """Start who goes on; a replica that only waits must not be the first to lead."""
        if identity != "one":
            until(lambda: self._stage.find("Lease", LEADER), "the first one leads")
        process = OperatorProcess(self._stage.folder, kubeconfig, identity, flags)
        self._stage.processes.append(process)
        process.start(wait_for="")

    def _arm(self) -> None:
        """Have the API server killed around the act, where that is wanted."""
        effects = {How.API_BEFORE: instead, How.API_AFTER: after}
        if effect := effects.get(self._wanted.how):
            method, path = self._case.effect

            def end() -> None:
                self._is_api_killed = True
                self._end_api()

            self._proxy.on(method, path, effect(end))

    def _prepare(self) -> None:
        self._stage.put(deployment(2))
        self._stage.until_status("Deployment", lambda it: it.get("readyReplicas") == 2, "two pods run")
        self._case.prepare(self._site)
        probe = {"http": {"url": self._server.url(self._trial)}}
        self._stage.put(health_check(probe=probe, failureThreshold=1), self._policy())
        self._proxy.seen.clear()

    def _policy(self) -> Manifest:
        case = self._case
        spec = {
            "mode": "Auto",
            "target": case.target(self._site),
            "triggers": [{"healthCheck": {"name": SHOP}}],
            "steps": case.steps(self._site),
            "limits": {"cooldown": "1s", "maxUnhealthy": "100%", "budget": {"actions": 100}},
            "verify": {"stabilise": "0s", "holdFor": "1s", "deadline": "30s"} | dict(case.verify),
        }
        return {"apiVersion": OURS, "kind": "RecoveryPolicy", "metadata": {"name": SHOP}, "spec": spec}

    def _watch(self, has_died: Callable[[], bool]) -> bool:
        """Let the signal go quiet once enough was done, until the attempt is over (True) or the operator is."""
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at and not has_died():
            if self._case.heals and self._effects() >= self._case.expected:
                self._server.heal(self._trial)
            if self._is_over():
                return True
            time.sleep(POLL)
        ended = [one for one in self._stage.processes if not one.is_running()]
        if ended and not (self._number and ended == self._stage.processes[:1]):
            raise Failed(f"the operator ended: {ended[-1].tail()[-1500:]}")
        return False

    def _is_over(self) -> bool:
        try:
            status = self._stage.status("RecoveryPolicy")
        except (AssertionError, OSError):  # the API server is not there just now
            return False
        outcomes = {record["outcome"] for record in status.get("last", ())}
        return self._case.outcome in outcomes and "attempt" not in status and not status.get("inFlight")

    def _effects(self) -> int:
        if self._case.is_called:
            return len(self._server.calls.get(self._trial, ()))
        methods, path = self._case.effect
        return sum(
            one.method in methods.split("|") and 200 <= one.code < 300 and bool(re.search(path, one.path))
            for one in list(self._proxy.seen)
        )

    def _judge(self, points: list[str], took: float, *, is_over: bool) -> Verdict:
        point = points[self._number - 1] if 0 < self._number <= len(points) else ""
        point = self._wanted.how.value if self._is_api_killed else point
        is_clean = self._case.is_restored(self._site)
        note = "" if is_over and is_clean else self._why(self._stage)
        effects = self._effects()
        return Verdict(
            self._wanted.name, self._number, point, effects, self._case.expected, is_over, is_clean, took, note
        )

    def _why(self, stage: Stage) -> str:
        status = stage.status("RecoveryPolicy")
        blocked = status.get("blocked") or {}
        records = [f"{one['name']} {one['outcome']} {one.get('reason', '')}" for one in status.get("last", ())]
        return f"{status.get('phase')} {blocked.get('reason', '')} {blocked.get('message', '')} {records}"
