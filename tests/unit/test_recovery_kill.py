"""RecoveryPolicy under SIGKILL: whatever happens in whatever order, each action takes effect once, within limits."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from homeostat.core.cluster import FreezeInForce, Lock
from scenarios.recovery.world import OTHER, Killed, World, spec

ACTIONS = 4
COOLDOWN = timedelta(seconds=30)
LIMITS = {"cooldown": "30s", "maxInFlight": 1, "maxUnhealthy": "75%", "budget": {"actions": ACTIONS, "per": "720h"}}
VERIFY = {"stabilise": "1s", "holdFor": "3s", "deadline": "20s"}
STEPS: list[list[dict[str, Any]]] = [
    [{"restartPods": {}, "timeout": "30s"}] * 3,
    [{"rolloutRestart": {}, "timeout": "30s"}] * 3,
    [{"scale": {"by": "+1"}, "timeout": "30s"}] * 3,
    [{"restartPods": {}}, {"rolloutRestart": {}}, {"scale": {"to": 6}}, {"escalate": {}}],
]


class Recovery(RuleBasedStateMachine):
    """R2, R3, R4, R8, R11, R12 over kills at every step, lost answers and other writers."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.seen = 0
        self.last: tuple[str, datetime] | None = None  # attempt and time of the newest act

    @initialize(steps=st.sampled_from(STEPS), heals=st.booleans())
    def begin(self, steps: list[dict[str, Any]], heals: bool) -> None:  # noqa: FBT001
        policy = spec(steps=steps, limits=LIMITS, verify=VERIFY)
        self.world = World(spec=policy, eviction_heals=heals, scaling_heals=heals)

    @rule(number=st.integers(0, 3))
    def sicken(self, number: int) -> None:
        self.world.sick.add(sorted(self.world.pods)[number % len(self.world.pods)])

    @rule()
    def heal(self) -> None:
        self.world.sick.clear()

    @rule(seconds=st.integers(1, 15))
    def live(self, seconds: int) -> None:
        self._advance(seconds)

    @rule(kill_in=st.integers(0, 16), seconds=st.integers(1, 15))
    def die(self, kill_in: int, seconds: int) -> None:
        self.world.kill_in = kill_in
        self._advance(seconds)
        self.world.kill_in = None

    @rule(seconds=st.integers(1, 300))
    def be_away(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule()
    def freeze(self) -> None:
        self.world.freeze = None if self.world.freeze else FreezeInForce("outage", ("Recovery",), "outage")

    @rule(seconds=st.integers(1, 60))
    def lock(self, seconds: int) -> None:
        held = self.world.lock
        if held is None or held.until <= self.world.now:
            self.world.lock = Lock(OTHER, self.world.now + timedelta(seconds=seconds))

    @rule()
    def close_disruption_budget(self) -> None:
        self.world.pdb_allows = not self.world.pdb_allows

    @rule()
    def cut_wire(self) -> None:
        self.world.wire_breaks = not self.world.wire_breaks

    @rule(replicas=st.integers(3, 5))
    def scale_by_another(self, replicas: int) -> None:
        if replicas != self.world.replicas:
            self.world.resize(replicas)

    def _advance(self, seconds: int) -> None:
        for _ in range(seconds):
            with suppress(Killed):
                self.world.reconcile()
            self._judge()
            self.world.now += timedelta(seconds=1)

    def _judge(self) -> None:
        """Look at what has just been done, in the circumstances in which it was."""
        for effect in self.world.effects[self.seen :]:
            name = effect.split()[-1]
            attempt = name.split("-", maxsplit=1)[0]
            assert self.world.freeze is None
            assert self.world.lock is None or self.world.lock.holder != OTHER or self.world.lock.until <= self.world.now
            if self.last and self.last[0] != attempt:
                assert self.world.now >= self.last[1] + COOLDOWN
            self.last = (attempt, self.world.now)
        self.seen = len(self.world.effects)

    @invariant()
    def each_action_takes_effect_once(self) -> None:
        names = [effect.split()[-1] for effect in self.world.effects]
        assert len(names) == len(set(names))

    @invariant()
    def the_actions_stay_inside_the_budget(self) -> None:
        acts = [effect for effect in self.world.effects if not effect.endswith("-undo")]
        assert len(acts) <= ACTIONS
        assert len(acts) <= len(self.world.tokens)

    @invariant()
    def never_two_pods_at_once(self) -> None:
        replaced = [pod for name, pod in self.world.pods.items() if name.endswith("x")]
        assert sum(not self.world._ready(pod) for pod in replaced) <= 1

    @invariant()
    def what_was_done_is_on_record(self) -> None:
        """R2: the intent was written before the act."""
        status = self.world.status
        known = {record.id for record in status.last} | ({status.attempt.id} if status.attempt else set())
        assert all(effect.split()[-1].split("-", maxsplit=1)[0] in known for effect in self.world.effects[-3:])


TestRecovery = Recovery.TestCase
TestRecovery.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
