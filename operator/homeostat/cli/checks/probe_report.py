"""What one run of a check found, as text for a terminal or JSON for a script. Pure: results in, lines out."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from homeostat.api.meta import format_time
from homeostat.core.health.plan import Plan, endpoint_name
from homeostat.core.health.run import Answer, Run
from homeostat.core.health.track import Blemish, blemish_of
from homeostat.core.probing.explanation import explain
from homeostat.core.probing.result import Phases, Reason, Result, Verdict
from homeostat.core.ref import Ref

_PHASES = ("resolve", "connect", "TLS", "first byte", "transfer")
_CODES = {"http": "HTTP status", "steps": "HTTP status", "grpc": "gRPC status", "dns": "DNS code", "job": "exit code"}
_EXIT = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INVALID: 2}
NOTHING_LEARNT = 3
_BLEMISHES = {
    Blemish.SLOW: "slower than degraded.latency",
    Blemish.PARTIAL: "only in part",
    Blemish.RETRIED: "only after a retry",
}


def exit_code(verdict: Verdict) -> int:
    """Give 0 for a pass, 1 for a failure, 2 for a check that cannot run as written, 3 when nothing was learnt."""
    return _EXIT.get(verdict, NOTHING_LEARNT)


def lines(ref: Ref, kind: str, plan: Plan, answers: Sequence[Answer], run: Run) -> Iterator[str]:
    """Tell what was asked, what each endpoint answered phase by phase, and what that amounts to."""
    yield f"{ref.namespace}/{ref.name}: {kind} {plan.target}"
    for pod, result, is_retried in answers:
        yield ""
        yield from _endpoint(_name(plan, pod, result), kind, result, is_retried=is_retried)
    yield ""
    yield _summary(run, answers, plan)
    if any(result.reason is Reason.ADDRESS_NOT_ALLOWED for _, result, _ in answers):
        yield "From this shell, --allow-network CIDR permits it; in the cluster, the setting allow_networks does."


def as_json(ref: Ref, kind: str, plan: Plan, answers: Sequence[Answer], run: Run) -> dict[str, Any]:
    """Give the same as data; durations in seconds."""
    return {
        "namespace": ref.namespace,
        "name": ref.name,
        "type": kind,
        "target": plan.target,
        "verdict": run.verdict.value,
        "reason": run.reason.value,
        "passing": run.passing,
        "total": run.total,
        "seconds": run.seconds,
        "endpoints": [
            _endpoint_data(_name(plan, pod, result), result, is_retried=is_retried)
            for pod, result, is_retried in answers
        ],
    }


def _endpoint(name: str, kind: str, result: Result, *, is_retried: bool) -> Iterator[str]:
    facts = [f"{result.verdict.value}", _milliseconds(result.seconds)]
    if result.code:
        facts.append(f"{_CODES.get(kind, 'code')} {result.code}")
    if result.share is not None:
        facts.append("{} of {} ready".format(*result.share))
    if is_retried:
        facts.append("after a retry")
    yield f"  {name}: {', '.join(facts)}"
    if result.verdict is not Verdict.PASS:
        where = f"step {result.step}: " if result.step else ""
        yield f"    {where}{result.reason.value}: {explain(result.reason)}"
    if result.phases is not None:
        yield f"    {_phases(result.phases)}"
    if result.not_after:
        yield f"    certificate valid until {format_time(datetime.fromtimestamp(result.not_after, UTC))}"


def _endpoint_data(name: str, result: Result, *, is_retried: bool) -> dict[str, Any]:
    return {
        "name": name,
        "verdict": result.verdict.value,
        "reason": result.reason.value,
        "meaning": explain(result.reason),
        "seconds": result.seconds,
        "code": result.code,
        "retried": is_retried,
        "step": result.step,
        "phases": None if result.phases is None else result.phases._asdict(),
        "certificateExpiry": result.not_after or None,
        "ready": result.share,
    }


def _phases(phases: Phases) -> str:
    spent = [f"{name} {_milliseconds(took)}" for name, took in zip(_PHASES, phases, strict=True) if took]
    return " · ".join(spent) or "no phase took measurable time"


def _name(plan: Plan, pod: Ref | None, result: Result) -> str:
    """Name an endpoint; where the port is unknown there is none, and the result is that of the whole target."""
    return plan.target if result.reason is Reason.UNKNOWN_PORT else endpoint_name(plan, pod)


def _summary(run: Run, answers: Sequence[Answer], plan: Plan) -> str:
    share = f"{run.passing} of {run.total} pass" if run.total else "nobody to ask"
    blemish = blemish_of(run, plan) if run.verdict is Verdict.PASS else None
    if blemish is not None:
        return f"{run.verdict.value}: {share}, {_BLEMISHES[blemish]}, which makes a check Degraded"
    is_explained = any(result.reason is run.reason for _, result, _ in answers)
    why = "" if run.verdict is Verdict.PASS or is_explained else f", {run.reason.value}: {explain(run.reason)}"
    return f"{run.verdict.value}: {share}{why}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def joined(parts: Iterable[Iterable[str]]) -> str:
    """Join the reports of several checks."""
    return "\n\n".join("\n".join(part) for part in parts)
