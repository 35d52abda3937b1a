"""Objects as the API server holds them, whose statuses are the operator's own decisions in the worlds of other tests.

They are the test data of health checks for Argo CD and Flux: `hack/gen_gitops.py` writes them, and a test
compares. Nothing of a status is written here by hand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.api.chaos_status import Phase, Verdict
from homeostat.api.freeze import FreezeSpec, FreezeStatus
from homeostat.api.gameday_status import DayPhase
from homeostat.api.meta import API_VERSION, Model, Status
from homeostat.core import freeze as freezes
from homeostat.core.gameday import decide as decide_day
from homeostat.core.health.evaluation import HealthSeen
from homeostat.core.health.evaluation import decide as decide_check
from homeostat.core.health.run import Run
from homeostat.core.objective.evaluation import decide as decide_objective
from homeostat.core.probing.result import Reason
from homeostat.core.probing.result import Verdict as ProbeVerdict
from scenarios.chaos.world import World as ChaosWorld
from scenarios.chaos.world import a_scale_spec
from scenarios.gameday.world import World as DayWorld
from scenarios.gameday.world import a_day
from scenarios.recovery.world import World as RecoveryWorld
from scenarios.recovery.world import spec as policy_spec
from unit import test_freeze, test_health, test_objective

KINDS = ("HealthCheck", "ServiceLevelObjective", "RecoveryPolicy", "ChaosExperiment", "GameDay", "Freeze")
ROOT = Path(__file__).resolve().parents[2] / "gitops" / "argo-cd" / "homeostat.dev"
STRICT = {"homeostat.dev/degraded-on-breach": "true"}


@dataclass(frozen=True)
class Story:
    """One object at one moment, and what Argo CD is to make of it."""

    kind: str
    name: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    health: str
    generation: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_deleting: bool = False

    @property
    def path(self) -> Path:
        """Where it is kept, as Argo CD has its test data."""
        return ROOT / self.kind / "testdata" / f"{self.name}.yaml"

    def body(self) -> dict[str, Any]:
        """Give the object."""
        metadata: dict[str, Any] = {
            "name": "checkout",
            "namespace": "shop",
            "uid": "0b5d1c1e-6f63-4b1c-9d0e-3f1f7a3f2c11",
            "resourceVersion": "4711",
            "generation": self.generation,
            "creationTimestamp": "2026-11-21T10:00:00Z",
        }
        if self.kind == "Freeze":
            del metadata["namespace"]
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        if self.is_deleting:
            metadata |= {"deletionTimestamp": "2026-11-21T12:00:00Z", "finalizers": ["homeostat.dev/undo"]}
        return {
            "apiVersion": API_VERSION, "kind": self.kind, "metadata": metadata,
            "spec": dict(self.spec), "status": dict(self.status),
        }  # fmt: skip


def stories() -> Iterator[Story]:
    """Give all of them."""
    yield from _checks()
    yield from _objectives()
    yield from _policies()
    yield from _experiments()
    yield from _days()
    yield from _freezes()


def _story(kind: str, name: str, spec: Model, status: Status, health: str, **more: Any) -> Story:
    return Story(kind, name, _plain(spec), status.wire(), health, **more)


def _plain(spec: Model) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def _unseen(kind: str, spec: Model) -> Story:
    """Give an object that was just created: its status is what the schema gives it."""
    return Story(kind, "unseen", _plain(spec), {"observedGeneration": -1}, "Progressing")


# --- one function a kind --------------------------------------------------------------------------------


def _checks() -> Iterator[Story]:
    kind, spec = "HealthCheck", test_health.SPEC
    failing = test_health.Life().live("fff").written
    life = test_health.Life().live("cc")
    yield _unseen(kind, spec)
    yield _story(kind, "no-result-yet", spec, test_health.Life().written, "Progressing")
    yield _story(kind, "passing", spec, life.written, "Healthy")
    yield _story(kind, "edited", spec, life.written, "Progressing", generation=2)
    yield _story(kind, "failing", spec, failing, "Healthy")
    yield _story(kind, "failing-strict", spec, failing, "Degraded", annotations=STRICT)
    yield _story(kind, "unknown-port", spec, test_health.Life().live("cci").written, "Degraded")
    yield _story(kind, "no-secret", spec, _without_secret(), "Progressing")
    refused = decide_check(spec, life.written, HealthSeen(test_health.CHECK, 1, problem=("Invalid", "spec")), life.now)
    yield _story(kind, "invalid", spec, refused.status, "Degraded")
    rests = test_health.spec(suspend=True)
    suspended = decide_check(rests, life.written, HealthSeen(test_health.CHECK, 1), life.now)
    yield _story(kind, "suspended", rests, suspended.status, "Suspended")


def _without_secret() -> Status:
    life = test_health.Life()
    life.now += timedelta(seconds=1)
    test_health.note(life, Run(ProbeVerdict.INVALID, Reason.SECRET_NOT_FOUND, 0.0, 0, 1))
    return life.look().status


def _objectives() -> Iterator[Story]:
    kind, spec = "ServiceLevelObjective", test_objective.SPEC
    yield _unseen(kind, spec)
    for name, seen, health in (
        ("met", test_objective.seen_of(test_objective.everywhere(0.0005)), "Healthy"),
        ("exhausted", test_objective.seen_of(test_objective.everywhere(0.002)), "Healthy"),
        ("exhausted-strict", test_objective.seen_of(test_objective.everywhere(0.002)), "Degraded"),
        ("check-not-there", test_objective.seen_of(source=None), "Progressing"),
    ):
        status = decide_objective(spec, test_objective.BLANK, replace(seen, generation=1), test_objective.NOW).status
        yield _story(kind, name, spec, status, health, annotations=STRICT if name.endswith("-strict") else {})
    source = test_objective.FRESH
    refused = replace(source, is_valid=False, reason="InvalidQuery", message="Prometheus refuses the query.")
    seen = replace(test_objective.seen_of(source=refused), generation=1)
    status = decide_objective(spec, test_objective.BLANK, seen, test_objective.NOW).status
    yield _story(kind, "invalid-query", spec, status, "Degraded")


def _policies() -> Iterator[Story]:
    kind, spec = "RecoveryPolicy", policy_spec()
    yield _unseen(kind, spec)
    rests = RecoveryWorld()
    yield _story(kind, "at-rest", spec, rests.run("5s"), "Healthy")
    lost = RecoveryWorld(sick={"checkout-1"}, eviction_heals=False)
    escalated = lost.run("5m")
    yield _story(kind, "escalated", spec, escalated, "Healthy")
    yield _story(kind, "escalated-strict", spec, escalated, "Degraded", annotations=STRICT)
    lost.spec = policy_spec(suspend=True)
    given_up = lost.run("5s")
    yield _story(kind, "escalated-suspended-strict", lost.spec, given_up, "Suspended", annotations=STRICT)
    suspended = RecoveryWorld(spec=policy_spec(suspend=True))
    yield _story(kind, "suspended", suspended.spec, suspended.run("5s"), "Suspended")
    paused = RecoveryWorld(sick={"checkout-1"})
    paused.ask(pause="migration of the database")
    pause = {"homeostat.dev/pause": "migration of the database"}
    yield _story(kind, "paused", spec, paused.run("10s"), "Suspended", annotations=pause)
    asking = RecoveryWorld(spec=policy_spec(mode="Approve"), sick={"checkout-1"})
    yield _story(kind, "awaiting-approval", asking.spec, asking.run("10s"), "Healthy")
    yield _story(kind, "edited", spec, rests.status, "Progressing", generation=2)
    nowhere = RecoveryWorld(spec=policy_spec(windows=[{"from": "08:00", "to": "18:00", "timeZone": "Mars/Olympus"}]))
    yield _story(kind, "invalid-time-zone", nowhere.spec, nowhere.run("5s"), "Degraded")


def _experiments() -> Iterator[Story]:
    kind, spec = "ChaosExperiment", a_scale_spec(start="OnRequest")
    yield _unseen(kind, spec)
    waiting = ChaosWorld(spec)
    waiting.run(3)
    yield _story(kind, "not-requested", spec, waiting.status, "Healthy")
    waiting.run_requested = "run-1"
    waiting.run(30, until=Phase.RUNNING)
    wish = {"homeostat.dev/run": "run-1"}
    yield _story(kind, "running", spec, waiting.status, "Healthy", annotations=wish)
    yield _story(kind, "deleted", spec, waiting.status, "Progressing", annotations=wish, is_deleting=True)
    waiting.run(120, until=Phase.FINISHED)
    assert waiting.status.verdict is Verdict.PASSED
    yield _story(kind, "passed", spec, waiting.status, "Healthy", annotations=wish)
    yield from _other_experiments(spec)


def _other_experiments(spec: ChaosExperimentSpec) -> Iterator[Story]:
    kind = "ChaosExperiment"
    sad = ChaosWorld(a_scale_spec(hypothesis=[{"healthCheck": {"name": "checkout"}}]), needs=3)
    sad.run(200, until=Phase.FINISHED)
    assert sad.status.verdict is Verdict.FAILED
    yield _story(kind, "failed", sad.spec, sad.status, "Healthy")
    yield _story(kind, "failed-strict", sad.spec, sad.status, "Degraded", annotations=STRICT)
    asking = ChaosWorld(a_scale_spec(approval="Required"))
    asking.run(60, until=Phase.AWAITING_APPROVAL)
    yield _story(kind, "awaiting-approval", asking.spec, asking.status, "Healthy")
    suspended = ChaosWorld(a_scale_spec(suspend=True))
    suspended.run(3)
    yield _story(kind, "suspended", suspended.spec, suspended.status, "Suspended")
    refused = ChaosWorld(spec, problem=("Invalid", "spec.fault: nothing is asked for"))
    refused.run(3)
    yield _story(kind, "invalid", spec, refused.status, "Degraded")


def _days() -> Iterator[Story]:
    kind, spec = "GameDay", a_day()
    yield _unseen(kind, spec)
    day = DayWorld()
    day.run_requested = "day-1"
    day.run(3)
    assert day.status.phase is DayPhase.RUNNING
    wish = {"homeostat.dev/run": "day-1"}
    yield _story(kind, "running", spec, day.status, "Healthy", annotations=wish)
    day.run(120, until=DayPhase.FINISHED)
    yield _story(kind, "passed", spec, day.status, "Healthy", annotations=wish)
    sad = DayWorld()
    sad.experiments["pod-loss"].verdict = Verdict.FAILED
    sad.run(120, until=DayPhase.FINISHED)
    yield _story(kind, "failed", spec, sad.status, "Healthy")
    yield _story(kind, "failed-strict", spec, sad.status, "Degraded", annotations=STRICT)
    rests = DayWorld(spec=a_day(suspend=True))
    rests.run(3)
    yield _story(kind, "suspended", rests.spec, rests.status, "Suspended")
    odd = DayWorld()
    refused = decide_day(spec, odd.status, replace(odd.seen(), problem=("Invalid", "spec.steps: odd")), odd.now)
    yield _story(kind, "invalid", spec, refused.status, "Degraded")


def _freezes() -> Iterator[Story]:
    kind, now, seen = "Freeze", test_freeze.NOON, replace(test_freeze.SEEN, generation=1)
    spec = FreezeSpec(stops=(test_freeze.CHAOS,), reason="provider outage")
    yield _unseen(kind, spec)
    yield _story(kind, "in-force", spec, freezes.decide(spec, FreezeStatus(), seen, now).status, "Healthy")
    over = spec.model_copy(update={"until": now})
    yield _story(kind, "over", over, freezes.decide(over, FreezeStatus(), seen, now).status, "Healthy")


def text(story: Story) -> str:
    """Write it as YAML."""
    written: str = yaml.safe_dump(story.body(), sort_keys=False, width=120, allow_unicode=True)
    return written
