"""One run of one fault: in a namespace of its own, with a policy that heals it, or with Kubernetes alone."""

import contextlib
import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.manifests import Manifest
from cluster.proxy import Seen
from cluster.stage import Stage
from cluster.waiting import until

POLL = 0.5
HOLDS = 3.0  # seconds that all must be well before it counts as healed
START = 150.0  # seconds for all to run before there is a fault
ALONE_FOR = 60.0  # seconds in which Kubernetes alone may heal
WATCHED = 8.0  # seconds in which nothing may be done after a reason was given for it
ASIDE = re.compile(r"homeostat\.dev|/events|/leases|dryRun=All|authorization\.k8s\.io|/status\?")
BOOKKEEPING = frozenset({"TakeLock", "ReleaseLock", "RenewLock", "TakeToken"})
"""Acts on the operator's own Leases."""
GREETING = b"homeostat sample\n"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Run:
    """What a kind of fault has to work with."""

    stage: Stage
    policy: str
    with_policy: bool
    desired: dict[str, int] = field(default_factory=lambda: {"checkout": 3})
    """How many pods each app should have."""
    nodes: list[str] = field(default_factory=list)
    """The Nodes that it has for itself."""
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is to be done when it is over."""

    def pods(self, app: str = "checkout") -> list[dict[str, Any]]:
        """List the pods of an app that are not on their way out, by name."""
        found = [
            pod
            for pod in self.stage.all_of("Pod")
            if pod["metadata"].get("labels", {}).get("app") == app and "deletionTimestamp" not in pod["metadata"]
        ]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def names(self, app: str = "checkout") -> list[str]:
        """Name them."""
        return [pod["metadata"]["name"] for pod in self.pods(app)]

    def break_pod(self, name: str, *, port: int = 8081, **fault: Any) -> None:
        """Inject a fault by the control API of a pod."""
        path = f"/api/v1/namespaces/{self.stage.namespace}/pods/http:{name}:{port}/proxy/fault"
        code, answer = self.stage.api("POST", path, fault)
        assert code < 300, answer

    def is_well(self) -> bool:
        """Whether each app has its pods, all of them ready, and all of them serve their users."""
        return all(self._serves(app, count) for app, count in self.desired.items())

    def _serves(self, app: str, count: int) -> bool:
        pods = self.pods(app)
        return len(pods) == count and all(is_ready(pod) and answers(pod) for pod in pods)

    def until_well(self) -> None:
        """Wait for the beginning."""
        until(self.is_well, f"all is well in {self.stage.namespace}", START)


def is_ready(pod: Manifest) -> bool:
    """Whether the kubelet finds a pod ready."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def answers(pod: Manifest) -> bool:
    """Whether a pod gives its users what they ask for, soon."""
    address = pod.get("status", {}).get("podIP")
    with contextlib.suppress(OSError):
        with _OPENER.open(f"http://{address}:8080/healthz", timeout=1) as answer:
            answer.read()
        with _OPENER.open(f"http://{address}:8080/", timeout=1) as answer:
            return bool(answer.read() == GREETING)
    return False


Step = Callable[[Run], None]


def _nothing(run: Run) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of fault. With `reasons` it must not be acted on, and one of them is to be told."""

    name: str
    objects: Callable[[Run], list[Manifest]]
    policy: Callable[[Run], Manifest]
    inject: Step
    allowed: str
    """What the operator may write in the namespace: a regular expression of "METHOD path"."""
    reasons: tuple[str, ...] = ()
    prepare: Step = _nothing
    patience: float = 75.0
    is_healed: Callable[[Run], bool] = Run.is_well
    usual: Callable[[Manifest], Manifest] | None = None
    """How one who relies on Kubernetes alone would have it, where that differs."""
    meanwhile: Step = _nothing
    """What goes on while it is waited."""
    is_of_nodes: bool = False
    """Whether its policy touches Nodes, which only some namespaces may."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run; times in seconds from the fault on, None for what did not happen."""

    kind: str
    is_alone: bool
    is_right: bool
    """Healed, or left alone for the reason that was expected."""
    must_not: bool
    actions: int = 0
    wrong: int = 0
    repeated: int = 0
    granted: float | None = None
    """When the API server had granted the first act."""
    detected: float | None = None
    acted: float | None = None
    recovered: float | None = None
    note: str = ""

    @property
    def is_by_policy(self) -> bool:
        """Whether it was healed after the policy had acted; what was well before is what Kubernetes healed itself."""
        is_after = self.granted is not None and self.recovered is not None and self.granted <= self.recovered
        return self.is_right and not self.must_not and is_after


