"""Probing on a clock that stands still: retries, missed runs, edits on the way, endpoints, silence."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes import FAIL, PASS, FakeClock, FakeProber, check_body, eventually, slice_body
from homeostat.api.health_check import HealthCheckSpec, HealthState
from homeostat.core.health.plan import Plan, compile  # noqa: A004 - what one does to a plan
from homeostat.core.health.track import VERDICTS, Track
from homeostat.core.history.records import Runs
from homeostat.core.probing.request import HttpRequest, Request, StepsRequest, TcpRequest, WorkloadRequest
from homeostat.core.probing.result import Phases, Reason, Result, Verdict
from homeostat.engine import asking
from homeostat.engine.checks import Check, Checks
from homeostat.engine.connectivity import Connectivity
from homeostat.engine.directory import Directory
from homeostat.engine.meters import Meters
from homeostat.engine.objects import entry_from
from homeostat.engine.observing import read_check
from homeostat.engine.probing import Instruments, Probing
from homeostat.telemetry.metrics import Metrics

SERVICE = {"probe": {"tcp": {"service": {"name": "web", "port": "http"}}}}


class FakeCanary:
    """A canary that finds a network or not, and how often it was asked."""

    def __init__(self, *, has_network: bool) -> None:
        self.has_network = has_network
        self.asked = 0

    async def __call__(self, _seconds: float) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        return self.has_network


@dataclass
class Bench:
    """Probing with everything round it faked."""

    clock: FakeClock = field(default_factory=FakeClock)
    prober: FakeProber = field(default_factory=FakeProber)
    metrics: Metrics = field(default_factory=Metrics)
    directory: Directory = field(default_factory=Directory)
    planned: list[tuple[Check, float]] = field(default_factory=list)
    woken: list[Check] = field(default_factory=list)
    canary: FakeCanary | None = None
    limit: int = 8

    def __post_init__(self) -> None:
        self.meters = Meters()
        self.meters.roll(self.clock.now())
        connectivity = None if self.canary is None else Connectivity(self.canary, self.clock)
        self.probing = Probing(
            Instruments(self.prober, self.directory, self.meters, self.metrics, self.clock, connectivity),
            self.limit,
            plan_next=lambda check, at: self.planned.append((check, at)),
            wake=self.woken.append,
        )

    def check(self, spec: Mapping[str, Any] | None = None, *, name: str = "web", uid: str = "uid-1") -> Check:
        entry = entry_from(check_body(name, spec, uid=uid), "HealthCheck")
        now = self.clock.now()
        track = Track(since=now, fresh=self.clock.monotonic(), generation=1)
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


def in_maintenance(bench: Bench, seconds: float = 60, **more: Any) -> Plan:
    """Make the plan of a check that rests from now on for so many seconds."""
    now = bench.clock.now()
    window = {"start": now.isoformat(), "end": (now + timedelta(seconds=seconds)).isoformat()}
    return plan_of({"maintenance": [window], **more})


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


async def test_after_a_first_run_that_came_early_the_next_is_at_the_checks_own_time() -> None:
    """H3: the first run comes soon, and does not move the checks of a burst to one moment for ever."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"interval": "1h"})
        due = bench.clock.monotonic()
        check.regular_at = due + 1234
        bench.probing.start(check, due)
        bench.probing.start(check, due + 1234)

    assert bench.planned == [(check, due + 1234), (check, due + 1234 + 3600)]
    assert check.regular_at is None


@pytest.mark.parametrize(("interval", "within"), [("10s", 10), ("1h", 30)])
async def test_what_came_due_while_all_was_loaded_does_not_start_at_once(interval: str, within: float) -> None:
    """H3: a restart never fires everything at once, however long it takes; nothing is missed for it."""
    async with open_for_work(Bench()) as bench:
        checks = [bench.check({"interval": interval}, name=f"web-{n}", uid=f"uid-{n}") for n in range(200)]
        due = bench.clock.monotonic()
        bench.clock.advance(25)
        bench.probing.open()
        for check in checks:
            bench.probing.start(check, due)
        waits = [at - bench.clock.monotonic() for _, at in bench.planned]

        assert len(waits) == 200
        assert all(0 <= wait <= within for wait in waits)
        assert max(sum(second <= wait < second + within / 10 for wait in waits) for second in range(30)) < 50
        assert not any(check.is_running or check.track.missed for check in checks)

        check, at = bench.planned[-1]
        bench.clock.advance(at - bench.clock.monotonic())
        bench.probing.start(check, at)
        assert check.is_running


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
    monkeypatch.setattr(asking, "ENDPOINTS_AT_ONCE", 4)
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
        check.track.fresh = bench.clock.monotonic()  # as `watch_anew` has it
        bench.woken.clear()
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        await eventually(lambda: not check.is_silent)

        assert bench.woken == [check]


