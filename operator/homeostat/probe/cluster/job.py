"""The Job probe: a Job is run, and exit code 0 passes. The Job is gone afterwards, however it ended.

A HealthCheck has one Job at a time. What a killed operator left behind is deleted before the next one starts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from homeostat.core.cluster import Job
from homeostat.core.probing.request import JobRequest
from homeostat.core.probing.result import Reason
from homeostat.core.ref import Ref
from homeostat.ports import Conflict, Jobs, Rejected
from homeostat.probe.cluster.api_call import ask
from homeostat.probe.ending import Ending

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.1, 2.0, 1.5
_LONGEST_RESERVE = 1.0
_RESERVE_SHARE = 0.2
"""The end of a run's time, at most a second, is kept for learning why it is not done, and for clearing up."""
_LATE_SECONDS = 0.25
"""How much longer than its time a run may take to clear up."""
_PAST_ITS_TIME = "DeadlineExceeded"


class JobProbe:
    """Runs Jobs. `pause` is how it waits, for a number of seconds."""

    def __init__(
        self,
        jobs: Jobs,
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._monotonic = monotonic
        self._pause = pause

    async def run(self, request: JobRequest, deadline: float) -> Ending:
        """Give the ending soon after `deadline` (monotonic seconds) at the latest."""
        seconds = self._left(deadline)
        until = deadline - min(_LONGEST_RESERVE, _RESERVE_SHARE * seconds)
        job = await self._start(request, until, seconds)
        if isinstance(job, Reason):
            return Ending(job)
        try:
            return await self._ending(request, job, until, deadline)
        finally:
            await self._clear_up(job.ref, deadline)

    def _left(self, until: float) -> float:
        return max(0.0, until - self._monotonic())

    # --- start ----------------------------------------------------------------------------------------------

    async def _start(self, request: JobRequest, until: float, seconds: float) -> Job | Reason:
        """Create the Job, once the one before it is gone; or say why that cannot be.

        A creation that went unanswered may have happened: that Job is cleared away by the next run, or by itself.
        """
        pauses = _pauses()
        while self._left(until) > 0:
            try:
                # one second more than we wait, so that it is we who end it and learn why it is not done
                return await ask(self._jobs.create(request, seconds + 1), self._left(until))
            except Conflict:
                refusal = await self._remove_leftover(request, until)
            except Rejected:
                return Reason.INVALID_JOB
            if refusal is not None:
                return refusal
            await self._pause(min(next(pauses), self._left(until)))
        return Reason.API_UNAVAILABLE  # the one before does not go: the cluster clears nothing away now

    async def _remove_leftover(self, request: JobRequest, until: float) -> Reason | None:
        """Delete the Job that has the name, or say why not; one that is not the HealthCheck's own stays."""
        left = await ask(self._jobs.read(request), self._left(until))
        if left is None or isinstance(left, Reason):
            return left
        if request.uid not in left.owners:
            return Reason.INVALID_JOB
        if left.is_deleting:
            return None
        return await ask(self._jobs.delete(left.ref), self._left(until))

    # --- end ------------------------------------------------------------------------------------------------

    async def _ending(self, request: JobRequest, job: Job, until: float, deadline: float) -> Ending:
        last = await self._follow(request, job, until, deadline)
        if isinstance(last, Reason):
            return Ending(last)
        if last.is_complete:
            return Ending(Reason.OK)
        if last.failure == _PAST_ITS_TIME:
            return Ending(Reason.TIMEOUT)
        return await self._of_pods(last, deadline)

    async def _follow(self, request: JobRequest, job: Job, until: float, deadline: float) -> Job | Reason:
        """Look until the Job has ended or the time is over; give it as seen last, or why the last look failed."""
        last: Job | Reason = job
        pauses = _pauses()
        while self._left(until) > 0:
            await self._pause(min(next(pauses), self._left(until)))
            seen = await ask(self._jobs.read(request), self._left(deadline))
            if seen is None or (isinstance(seen, Job) and seen.ref.uid != job.ref.uid):
                return Reason.NO_DATA  # somebody took it away before it could tell anything
            last = seen
            if isinstance(last, Job) and last.has_ended:
                break
        return last

    async def _of_pods(self, job: Job, deadline: float) -> Ending:
        """Say by its pods why a Job failed, or why it is not done although its time is over."""
        pods = await ask(self._jobs.pods(job.ref), self._left(deadline))
        known = () if isinstance(pods, Reason) else pods
        if job.failure:
            return Ending(Reason.JOB_FAILED, next((pod.exit_code for pod in known if pod.exit_code), 0))
        if any(Reason.IMAGE_PULL_BACK_OFF in pod.reasons for pod in known):
            return Ending(Reason.IMAGE_PULL_BACK_OFF)
        if not job.is_started:
            return Ending(Reason.API_UNAVAILABLE)  # nobody took the Job on: the cluster runs no Jobs now
        if pods == ():
            return Ending(Reason.INVALID_JOB)  # a quota or an admission rule refuses its pods
        return Ending(Reason.TIMEOUT)

    async def _clear_up(self, job: Ref, deadline: float) -> None:
        await ask(self._jobs.delete(job), self._left(deadline) + _LATE_SECONDS)


def _pauses() -> Iterator[float]:
    """Give pauses without end, each longer than the one before: most Jobs are done soon, or take long."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