@dataclass(frozen=True, slots=True)
class Audit:
    """What the operator did, from both sides: what the API server granted, and what its log says that it did."""

    seen: list[Seen]
    log: Path

    def writes(self, run: Run) -> list[str]:
        """Give what it did to others in the run's namespace and to its Nodes, as the API server granted it."""
        return [f"{one.method} {one.path}" for one in self._granted(run)]

    def first(self, run: Run, began: datetime) -> float | None:
        """Give when the first of these was granted."""
        return next((one.at - began.timestamp() for one in self._granted(run)), None)

    def _granted(self, run: Run) -> list[Seen]:
        places = (f"/namespaces/{run.stage.namespace}/", *(f"/nodes/{name}?" for name in run.nodes))
        return [
            one
            for one in list(self.seen)
            if one.method != "GET" and 200 <= one.code < 300 and not ASIDE.search(one.path)
            and any(place in f"{one.path}?" for place in places)
        ]  # fmt: skip

    def repeated(self, run: Run) -> list[str]:
        """Name what was done twice: an action by its id, and a pod that was told to go by an eviction.

        Two writes of two actions to one Deployment are no repetition; two of one action are. A forced eviction is
        the second for a pod by design: Kubernetes itself told it to go the first time.
        """
        done = Counter(f"{line['action']} {line['id']}" for line in self._acts(run) if line["outcome"] == "Done")
        evictions = Counter(one for one in self.writes(run) if one.endswith("/eviction"))
        return [what for what, count in (done + evictions).items() if count > 1]

    def unexplained(self, run: Run) -> int:
        """Count the writes that were granted beyond the acts that the log tells of."""
        acts = {line["id"] for line in self._acts(run)}
        return max(0, len(self.writes(run)) - len(acts))

    def _acts(self, run: Run) -> list[dict[str, Any]]:
        """Give the lines of the log that tell of acts in the run's namespace."""
        found = [json.loads(line) for line in self._lines() if f'"{run.stage.namespace}"' in line]
        return [line for line in found if line.get("event") == "acted" and line["action"] not in BOOKKEEPING]

    def _lines(self) -> list[str]:
        text = self.log.read_text(errors="replace")
        return [line for line in text.splitlines() if '"acted"' in line and line.startswith("{") and line[-1] == "}"]


def carry_out(kind: Kind, run: Run, audit: Audit) -> Outcome:
    """Run it from beginning to end."""
    stage = run.stage
    manifests = kind.objects(run)
    if not run.with_policy:
        manifests = [kind.usual(one) if kind.usual and one["kind"] == "Deployment" else one for one in manifests]
        manifests = [one for one in manifests if "homeostat.dev" not in one["apiVersion"]]
    stage.put(*(one for one in manifests if one["kind"] in {"Deployment", "Service"}))
    run.until_well()
    stage.put(*(one for one in manifests if one["kind"] not in {"Deployment", "Service"}))
    kind.prepare(run)
    if not run.with_policy:
        return _alone(kind, run)
    stage.put(kind.policy(run))
    _until_at_rest(run)
    began = datetime.now(UTC)
    kind.inject(run)
    return _left_alone(kind, run, audit, began) if kind.reasons else _healed(kind, run, audit, began)


def _until_at_rest(run: Run) -> None:
    def is_quiet(status: dict[str, Any]) -> bool:
        states = {one["state"] for one in status.get("signals", ())}
        return status.get("phase") == "Idle" and "Quiet" in states and "Firing" not in states

    run.stage.until_status("RecoveryPolicy", is_quiet, "at rest", run.policy, START)


