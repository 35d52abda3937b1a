"""Traces as a collector reads them; and collectors that stall, refuse and die, which cost traces and nothing else."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from contract.kube_server import answers, client_of, serving
from contract.otlp_collector import collecting, facts_of, strings_in
from fakes import (
    NOON,
    FakeActuator,
    FakeClock,
    FakeHistory,
    FakeObjects,
    FakeRecorder,
    ScriptedController,
    check_body,
    eventually,
)
from homeostat.__main__ import main
from homeostat.core.action import DeletePod, TakeToken
from homeostat.core.decision import Decision
from homeostat.core.probing.result import Phases, Reason, Result, Verdict
from homeostat.core.ref import Ref
from homeostat.engine.archive import Archive
from homeostat.engine.gate import PacedGate
from homeostat.engine.objects import Key, ObjectStore, entry_from
from homeostat.engine.reconcile import Reconciler
from homeostat.engine.telling import trace_decision, trace_result
from homeostat.engine.world import World
from homeostat.ports import UNTRACED, StoredAttempt, Tracer, Unavailable
from homeostat.telemetry import tracing as ours
from homeostat.telemetry.metrics import Metrics
from homeostat.telemetry.tracing import AT_ONCE, MOST_WAITING, OtlpTracer
from homeostat.wiring.settings import Settings
from homeostat.wiring.tracing import tracing
from programs import free_port
from unit import test_engine_alert_post as unit_alert_post
from unit import test_engine_probing as unit_probing

ROOT = Path(__file__).resolve().parents[2]
SENT = {"outcome": "Sent"}
POD = Ref("Pod", "shop", "web-1", "uid-9")
ATTEMPT = StoredAttempt(
    "uid-1/abc", "uid-1", "RecoveryPolicy", "shop", "heal", NOON, NOON + timedelta(seconds=90), "Recovered", {}
)


class Told(Counter[str]):
    """What the tracer counted."""

    def __call__(self, outcome: str, count: int) -> None:
        self[outcome] += count


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(ours, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(ours, "SEND_EVERY", 0.01)
    monkeypatch.setattr(ours, "PATIENCE", 0.2)
    monkeypatch.setattr(ours, "LAST_WORDS", 0.1)


@asynccontextmanager
async def tracer_to(url: str, told: Told | None = None, ratio: float = 1.0) -> AsyncIterator[OtlpTracer]:
    async with OtlpTracer(url, ratio=ratio, identity="op-1", count=told if told is not None else Told()) as tracer:
        yield tracer


@asynccontextmanager
async def sending(tracer: OtlpTracer) -> AsyncIterator[None]:
    task = asyncio.create_task(tracer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def do(tracer: Tracer, times: int = 1) -> None:
    for _ in range(times):
        with tracer.span("work", {}, is_root=True):
            pass


# --- what is told ---------------------------------------------------------------------------------------


async def test_what_is_done_within_something_is_part_of_its_trace() -> None:
    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            with tracer.span("evaluate", {"homeostat.kind": "HealthCheck"}, is_root=True):
                with tracer.span("api request", {}):
                    tracer.event("answered", {"http.response.status_code": 200})
                tracer.note({"homeostat.outcome": "Done"})
        [outer], [inner] = collector.named("evaluate"), collector.named("api request")

    assert inner.trace_id == outer.trace_id
    assert inner.parent_span_id == outer.span_id
    assert not outer.parent_span_id
    assert facts_of(outer) == {"homeostat.kind": "HealthCheck", "homeostat.outcome": "Done"}
    assert [facts_of(event) for event in inner.events] == [{"http.response.status_code": 200}]
    assert outer.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano
    resource = collector.requests[0].resource_spans[0].resource
    assert facts_of(resource)["service.name"] == "homeostat"
    assert facts_of(resource)["service.instance.id"] == "op-1"


async def test_a_task_that_outlives_what_began_it_belongs_to_nothing_any_more() -> None:
    """Else a worker's spans would hang on the first evaluation it ever did."""
    go = asyncio.Event()

    async def outlive(tracer: Tracer) -> None:
        await go.wait()
        with tracer.span("later", {}):
            pass

    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            with tracer.span("first", {}, is_root=True):
                task = asyncio.create_task(outlive(tracer))
            go.set()
            await task
        [first], [later] = collector.named("first"), collector.named("later")

    assert later.trace_id != first.trace_id
    assert not later.parent_span_id


