"""The workload probe: readiness, restarts, lag, and the troubles of pods, volumes and nodes that explain them."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from homeostat.api.probe import WorkloadTrouble
from homeostat.core.cluster import Claim, Node, Pod, Workload
from homeostat.core.probing.request import WorkloadRequest
from homeostat.core.probing.result import Reason, Verdict
from homeostat.core.ref import Ref
from homeostat.ports import Forbidden, Gone, Unavailable
from homeostat.probe.cluster import troubles
from homeostat.probe.cluster.memory import Memory
from homeostat.probe.cluster.workload import WorkloadProbe, of_readiness
from homeostat.probe.ending import Ending, verdict_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
REQUEST = WorkloadRequest("shop", "Deployment", "checkout", Decimal("0.8"))
COUNTING = replace(REQUEST, max_restarts=3, restart_window=timedelta(minutes=10))
FOLLOWING = replace(REQUEST, max_generation_lag=timedelta(minutes=1))
EVERYTHING = replace(REQUEST, fail_on=tuple(trouble.value for trouble in WorkloadTrouble))
NODE = Node("n", is_ready=True, is_under_pressure=False)
CLAIM = Claim("data", is_bound=True)


def workload(ready: int, replicas: int, *, observed: int = 1, pods: tuple[Pod, ...] = ()) -> Workload:
    ref = Ref("Deployment", "shop", "checkout", "uid")
    return Workload(ref, "1", 1, observed, replicas, replicas, ready, ready, "app=checkout", pods=pods)


def pod(uid: str, restarts: int = 0, **fields: Any) -> Pod:
    ref = Ref("Pod", "shop", uid, uid)
    plain = Pod(ref, "1", "10.0.0.1", "n", "Running", True, False, restarts, NOW)
    return replace(plain, **fields)


def sick(*reasons: str, **fields: Any) -> Pod:
    return pod("sick", is_ready=False, reasons=reasons, **fields)


class Seen:
    """A cluster that shows one workload after the other, or fails; and what is around it."""

    def __init__(self, *shown: Workload | Exception | None) -> None:
        self.shown = list(shown)
        self.now = 1000.0
        self.shown_claims: tuple[Claim, ...] | Exception = (CLAIM,)
        self.shown_nodes: tuple[Node, ...] | Exception = (NODE,)
        self.asked: list[str] = []

    async def workload(self, _namespace: str, _kind: str, _name: str) -> Workload | None:
        shown = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(shown, Exception):
            raise shown
        return shown

    async def claims(self, namespace: str) -> tuple[Claim, ...]:
        self.asked.append(f"claims of {namespace}")
        if isinstance(self.shown_claims, Exception):
            raise self.shown_claims
        return self.shown_claims

    async def nodes(self, names: Collection[str]) -> tuple[Node, ...]:
        self.asked.append(f"nodes {' '.join(sorted(names))}")
        if isinstance(self.shown_nodes, Exception):
            raise self.shown_nodes
        return tuple(node for node in self.shown_nodes if node.name in names)


class Hanging(Seen):
    @override
    async def workload(self, _namespace: str, _kind: str, _name: str) -> Workload | None:
        await asyncio.Event().wait()
        return None


def probe_of(cluster: Seen) -> WorkloadProbe:
    return WorkloadProbe(cast("Any", cluster), lambda: cluster.now)


async def ends(cluster: Seen, request: WorkloadRequest = REQUEST) -> Ending:
    return await probe_of(cluster).run(request, cluster.now + 0.2)


async def reasons_of(cluster: Seen, request: WorkloadRequest, seconds: Collection[float]) -> list[Reason]:
    """Look again and again, after so many seconds each."""
    probe = probe_of(cluster)
    reasons = []
    for pause in seconds:
        cluster.now += pause
        reasons.append((await probe.run(request, cluster.now + 5)).reason)
    return reasons


@pytest.mark.parametrize(
    ("shown", "verdict", "reason"),
    [
        (workload(4, 5), Verdict.PASS, Reason.OK),
        (workload(3, 5), Verdict.FAIL, Reason.NOT_ENOUGH_READY),
        (workload(0, 0), Verdict.PASS, Reason.OK),
        (workload(5, 5, observed=0), Verdict.PASS, Reason.OK),
        (workload(3, 5, observed=0), Verdict.FAIL, Reason.ROLLOUT_INCOMPLETE),
        (None, Verdict.FAIL, Reason.TARGET_NOT_FOUND),
        (Gone(), Verdict.FAIL, Reason.TARGET_NOT_FOUND),
        (Unavailable(), Verdict.UNKNOWN, Reason.API_UNAVAILABLE),
        (Forbidden(), Verdict.ERROR, Reason.NOT_PERMITTED),
    ],
)
async def test_a_workload_is_judged_by_its_ready_replicas(
    shown: Workload | Exception | None, verdict: Verdict, reason: Reason
) -> None:
    """H1: a workload that is not there fails; an API that does not answer teaches nothing of the target."""
    ending = await ends(Seen(shown))

    assert (verdict_of(ending.reason), ending.reason) == (verdict, reason)
    assert ending.share == ((shown.ready, shown.replicas) if isinstance(shown, Workload) else None)


async def test_an_api_that_hangs_is_unknown_at_the_timeout() -> None:
    async with asyncio.timeout(10):
        assert await ends(Hanging()) == Ending(Reason.API_UNAVAILABLE)


@settings(deadline=None)
@given(ready=st.integers(0, 10_000), replicas=st.integers(0, 10_000), share=st.integers(0, 100_000_000))
def test_the_share_of_ready_replicas_is_exact(ready: int, replicas: int, share: int) -> None:
    """The comparison is the one of whole numbers: no rounding at the edge."""
    reason = of_readiness(workload(ready, replicas), Decimal(share).scaleb(-8))

    assert (reason is Reason.OK) == (ready * 100_000_000 >= share * replicas)


# --- restarts -------------------------------------------------------------------------------------------


async def test_restarts_are_counted_from_the_first_look_within_the_window() -> None:
    """What was before the first look is not held against the workload; what left the window is forgiven."""
    cluster = Seen(*(workload(1, 1, pods=(pod("a", count),)) for count in (50, 52, 54, 54)))
    reasons = await reasons_of(cluster, COUNTING, (0, 60, 60, 600))

    assert reasons == [Reason.OK, Reason.OK, Reason.TOO_MANY_RESTARTS, Reason.OK]


async def test_a_pod_that_is_replaced_neither_adds_nor_hides_restarts() -> None:
    shown = [(pod("a", 1),), (pod("a", 3),), (pod("b", 0),), (pod("b", 2),)]
    reasons = await reasons_of(Seen(*(workload(1, 1, pods=pods) for pods in shown)), COUNTING, (0,) * 4)

    assert reasons == [Reason.OK, Reason.OK, Reason.OK, Reason.TOO_MANY_RESTARTS]


async def test_too_few_ready_replicas_are_told_before_restarts() -> None:
    cluster = Seen(workload(1, 1, pods=(pod("a", 0),)), workload(0, 1, pods=(pod("a", 9),)))

    assert await reasons_of(cluster, COUNTING, (0, 0)) == [Reason.OK, Reason.NOT_ENOUGH_READY]


async def test_the_memory_of_workloads_is_bounded_and_keeps_what_is_looked_at() -> None:
    memory: Memory[int, list[int]] = Memory(most=3)
    kept = memory.of(0, list)
    for number in range(1, 10):
        memory.of(number, list)
        assert memory.of(0, list) is kept

    assert len(memory._known) == 3


# --- lag ------------------------------------------------------------------------------------------------


def behind(generation: int, observed: int, uid: str = "uid") -> Workload:
    """All is ready, but the controller has not seen the latest spec."""
    seen = workload(5, 5, observed=observed)
    return replace(seen, generation=generation, ref=replace(seen.ref, uid=uid))


@pytest.mark.parametrize(
    ("shown", "last"),
    [
        ([behind(2, 1), behind(2, 1), behind(2, 1)], Reason.ROLLOUT_INCOMPLETE),
        ([behind(2, 1), behind(3, 1), behind(4, 1)], Reason.ROLLOUT_INCOMPLETE),
        ([behind(2, 1), behind(2, 2), behind(3, 2)], Reason.OK),
        ([behind(2, 1), behind(3, 2), behind(4, 3)], Reason.OK),
        ([behind(2, 1), behind(2, 1), behind(2, 1, "new")], Reason.OK),
    ],
    ids=["stands still", "falls behind", "caught up between", "follows", "replaced"],
)
async def test_a_controller_that_does_not_follow_for_too_long_fails(shown: list[Workload], last: Reason) -> None:
    """Three looks within 80 s where 60 s are allowed: only one that never moved fails, and only once time is over."""
    reasons = await reasons_of(Seen(*shown), FOLLOWING, (0, 40, 40))

    assert reasons == [Reason.OK, Reason.OK, last]


async def test_lag_is_only_judged_when_asked_for() -> None:
    assert await reasons_of(Seen(behind(2, 1)), REQUEST, (0, 3600)) == [Reason.OK, Reason.OK]


# --- troubles -------------------------------------------------------------------------------------------

PENDING = sick("Pending", claims=("data",), node="", phase="Pending")
LOST_NODE = (replace(NODE, is_ready=False),)
FULL_NODE = (replace(NODE, is_under_pressure=True),)
UNBOUND = (replace(CLAIM, is_bound=False),)


@pytest.mark.parametrize(
    ("shown", "claims", "nodes", "reason"),
    [
        (sick("CrashLoopBackOff", "NotReady"), (), (), Reason.CRASH_LOOP_BACK_OFF),
        (sick("CrashLoopBackOff", "OOMKilled"), (), (), Reason.OOM_KILLED),
        (sick("ImagePullBackOff", "Pending"), (), (), Reason.IMAGE_PULL_BACK_OFF),
        (PENDING, UNBOUND, (), Reason.VOLUME_NOT_BOUND),
        (PENDING, (), (), Reason.VOLUME_NOT_BOUND),
        (sick("NotReady"), (), LOST_NODE, Reason.NODE_NOT_READY),
        (sick("NotReady"), (), (), Reason.NODE_NOT_READY),
        (sick("NotReady"), (), FULL_NODE, Reason.NODE_PRESSURE),
        (sick("NotReady"), (), (NODE,), Reason.NOT_ENOUGH_READY),
        (sick("Pending", node=""), (), (), Reason.NOT_ENOUGH_READY),
        (sick("CrashLoopBackOff", is_terminating=True), (), (), Reason.NOT_ENOUGH_READY),
        (sick("OOMKilled", phase="Failed"), (), (), Reason.NOT_ENOUGH_READY),
    ],
    ids=[
        "crash",
        "memory",
        "image",
        "volume",
        "no volume",
        "node",
        "no node",
        "full node",
        "nothing to see",
        "no room",
        "on its way out",
        "evicted",
    ],
)
async def test_what_keeps_pods_from_being_ready_is_told_instead_of_their_number(
    shown: Pod, claims: tuple[Claim, ...], nodes: tuple[Node, ...], reason: Reason
) -> None:
    cluster = Seen(workload(0, 1, pods=(shown,)))
    cluster.shown_claims, cluster.shown_nodes = claims, nodes

    assert await ends(cluster) == Ending(reason, share=(0, 1))


async def test_a_workload_that_is_well_costs_no_further_reads() -> None:
    cluster = Seen(workload(5, 5, pods=(pod("a", claims=("data",)), sick("NotReady"))))
    await ends(cluster)

    assert cluster.asked == []


async def test_only_what_may_explain_it_is_read() -> None:
    """Not the claims of running pods, nor the nodes of pods that are ready, or that show why they are not."""
    crashing = sick("CrashLoopBackOff", node="theirs", claims=("data",))
    cluster = Seen(workload(1, 3, pods=(pod("a", node="mine"), crashing, sick("NotReady", node="lost"))))
    await ends(cluster)
    assert cluster.asked == ["nodes lost"]

    cluster = Seen(workload(0, 1, pods=(PENDING,)))
    await ends(cluster)
    assert cluster.asked == ["claims of shop"]


@pytest.mark.parametrize("error", [Forbidden(), Unavailable(), Gone()])
async def test_an_explanation_that_cannot_be_had_does_not_hide_the_failure(error: Exception) -> None:
    cluster = Seen(workload(0, 2, pods=(PENDING, sick("NotReady"))))
    cluster.shown_claims = cluster.shown_nodes = error

    assert await ends(cluster) == Ending(Reason.NOT_ENOUGH_READY, share=(0, 2))


@pytest.mark.parametrize(
    ("trouble", "shown", "claims", "nodes"),
    [
        (WorkloadTrouble.CRASH_LOOP_BACK_OFF, sick("CrashLoopBackOff"), (CLAIM,), (NODE,)),
        (WorkloadTrouble.OOM_KILLED, sick("OOMKilled"), (CLAIM,), (NODE,)),
        (WorkloadTrouble.IMAGE_PULL_BACK_OFF, sick("ImagePullBackOff"), (CLAIM,), (NODE,)),
        (WorkloadTrouble.VOLUME_NOT_BOUND, pod("a", claims=("data",)), UNBOUND, (NODE,)),
        (WorkloadTrouble.NODE_NOT_READY, pod("a"), (CLAIM,), LOST_NODE),
        (WorkloadTrouble.NODE_PRESSURE, pod("a"), (CLAIM,), FULL_NODE),
    ],
)
async def test_a_trouble_fails_a_ready_workload_only_where_it_is_asked_for(
    trouble: WorkloadTrouble, shown: Pod, claims: tuple[Claim, ...], nodes: tuple[Node, ...]
) -> None:
    cluster = Seen(workload(5, 5, pods=(pod("well"), shown)))
    cluster.shown_claims, cluster.shown_nodes = claims, nodes
    others = tuple(one.value for one in WorkloadTrouble if one is not trouble)

    assert await ends(cluster, replace(REQUEST, fail_on=(trouble.value,))) == Ending(
        Reason(trouble.value), share=(5, 5)
    )
    assert await ends(cluster, replace(REQUEST, fail_on=others)) == Ending(Reason.OK, share=(5, 5))
    assert await ends(cluster) == Ending(Reason.OK, share=(5, 5))


def test_every_trouble_is_a_reason_and_has_its_place_in_the_order() -> None:
    assert {Reason(trouble.value) for trouble in WorkloadTrouble} == set(troubles._MOST_TELLING)


@given(found=st.sets(st.sampled_from(troubles._MOST_TELLING)))
def test_the_same_troubles_are_always_told_by_the_same_word(found: set[Reason]) -> None:
    told = troubles.most_telling(sorted(found))

    assert told == troubles.most_telling(sorted(found, reverse=True))
    assert told in found if found else told is None


@pytest.mark.parametrize(
    ("error", "reason"), [(Forbidden(), Reason.NOT_PERMITTED), (Unavailable(), Reason.API_UNAVAILABLE)]
)
async def test_what_was_asked_for_and_cannot_be_read_is_not_taken_for_well(error: Exception, reason: Reason) -> None:
    cluster = Seen(workload(5, 5, pods=(pod("a"),)))
    cluster.shown_nodes = error
    assert await ends(cluster, EVERYTHING) == Ending(reason, share=(5, 5))

    asking_for_pods_only = replace(REQUEST, fail_on=("CrashLoopBackOff",))
    assert await ends(cluster, asking_for_pods_only) == Ending(Reason.OK, share=(5, 5))


async def test_a_trouble_that_is_seen_is_told_though_another_could_not_be_read() -> None:
    cluster = Seen(workload(5, 5, pods=(pod("a"), sick("CrashLoopBackOff"))))
    cluster.shown_nodes = Forbidden()

    assert (await ends(cluster, EVERYTHING)).reason is Reason.CRASH_LOOP_BACK_OFF


async def test_what_is_known_of_nodes_is_shared_and_grows_old() -> None:
    cluster = Seen(
        workload(5, 5, pods=(pod("a"),)), workload(5, 5, pods=(pod("a"), pod("b", node="m"))), workload(5, 5)
    )
    cluster.shown_nodes = (NODE, replace(NODE, name="m"))
    probe = probe_of(cluster)
    for _ in range(2):
        assert (await probe.run(EVERYTHING, cluster.now + 5)).reason is Reason.OK
    assert cluster.asked == ["nodes n", "nodes m"]

    cluster.now += 10
    cluster.shown = [workload(5, 5, pods=(pod("a"),))]
    cluster.shown_nodes = LOST_NODE
    assert (await probe.run(EVERYTHING, cluster.now + 5)).reason is Reason.NODE_NOT_READY
