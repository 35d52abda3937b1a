"""Which objective holds something up in a namespace: what its status says, until that says otherwise (C8, R12)."""

from typing import Any

import pytest

from fakes import FakeClock, FakeHistory, FakeObjects, body_of, check_body
from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.api.meta import ConditionStatus
from homeostat.api.objective_status import Hold
from homeostat.core.cluster import Namespace
from homeostat.core.decision import Decision
from homeostat.core.ref import Ref
from homeostat.engine.archive import Archive
from homeostat.engine.chaos.links import AgentLinks
from homeostat.engine.chaos.reading import ExperimentReader
from homeostat.engine.chaos.runs import RunBook
from homeostat.engine.chaos.signals import Signals
from homeostat.engine.checks import Checks
from homeostat.engine.controller import Subject
from homeostat.engine.controllers.chaos import ChaosController, Means
from homeostat.engine.controllers.freeze import Freezes
from homeostat.engine.meters import Meters
from homeostat.engine.objective.collector import Collector
from homeostat.engine.objective.feeding import Feeding
from homeostat.engine.objective.holds import budget_held_by
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.engine.recovery.queries import Queries
from homeostat.engine.wakes import Wakes
from homeostat.telemetry.metrics import Metrics

KIND = "ServiceLevelObjective"
EXPERIMENT = {
    "fault": {"podKill": {}},
    "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}},
    "duration": "10s",
    "recoveryTimeout": "1m",
    "hypothesis": [{"healthCheck": {"name": "checkout"}}],
}


def store_of(*bodies: dict[str, Any]) -> ObjectStore:
    store = ObjectStore()
    for body in bodies:
        store.put(entry_from(body, KIND))
    return store


def objective(name: str, *holds: str, namespace: str = "shop", version: int = 1, **status: Any) -> dict[str, Any]:
    told = {"holds": list(holds), **status}
    body = check_body(name, namespace=namespace, status=told, uid=f"{namespace}-{name}", version=version)
    return {**body, "kind": KIND, "spec": {}}


def test_the_first_by_name_of_those_that_hold_it_is_named() -> None:
    store = store_of(objective("web", "Chaos"), objective("cart", "Chaos", "Rollouts"), objective("api", "Recovery"))

    assert budget_held_by(store, "shop", Hold.CHAOS) == "cart"
    assert budget_held_by(store, "shop", Hold.RECOVERY) == "api"
    assert budget_held_by(store, "shop", Hold.ROLLOUTS) == "cart"


def test_a_budget_holds_nothing_in_another_namespace() -> None:
    store = store_of(objective("web", "Chaos", namespace="bank"))

    assert budget_held_by(store, "shop", Hold.CHAOS) == ""


def test_a_word_elsewhere_in_a_status_holds_nothing() -> None:
    assert budget_held_by(store_of(objective("web", groups=[{"name": "Chaos"}])), "shop", Hold.CHAOS) == ""
    assert budget_held_by(store_of(objective("web", holds="Chaos")), "shop", Hold.CHAOS) == ""


