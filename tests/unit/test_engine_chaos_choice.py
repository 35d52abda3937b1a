"""Which of several equal targets a run takes: as its wish has it, from the plan to the end."""

import pytest

from homeostat.api.chaos_status import ChaosExperimentStatus, Phase
from homeostat.engine.controllers.chaos import choice_of
from homeostat.engine.objects import Entry, entry_from


def entry(run: str = "") -> Entry:
    annotations = {"homeostat.dev/run": run} if run else {}
    metadata = {
        "name": "drill", "namespace": "shop", "uid": "u1", "resourceVersion": "1", "annotations": annotations
    }  # fmt: skip
    return entry_from({"metadata": metadata}, "ChaosExperiment")


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.PENDING, Phase.FINISHED}))
def test_a_run_keeps_its_targets_when_its_wish_is_cleared(phase: Phase) -> None:
    """R13, C14: `homeostat approve` takes away what somebody else asked for; the plan must stay the one approved."""
    begun = choice_of(entry("7"), ChaosExperimentStatus())

    assert choice_of(entry(), ChaosExperimentStatus(phase=phase, run="7")) == begun


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.FINISHED])
def test_a_new_wish_chooses_anew(phase: Phase) -> None:
    before = ChaosExperimentStatus(phase=phase, run="7")

    assert choice_of(entry("8"), before) != choice_of(entry("7"), before)
