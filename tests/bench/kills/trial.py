"""One trial: a policy with one step, an operator that dies at one point, one that takes over, a count of effects."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bench.cluster_api import Failed
from bench.kills.cases import Case, Site
from bench.kills.doomed import Doomed, Fate
from bench.kills.server import Server
from bench.scene import flags_known
from cluster.manifests import OURS, SHOP, Manifest, deployment, health_check
from cluster.operator_process import kubeconfig_for
from cluster.proxy import FaultProxy, after, instead
from cluster.waiting import until

LEADER = "homeostat-leader"
PATIENCE = 240.0
AT_REST = 20.0
MOST_STARTS = 5
SETTLE = 1.0  # seconds after the end of an attempt, in which nothing more may happen
POLL = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one trial. `point` is where it was killed; "" when it never was, or was not meant to be."""

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
    def lost(self) -> int:
        """How many effects are missing."""
        return max(0, self.expected - self.effects)

    @property
    def is_half_done(self) -> bool:
        """Whether the attempt did not end, or what it did was not finished or not taken back."""
        return not (self.is_over and self.is_clean)

    @property
    def is_right(self) -> bool:
        """Whether all was done, once."""
        return not (self.repeated or self.lost or self.is_half_done)


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
    def is_unharmed(self) -> bool:
        """Whether nothing is to be killed."""
        return self.number == 0 and self.how is How.RESTARTED

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
        self._first = self._operator("one", self._number)

    def run(self) -> tuple[Verdict, list[str]]:
        """Run it; give what became of it, and the points that the first process came by.

        What goes wrong after the kill is a verdict too: an error must not hide what was lost.
        """
        began = time.monotonic()
        note, is_over, is_clean = "", False, False
        try:
            self._prepare()
            is_over = self._live_and_die()
            is_clean = self._case.is_restored(self._site)
            note = "" if is_over and is_clean else self._why()
        except (AssertionError, Failed, OSError) as error:
            note = "; ".join([repr(error), *getattr(error, "__notes__", ())])[:1500]
        points = self._first.reached()
        verdict = Verdict(
            self._wanted.name, self._number, self._died_at(points), self._effects(), self._case.expected,
            is_over, is_clean, time.monotonic() - began, note,
        )  # fmt: skip
        return verdict, points

    def _died_at(self, points: Sequence[str]) -> str:
        if self._is_api_killed:
            return self._wanted.how.value
        return points[self._number - 1] if 0 < self._number <= len(points) else ""

    def _live_and_die(self) -> bool:
        """Start the first operator, and whoever goes on after it; whether the attempt came to its end."""
        first = self._first
        self._arm()
        self._stage.processes.append(first)
        first.start(wait_for="")
        if self._wanted.how is How.SUCCEEDED:
            until(lambda: self._stage.find("Lease", LEADER), "the first one leads")
            self._next("two")
        is_over = self._watch()
        if is_over:
            time.sleep(SETTLE)
        return is_over

    def _next(self, identity: str) -> None:
        """Start who goes on."""
        process = self._operator(identity, 0)
        self._stage.processes.append(process)
        process.start(wait_for="")

    def _operator(self, identity: str, number: int) -> Doomed:
        folder = self._stage.folder
        flags = (
            "--namespaces", self._trial, "--operator-namespace", self._stage.system,
            "--allow-networks", "127.0.0.0/8", "--action-budget", "1000", *flags_known(node_namespaces=self._trial),
        )  # fmt: skip
        fate = Fate(number, folder / f"points-{len(self._stage.processes)}", self._wanted.how is How.SUCCEEDED)
        return Doomed(folder, kubeconfig_for(folder, self._proxy.url), identity, flags, fate)

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

    def _watch(self) -> bool:
        """Let the signal go quiet once enough was done, until the attempt is over: True; False if it never is."""
        give_up_at, since = time.monotonic() + PATIENCE, time.monotonic()
        while time.monotonic() < give_up_at and time.monotonic() < since + AT_REST:
            if self._case.heals and self._effects() >= self._case.expected:
                self._server.heal(self._trial)
            if self._is_over():
                return True
            self._keep_running()
            since = since if self._is_at_rest() else time.monotonic()
            time.sleep(POLL)
        return False

    def _keep_running(self) -> None:
        """Start the operator again once none runs, as Kubernetes would."""
        processes = self._stage.processes
        if any(one.is_running() for one in processes) or self._status() is None:
            return
        if self._wanted.is_unharmed or len(processes) > MOST_STARTS:
            raise Failed(f"the operator ended: {processes[-1].tail()[-1500:]}")
        self._next("one")

    def _status(self) -> Mapping[str, Any] | None:
        """Give the policy's status; None while there is no API server."""
        try:
            return self._stage.status("RecoveryPolicy")
        except (AssertionError, OSError):
            return None

    def _is_at_rest(self) -> bool:
        """Whether all was done and nothing goes on; after a while of this no other outcome will come."""
        status = self._status()
        is_idle = status is not None and "attempt" not in status and not status.get("inFlight")
        return is_idle and self._effects() >= self._case.expected

    def _is_over(self) -> bool:
        status = self._status()
        if status is None:
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

    def _why(self) -> str:
        status = self._stage.status("RecoveryPolicy")
        blocked = status.get("blocked") or {}
        records = [f"{one['name']} {one['outcome']} {one.get('reason', '')}" for one in status.get("last", ())]
        tail = self._stage.processes[-1].tail()[-1500:]
        return f"{status.get('phase')} {blocked.get('reason', '')} {blocked.get('message', '')} {records}; {tail}"
