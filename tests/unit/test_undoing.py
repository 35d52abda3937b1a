"""The undo Pod: when it restores, that it goes on until it is done, and what it says on its Lease."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from homeostat.api.chaos import MARKER
from homeostat.api.meta import format_precise_time
from homeostat.core.action import HoldFields, Outcome, Verb
from homeostat.core.guarding.held import Fields, Held, Mark, Restorable, write_records
from homeostat.core.guarding.watch import Cause, Sight, watch
from homeostat.core.ref import Ref
from homeostat.engine import undoing
from homeostat.engine.undoing import Undo
from homeostat.kube.guards.lease import GuardLease, digest
from homeostat.ports import Forbidden, Unavailable

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
REF = Ref("Deployment", "shop", "web", "uid")
TO, ORIGINAL = {"replicas": "0"}, {"replicas": "3"}
MARK = json.dumps(asdict(Mark("experiment", 1, ORIGINAL, TO)))
RECORDS = write_records([Restorable(REF.kind, REF.namespace, REF.name, REF.uid, ORIGINAL, TO, MARK)])
DONE = Outcome(Verb.DONE)


# --- when -----------------------------------------------------------------------------------------------


def test_a_lease_that_is_not_renewed_for_its_length_ends_the_fault() -> None:
    """C4: counted from when the renewal was first seen, by the Pod's own clock."""
    known = watch(None, Sight("first", 4, 60), 100.0)
    assert known.cause(103.9, 103.9) is None
    assert known.cause(104.0, 104.0) is Cause.LEASE

    renewed = watch(known, Sight("second", 4, 57), 103.0)
    assert renewed.cause(106.9, 106.9) is None
    assert watch(renewed, Sight("second", 4, 57), 106.0).cause(107.0, 107.0) is Cause.LEASE


def test_what_has_passed_since_the_last_look_is_not_held_against_who_renews() -> None:
    """C18: a slow answer is no sign that nobody is there; the deadline counts in any case."""
    known = watch(None, Sight("first", 4, 60), 100.0)
    assert known.cause(150.0, 103.9) is None
    assert known.cause(160.0, 103.9) is Cause.DEADLINE


def test_renewals_do_not_carry_a_fault_past_its_deadline() -> None:
    """C3: what is left is the distance of two times of whoever renews; clocks of two machines need not agree."""
    known = watch(None, Sight("first", 4, 2), 100.0)
    assert known.cause(101.9, 101.9) is None
    assert known.cause(102.0, 102.0) is Cause.DEADLINE


def test_a_leader_whose_clock_is_behind_does_not_put_the_deadline_off() -> None:
    """C1, C3: its renewals say that more is left than did those of the leader before; sooner is another matter."""
    known = watch(None, Sight("first", 15, 60), 100.0)
    behind = watch(known, Sight("second", 15, 360), 101.0)
    assert (behind.ends_at, behind.seen_at) == (160.0, 101.0)
    assert watch(behind, Sight("third", 15, 10), 102.0).ends_at == 112.0


def test_a_deadline_that_cannot_be_read_is_over() -> None:
    assert watch(None, replace(lease(), deadline="soon").sight, 0.0).cause(0.0, 0.0) is Cause.DEADLINE


# --- what it does ---------------------------------------------------------------------------------------


