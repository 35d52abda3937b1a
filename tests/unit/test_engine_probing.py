"""Probing on a clock that stands still: retries, missed runs, edits on the way, endpoints, silence."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from fakes import FAIL, PASS, FakeClock, FakeHistory, FakeProber, check_body, eventually, slice_body
from homeostat.api.health_check import HealthCheckSpec, HealthState
from homeostat.core.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.probing import HttpRequest, Reason, Request, Result, TcpRequest, Verdict
from homeostat.core.track import VERDICTS, Track
from homeostat.engine import probing as module
from homeostat.engine.archive import Archive
from homeostat.engine.checks import Check
from homeostat.engine.directory import Directory
from homeostat.engine.meters import Meters
from homeostat.engine.objects import entry_from
from homeostat.engine.probing import Instruments, Probing
from homeostat.telemetry.metrics import Metrics

SERVICE = {"probe": {"tcp": {"service": {"name": "web", "port": "http"}}}}


@dataclass
class Bench:
    """Probing with everything round it faked."""

    clock: FakeClock = field(default_factory=FakeClock)
    prober: FakeProber = field(default_factory=FakeProber)
    history: FakeHistory = field(default_factory=FakeHistory)
    metrics: Metrics = field(default_factory=Metrics)
    directory: Directory = field(default_factory=Directory)
    planned: list[tuple[Check, float]] = field(default_factory=list)
    woken: list[Check] = field(default_factory=list)
    limit: int = 8

    def __post_init__(self) -> None:
        self.meters = Meters()
        self.meters.roll(self.clock.now())
        self.archive = Archive(self.history, self.clock, self.metrics)
        self.probing = Probing(
            Instruments(self.prober, self.directory, self.meters, self.archive, self.metrics, self.clock),
            self.limit,
            plan_next=lambda check, at: self.planned.append((check, at)),
            wake=self.woken.append,
        )

    def check(self, spec: Mapping[str, Any] | None = None, *, name: str = "web", uid: str = "uid-1") -> Check:
        entry = entry_from(check_body(name, spec, uid=uid), "HealthCheck")
        now = self.clock.now()
        track = Track(since=now, fresh_at=now, generation=1)
        return Check(entry.key, entry.ref, plan_of(spec), track, self.meters.open_check(entry.ref))

    def start(self, check: Check) -> None:
        self.probing.start(check, self.clock.monotonic())

    async def run(self, check: Check) -> None:
        """Run a check once, to its end."""
        self.start(check)
        await eventually(lambda: not check.is_running)


@asynccontextmanager
async def open_for_work(bench: Bench) -> AsyncIterator[Bench]:
    async def work() -> None:
        async with bench.probing.crew:
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.wait([task])


def plan_of(spec: Mapping[str, Any] | None = None) -> Plan:
    body = check_body(spec=spec)
    plan = compile(HealthCheckSpec.model_validate(body["spec"]), entry_from(body, "HealthCheck").ref)
    assert isinstance(plan, Plan)
    return plan


def results(check: Check) -> dict[str, int]:
    return {verdict.value: count for verdict, count in zip(VERDICTS, check.track.counts, strict=True) if count}


def counted(bench: Bench, check: Check) -> tuple[int, int]:
    return bench.meters.uptime(check)["1h"][:2]


# --- start to start -------------------------------------------------------------------------------------


async def test_the_next_run_is_planned_from_when_this_one_was_due() -> None:
    """H3: the interval is start-to-start."""
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        due = bench.clock.monotonic()
        bench.clock.advance(3)
        bench.probing.start(check, due)

    assert bench.planned == [(check, due + 10)]


async def test_a_run_that_is_due_while_the_last_still_runs_is_counted_as_missed() -> None:
    """H3: a missed run is counted, not silently skipped; one runner per check."""
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        bench.prober.hold()
        bench.start(check)
        await eventually(lambda: bench.prober.asked)
        for _ in range(2):
            bench.clock.advance(10)
            bench.start(check)
        bench.prober.release()
        await eventually(lambda: not check.is_running)

        assert check.track.missed == 2
        assert len(bench.prober.asked) == 1
        assert results(check) == {"Pass": 1}


async def test_runs_that_could_not_start_in_time_are_counted_as_missed() -> None:
    """H3, fault 26: the loop was blocked for five intervals."""
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        due = bench.clock.monotonic()
        bench.clock.advance(52)
        bench.probing.start(check, due)

        assert check.track.missed == 5
        assert bench.planned == [(check, due + 60)]


async def test_no_more_checks_run_at_once_than_the_limit_and_all_run() -> None:
    """H3: concurrency is bounded."""
    async with open_for_work(Bench(limit=3)) as bench:
        bench.prober.hold()
        checks = [bench.check(uid=f"uid-{number}", name=f"web-{number}") for number in range(20)]
        for check in checks:
            bench.start(check)
        await eventually(lambda: bench.prober.running == 3)
        bench.prober.release()
        await eventually(lambda: not any(check.is_running for check in checks))

        assert bench.prober.most_running == 3
        assert [results(check) for check in checks] == [{"Pass": 1}] * 20


async def test_a_check_that_was_stopped_is_neither_started_nor_planned() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        check.is_on = False
        bench.start(check)

    assert bench.planned == []
    assert bench.prober.asked == []


# --- retries --------------------------------------------------------------------------------------------


async def test_a_fail_is_tried_again_and_a_pass_after_it_is_shown_as_such() -> None:
    """H2: a result that passed only after a retry is never painted as clean."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"retries": {"max": 2, "backoff": "0s"}, "successThreshold": 1})
        bench.prober.queued.extend([FAIL, PASS])
        await bench.run(check)

        assert len(bench.prober.asked) == 2
        assert results(check) == {"Pass": 1}
        assert check.track.state is HealthState.DEGRADED
        assert counted(bench, check) == (1, 1)


