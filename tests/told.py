"""What tests of told alerts share: policies that wait for alerts, and what writes down what they are told."""

from dataclasses import dataclass, field
from typing import Any

from fakes import FakeClock, body_of
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal
from homeostat.core.cluster import TokenBudget
from homeostat.core.recovery import RecoverySeen
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.signals import assess
from homeostat.engine.checks import Checks
from homeostat.engine.meters import Meters
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objects import Entry, Key, ObjectStore, entry_from
from homeostat.engine.recovery.alert_inbox import AlertInbox
from homeostat.engine.recovery.queries import Queries
from homeostat.engine.recovery.signals import Signals
from homeostat.ports import Clock

KIND = "RecoveryPolicy"
HIGH_ERRORS = {"alert": {"name": "HighErrors", "labels": {"severity": "page"}}}


def policy_body(name: str, *triggers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make a policy with these triggers."""
    target = more.pop("target", {"kind": "Deployment", "name": "checkout"})
    spec = {"target": target, "triggers": list(triggers or (HIGH_ERRORS,)), "steps": [{"escalate": {}}]}
    return body_of(KIND, name, spec, **({"uid": f"uid-{name}"} | more))


def spec_of(entry: Entry) -> RecoveryPolicySpec:
    """Give the spec of a policy."""
    spec = entry.spec()
    assert isinstance(spec, RecoveryPolicySpec), spec
    return spec


@dataclass
class Policies:
    """Policies in a store, their signals as the engine gathers them, and the writing of what they amount to.

    A policy that is woken is decided on and written at once, unless `is_away`: the API server does not answer then.
    """

    clock: Clock = field(default_factory=FakeClock)
    prometheus: Any = None
    store: ObjectStore = field(default_factory=ObjectStore)
    is_away: bool = False
    woken: list[str] = field(default_factory=list)
    version: int = 100

    def __post_init__(self) -> None:
        self.checks, self.meters = Checks(), Meters()
        self.meters.roll(self.clock.now())
        collector = Collector(self.prometheus, self.meters, self.clock, lambda _: None)
        self.feeding = Feeding(self.checks, self.meters, collector, self.store, self.clock)
        self.begin()

    def begin(self) -> None:
        """Begin a process: what was kept in memory is gone, what is in the store is not."""
        self.inbox = AlertInbox(self.store, self.clock, self.wake)
        self.queries = Queries(self.prometheus, self.clock, self.wake)
        self.signals = Signals(self.checks, self.store, self.feeding, self.queries, self.inbox)
        for entry in self.store.of_kind(KIND):
            self.signals.open(entry.key, spec_of(entry))

    def put(self, body: dict[str, Any]) -> Key:
        """Create or edit a policy."""
        entry = entry_from(body, KIND)
        self.store.put(entry)
        self.signals.open(entry.key, spec_of(entry))
        return entry.key

    def wake(self, key: Key) -> None:
        """Decide what the signals of a policy amount to, and write it."""
        self.woken.append(key.name)
        if not self.is_away:
            self.write(key)

    def write(self, key: Key) -> None:
        """Write what the signals amount to now."""
        entry = self._entry(key)
        status = RecoveryPolicyStatus(observed_generation=entry.generation, signals=self.states(key))
        self.version += 1
        self._put(entry, status)

    def states(self, key: Key) -> tuple[Signal, ...]:
        """Give what the signals amount to now."""
        entry, now = self._entry(key), self.clock.now()
        status, spec = entry.status(), spec_of(entry)
        assert isinstance(status, RecoveryPolicyStatus)
        seen = self.signals.seen(spec, key.namespace, (), self.clock)
        world = RecoverySeen(entry.ref, entry.generation, None, seen, "a1", TokenBudget(0, 1))
        return assess(Case(spec, status, world, now))

    def _put(self, entry: Entry, status: RecoveryPolicyStatus) -> None:
        body = body_of(
            KIND, entry.ref.name, spec_of(entry).wire(), uid=entry.ref.uid, version=self.version, status=status.wire(),
            generation=entry.generation, namespace=entry.ref.namespace,
        )  # fmt: skip
        self.store.put(entry_from(body, KIND))

    def _entry(self, key: Key) -> Entry:
        entry = self.store.get(key)
        assert entry is not None
        return entry


def message(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Make what Alertmanager posts."""
    return {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "homeostat", "alerts": list(alerts)}


def alert(name: str = "HighErrors", status: str = "firing", **labels: str) -> dict[str, Any]:
    """Make one alert of a message."""
    all_labels = {"alertname": name, "severity": "page"} | labels
    return {"status": status, "labels": all_labels, "startsAt": "2026-11-21T11:55:00Z", "fingerprint": "f"}