def _alone(kind: Kind, run: Run) -> Outcome:
    """See what Kubernetes itself heals."""
    began = datetime.now(UTC)
    kind.inject(run)
    recovered = _until_healed(kind, run, began)
    return Outcome(kind.name, True, recovered is not None, bool(kind.reasons), recovered=recovered)


def _until_healed(kind: Kind, run: Run, began: datetime) -> float | None:
    """Wait until all is well to stay; give when it began to be, in seconds."""
    patience = kind.patience if run.with_policy else min(kind.patience, ALONE_FOR)
    give_up_at = time.monotonic() + patience
    well_since: datetime | None = None
    time.sleep(1.0)  # the fault takes hold
    while time.monotonic() < give_up_at:
        kind.meanwhile(run)
        now = datetime.now(UTC)
        well_since = (well_since or now) if kind.is_healed(run) else None
        if well_since and (now - well_since).total_seconds() >= HOLDS:
            return (well_since - began).total_seconds()
        time.sleep(POLL)
    return None


def _healed(kind: Kind, run: Run, audit: Audit, began: datetime) -> Outcome:
    recovered = _until_healed(kind, run, began)
    status = run.stage.status("RecoveryPolicy", run.policy)
    writes, repeated = audit.writes(run), audit.repeated(run)
    wrong = [one for one in writes if not re.search(kind.allowed, one)]
    times = _times(status, began)
    is_fine = recovered is not None and not wrong and not repeated and not audit.unexplained(run)
    note = "" if is_fine else f"{_stand(status)}; wrote {writes}; repeated {repeated}"
    return Outcome(
        kind.name, False, recovered is not None, False, len(writes), len(wrong),
        len(repeated) + audit.unexplained(run), audit.first(run, began),
        times.get("detectedAt"), times.get("actedAt"), recovered, note,
    )  # fmt: skip


def _left_alone(kind: Kind, run: Run, audit: Audit, began: datetime) -> Outcome:
    """Wait for the reason, and on, while nothing may be done."""
    give_up_at = time.monotonic() + kind.patience
    told_at: float | None = None
    status: dict[str, Any] = {}
    while time.monotonic() < give_up_at and not (told_at and time.monotonic() > told_at + WATCHED):
        kind.meanwhile(run)
        status = run.stage.status("RecoveryPolicy", run.policy)
        if told_at is None and _reason(status) in kind.reasons:
            told_at = time.monotonic()
        time.sleep(POLL)
    writes = audit.writes(run)
    is_right = told_at is not None and not writes
    note = "" if is_right else f"{_stand(status)}; wrote {writes}"
    times = _times(status, began)
    return Outcome(
        kind.name,
        False,
        is_right,
        True,
        len(writes),
        len(writes),
        len(audit.repeated(run)),
        detected=times.get("detectedAt"),
        note=note,
    )


def _reason(status: dict[str, Any]) -> str:
    return str((status.get("blocked") or {}).get("reason", "") or (status.get("decision") or {}).get("reason", ""))


def _times(status: dict[str, Any], began: datetime) -> dict[str, float]:
    """Give when the operator detected and acted first, from its own records."""
    found: dict[str, float] = {}
    for record in [*status.get("last", ()), status.get("attempt") or {}]:
        for name in ("detectedAt", "actedAt"):
            if name in record:
                after = (datetime.fromisoformat(record[name]) - began).total_seconds()
                found[name] = min(found.get(name, after), after)
    firing = [one["since"] for one in status.get("signals", ()) if one["state"] == "Firing"]
    if "detectedAt" not in found and firing:
        found["detectedAt"] = min((datetime.fromisoformat(one) - began).total_seconds() for one in firing)
    return found


def _stand(status: dict[str, Any]) -> str:
    kept = {name: status[name] for name in ("phase", "blocked", "signals", "nextStep", "tried") if name in status}
    records = [f"{one['name']} {one['outcome']} {one.get('reason', '')}" for one in status.get("last", ())]
    return json.dumps(kept | {"last": records})