async def test_an_error_is_told_by_its_type_and_never_by_its_text() -> None:
    """Its text may quote what a target said."""
    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            with pytest.raises(ValueError, match="hunter2"), tracer.span("work", {}):
                raise ValueError("password=hunter2 at 10.0.0.7")
        [span] = collector.spans

    assert span.status.message == "ValueError"
    assert "hunter2" not in "".join(strings_in(collector))


class Bench:
    """A reconciler on fakes, whose tracer tells a collector."""

    def __init__(self, tracer: Tracer, decide: Any) -> None:
        self.objects, self.actuator = FakeObjects([]), FakeActuator([])
        self.store = ObjectStore()
        clock = FakeClock()
        world = World(
            self.objects, self.actuator, FakeRecorder([]), clock, PacedGate(clock, rate=1000, refresh_rate=1000),
            Metrics(), lambda: True, tracer,
        )  # fmt: skip
        self.reconciler = Reconciler(
            self.store, {"HealthCheck": ScriptedController(decide)}, world, take=self.store.put, drop=self.store.remove
        )
        self.store.put(entry_from(self.objects.put(check_body()), "HealthCheck"))

    async def evaluate(self) -> None:
        await self.reconciler.reconcile(Key("HealthCheck", "shop", "web"))


async def test_an_evaluation_is_told_with_its_object_its_outcome_and_its_acts() -> None:
    def decide(subject: Any, _now: Any) -> Decision[Any]:
        return Decision(subject.status, actions=() if subject.outcomes else (DeletePod("act-1", POD),))

    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            await Bench(tracer, decide).evaluate()
        [evaluation], [act] = collector.named("evaluate"), collector.named("act")

    assert facts_of(evaluation) == {
        "homeostat.kind": "HealthCheck", "homeostat.namespace": "shop", "homeostat.name": "web",
        "homeostat.outcome": "Done",
    }  # fmt: skip
    assert act.parent_span_id == evaluation.span_id
    assert facts_of(act) == {
        "homeostat.action": "DeletePod", "homeostat.action_id": "act-1", "homeostat.target.kind": "Pod",
        "homeostat.target.namespace": "shop", "homeostat.target.name": "web-1", "homeostat.outcome": "Done",
        "homeostat.reason": "",
    }  # fmt: skip


async def test_an_evaluation_that_is_put_off_says_why() -> None:
    def decide(_subject: Any, _now: Any) -> Decision[Any]:
        raise Unavailable("no answer from 10.0.0.7")

    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            await Bench(tracer, decide).evaluate()
        [evaluation] = collector.named("evaluate")

    assert facts_of(evaluation)["homeostat.outcome"] == "Unavailable"
    assert "10.0.0.7" not in "".join(strings_in(collector))


async def test_the_parts_of_an_attempt_are_linked_to_it_also_by_the_next_process() -> None:
    """The ids follow from the attempt's own: whoever goes on with it knows them."""

    class Status:
        class attempt:  # noqa: N801 - stands in for a field
            id = "abc"

    async with collecting() as collector:
        async with tracer_to(collector.url) as before:
            with before.span("evaluate", {}, is_root=True):
                trace_decision(before, "uid-1", Decision(Status(), actions=(TakeToken("t"),)))  # type: ignore[type-var]
        async with tracer_to(collector.url) as after:
            Archive(FakeHistory(), FakeClock(), Metrics(), after).keep(ATTEMPT)
        [part], [whole] = collector.named("evaluate"), collector.named("attempt")

    assert [(link.trace_id, link.span_id) for link in part.links] == [(whole.trace_id, whole.span_id)]
    assert facts_of(part)["homeostat.story"] == facts_of(whole)["homeostat.story"] == "uid-1/abc"
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == 90_000_000_000
    assert facts_of(whole)["homeostat.outcome"] == "Recovered"


async def test_the_phases_of_a_probe_are_events_in_their_order() -> None:
    phases = Phases(resolve=0.1, connect=0.2, tls=0.0, first_byte=0.3, transfer=0.1)
    result = Result(Verdict.FAIL, Reason.UNEXPECTED_STATUS, 0.7, 500, phases)
    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            with tracer.span("probe", {}, is_root=True):
                trace_result(tracer, "http", result)
        [probe] = collector.named("probe")

    assert [event.name for event in probe.events] == ["resolve", "connect", "first_byte", "transfer", "probed"]
    times = [event.time_unix_nano for event in probe.events]
    assert times == sorted(times)
    assert facts_of(probe.events[-1])["homeostat.probe.reason"] == "UnexpectedStatus"