@pytest.mark.parametrize(
    "status",
    [
        {"state": "Unknown"},
        {"observedGeneration": -1},
        {
            "conditions": [
                {
                    "type": "Ready", "status": ConditionStatus.FALSE.value, "reason": "NoDataYet",
                    "lastTransitionTime": "2020-01-01T00:00:00Z",
                }
            ]
        },
        {"window": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-31T00:00:00Z", "coverage": "1"}},
        {"state": "Resplendent"},
    ],
    ids=["unknown", "not evaluated", "not ready", "long ago", "of a later release"],
)  # fmt: skip
def test_an_objective_of_which_little_is_known_lets_nothing_go(status: dict[str, Any]) -> None:
    """R12: fail closed."""
    assert budget_held_by(store_of(objective("web", "Chaos", **status)), "shop", Hold.CHAOS) == "web"


def test_an_objective_that_is_gone_holds_nothing() -> None:
    store = store_of(objective("web", "Chaos"))
    store.remove(Key(KIND, "shop", "web"))

    assert budget_held_by(store, "shop", Hold.CHAOS) == ""


def test_a_newer_status_that_holds_nothing_lets_go_and_one_that_holds_is_found() -> None:
    store = store_of(objective("web", "Chaos"))

    store.put(entry_from(objective("web", version=2), KIND))
    assert budget_held_by(store, "shop", Hold.CHAOS) == ""

    store.put(entry_from(objective("web", "Chaos", version=3), KIND))
    assert budget_held_by(store, "shop", Hold.CHAOS) == "web"


def test_only_objectives_that_hold_something_are_looked_through() -> None:
    """Each look of each policy that fires asks: with all of them it would cost policies x objectives."""
    store = store_of(*(objective(f"slo-{number}") for number in range(500)), objective("web", "Chaos"))

    assert [entry.ref.name for entry in store.holding("shop")] == ["web"]


# --- the controllers ------------------------------------------------------------------------------------


class CountingCluster:
    """A cluster without pods that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def namespace(self, name: str) -> Namespace:
        self.asked += 1
        return Namespace(name=name, is_terminating=False)

    async def pods(self, *_: str) -> tuple[()]:
        self.asked += 1
        return ()

    async def disruption_budgets(self, _namespace: str) -> tuple[()]:
        self.asked += 1
        return ()

    async def lock(self, _target: Ref) -> None:
        self.asked += 1


def reader_of(cluster: Any, clock: FakeClock) -> ExperimentReader:
    """Read from that cluster, which has neither guards nor agents."""
    links = AgentLinks(cluster, clock, lambda: True, lambda _key: None)
    return ExperimentReader(cluster, cluster, cluster, links, None)


def signals_of(store: ObjectStore, clock: FakeClock) -> Signals:
    """Give an experiment nothing but what is in the store."""
    prometheus: Any = None
    meters, checks = Meters(), Checks()
    collector = Collector(prometheus, meters, clock, lambda _: None)
    feeding = Feeding(checks, meters, collector, store, clock)
    return Signals(checks, store, feeding, Queries(prometheus, clock, lambda _: None), Wakes())


async def decided(store: ObjectStore, cluster: Any) -> Decision[ChaosExperimentStatus]:
    """Have a new experiment decided on, beside the objectives of a store."""
    clock = FakeClock()
    freezes = Freezes(store, FakeObjects(), store.put, lambda _key, _uid: None)
    runs = RunBook(Archive(FakeHistory(), clock, Metrics()), Metrics().breaking)
    controller = ChaosController(
        reader_of(cluster, clock), signals_of(store, clock), store, Checks(), freezes, runs, Means(),
        lambda _key: None,
    )  # fmt: skip
    entry = entry_from(body_of("ChaosExperiment", "kill-checkout", EXPERIMENT), "ChaosExperiment")
    spec = entry.spec()
    assert isinstance(spec, ChaosExperimentSpec)
    return await controller.decide(Subject(entry, spec, ChaosExperimentStatus(), None, {}), clock)


async def test_an_experiment_that_waits_for_a_budget_asks_the_cluster_nothing() -> None:
    """C8: it may wait for weeks; it looks again soon."""
    cluster = CountingCluster()
    decision = await decided(store_of(objective("checkout", "Chaos")), cluster)

    assert (decision.status.phase, decision.status.reason, cluster.asked) == (Phase.PENDING, "BudgetHeld", 0)
    assert "ServiceLevelObjective checkout " in decision.status.message
    assert decision.check_again_at is not None


async def test_an_experiment_that_nothing_holds_is_begun() -> None:
    cluster = CountingCluster()
    held_elsewhere = objective("checkout", "Chaos", namespace="bank")
    decision = await decided(store_of(held_elsewhere, objective("cart", "Rollouts", "Recovery")), cluster)

    assert cluster.asked
    assert decision.status.run_number == 1