async def test_retries_end_and_the_run_counts_as_one_fail() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check({"retries": {"max": 2, "backoff": "0s"}})
        bench.prober.answer = FAIL
        await bench.run(check)

        assert len(bench.prober.asked) == 3
        assert results(check) == {"Fail": 1}
        assert counted(bench, check) == (0, 1)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.ERROR, Verdict.UNKNOWN, Verdict.SKIPPED])
async def test_what_is_neither_pass_nor_fail_is_not_tried_again_nor_counted_in_uptime(verdict: Verdict) -> None:
    """H1: only pass and fail enter uptime."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"retries": {"max": 2, "backoff": "0s"}})
        bench.prober.answer = Result(verdict, Reason.INTERNAL, 0.1)
        await bench.run(check)

        assert len(bench.prober.asked) == 1
        assert results(check) == {verdict.value: 1}
        assert counted(bench, check) == (0, 0)


# --- edits on the way -----------------------------------------------------------------------------------


async def test_the_result_of_a_spec_that_was_edited_meanwhile_is_dropped() -> None:
    """Fault 36: the result of an old generation is discarded."""
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        bench.prober.hold()
        bench.start(check)
        await eventually(lambda: bench.prober.asked)
        check.plan = plan_of({"timeout": "2s"})
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        await asyncio.sleep(0)

        assert results(check) == {}
        assert counted(bench, check) == (0, 0)
        assert bench.woken == []


async def test_the_result_of_a_check_that_was_stopped_meanwhile_is_dropped() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        bench.prober.hold()
        bench.start(check)
        await eventually(lambda: bench.prober.asked)
        check.is_on = False
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        await asyncio.sleep(0)

        assert results(check) == {}


async def test_an_edited_check_runs_again_at_its_next_start() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        await bench.run(check)
        check.plan = plan_of({"timeout": "2s"})
        await bench.run(check)

        assert results(check) == {"Pass": 2}


# --- endpoints ------------------------------------------------------------------------------------------


def fails_at(*addresses: str) -> Any:
    def answer(request: Request) -> Result:
        assert isinstance(request, TcpRequest | HttpRequest)
        return FAIL if request.address in addresses else PASS

    return answer


async def test_each_ready_endpoint_of_a_service_is_probed_and_the_share_that_passes_is_kept() -> None:
    """H4: endpoints behind a Service are probed each, and the share that passes is reported."""
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], not_ready=["10.0.0.4"])])
    bench.prober.answer_for = fails_at("10.0.0.2")
    async with open_for_work(bench):
        check = bench.check(SERVICE)
        await bench.run(check)

    asked = sorted((one.address, one.port) for one in bench.prober.asked if isinstance(one, TcpRequest))
    assert asked == [("10.0.0.1", 8080), ("10.0.0.2", 8080), ("10.0.0.3", 8080)]
    assert (check.track.passing, check.track.total) == (2, 3)
    assert [name for _, name, _ in check.track.failing] == ["pod-10.0.0.2"]
    assert results(check) == {"Fail": 1}


async def test_enough_passing_endpoints_make_a_pass() -> None:
    """H4."""
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", ["10.0.0.1", "10.0.0.2"])])
    bench.prober.answer_for = fails_at("10.0.0.2")
    async with open_for_work(bench):
        check = bench.check({**SERVICE, "minPassing": "50%"})
        await bench.run(check)

    assert results(check) == {"Pass": 1}


async def test_no_more_endpoints_of_a_service_are_probed_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """H3, fault 39: a Service with very many endpoints."""
    monkeypatch.setattr(module, "ENDPOINTS_AT_ONCE", 4)
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", [f"10.0.0.{number}" for number in range(40)])])
    async with open_for_work(bench):
        check = bench.check(SERVICE)
        await bench.run(check)

    assert bench.prober.most_running == 4
    assert (check.track.passing, check.track.total) == (40, 40)


async def test_endpoints_that_are_not_listed_yet_are_unknown_and_not_a_failure() -> None:
    """H1: a restart never reports "no endpoints"."""
    async with open_for_work(Bench()) as bench:
        check = bench.check(SERVICE)
        await bench.run(check)

        assert results(check) == {"Unknown": 1}
        assert counted(bench, check) == (0, 0)


async def test_a_service_without_endpoints_fails_once_they_are_listed() -> None:
    bench = Bench()
    bench.directory.replace_all([])
    async with open_for_work(bench):
        check = bench.check(SERVICE)
        await bench.run(check)

    assert results(check) == {"Fail": 1}
    assert check.track.reason is Reason.NO_ENDPOINTS


async def test_a_port_that_the_service_has_not_got_is_a_wrong_configuration_and_not_a_failure() -> None:
    """H1."""
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", ["10.0.0.1"], ports=[("admin", 9090)])])
    async with open_for_work(bench):
        check = bench.check(SERVICE)
        await bench.run(check)

    assert results(check) == {"Invalid": 1}
    assert check.track.reason is Reason.UNKNOWN_PORT


# --- what is told ---------------------------------------------------------------------------------------


async def test_a_check_is_evaluated_when_its_state_moves_and_not_at_every_run() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        for _ in range(10):
            await bench.run(check)
            bench.clock.advance(10)

        assert bench.woken == [check]


async def test_silence_is_noticed_once() -> None:
    """S13: silent failure is the worst failure."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1, "failureThreshold": 3})
        await bench.run(check)
        bench.woken.clear()
        bench.prober.answer = Result(Verdict.UNKNOWN, Reason.API_UNAVAILABLE, 0.1)
        for _ in range(20):
            bench.clock.advance(10)
            await bench.run(check)

        assert check.is_silent
        assert len(bench.woken) == 2  # the verdict became another, and then the silence