async def test_every_run_goes_to_history_also_one_that_is_skipped() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        for answer in (PASS, FAIL, FAIL, PASS):
            bench.prober.answer = answer
            await bench.run(check)
        check.plan = in_maintenance(bench)
        bench.start(check)
        bench.clock.advance(60)
        kept = [record for record in bench.meters.roll(bench.clock.now()) if isinstance(record, Runs)]

    assert sum(len(runs.owner) for runs in kept) == 5


async def test_each_attempt_is_measured_by_type_and_result() -> None:
    """H10."""
    async with open_for_work(Bench()) as bench:
        bench.prober.queued.extend([FAIL, PASS])
        await bench.run(bench.check({"retries": {"max": 1, "backoff": "0s"}}))
        count = "homeostat_probe_duration_seconds_count"
        sample = bench.metrics.registry.get_sample_value

        assert sample(count, {"type": "tcp", "result": "Fail"}) == 1
        assert sample(count, {"type": "tcp", "result": "Pass"}) == 1


async def test_phases_are_measured_where_there_are_any() -> None:
    """H10."""
    async with open_for_work(Bench()) as bench:
        bench.prober.queued.extend(
            [Result(Verdict.PASS, Reason.OK, 0.1, phases=Phases(0.01, 0.02, 0.03, 0.04, 0.05)), PASS]
        )
        check = bench.check()
        await bench.run(check)
        await bench.run(check)
        sample = bench.metrics.registry.get_sample_value

    for phase in Phases._fields:
        assert sample("homeostat_probe_phase_seconds_count", {"type": "tcp", "phase": phase}) == 1


# --- what a result tells beside its verdict -------------------------------------------------------------


async def test_the_share_of_a_workload_is_shown_though_it_is_one_request() -> None:
    """H4."""
    workload = {"probe": {"workload": {"kind": "Deployment", "name": "web", "minReady": "50%"}}}
    async with open_for_work(Bench()) as bench:
        check = bench.check(workload)
        bench.prober.answer = Result(Verdict.PASS, Reason.OK, 0.1, share=(2, 3))
        await bench.run(check)
        passing = check.track.passing, check.track.total
        bench.prober.answer = Result(Verdict.FAIL, Reason.NOT_ENOUGH_READY, 0.1, share=(1, 3))
        await bench.run(check)

    assert isinstance(bench.prober.asked[0], WorkloadRequest)
    assert passing == (2, 3)
    assert (check.track.passing, check.track.total) == (1, 3)


async def test_the_first_certificate_to_expire_counts_and_a_run_without_one_leaves_it() -> None:
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", ["10.0.0.1", "10.0.0.2"])])
    expiry = {"10.0.0.1": 2_000_000_000.0, "10.0.0.2": 1_900_000_000.0}
    bench.prober.answer_for = lambda request: Result(Verdict.PASS, Reason.OK, 0.1, not_after=expiry[request.address])
    async with open_for_work(bench):
        check = bench.check(SERVICE)
        await bench.run(check)
        bench.woken.clear()
        bench.prober.answer_for, bench.prober.answer = None, FAIL
        await bench.run(check)

    assert check.track.not_after == 1_900_000_000.0


async def test_a_new_certificate_is_evaluated() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        for not_after in (1_900_000_000.0, 1_900_000_000.0, 2_000_000_000.0, 2_000_000_000.0):
            bench.prober.answer = Result(Verdict.PASS, Reason.OK, 0.1, not_after=not_after)
            await bench.run(check)

    assert bench.woken == [check, check]


# --- several steps --------------------------------------------------------------------------------------


def step(name: str, service: str = "web") -> dict[str, Any]:
    return {"name": name, "http": {"service": {"name": service, "port": "http", "path": "/"}}}


LOGIN = {"name": "login", "http": {"url": "http://login.example.com/"}}


async def test_a_step_that_asks_a_service_goes_to_one_ready_endpoint_and_to_another_each_run() -> None:
    bench = Bench()
    bench.directory.replace_all([slice_body("web-1", ["10.0.0.1", "10.0.0.2"], not_ready=["10.0.0.3"])])
    async with open_for_work(bench):
        check = bench.check({"probe": {"steps": [LOGIN, step("browse"), step("buy")]}})
        for _ in range(4):
            await bench.run(check)

    asked = [
        [one.request.address for one in each.steps] for each in bench.prober.asked if isinstance(each, StepsRequest)
    ]
    assert asked == [["", "10.0.0.1", "10.0.0.1"], ["", "10.0.0.2", "10.0.0.2"]] * 2


