"""Who is evaluated when something else changes."""

from hypothesis import given
from hypothesis import strategies as st

from homeostat.engine.objects import Key
from homeostat.engine.wakes import Wakes

POLICY, SLO = Key("RecoveryPolicy", "shop", "restart"), Key("ServiceLevelObjective", "shop", "web")
A, B = Key("HealthCheck", "shop", "a"), Key("HealthCheck", "shop", "b")


def test_all_that_look_at_an_object_are_given() -> None:
    wakes = Wakes()
    wakes.watch(POLICY, [A, B])
    wakes.watch(SLO, [A])

    assert set(wakes.of(A)) == {POLICY, SLO}
    assert wakes.of(B) == (POLICY,)


def test_an_edit_replaces_what_is_looked_at() -> None:
    wakes = Wakes()
    wakes.watch(POLICY, [A])
    wakes.watch(POLICY, [B])

    assert wakes.of(A) == ()
    assert wakes.of(B) == (POLICY,)


def test_what_is_gone_is_not_woken() -> None:
    wakes = Wakes()
    wakes.watch(POLICY, [A])
    wakes.forget(POLICY)
    wakes.forget(POLICY)

    assert wakes.of(A) == ()


KEYS = st.sampled_from([A, B, POLICY, SLO])


@given(st.lists(st.tuples(KEYS, st.lists(KEYS))))
def test_both_directions_always_agree_and_nothing_is_left_behind(edits: list[tuple[Key, list[Key]]]) -> None:
    wakes = Wakes()
    last: dict[Key, set[Key]] = {}
    for who, whom in edits:
        wakes.watch(who, whom)
        last[who] = set(whom)

    for one in (A, B, POLICY, SLO):
        assert set(wakes.of(one)) == {who for who, whom in last.items() if one in whom}
    for who in last:
        wakes.forget(who)
    assert not wakes._looks_at
    assert not wakes._looked_at_by
