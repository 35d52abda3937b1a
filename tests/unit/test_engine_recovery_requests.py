"""R13: annotations become requests, and the name in them is believed only while the API server guards it."""

from typing import Any

import pytest

from fakes import FakeClock, body_of
from homeostat.core.recovery.seen import Requests
from homeostat.engine.objects import Asks, Change, Entry, ObjectStore, entry_from
from homeostat.engine.recovery.requests import LOOK_AGAIN, LOOK_SOON, Consents
from homeostat.ports import Forbidden, Unavailable

SPEC: dict[str, Any] = {
    "target": {"kind": "Deployment", "name": "checkout"},
    "triggers": [{"healthCheck": {"name": "checkout"}}],
    "steps": [{"restartPods": {}}],
}


def entry(version: int = 1, manager: str = "", **annotations: str) -> Entry:
    body = body_of("RecoveryPolicy", "careful", SPEC, version=version)
    said = {f"homeostat.dev/{key}": value for key, value in annotations.items()}
    owned: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{key}": {} for key in said}}}
    body["metadata"] |= {"annotations": said}
    if manager:
        older = {"manager": "kubectl-apply", "time": "2026-11-20T12:00:00Z", "fieldsV1": owned}
        newer = {"manager": manager, "time": "2026-11-21T12:00:00Z", "fieldsV1": owned}
        status = {"manager": "homeostat", "time": "2026-11-22T12:00:00Z", "fieldsV1": {"f:status": {}}}
        body["metadata"] |= {"managedFields": [newer, older, status]}
    return entry_from(body, "RecoveryPolicy")


class Admission:
    """An API server that guards, or does not, or fails."""

    def __init__(self, answer: bool | Exception) -> None:  # noqa: FBT001 - what it says
        self.answer = answer
        self.asked = 0

    async def is_in_force(self, name: str) -> bool:
        assert name == "homeostat-consent"
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


# --- annotations ----------------------------------------------------------------------------------------


def test_what_humans_ask_is_read_with_whoever_wrote_it_last() -> None:
    asked = entry(manager="kubectl-annotate", approve="abc", by="alice", pause="lunch").asks

    assert asked == Asks(approve="abc", pause="lunch", by="alice", manager="kubectl-annotate")


def test_a_policy_of_which_nobody_asks_anything_carries_nothing() -> None:
    """There may be 10,000 of them."""
    assert entry().asks is None
    assert entry(by="alice").asks is None


def test_texts_are_cut_and_a_pause_without_a_reason_is_one() -> None:
    asked = entry(approve="a" * 1000, run="r" * 10_000, by="b" * 1000, pause="").asks

    assert asked is not None
    assert (len(asked.approve), len(asked.run), len(asked.by)) == (64, 4096, 256)
    assert asked.pause == "no reason given"


@pytest.mark.parametrize("what", ["approve", "reject", "run", "pause"])
def test_an_annotation_asks_something_new_and_has_the_policy_looked_at(what: str) -> None:
    store = ObjectStore()
    store.put(entry())

    assert store.put(entry(2, **{what: "x"})) is Change.SPEC
    assert store.put(entry(3, **{what: "x"})) is Change.STATUS
    assert store.put(entry(4)) is Change.SPEC


def test_of_other_kinds_these_annotations_ask_nothing() -> None:
    body = body_of("HealthCheck", "web", {})
    body["metadata"] |= {"annotations": {"homeostat.dev/pause": "x"}}

    assert entry_from(body, "HealthCheck").asks is None


# --- names ----------------------------------------------------------------------------------------------

ASKS = Asks(approve="abc", by="alice", manager="kubectl")


@pytest.mark.parametrize("answer", [True, False])
async def test_a_name_is_believed_while_it_is_guarded(answer: bool) -> None:  # noqa: FBT001 - a case
    requests = await Consents(Admission(answer)).read(ASKS, FakeClock())

    assert requests == Requests(approve="abc", by="alice", is_verified=answer, manager="kubectl")


@pytest.mark.parametrize("error", [Unavailable("away"), Forbidden("no")])
async def test_a_name_is_not_believed_when_nobody_knows(error: Exception) -> None:
    consents, clock = Consents(Admission(error)), FakeClock()
    assert not (await consents.read(ASKS, clock)).is_verified


async def test_the_guard_is_looked_for_once_in_a_while_and_only_when_somebody_asks() -> None:
    admission, clock = Admission(True), FakeClock()
    consents = Consents(admission)
    await consents.read(None, clock)
    await consents.read(Asks(approve="abc"), clock)
    assert admission.asked == 0

    for _ in range(3):
        await consents.read(ASKS, clock)
    assert admission.asked == 1
    admission.answer = False
    clock.advance(LOOK_AGAIN)
    assert not (await consents.read(ASKS, clock)).is_verified
    assert admission.asked == 2


async def test_after_no_answer_it_is_looked_for_again_soon() -> None:
    admission, clock = Admission(Unavailable("away")), FakeClock()
    consents = Consents(admission)
    await consents.read(ASKS, clock)
    admission.answer = True
    clock.advance(LOOK_SOON)

    assert (await consents.read(ASKS, clock)).is_verified


async def test_without_anybody_to_ask_no_name_is_believed() -> None:
    assert not (await Consents(None).read(ASKS, FakeClock())).is_verified
