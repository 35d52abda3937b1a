"""R5: the count of policies that want to act, kept as they change, is what looking at all of them would give."""

from datetime import timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeClock
from homeostat.api.recovery_attempt import Attempt
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal, SignalState
from homeostat.core.recovery.limits import storm
from homeostat.engine.checks import Checks
from homeostat.engine.objects import Key
from homeostat.engine.recovery.storm import Storms
from scenarios.recovery.world import spec

PLAIN, LEANING = spec(), spec(dependsOn=[{"healthCheck": {"name": "database"}}])
BUSY = Attempt.model_construct(id="a-1")


class Noted(NamedTuple):
    """What is written of one policy: for how long its trigger fires (s, None: it does not), and what else counts."""

    number: int
    fires_for: int | None
    is_busy: bool
    leans: bool


def key(number: int) -> Key:
    return Key("RecoveryPolicy", "shop", f"p{number}")


def status(noted: Noted, clock: FakeClock) -> RecoveryPolicyStatus:
    written = RecoveryPolicyStatus().model_copy(update={"attempt": BUSY if noted.is_busy else None})
    if noted.fires_for is None:
        return written
    since = clock.now() - timedelta(seconds=noted.fires_for)
    return written.model_copy(update={"signals": (Signal(trigger=0, state=SignalState.FIRING, since=since),)})


NOTES = st.builds(Noted, st.integers(0, 5), st.none() | st.integers(-60, 60), st.booleans(), st.booleans())
MOVES = st.lists(NOTES | st.integers(0, 5) | st.integers(-90, 90).map(lambda moved: timedelta(seconds=moved)))


@given(MOVES)
def test_what_is_counted_is_what_looking_at_all_policies_gives(
    moves: list[Noted | int | timedelta],
) -> None:
    """Notes, policies that go, and a clock that also goes back; the check that some depend on is not there."""
    clock, counted = FakeClock(), Storms(Checks(), 2, timedelta(minutes=5))
    known: dict[int, tuple[storm.Wanting, bool]] = {}
    for move in moves:
        if isinstance(move, timedelta):
            clock.jump(move.total_seconds())
        elif isinstance(move, int):
            counted.forget(key(move))
            known.pop(move, None)
        else:
            made, written = LEANING if move.leans else PLAIN, status(move, clock)
            counted.note(key(move.number), f"uid-{move.number}", made, written)
            known.pop(move.number, None)
            if wanting := storm.wanting(made, written):
                known[move.number] = (wanting, move.leans)
        for asker in range(6):
            others = {
                number: wanting
                for number, (wanting, leans) in known.items()
                if number != asker and wanting.since <= clock.now() and not leans
            }
            seen = counted.seen(key(asker), f"uid-{asker}", clock)
            assert seen.wanting == len(others) + 1
            assert seen.speaks is all(asker < number for number, wanting in others.items() if wanting.is_free)
