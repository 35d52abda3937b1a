import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from homeostat.core.cluster import Pod, Workload
from homeostat.core.decision import Ref
from homeostat.core.probing import Reason, Verdict, WorkloadRequest
from homeostat.ports import Forbidden, Gone, Unavailable
from homeostat.probe.address import Guard
from homeostat.probe.prober import Probes
from homeostat.probe.workload import of_readiness

NOW = datetime(2026, 11, 21, tzinfo=UTC)
REQUEST = WorkloadRequest("shop", "Deployment", "checkout", Decimal("0.8"))
COUNTING = replace(REQUEST, max_restarts=3, restart_window=timedelta(minutes=10))


def workload(ready: int, replicas: int, *, observed: int = 1, pods: tuple[Pod, ...] = ()) -> Workload:
    ref = Ref("Deployment", "shop", "checkout", "uid")
    return Workload(ref, "1", 1, observed, replicas, replicas, ready, ready, "app=checkout", pods=pods)


def pod(uid: str, restarts: int) -> Pod:
    return Pod(Ref("Pod", "shop", uid, uid), "1", "10.0.0.1", "n", "Running", True, False, restarts, NOW)


class Seen:
    """A cluster that shows one workload, or fails, or hangs."""

    def __init__(self, *shown: Workload | Exception | None) -> None:
        self.shown = list(shown)
        self.now = 1000.0

    async def workload(self, _namespace: str, _kind: str, _name: str) -> Workload | None:
        shown = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(shown, Exception):
            raise shown
        return shown


class Hanging(Seen):
    @override
    async def workload(self, _namespace: str, _kind: str, _name: str) -> Workload | None:
        await asyncio.Event().wait()
        return None


def prober(cluster: Seen) -> Probes:
    return Probes(Guard(), cast("Any", cluster), monotonic=lambda: cluster.now)


async def ends(cluster: Seen, request: WorkloadRequest = REQUEST) -> tuple[Verdict, Reason]:
    result = await prober(cluster).probe(request, 0.2)
    return result.verdict, result.reason


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
        (RuntimeError("a bug"), Verdict.ERROR, Reason.INTERNAL),
    ],
)
async def test_a_workload_is_judged_by_its_ready_replicas(
    shown: Workload | Exception | None, verdict: Verdict, reason: Reason
) -> None:
    """H1: a workload that is not there fails; an API that does not answer teaches nothing of the target."""
    assert await ends(Seen(shown)) == (verdict, reason)


async def test_an_api_that_hangs_is_unknown_at_the_timeout() -> None:
    async with asyncio.timeout(10):
        assert await ends(Hanging()) == (Verdict.UNKNOWN, Reason.API_UNAVAILABLE)


@settings(deadline=None)
@given(ready=st.integers(0, 10_000), replicas=st.integers(0, 10_000), share=st.integers(0, 100_000_000))
def test_the_share_of_ready_replicas_is_exact(ready: int, replicas: int, share: int) -> None:
    """The comparison is the one of whole numbers: no rounding at the edge."""
    reason = of_readiness(workload(ready, replicas), Decimal(share).scaleb(-8))

    assert (reason is Reason.OK) == (ready * 100_000_000 >= share * replicas)


async def test_restarts_are_counted_from_the_first_look_within_the_window() -> None:
    """What was before the first look is not held against the workload; what left the window is forgiven."""
    cluster = Seen(*(workload(1, 1, pods=(pod("a", count),)) for count in (50, 52, 54, 54)))
    probes = prober(cluster)
    reasons = []
    for seconds in (0, 60, 60, 600):
        cluster.now += seconds
        reasons.append((await probes.probe(COUNTING, 5)).reason)

    assert reasons == [Reason.OK, Reason.OK, Reason.TOO_MANY_RESTARTS, Reason.OK]


async def test_a_pod_that_is_replaced_neither_adds_nor_hides_restarts() -> None:
    shown = [(pod("a", 1),), (pod("a", 3),), (pod("b", 0),), (pod("b", 2),)]
    cluster = Seen(*(workload(1, 1, pods=pods) for pods in shown))
    probes = prober(cluster)
    reasons = [(await probes.probe(COUNTING, 5)).reason for _ in shown]

    assert reasons == [Reason.OK, Reason.OK, Reason.OK, Reason.TOO_MANY_RESTARTS]


async def test_too_few_ready_replicas_are_told_before_restarts() -> None:
    cluster = Seen(workload(1, 1, pods=(pod("a", 0),)), workload(0, 1, pods=(pod("a", 9),)))
    probes = prober(cluster)
    await probes.probe(COUNTING, 5)

    assert (await probes.probe(COUNTING, 5)).reason is Reason.NOT_ENOUGH_READY