def lease(**changes: str) -> GuardLease:
    deadline = format_precise_time(NOW + timedelta(minutes=1))
    made = GuardLease(
        namespace="homeostat-system", name="guard", uid="lease", home="shop", experiment="experiment", run=1,
        renewal=format_precise_time(NOW), seconds=4, records=RECORDS, deadline=deadline,
        ready="", trouble="", fired="", done="",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Clock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Post:
    """A Lease that is there for so many looks, or for ever; each look is a second later than the one before."""

    stands: GuardLease | None = field(default_factory=lease)
    looks: int = 0
    on_look: Callable[[int], None] = lambda _look: None
    said: list[tuple[str, str]] = field(default_factory=list)
    is_away: bool = False
    clock: Clock = field(default_factory=Clock)

    async def read(self) -> GuardLease | None:
        self.looks += 1
        self.clock.seconds += 1
        self.on_look(self.looks)
        if self.is_away:
            raise Unavailable("away")
        return self.stands

    async def acknowledge(self, records: str, trouble: str) -> None:
        self._say("trouble" if trouble else "ready", trouble or digest(records))
        if self.stands:
            self.stands = replace(self.stands, ready="" if trouble else digest(records), trouble=trouble)

    async def has_fired(self, cause: str) -> None:
        self._say("fired", cause)

    async def is_done(self, cause: str, what: str) -> None:
        self._say("done", f"{cause}: {what}")

    def _say(self, what: str, value: str) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.said.append((what, value))


@dataclass
class Hands:
    """A Deployment with the fault on it, behind an API server that fails as often as it is told."""

    held: Held | None = field(default_factory=lambda: Held(REF, "1", {MARKER: MARK}, TO))
    failures: int = 0
    may: bool = True
    on_check: Callable[[], Awaitable[object]] | None = None
    on_success: Callable[[], None] = lambda: None
    wrote: list[HoldFields] = field(default_factory=list)

    async def read(self, _ref: Ref) -> Held | None:
        return self.held

    async def may_write(self, _ref: Ref, _fields: Fields) -> bool:
        if self.on_check:
            await self.on_check()
        if not self.may:
            raise Forbidden("no")
        return True

    async def perform(self, action: HoldFields) -> Outcome:
        self.wrote.append(action)
        if len(self.wrote) <= self.failures:
            raise Unavailable("away")
        self.held = Held(REF, "2", {}, ORIGINAL)
        self.on_success()
        return DONE


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "LOOK_EVERY", 0.005)  # longer than what is ready at once, which is to come first
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(undoing, name, 0.0)


async def run(post: Post, hands: Hands, told: asyncio.Event | None = None) -> None:
    async with asyncio.timeout(60):  # one that waits for what never comes is to fail, not to hang
        await Undo(post, hands, post.clock, told or asyncio.Event()).run()


async def test_it_answers_that_it_is_ready_and_restores_when_nobody_renews() -> None:
    """C3, C4, C18: with the operator gone for good."""
    post, hands = Post(), Hands()
    await run(post, hands)

    assert post.said == [("ready", digest(RECORDS)), ("fired", "Lease"), ("done", "Lease: 1 of 1 restored")]
    assert [(act.fields, act.annotations) for act in hands.wrote] == [(ORIGINAL, {MARKER: None})]


async def test_while_it_is_renewed_it_touches_nothing() -> None:
    """C18: the fault is held up."""
    told, post, hands = asyncio.Event(), Post(), Hands()

    def renew(look: int) -> None:
        post.stands = replace(post.stands or lease(), renewal=format_precise_time(NOW + timedelta(seconds=look)))
        assert not hands.wrote
        if look == 50:
            told.set()

    post.on_look = renew
    await run(post, hands, told)
    assert ("fired", "Ended") in post.said
    assert post.looks >= 50


async def test_slow_targets_do_not_set_it_off_while_it_is_renewed() -> None:
    """C18: looking at them may take longer than its lease is long."""
    told = asyncio.Event()
    post = Post(lease(deadline=format_precise_time(NOW + timedelta(hours=1))))

    async def take_long() -> None:
        post.clock.seconds += 20

    def renew(look: int) -> None:
        now = format_precise_time(NOW + timedelta(seconds=post.clock.seconds))
        post.stands = replace(post.stands or lease(), renewal=now)
        if look == 20:
            told.set()

    post.on_look = renew
    await run(post, Hands(on_check=take_long), told)
    assert post.said == [("ready", digest(RECORDS)), ("fired", "Ended"), ("done", "Ended: 1 of 1 restored")]


@pytest.mark.parametrize("cause", [Cause.LEASE, Cause.ENDED, Cause.GONE])
async def test_targets_that_do_not_answer_its_questions_do_not_keep_it_from_restoring(cause: Cause) -> None:
    """C3, C4: it goes on looking while it waits for them."""
    told, post, hands = asyncio.Event(), Post(), Hands(on_check=asyncio.Event().wait)

    def end(look: int) -> None:
        if look == 3 and cause is Cause.ENDED:
            told.set()
        if look == 3 and cause is Cause.GONE:
            post.stands = None

    post.on_look = end
    await run(post, hands, told)
    assert post.said == [("fired", cause.value), ("done", f"{cause.value}: 1 of 1 restored")]


