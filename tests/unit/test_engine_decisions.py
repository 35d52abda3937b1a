"""What a policy decided, on its way out: to the log, to history, to Prometheus, and to the object that it is about."""

from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from fakes import NOON, FakeClock, FakeHistory
from homeostat.api.meta import format_precise_time
from homeostat.api.recovery_decision import DecisionRecord, Verdict
from homeostat.api.recovery_status import Blocked, RecoveryPolicyStatus
from homeostat.core.decision import Decision, Event
from homeostat.core.ref import Ref
from homeostat.engine.archive import Archive
from homeostat.engine.controller import Subject
from homeostat.engine.objects import Entry, Key, ObjectStore, entry_from
from homeostat.engine.readings import read_policies
from homeostat.engine.recovery.decisions import DecisionBook
from homeostat.ports import StoredDecision
from homeostat.telemetry.metrics import Metrics
from scenarios.recovery.world import SPEC
from unit.test_engine_reconcile import Bench

NODE = Ref("Node", "", "worker-1", "node-uid")


def decision(identity: str = "d1", verdict: Verdict = Verdict.REFUSE, **changes: Any) -> DecisionRecord:
    fields = {"gate": "frozen", "reason": "Frozen", "message": "Freeze outage: x"} if verdict is Verdict.REFUSE else {}
    return DecisionRecord(id=identity, at=NOON, trigger=0, step=0, verdict=verdict, **(fields | changes))


def status(record: DecisionRecord | None = None, blocked: str = "") -> RecoveryPolicyStatus:
    return RecoveryPolicyStatus(
        decision=record, blocked=Blocked(reason=blocked, since=NOON, message="x") if blocked else None
    )


def body(name: str = "heal", **shown: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": f"{name}-1", "resourceVersion": "1", "generation": 1}
    return {
        "apiVersion": "homeostat.dev/v1alpha1", "kind": "RecoveryPolicy", "metadata": metadata, "spec": SPEC,
        "status": shown,
    }  # fmt: skip


def entry(name: str = "heal", **shown: Any) -> Entry:
    return entry_from(body(name, **shown), "RecoveryPolicy")


async def kept(archive: Archive, history: FakeHistory) -> list[StoredDecision]:
    await archive.flush()
    return history.kept_of(StoredDecision)


# --- history --------------------------------------------------------------------------------------------


async def test_each_decision_on_record_goes_to_history_once() -> None:
    """R15: as it stands on the status."""
    history = FakeHistory()
    archive = Archive(history, FakeClock(), Metrics())
    book, policy = DecisionBook(archive), entry()
    for record in (None, decision("d1"), decision("d1"), decision("d2", Verdict.ACT)):
        book.keep(policy, status(record))

    stored = await kept(archive, history)

    assert [(one.id, one.verdict, one.reason) for one in stored] == [
        ("heal-1/d1", "Refuse", "Frozen"),
        ("heal-1/d2", "Act", ""),
    ]
    assert stored[0].details == decision("d1").wire()
    assert (stored[0].owner, stored[0].namespace, stored[0].name, stored[0].at) == ("heal-1", "shop", "heal", NOON)


async def test_after_a_restart_a_decision_has_the_same_name_in_history() -> None:
    history = FakeHistory()
    archive = Archive(history, FakeClock(), Metrics())
    for _ in range(2):
        DecisionBook(archive).keep(entry(), status(decision("d1")))

    assert {one.id for one in await kept(archive, history)} == {"heal-1/d1"}


# --- log, events, metrics -------------------------------------------------------------------------------


def bench(*statuses: RecoveryPolicyStatus, events: tuple[Event, ...] = ()) -> Bench:
    """Make a policy whose controller comes to these statuses, one after the other, the last for ever."""
    waiting = list(statuses)

    def decides(_subject: Subject[Any, Any], _clock: Any) -> Decision[Any]:
        return Decision(waiting.pop(0) if len(waiting) > 1 else waiting[0], events=events)

    made = Bench(decides, kind="RecoveryPolicy")
    made.store.put(entry_from(made.objects.put(body()), "RecoveryPolicy"))
    return made


KEY = Key("RecoveryPolicy", "shop", "heal")


async def test_a_decision_is_one_line_in_the_log_with_the_record_as_it_is_on_the_status() -> None:
    """R15: and not again while it lasts."""
    made = bench(status(decision("d1"), "Frozen"))
    with capture_logs() as logged:
        for _ in range(3):
            await made.reconcile(KEY)

    lines = [line for line in logged if "decision" in line]
    assert [line["decision"] for line in lines] == [decision("d1").wire()]
    assert (lines[0]["event"], lines[0]["log_level"], lines[0]["name"]) == ("decided", "info", "heal")


async def test_refusals_are_counted_by_their_reason_when_they_begin() -> None:
    refused, acted = status(decision("d1"), "Frozen"), status(decision("d2", Verdict.ACT))
    made = bench(refused, refused, acted, status(decision("d3"), "Frozen"))
    for _ in range(5):
        await made.reconcile(KEY)

    assert made.sample("homeostat_recovery_refusals_total", reason="Frozen") == 2


async def test_an_event_about_another_object_is_told_there() -> None:
    """R15: on the target too, a Node among them."""
    own, other = Event("Blocked", "Frozen: x"), Event("RecoveryBlocked", "Frozen: x", about=NODE)
    made = bench(status(decision("d1"), "Frozen"), events=(own, other))
    await made.reconcile(KEY)

    assert [(ref.kind, ref.name, event.reason) for ref, event in made.recorder.told] == [
        ("RecoveryPolicy", "heal", "Blocked"),
        ("Node", "worker-1", "RecoveryBlocked"),
    ]


async def test_the_page_has_the_reason_of_each_policy_that_is_held_up_and_no_others() -> None:
    """R15: bounded: one sample for each."""
    store, since = ObjectStore(), format_precise_time(NOON - timedelta(minutes=1))
    store.put(entry("held", blocked={"reason": "Frozen", "since": since, "message": "x"}))
    store.put(entry("free"))
    metrics = Metrics()
    metrics.read_from(tuple, tuple, lambda: read_policies(store))

    lines = (await metrics.page()).decode().splitlines()

    begun = (NOON - timedelta(minutes=1)).timestamp()
    assert [line for line in lines if line.startswith("homeostat_recovery_blocked")] == [
        'homeostat_recovery_blocked{namespace="shop",name="held",reason="Frozen"} 1',
        f'homeostat_recovery_blocked_since_timestamp_seconds{{namespace="shop",name="held"}} {begun}',
    ]