async def test_the_step_that_decided_is_named_as_what_fails() -> None:
    """H4: the state of several steps is that of the worst, which is named."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"probe": {"steps": [LOGIN]}})
        bench.prober.answer = Result(Verdict.FAIL, Reason.UNEXPECTED_STATUS, 0.1, step="login")
        await bench.run(check)

    assert check.track.failing == ((None, "login", Reason.UNEXPECTED_STATUS),)


@pytest.mark.parametrize(
    ("slices", "outcome", "reason"),
    [
        (None, "Unknown", Reason.API_UNAVAILABLE),
        ([], "Fail", Reason.NO_ENDPOINTS),
        ([slice_body("web-1", ["10.0.0.1"], ports=[("admin", 1), ("other", 2)])], "Invalid", Reason.UNKNOWN_PORT),
    ],
    ids=["not listed yet", "no endpoints", "no such port"],
)
async def test_a_step_whose_service_cannot_be_asked_decides_the_run_before_anything_is_sent(
    slices: list[dict[str, Any]] | None, outcome: str, reason: Reason
) -> None:
    bench = Bench()
    if slices is not None:
        bench.directory.replace_all(slices)
    async with open_for_work(bench):
        check = bench.check({"probe": {"steps": [LOGIN, step("buy")]}})
        await bench.run(check)

    assert bench.prober.asked == []
    assert (results(check), check.track.reason) == ({outcome: 1}, reason)
    assert [name for _, name, _ in check.track.failing] == (["buy"] if outcome == "Fail" else [])


# --- maintenance ----------------------------------------------------------------------------------------


async def test_in_maintenance_nothing_is_probed_and_a_run_is_counted_as_skipped() -> None:
    """H1."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        await bench.run(check)
        check.plan = in_maintenance(bench, 25)
        bench.woken.clear()
        for _ in range(3):
            bench.start(check)
            bench.clock.advance(10)
        asked, shown, woken = len(bench.prober.asked), check.state, len(bench.woken)
        await bench.run(check)

    assert (asked, shown, woken) == (1, HealthState.SUSPENDED, 1)
    assert results(check) == {"Pass": 2, "Skipped": 3}
    assert counted(bench, check) == (2, 2)
    assert (check.state, len(bench.woken), check.track.missed) == (HealthState.HEALTHY, 2, 0)


async def test_maintenance_is_no_silence_not_even_a_moment_after_it() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        await bench.run(check)
        check.plan = in_maintenance(bench, 3600)
        for _ in range(360):
            bench.start(check)
            bench.clock.advance(10)
        await bench.run(check)

    assert (check.is_silent, check.state, check.track.streak) == (False, HealthState.HEALTHY, 2)


async def test_a_check_that_was_silent_before_maintenance_is_at_rest_and_then_starts_anew() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 2})
        await bench.run(check)
        await bench.run(check)
        bench.clock.advance(3600)
        check.is_silent = True
        check.plan = in_maintenance(bench, 15, successThreshold=2)
        bench.start(check)
        at_rest = check.state
        bench.clock.advance(20)
        await bench.run(check)

    assert (at_rest, check.state) == (HealthState.SUSPENDED, HealthState.UNKNOWN)


async def test_a_silence_after_maintenance_is_noticed_though_there_was_one_before() -> None:
    """S13."""
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        check.is_silent = True
        bench.clock.advance(3600)
        check.plan = in_maintenance(bench, 5)
        bench.start(check)
        bench.prober.answer = Result(Verdict.UNKNOWN, Reason.API_UNAVAILABLE, 0.1)
        bench.clock.advance(10)
        await bench.run(check)
        bench.woken.clear()
        for _ in range(10):
            bench.clock.advance(10)
            await bench.run(check)

        assert check.is_silent
        assert bench.woken == [check]


async def test_what_ends_in_maintenance_counts_for_nothing() -> None:
    """It began before, and may have failed because of it."""
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        bench.clock.advance(-5)
        check.plan = in_maintenance(bench)
        bench.clock.advance(-1)
        bench.prober.hold()
        bench.start(check)
        await eventually(lambda: bench.prober.asked)
        bench.clock.advance(3)
        bench.prober.answer = FAIL
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        await eventually(lambda: results(check))

    assert results(check) == {"Skipped": 1}


# --- clocks that jump -----------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_a_wall_clock_that_jumps_makes_no_silence_and_hides_none(jump: int) -> None:
    """Fault 25: silence is measured by a clock that never jumps."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        await bench.run(check)
        bench.clock.jump(jump)
        bench.clock.advance(10)
        bench.start(check)
        is_silent_by_the_jump = check.is_silent
        await eventually(lambda: not check.is_running)
        bench.clock.jump(-jump)
        bench.clock.advance(60)
        bench.prober.hold()
        bench.start(check)
        is_silent_by_time = check.is_silent
        bench.prober.release()
        await eventually(lambda: not check.is_running)

    assert (is_silent_by_the_jump, is_silent_by_time) == (False, True)


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_a_reading_is_as_old_as_it_is_whatever_the_wall_clock_says(jump: int) -> None:
    """Fault 25: who looks at a check finds it neither stale nor fresh because of a jump."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"successThreshold": 1})
        checks = Checks()
        checks.put(check)
        await bench.run(check)
        bench.clock.jump(jump)
        bench.clock.advance(7)
        reading = read_check(checks, "shop", "web", bench.clock)

    assert reading is not None
    assert bench.clock.now() - reading.fresh_at == timedelta(seconds=7)


