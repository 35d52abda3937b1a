"""The Job probe: what the end of a Job means, and that no Job outlives its run, whatever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeClock, FakeJobs
from homeostat.core.cluster import Job, Pod
from homeostat.core.probing.request import JobRequest
from homeostat.core.probing.result import Reason
from homeostat.core.ref import Ref
from homeostat.ports import Conflict, Forbidden, Rejected, Unavailable
from homeostat.probe.cluster.job import JobProbe
from homeostat.probe.ending import Ending

REQUEST = JobRequest("shop", "checkout", "uid-1", '{"spec": {}}')
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def pod(*, exit_code: int | None = None, reasons: tuple[str, ...] = ()) -> Pod:
    ref = Ref("Pod", "shop", "a", "a")
    return Pod(ref, "1", "", "", "Pending", False, False, 0, NOW, reasons=reasons, exit_code=exit_code)


def done(job: Job) -> Job:
    return replace(job, is_complete=True)


def failed(job: Job) -> Job:
    return replace(job, failure="BackoffLimitExceeded")


def taken_on(job: Job) -> Job:
    return replace(job, is_started=True)


def ignored(job: Job) -> Job:
    return replace(job, is_started=False)


class Bench:
    """A probe whose pauses are all the time there is."""

    def __init__(self, jobs: FakeJobs) -> None:
        self.jobs = jobs
        self.clock = FakeClock()
        self.pauses: list[float] = []
        self.probe = JobProbe(jobs, self.clock.monotonic, self._pause)

    async def run(self, seconds: float = 30.0) -> Ending:
        return await self.probe.run(REQUEST, self.clock.monotonic() + seconds)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)


async def _ends(jobs: FakeJobs) -> Ending:
    ending = await Bench(jobs).run()
    assert jobs.left is None, "the Job outlives its run"
    return ending


async def test_a_job_that_succeeds_passes_and_is_gone() -> None:
    jobs = FakeJobs(done)

    assert await _ends(jobs) == Ending(Reason.OK)
    assert jobs.journal == ["create", "read", "delete"]


async def test_a_job_that_fails_is_told_with_its_exit_code() -> None:
    jobs = FakeJobs(failed)
    jobs.shown_pods = (pod(), pod(exit_code=0), pod(exit_code=3))

    assert await _ends(jobs) == Ending(Reason.JOB_FAILED, 3)


async def test_a_job_that_fails_without_an_exit_code_still_fails() -> None:
    jobs = FakeJobs(failed)
    jobs.failures["pods"].append(Unavailable())

    assert await _ends(jobs) == Ending(Reason.JOB_FAILED)


async def test_a_job_that_is_not_done_in_its_time_is_a_timeout() -> None:
    jobs = FakeJobs()
    jobs.shown_pods = (pod(),)
    bench = Bench(jobs)

    assert await bench.run(30) == Ending(Reason.TIMEOUT)
    assert jobs.left is None
    assert sum(bench.pauses) == pytest.approx(29)
    assert jobs.seconds == pytest.approx(31)


async def test_a_job_that_kubernetes_ended_at_its_deadline_is_a_timeout() -> None:
    jobs = FakeJobs(lambda job: replace(job, failure="DeadlineExceeded"))

    assert await _ends(jobs) == Ending(Reason.TIMEOUT)


@pytest.mark.parametrize(
    ("controller", "pods", "reason"),
    [
        (taken_on, (pod(reasons=("ImagePullBackOff", "Pending")),), Reason.IMAGE_PULL_BACK_OFF),
        (taken_on, (pod(reasons=("Pending",)),), Reason.TIMEOUT),
        (taken_on, (), Reason.INVALID_JOB),
        (ignored, (), Reason.API_UNAVAILABLE),
    ],
    ids=["no image", "pending", "no pod may be made", "no controller"],
)
async def test_why_a_job_is_not_done_is_told_where_it_is_known(
    controller: Callable[[Job], Job], pods: tuple[Pod, ...], reason: Reason
) -> None:
    """H1: a cluster that runs no Jobs teaches nothing of the target, and a Job that cannot run is not its failure."""
    jobs = FakeJobs(controller)
    jobs.shown_pods = pods

    assert await _ends(jobs) == Ending(reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Rejected(), Reason.INVALID_JOB),
        (Forbidden(), Reason.NOT_PERMITTED),
        (Unavailable(), Reason.API_UNAVAILABLE),
    ],
)
async def test_a_job_that_cannot_be_created_says_why(error: Exception, reason: Reason) -> None:
    jobs = FakeJobs(done)
    jobs.failures["create"].append(error)

    assert await _ends(jobs) == Ending(reason)
    assert jobs.journal == ["create"]


@pytest.mark.parametrize("stays", [0, 1, 5])
async def test_what_a_killed_operator_left_behind_is_deleted_first(stays: int) -> None:
    """A Job of the same check is removed, and waited for, before the next one is made."""
    jobs = FakeJobs(done)
    jobs.left = _left_by("uid-1")
    jobs.stays_deleting = stays

    assert await _ends(jobs) == Ending(Reason.OK)
    assert jobs.journal[:3] == ["create", "read", "delete"]
    assert jobs.journal.count("delete") == 2


def _left_by(owner: str, *, is_deleting: bool = False) -> Job:
    ref = Ref("Job", "shop", "homeostat-probe", "old")
    return Job(ref, (owner,), is_started=True, is_complete=False, is_deleting=is_deleting)


async def test_a_job_of_that_name_that_is_not_ours_stays_untouched() -> None:
    jobs = FakeJobs()
    jobs.left = _left_by("somebody")

    assert await Bench(jobs).run() == Ending(Reason.INVALID_JOB)
    assert jobs.left == _left_by("somebody")
    assert jobs.journal == ["create", "read"]


async def test_a_leftover_that_does_not_go_ends_the_run_in_its_time() -> None:
    jobs = FakeJobs()
    jobs.left = _left_by("uid-1", is_deleting=True)
    jobs.stays_deleting = 10_000
    bench = Bench(jobs)

    assert await bench.run(30) == Ending(Reason.API_UNAVAILABLE)
    assert sum(bench.pauses) == pytest.approx(29)


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        ("read", Unavailable(), Reason.API_UNAVAILABLE),
        ("read", Forbidden(), Reason.NOT_PERMITTED),
        ("delete", Unavailable(), Reason.API_UNAVAILABLE),
        ("delete", Forbidden(), Reason.NOT_PERMITTED),
    ],
)
async def test_a_leftover_that_cannot_be_removed_says_why(call: str, error: Exception, reason: Reason) -> None:
    jobs = FakeJobs(done)
    jobs.left = _left_by("uid-1")
    jobs.failures[call].append(error)

    assert await Bench(jobs).run() == Ending(reason)


async def test_a_job_that_vanished_is_no_failure_of_the_target() -> None:
    assert await _ends(FakeJobs(lambda _job: None)) == Ending(Reason.NO_DATA)


async def test_a_job_replaced_by_another_is_not_taken_for_ours() -> None:
    jobs = FakeJobs(lambda job: replace(done(job), ref=replace(job.ref, uid="another")))

    assert await Bench(jobs).run() == Ending(Reason.NO_DATA)
    assert jobs.left is not None


async def test_an_api_server_that_is_away_for_a_while_does_not_end_a_long_job() -> None:
    jobs = FakeJobs(done)
    jobs.failures["read"].extend([Unavailable()] * 3)

    assert await _ends(jobs) == Ending(Reason.OK)


async def test_an_api_server_that_is_away_at_the_end_leaves_nothing_learnt() -> None:
    jobs = FakeJobs(done)
    jobs.failures["read"].extend([Unavailable()] * 1000)

    assert await _ends(jobs) == Ending(Reason.API_UNAVAILABLE)


async def test_a_job_is_deleted_when_its_run_is_cancelled() -> None:
    jobs = FakeJobs()
    clock = FakeClock()

    async def wait_for_ever(_seconds: float) -> None:
        await asyncio.Event().wait()

    probe = JobProbe(jobs, clock.monotonic, wait_for_ever)
    run = asyncio.get_running_loop().create_task(probe.run(REQUEST, clock.monotonic() + 30))
    async with asyncio.timeout(5):
        while jobs.left is None:  # noqa: ASYNC110 - it is created in another task
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    assert jobs.left is None


async def test_a_delete_that_fails_does_not_change_what_was_learnt() -> None:
    jobs = FakeJobs(done)
    jobs.failures["delete"].append(Unavailable())

    assert await Bench(jobs).run() == Ending(Reason.OK)


class Stuck(FakeJobs):
    """An API server that answers nothing after `answers` calls."""

    def __init__(self, answers: int) -> None:
        super().__init__(done, looks=3)
        self.answers = answers

    async def _call(self, name: str) -> None:
        self.answers -= 1
        if self.answers < 0:
            await asyncio.Event().wait()
        await super()._call(name)


@pytest.mark.parametrize("answers", [0, 1, 2])
async def test_an_api_server_that_hangs_does_not_hold_the_probe(answers: int) -> None:
    loop = asyncio.get_running_loop()
    probe = JobProbe(Stuck(answers), loop.time)
    async with asyncio.timeout(10):
        assert await probe.run(REQUEST, loop.time() + 0.3) == Ending(Reason.API_UNAVAILABLE)


@given(
    seconds=st.floats(0.01, 300),
    looks=st.integers(1, 50),
    kinds=st.lists(st.sampled_from(["create", "read", "delete", "pods"]), max_size=6),
    error=st.sampled_from([Unavailable, Forbidden, Rejected, Conflict]),
)
def test_whatever_goes_wrong_a_run_ends_in_its_time_with_a_reason(
    seconds: float, looks: int, kinds: list[str], error: type[Exception]
) -> None:
    """Failures at any call: an Ending, never an exception; and no pause goes past the deadline."""

    async def run() -> tuple[Ending, float]:
        jobs = FakeJobs(done, looks)
        for kind in kinds:
            is_possible = kind == "create" or error in {Unavailable, Forbidden}
            jobs.failures[kind].append(error() if is_possible else Unavailable())
        bench = Bench(jobs)
        return await bench.run(seconds), sum(bench.pauses)

    ending, spent = asyncio.run(run())
    assert isinstance(ending.reason, Reason)
    assert spent <= seconds


def test_pauses_grow_but_stay_short() -> None:
    bench = Bench(FakeJobs())
    asyncio.run(bench.run(60))

    assert bench.pauses[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert max(bench.pauses) == 2.0
    assert len(bench.pauses) < 50