async def test_all_targets_are_asked_about_and_the_first_trouble_is_told() -> None:
    """C6: by name."""
    names = [f"web-{number}" for number in range(20)]
    records = [Restorable("Deployment", "shop", name, name, ORIGINAL, TO, MARK) for name in names]
    asked: list[str] = []

    @dataclass
    class Some(Hands):
        async def may_write(self, ref: Ref, fields: Fields) -> bool:
            asked.append(ref.name)
            return ref.name not in names[12:] and await super().may_write(ref, fields)

    post = Post(lease(records=write_records(records)))
    await run(post, Some(held=None))
    assert set(asked) == set(names)
    assert post.said[0] == ("trouble", "Deployment/web-12: NoResize")


async def test_it_restores_when_it_is_told_to_end() -> None:
    """C3: the Pod is deleted, or its Node drained."""
    told, post, hands = asyncio.Event(), Post(), Hands()
    told.set()
    await run(post, hands, told)

    assert ("fired", "Ended") in post.said
    assert len(hands.wrote) == 1


async def test_it_restores_what_it_knew_when_its_lease_is_gone() -> None:
    """C3: stripped, or the installation taken away."""
    post, hands = Post(), Hands()

    def vanish(look: int) -> None:
        if look == 3:
            post.stands = None

    post.on_look = vanish
    await run(post, hands)
    assert ("fired", "Gone") in post.said
    assert len(hands.wrote) == 1


async def test_it_goes_on_until_the_api_server_answers() -> None:
    """C3, C4: an API server that is away counts as a lease that is not renewed, and the undo never gives up."""
    post, hands = Post(), Hands(failures=40)

    def cut_off(_look: int) -> None:
        post.is_away = bool(post.said)

    def come_back() -> None:
        post.is_away = False

    post.on_look, hands.on_success = cut_off, come_back
    await run(post, hands)
    assert len(hands.wrote) == 41
    assert post.said == [("ready", digest(RECORDS)), ("done", "Lease: 1 of 1 restored")]
    assert hands.held == Held(REF, "2", {}, ORIGINAL)


async def test_one_that_was_killed_while_it_restored_goes_on() -> None:
    """C5: the cause stands on the Lease, the rest on the targets."""
    post, hands = Post(lease(fired="Deadline")), Hands()
    await run(post, hands)

    assert ("fired", "Deadline") in post.said
    assert len(hands.wrote) == 1


async def test_one_that_was_done_does_nothing_more() -> None:
    post, hands = Post(lease(fired="Lease", done="1 of 1 restored")), Hands()
    await run(post, hands)

    assert (post.said, hands.wrote) == ([], [])


async def test_what_is_clean_is_not_written() -> None:
    """C5: the operator was quicker."""
    post, hands = Post(), Hands(held=Held(REF, "2", {}, ORIGINAL))
    await run(post, hands)

    assert hands.wrote == []
    assert ("done", "Lease: 0 of 1 restored") in post.said


async def test_it_is_not_ready_while_it_may_not_restore() -> None:
    """C6: then there is no injection, and the reason is known."""
    post, hands = Post(), Hands(may=False)
    await run(post, hands)

    assert ("trouble", "Deployment/web: Forbidden") in post.said
    assert ("ready", digest(RECORDS)) not in post.said


async def test_records_that_changed_are_taken_in_anew() -> None:
    """C2: the answer is about these very records."""
    post, hands, other = Post(), Hands(), write_records([])

    def change(_look: int) -> None:
        if post.said and post.stands:
            post.stands = replace(post.stands, records=other)

    post.on_look = change
    await run(post, hands)
    assert [said for said in post.said if said[0] == "ready"] == [("ready", digest(RECORDS)), ("ready", digest(other))]
    assert hands.wrote == []
