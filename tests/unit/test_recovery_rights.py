"""RecoveryPolicy: what the operator must be allowed to do, said at once; rivals for a target; policies that storm."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from fakes import FakeClock
from homeostat.api.meta import ConditionStatus
from homeostat.api.recovery_status import RecoveryPolicyStatus, Signal, SignalState
from homeostat.core.cluster import Right
from homeostat.core.condition import condition
from homeostat.core.recovery import rights
from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.telling.standing import sole_owner, standings
from homeostat.engine.checks import Checks
from homeostat.engine.objects import Key
from homeostat.engine.recovery.rights import ROUND, SOON, RightsWatch
from homeostat.engine.recovery.storm import Storms
from homeostat.ports import Unavailable
from scenarios.recovery.world import World, spec

SHOP = Key("RecoveryPolicy", "shop", "restart-checkout")


def needs(step: dict[str, Any], **changes: Any) -> set[str]:
    """Give the rights of one step in short, but for those of the lock."""
    wanted = rights.needed(spec(steps=[step], **changes), "shop")
    return {
        f"{one.verb} {one.resource}{'/' + one.subresource if one.subresource else ''} {one.namespace}".strip()
        for one in wanted
        if one.resource != "leases"
    }


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ({"restartPods": {}}, {"create pods/eviction shop"}),
        ({"evict": {"forceTerminating": True}}, {"create pods/eviction shop"}),
        ({"rolloutRestart": {}}, {"patch deployments shop"}),
        ({"scale": {"by": "+1"}}, {"patch deployments shop"}),
        ({"rolloutUndo": {}}, {"patch deployments shop", "list replicasets shop"}),
        ({"resize": {"memory": "+50%"}}, {"patch pods/resize shop"}),
        ({"job": {"template": {}}}, {"create jobs shop", "get jobs shop"}),
        ({"webhook": {"url": "https://x.example"}}, set()),
        (
            {"webhook": {"url": "https://x.example", "secretRef": {"name": "key", "key": "key"}}},
            {"get secrets shop"},
        ),
        (
            {
                "patch": {"patch": {}},
                "targets": [{"kind": "Service", "name": "a"}, {"kind": "StatefulSet", "name": "b"}],
            },
            {"patch services shop", "patch statefulsets shop"},
        ),
        ({"escalate": {}}, set()),
    ],
)
def test_each_step_needs_what_it_will_ask_of_the_api_server(step: dict[str, Any], wanted: set[str]) -> None:
    """Bad input: a right that is missing for one step."""
    assert needs(step) == wanted


def test_nodes_are_drained_with_rights_in_the_whole_cluster() -> None:
    """Their pods are of any namespace."""
    target = {"kind": "Node", "name": "n1"}

    assert needs({"drain": {}}, target=target) == {"create pods/eviction", "patch nodes"}
    assert needs({"cordon": {}}, target=target) == {"patch nodes"}


def test_to_restore_needs_what_the_steps_needed_that_changed_it() -> None:
    """R8."""
    both = spec(steps=[{"scale": {"by": "+1"}}, {"restore": {}}])

    assert "patch" in {one.verb for one in rights.of_step(both, 1, "shop") if one.resource == "deployments"}


def test_what_writes_a_target_needs_its_lock() -> None:
    """R11."""
    wanted = rights.needed(spec(steps=[{"restartPods": {}}]), "shop")

    assert {"create", "patch"} <= {one.verb for one in wanted if one.resource == "leases"}


# --- what is said of it ---------------------------------------------------------------------------------

STEPS: list[dict[str, Any]] = [{"scale": {"by": "+1"}, "timeout": "10s"}, {"restartPods": {}}]


def lacking(**changes: Any) -> World:
    """Build a world in which deployments may not be patched, which step 0 needs."""
    made = World(spec=spec(steps=STEPS, **changes))
    wanted = rights.of_step(made.spec, 0, "shop")
    made.missing_rights = tuple(one for one in wanted if one.resource == "deployments")
    return made


def test_a_missing_right_is_said_of_a_policy_at_rest() -> None:
    """At once and not at 3 a.m.: which right, and which step needs it."""
    told = condition(lacking().run("1s").conditions, "Permitted")

    assert told is not None
    assert told.status is ConditionStatus.FALSE
    assert "step 0 (scale): patch deployments.apps in shop" in told.message


def test_a_step_without_its_rights_gives_way_to_the_next_after_its_timeout() -> None:
    """R15, R16: the refusal is seen, nothing is tried in vain, and the next step heals."""
    made = lacking()
    made.reconcile()
    made.sick.add("checkout-1")

    status = made.run("8s")
    assert status.blocked is not None
    assert (status.blocked.reason, made.effects) == ("NotPermitted", [])
    made.run("30s")

    assert [effect.split()[0] for effect in made.effects] == ["evict"]


def test_a_missing_right_does_not_stand_against_a_step_that_needs_none_of_it() -> None:
    """Only the step that is due."""
    made = lacking()
    made.spec = spec(steps=[STEPS[1], STEPS[0]])
    made.missing_rights = tuple(one for one in rights.of_step(made.spec, 1, "shop") if one.resource == "deployments")
    made.sick.add("checkout-1")

    made.run("10s")

    assert len(made.effects) == 1


def test_mode_observe_needs_no_rights() -> None:
    """R1: it touches nothing, and says what it would do."""
    made = lacking(mode="Observe")
    made.sick.add("checkout-1")

    made.run("10s")

    assert "WouldAct" in made.events


def test_what_is_known_of_rights_stands_until_they_are_asked_for_again() -> None:
    """A restart does not turn the condition to Unknown and back."""
    made = World()
    made.run("1s")
    made.missing_rights = None

    told = condition(made.run("1s").conditions, "Permitted")

    assert told is not None
    assert told.status is ConditionStatus.TRUE


def test_rivals_for_a_target_are_named() -> None:
    """Bad input: conflicting policies."""
    made = World()
    seen = made.seen()
    object.__setattr__(seen, "rivals", ("another",))

    status, reason, message = sole_owner(Case(made.spec, made.status, seen, made.now))

    assert (status, reason) == (ConditionStatus.FALSE, "SharedTarget")
    assert message.endswith("another.")
    assert "SoleOwner" in standings(Case(made.spec, made.status, seen, made.now))


# --- the shell ------------------------------------------------------------------------------------------


class Asked:
    """`ports.Rights`, as the API server would answer."""

    def __init__(self) -> None:
        self.lacks: set[str] = set()
        self.is_down = False
        self.times = 0

    async def missing(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        self.times += 1
        if self.is_down:
            raise Unavailable("down")
        return tuple(one for one in wanted if one.resource in self.lacks)


def test_rights_are_asked_for_when_a_policy_is_new_and_again_every_few_minutes() -> None:
    """Off the hot path; what changes wakes the policy."""
    asked, clock, woken = Asked(), FakeClock(), []
    watch = RightsWatch(asked, clock, woken.append)
    watch.open(SHOP, spec())
    assert watch.missing(SHOP) is None

    asyncio.run(watch.look())
    asyncio.run(watch.look())
    assert (watch.missing(SHOP), woken, asked.times) == ((), [SHOP], 1)
    asked.lacks.add("pods")
    clock.advance(ROUND)
    asyncio.run(watch.look())

    assert woken == [SHOP, SHOP]
    assert [one.resource for one in watch.missing(SHOP) or ()] == ["pods"]


def test_what_the_api_server_does_not_say_is_asked_for_soon_again() -> None:
    """R12: not known is not missing, and not held."""
    asked, clock, woken = Asked(), FakeClock(), []
    asked.is_down = True
    watch = RightsWatch(asked, clock, woken.append)
    watch.open(SHOP, spec())

    asyncio.run(watch.look())
    assert (watch.missing(SHOP), woken) == (None, [])
    asked.is_down = False
    clock.advance(SOON)
    asyncio.run(watch.look())

    assert watch.missing(SHOP) == ()


def firing(clock: FakeClock, **changes: Any) -> RecoveryPolicyStatus:
    """Give the status of a policy whose trigger has been firing for a minute."""
    signal = Signal(trigger=0, state=SignalState.FIRING, since=clock.now() - timedelta(minutes=1))
    return RecoveryPolicyStatus(signals=(signal,), **changes)


def storms(clock: FakeClock, count: int, **changes: Any) -> Storms:
    counted = Storms(Checks(), 5, timedelta(minutes=5))
    for number in range(count):
        counted.note(SHOP._replace(name=f"p{number}"), f"uid-{number}", spec(**changes), firing(clock))
    return counted


def test_policies_that_want_to_act_at_once_are_counted_with_the_one_that_asks() -> None:
    """R5: and one of them speaks for all, the one with the smallest uid."""
    clock = FakeClock()
    counted = storms(clock, 6)

    seen = [counted.seen(SHOP._replace(name=f"p{number}"), f"uid-{number}", clock) for number in range(6)]

    assert {one.wanting for one in seen} == {6}
    assert [one.speaks for one in seen] == [True, *[False] * 5]


@pytest.mark.parametrize("changes", [{"mode": "Observe"}, {"mode": "Suggest"}, {"suspend": True}])
def test_who_cannot_act_makes_no_storm(changes: dict[str, Any]) -> None:
    """R5: only what would touch something counts."""
    clock = FakeClock()

    assert storms(clock, 6, **changes).seen(SHOP, "uid-x", clock).wanting == 1


def test_who_depends_on_what_is_not_healthy_makes_no_storm() -> None:
    """R14: six services without their database do not stop its own recovery."""
    clock = FakeClock()
    counted = storms(clock, 6, dependsOn=[{"healthCheck": {"name": "database"}}])

    assert counted.seen(SHOP, "uid-x", clock).wanting == 1


def test_nobody_tells_of_a_storm_that_another_has_told_of() -> None:
    """R5: one incident, also once the first one is well again."""
    clock = FakeClock()
    counted, made = storms(clock, 6), World()
    made.storm = counted.seen(SHOP, "uid-", clock)
    made.reconcile()
    made.sick.add("checkout-1")
    told = made.run("10s").model_copy(update={"signals": (), "storm_until": clock.now() + timedelta(minutes=4)})
    counted.note(SHOP, "uid-", made.spec, told)

    assert told.escalated is not None
    assert not counted.seen(SHOP._replace(name="p0"), "uid-0", clock).speaks