async def test_a_request_to_the_api_server_is_told_without_names_query_and_body() -> None:
    secret = {"data": {"password": "aHVudGVyMg=="}}
    async with collecting() as collector, serving(answers(200, secret)) as api:
        async with tracer_to(collector.url) as tracer, client_of(api.url, tracer=tracer) as client:
            await client.request(
                "PATCH", "/api/v1/namespaces/shop/secrets/db-login", query={"fieldManager": "x"}, body=secret
            )
        [span] = collector.named("api request")

    assert facts_of(span) == {"http.request.method": "PATCH", "homeostat.resource": "secrets"}
    assert [facts_of(event) for event in span.events] == [{"http.response.status_code": 200}]
    told = "".join(strings_in(collector))
    assert not [one for one in ("db-login", "aHVudGVyMg", "fieldManager", "127.0.0.1", "Bearer") if one in told]


class ProbingBench(unit_probing.Bench):
    """Probing with everything round it faked, whose tracer tells a collector."""

    def trace_to(self, tracer: Tracer) -> None:
        self.probing._with = replace(self.probing._with, tracer=tracer)


async def test_a_run_of_a_check_is_told_with_what_came_of_it() -> None:
    """Through the hot path as it is; the address that was asked is not told."""
    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer, unit_probing.open_for_work(ProbingBench()) as bench:
            bench.trace_to(tracer)
            await bench.run(bench.check())
        [probe] = collector.named("probe")

    facts = facts_of(probe)
    assert facts == {
        "homeostat.kind": "HealthCheck", "homeostat.namespace": "shop", "homeostat.name": "web",
        "homeostat.probe.result": "Pass", "homeostat.probe.reason": "Ok",
    }  # fmt: skip
    assert [event.name for event in probe.events][-1] == "probed"
    assert not [one for one in strings_in(collector) if "10." in one or ":80" in one]


async def test_a_post_to_alertmanager_is_told_by_how_many_and_what_came_of_it() -> None:
    async with collecting() as collector:
        async with tracer_to(collector.url) as tracer:
            world = unit_alert_post.World()
            world.post._tracer = tracer
            world.set("web", unit_alert_post.PAGE)
            await world.after(0)
        [post] = collector.named("post alerts")

    assert facts_of(post) == {"homeostat.alerts": 1, "homeostat.outcome": "Taken"}


# --- how much is told -----------------------------------------------------------------------------------


async def test_a_trace_is_kept_whole_or_not_at_all() -> None:
    async with collecting() as collector:
        async with tracer_to(collector.url, ratio=0.5) as tracer:
            for _ in range(400):
                with tracer.span("outer", {}, is_root=True), tracer.span("inner", {}):
                    pass
        outer, inner = ({span.trace_id for span in collector.named(name)} for name in ("outer", "inner"))

    assert outer == inner
    assert 0 < len(outer) < 400


async def test_an_attempt_is_told_however_few_traces_are_kept() -> None:
    async with collecting() as collector, tracer_to(collector.url, ratio=0.0) as tracer:
        do(tracer, 10)
        Archive(FakeHistory(), FakeClock(), Metrics(), tracer).keep(ATTEMPT)

    assert [span.name for span in collector.spans] == ["attempt"]


# --- bad collectors -------------------------------------------------------------------------------------


def said(logs: list[Any]) -> list[str]:
    return [line["event"] for line in logs if line["log_level"] in {"warning", "error"}]


async def test_a_collector_that_is_away_is_told_once_and_gets_the_spans_when_it_is_back() -> None:
    port, told = free_port(), Told()
    with structlog.testing.capture_logs() as logs:
        async with tracer_to(f"http://127.0.0.1:{port}", told) as tracer, sending(tracer):
            do(tracer, 3)
            await eventually(lambda: not tracer.is_reachable)
            for _ in range(3):
                await tracer.flush()
            async with collecting(port) as collector:
                await eventually(lambda: len(collector.spans) == 3)
                await eventually(lambda: tracer.is_reachable)

    assert said(logs) == ["traces not taken"]
    assert told == {"Sent": 3}


async def test_a_collector_that_dies_under_way_costs_nothing_but_a_line() -> None:
    told = Told()
    with structlog.testing.capture_logs() as logs:
        async with collecting() as collector, tracer_to(collector.url, told) as tracer:
            do(tracer)
            await tracer.flush()
        async with tracer_to(collector.url, told) as orphaned:
            do(orphaned, 5)
            await orphaned.flush()
            await orphaned.flush()

    assert told == {"Sent": 1}
    assert said(logs) == ["traces not taken"]