# --- our own network ------------------------------------------------------------------------------------

SILENCE = Result(Verdict.FAIL, Reason.TIMEOUT, 1.0)


async def test_a_failure_without_a_network_is_unknown_and_not_tried_again() -> None:
    """H8."""
    async with open_for_work(Bench(canary=FakeCanary(has_network=False))) as bench:
        check = bench.check({"retries": {"max": 3, "backoff": "0s"}})
        bench.prober.answer = SILENCE
        await bench.run(check)

    assert (results(check), check.track.reason) == ({"Unknown": 1}, Reason.NO_CONNECTIVITY)
    assert len(bench.prober.asked) == 1
    assert counted(bench, check) == (0, 0)


async def test_a_failure_with_a_network_is_a_failure() -> None:
    """H8: the canary answers, so it is the target that does not."""
    async with open_for_work(Bench(canary=FakeCanary(has_network=True))) as bench:
        check = bench.check({"retries": {"max": 1, "backoff": "0s"}})
        bench.prober.answer = SILENCE
        await bench.run(check)

    assert results(check) == {"Fail": 1}
    assert len(bench.prober.asked) == 2


async def test_without_a_canary_every_failure_is_believed() -> None:
    async with open_for_work(Bench()) as bench:
        check = bench.check()
        bench.prober.answer = SILENCE
        await bench.run(check)

    assert results(check) == {"Fail": 1}


async def test_ten_thousand_checks_against_a_dead_network_are_unknown_and_ask_one_canary() -> None:
    """H8, fault 49: no storm of canaries, no alarm, and nothing is left behind."""
    canary = FakeCanary(has_network=False)
    async with open_for_work(Bench(canary=canary, limit=256)) as bench:
        bench.prober.answer = SILENCE
        spec = {"failureThreshold": 1, "retries": {"max": 5, "backoff": "1m"}}
        checks = [bench.check(spec, name=f"c-{number}", uid=f"u-{number}") for number in range(10_000)]
        for check in checks:
            bench.start(check)
        await eventually(lambda: not any(check.is_running for check in checks), within=60)
        tasks = len(asyncio.all_tasks())

    assert {check.track.reason for check in checks} == {Reason.NO_CONNECTIVITY}
    assert {check.track.state for check in checks} == {HealthState.UNKNOWN}
    assert canary.asked == 1
    assert bench.prober.most_running <= 256
    assert (bench.probing.crew.backlog, tasks) == (0, 2 + 256)


# --- edits and ends on the way --------------------------------------------------------------------------


async def test_a_check_deleted_and_made_anew_meanwhile_does_not_get_the_old_ones_result() -> None:
    """Fault 37: a name reused with a new uid."""
    async with open_for_work(Bench()) as bench:
        old = bench.check()
        bench.prober.hold()
        bench.start(old)
        await eventually(lambda: bench.prober.asked)
        old.is_on = False
        new = bench.check(uid="uid-2")
        bench.prober.release()
        await eventually(lambda: not old.is_running)
        await asyncio.sleep(0)

    assert (results(old), results(new)) == ({}, {})
    assert bench.woken == []


async def test_a_check_edited_while_it_waits_for_a_retry_is_asked_no_more_than_that_run_needs() -> None:
    """Fault 36."""
    async with open_for_work(Bench()) as bench:
        check = bench.check({"retries": {"max": 2, "backoff": "0s"}})
        bench.prober.answer = FAIL
        bench.prober.hold()
        bench.start(check)
        await eventually(lambda: bench.prober.asked)
        check.plan = plan_of({"failureThreshold": 1})
        bench.prober.release()
        await eventually(lambda: not check.is_running)
        await bench.run(check)

    assert results(check) == {"Fail": 1}
    assert check.track.state is HealthState.UNHEALTHY


async def test_a_bug_in_asking_one_check_is_our_error_and_spares_the_others() -> None:
    """H1."""
    async with open_for_work(Bench()) as bench:
        bad, good = bench.check(SERVICE), bench.check(name="other", uid="uid-2")
        bench.directory.is_complete = True
        bench.directory.endpoints = broken  # type: ignore[method-assign]
        with capture_logs() as told:
            await bench.run(bad)
        await bench.run(good)

    assert [line["event"] for line in told] == ["bug"]
    assert (results(bad), results(good)) == ({"Error": 1}, {"Pass": 1})


def broken(*_: object) -> None:
    raise ZeroDivisionError
