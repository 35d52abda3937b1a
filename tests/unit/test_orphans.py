"""The sweeper of the operator: faults and guards that no experiment answers for."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import pytest

from homeostat.api.chaos import MARKER
from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.core.action import Action, DropGuard, HoldFields, Outcome, Verb
from homeostat.core.guarding.held import Held, Leftover, Mark
from homeostat.core.ref import Ref
from homeostat.engine.objects import ObjectStore
from homeostat.engine.orphans import OrphanSweep
from homeostat.engine.world import World

REF = Ref("Node", "", "node-1", "uid")
DONE = Outcome(Verb.DONE)
GUARD = Leftover("guard", "shop", "experiment", 2)
MARK = json.dumps(asdict(Mark("experiment", 2, {}, {"unschedulable": "true"})))
FAULTY = Held(REF, "1", {MARKER: MARK}, {"unschedulable": "true"})


@dataclass
class Acts:
    """Carries out what it is told, and remembers it."""

    outcome: Outcome = DONE
    done: list[Action] = field(default_factory=list)

    async def act(self, _kind: str, action: Action) -> Outcome:
        self.done.append(action)
        return self.outcome


@dataclass
class Entry:
    ref: Ref
    status: Callable[[], ChaosExperimentStatus]


@dataclass
class Experiments:
    """What is known of experiments."""

    statuses: dict[str, ChaosExperimentStatus]

    def of_kind(self, _kind: str) -> list[Entry]:
        return [
            Entry(Ref("ChaosExperiment", "shop", "x", uid), lambda status=status: status)  # type: ignore[misc]
            for uid, status in self.statuses.items()
        ]


async def swept(acts: Acts, **statuses: ChaosExperimentStatus) -> int:
    async def find() -> tuple[Held, ...]:
        return (FAULTY,)

    async def find_guards() -> tuple[Leftover, ...]:
        return (GUARD,)

    store, world = cast("ObjectStore", Experiments(statuses)), cast("World", cast("Any", acts))
    return await OrphanSweep(find, store, world, find_guards).sweep()


def status(phase: Phase, run_number: int) -> ChaosExperimentStatus:
    return ChaosExperimentStatus(phase=phase, run_number=run_number)


@pytest.mark.parametrize(
    "statuses",
    [{}, {"experiment": status(Phase.FINISHED, 2)}, {"experiment": status(Phase.RUNNING, 3)}],
    ids=["gone", "finished", "at a later run"],
)
async def test_what_nobody_answers_for_goes_with_its_guard(statuses: dict[str, ChaosExperimentStatus]) -> None:
    """C3: the fault first, then what stood by to undo it."""
    acts = Acts()
    assert await swept(acts, **statuses) == 1

    undo, drop = acts.done
    assert isinstance(undo, HoldFields)
    assert (undo.fields, undo.annotations) == ({"unschedulable": None}, {MARKER: None})
    assert isinstance(drop, DropGuard)
    assert drop.name == "guard"


@pytest.mark.parametrize(
    "found", [status(Phase.RUNNING, 2), status(Phase.PENDING, 1)], ids=["running", "not yet known"]
)
async def test_what_an_experiment_holds_up_is_left_to_it(found: ChaosExperimentStatus) -> None:
    """C3: a run that our view does not know yet is no orphan."""
    acts = Acts()
    assert await swept(acts, experiment=found) == 0
    assert acts.done == []


async def test_a_guard_stays_while_its_fault_cannot_be_undone() -> None:
    """C3: one way fails, the other must not go."""
    acts = Acts(Outcome(Verb.REFUSED, "Forbidden"))
    await swept(acts)

    assert [type(action) for action in acts.done] == [HoldFields]