async def test_a_collector_that_stalls_holds_nobody_up_and_the_queue_stays_bounded() -> None:
    told = Told()
    async with collecting() as collector:
        collector.is_stalled = True
        async with tracer_to(collector.url, told) as tracer, sending(tracer):
            do(tracer)
            await eventually(lambda: collector.asked > 0)
            do(tracer, MOST_WAITING + 100)  # nothing here awaits: a stalled collector cannot hold it up

            assert len(tracer._waiting) <= MOST_WAITING
            assert told["Dropped"] >= 100
            assert told["Sent"] == 0


@pytest.mark.parametrize("code", [400, 401, 404, 302])
async def test_spans_that_are_refused_are_given_up_and_counted(code: int) -> None:
    told = Told()
    with structlog.testing.capture_logs() as logs:
        async with collecting() as collector:
            collector.code = code
            async with tracer_to(collector.url, told) as tracer:
                do(tracer, 3)
                await tracer.flush()
                do(tracer, 2)

    assert told == {"Dropped": 5}
    assert said(logs) == ["traces not taken"]


@pytest.mark.parametrize("code", [429, 503])
async def test_spans_wait_for_a_collector_that_is_overloaded(code: int) -> None:
    told = Told()
    async with collecting() as collector:
        collector.code = code
        async with tracer_to(collector.url, told) as tracer:
            do(tracer, AT_ONCE + 1)
            await tracer.flush()
            assert (collector.asked, told) == (1, {})
            collector.code = 200
            await tracer.flush()

    assert told == {"Sent": AT_ONCE + 1}


async def test_what_cannot_be_encoded_is_given_up_and_the_rest_goes_on() -> None:
    told = Told()
    async with collecting() as collector, tracer_to(collector.url, told) as tracer:
        with tracer.span("broken", {}):
            tracer.note({"bug": object()})  # type: ignore[dict-item]
        await tracer.flush()
        do(tracer)
        await tracer.flush()

    assert told["Dropped"] + told["Sent"] == 2
    assert "work" in {span.name for span in collector.spans}


async def test_a_bug_of_every_batch_is_rested_from_and_not_told_at_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ValueError("a bug")

    told = Told()
    async with collecting() as collector, tracer_to(collector.url, told) as tracer:
        with monkeypatch.context() as patch:
            patch.setattr(ours, "encode_spans", broken)
            do(tracer)
            await tracer.flush()
            rested = tracer.is_reachable
        do(tracer)
        await tracer.flush()
        is_back = tracer.is_reachable

    assert (told["Dropped"], rested, is_back) == (1, False, True)


# --- off ------------------------------------------------------------------------------------------------


async def test_without_an_endpoint_nothing_is_traced() -> None:
    async with tracing(Settings(), Metrics(), "op-1") as tracer:
        assert tracer is UNTRACED
        with tracer.span("work", {}):
            tracer.note({})
            tracer.event("it", {})
            tracer.link("x")


async def test_with_an_endpoint_spans_reach_it_and_are_counted() -> None:
    metrics = Metrics()
    async with (
        collecting() as collector,
        tracing(Settings(tracing_endpoint=collector.url), metrics, "op-1") as tracer,
    ):
        do(tracer)
        await eventually(lambda: metrics.registry.get_sample_value("homeostat_trace_spans_total", SENT) == 1)

    assert [span.name for span in collector.spans] == ["work"]


def test_without_an_endpoint_opentelemetry_is_not_imported() -> None:
    look = "import sys, homeostat.wiring.process; print([name for name in sys.modules if 'opentelemetry' in name])"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=ROOT / "operator"
    )

    assert done.stdout == "[]\n"


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install homeostat`, without the extra."""
    monkeypatch.setattr("homeostat.wiring.settings._is_installed", lambda _package: False)


@pytest.mark.usefixtures("without_packages")
def test_an_endpoint_without_the_packages_is_an_error_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEOSTAT_TRACING_ENDPOINT", "http://collector:4318")

    assert main(["run"]) == 2
    told = capsys.readouterr().err
    assert "setting tracing_endpoint" in told
    assert "pip install 'homeostat[tracing]'" in told


@pytest.mark.usefixtures("without_packages")
def test_without_an_endpoint_the_packages_are_not_missed() -> None:
    assert Settings().tracing_endpoint == ""


@pytest.mark.parametrize("url", ["collector:4318", "http://user:secret@collector:4318", "grpc://collector:4317"])
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="tracing_endpoint"):
        Settings(tracing_endpoint=url)