async def test_silence_ends_with_the_next_result() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        bench.clock.advance(3600)
        bench.prober.hold()
        bench.start(check)
        was_silent = check.is_silent
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        bench.woken.clear()
        await bench.run(check)

        assert was_silent
        assert not check.is_silent


async def test_the_end_of_a_silence_is_told_also_when_an_edit_fell_into_it() -> None:
    """Whoever looks at the check read Unknown while it was silent, and must look again."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        await bench.run(check)
        bench.clock.advance(3600)
        bench.prober.hold()
        bench.start(check)
        check.track.fresh_at = bench.clock.now()  # as `watch_anew` has it
        bench.woken.clear()
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        await eventually(lambda: not check.is_silent)

        assert bench.woken == [check]


async def test_a_result_becomes_history_when_it_is_another_than_the_last() -> None:
    """A long outage of many checks must not fill the disk."""
    other = Result(Verdict.FAIL, Reason.CONNECTION_REFUSED, 0.1)
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        for answer in (PASS, PASS, PASS, FAIL, FAIL, other, other, PASS, PASS):
            bench.prober.answer = answer
            await bench.run(check)
            bench.clock.advance(10)
        await bench.archive.flush()

        reasons = [one.reason for one in bench.history.kept_results]
        assert reasons == ["Ok", "Timeout", "ConnectionRefused", "Ok"]


async def test_history_names_the_pod_and_never_an_address() -> None:
    """H9: resolved addresses stay with us."""
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", ["10.0.0.1"])])
    bench.prober.answer = FAIL
    async with open_for_work(bench):
        await bench.run(bench.check({"probe": {"tcp": {"service": {"name": "web", "port": 80}}}}))
        await bench.archive.flush()

    kept = bench.history.kept_results
    assert [(one.check, one.reason, one.target) for one in kept] == [("uid-1", "Timeout", "pod-10.0.0.1")]


async def test_each_attempt_is_measured_by_type_and_result() -> None:
    """H10."""
    async with open_for_work(Bench()) as bench:
        bench.prober.queued.extend([FAIL, PASS])
        await bench.run(bench.check({"retries": {"max": 1, "backoff": "0s"}}))
        count = "homeostat_probe_duration_seconds_count"
        sample = bench.metrics.registry.get_sample_value

        assert sample(count, {"type": "tcp", "result": "Fail"}) == 1
        assert sample(count, {"type": "tcp", "result": "Pass"}) == 1
