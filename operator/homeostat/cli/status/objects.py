"""What `homeostat status` makes of each object: how bad it is, and why in a few words. Pure.

Read leniently, field by field: an object of a newer release, or one that somebody wrote by hand, is shown as far as it
can be read and never in the way of the others.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from homeostat.core.health.score import service_of
from homeostat.core.standing import Finding, Level, worst

Body = Mapping[str, Any]
Said = tuple[Level, str, str]
"""Level, state and why."""
NOT_EVALUATED = "NotEvaluated"
_NOT_EVALUATED_WHY = "no operator has looked at it yet: try `homeostat doctor`"
EARLIER_SPEC = "EarlierSpec"
_EARLIER_SPEC_WHY = "its status is about an earlier spec: try `homeostat doctor` if it stays so"

_CHECKS = {
    "Healthy": Level.WELL,
    "Degraded": Level.ATTENTION,
    "Unhealthy": Level.WRONG,
    "Suspended": Level.NOTE,
}
_OBJECTIVES = {"Met": Level.WELL, "Burning": Level.ATTENTION, "Exhausted": Level.WRONG}
_POLICIES = {
    "Idle": Level.WELL,
    "Pending": Level.ATTENTION,
    "AwaitingApproval": Level.WRONG,
    "Acting": Level.ATTENTION,
    "Verifying": Level.ATTENTION,
    "CoolingDown": Level.NOTE,
    "Blocked": Level.WRONG,
    "Escalated": Level.WRONG,
}
_WANTED_BLOCKS = frozenset({"Suspended", "Paused", "Frozen", "ObserveOnly", "ExpectedFault", "Rejected"})
"""Reasons for which a human, or an experiment of theirs, wants a policy to do nothing."""
_REST = frozenset({"", "Pending", "Finished"})
_IDLE_REASONS = frozenset({"", "NotDue", "NotRequested"})
_VERDICTS = {"Failed": Level.ATTENTION, "Aborted": Level.NOTE, "Inconclusive": Level.NOTE}


# How an object is called on a command line, its spec and its status.
Reader = Callable[[str, Body, Body], Said]


def finding_of(kind: str, body: Body) -> Finding:
    """Say how one object stands; `kind` is what `kubectl get -o name` shortens it to: hc, slo, rp, chaos or gd."""
    metadata, spec, status = body["metadata"], _map(body.get("spec")), _map(body.get("status"))
    namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
    level, state, why = _accepted(metadata, status) or _READERS[kind](f"{kind}/{name} -n {namespace}", spec, status)
    return Finding(
        kind=kind,
        namespace=namespace,
        name=name,
        level=level,
        state=state,
        why=why,
        since=_since(kind, status),
        service=_service(kind, spec, name),
        about=_about(kind, spec),
        figures=_figures(kind, spec, status),
    )


def freeze_of(body: Body, now: datetime) -> dict[str, Any] | None:
    """Give what a Freeze says, as data; None when it is over."""
    spec, status = _map(body.get("spec")), _map(body.get("status"))
    until = str(spec.get("until") or "")
    if until and _time(until, now) <= now:
        return None
    stopped = [one for one in _list(status.get("stopped")) if isinstance(one, Mapping)]
    return {
        "name": str(body["metadata"]["name"]),
        "stops": [str(one) for one in _list(spec.get("stops"))],
        "namespaces": [str(one) for one in _list(spec.get("namespaces"))],
        "reason": str(spec.get("reason") or ""),
        "until": until or None,
        "engaged": status.get("engaged") is True,
        "stopped": [f"{one.get('kind')} {one.get('namespace')}/{one.get('name')}" for one in stopped],
    }


# --- what each kind says --------------------------------------------------------------------------------


def _accepted(metadata: Body, status: Body) -> Said | None:
    """Say what is wrong with an object that the operator cannot work with; None when it can."""
    if not status or status.get("observedGeneration", -1) == -1:
        return Level.UNKNOWN, NOT_EVALUATED, _NOT_EVALUATED_WHY
    for kind, value, level in (("Stalled", "True", Level.WRONG), ("Ready", "False", Level.ATTENTION)):
        found = _condition(status, kind)
        if found.get("status") == value:
            return level, _word(found.get("reason"), kind), _word(found.get("message"))
    if status["observedGeneration"] != metadata.get("generation", status["observedGeneration"]):
        return Level.UNKNOWN, EARLIER_SPEC, _EARLIER_SPEC_WHY
    return None


def _check(_: str, spec: Body, status: Body) -> Said:
    state = _word(status.get("state"), "Unknown")
    why = _word(status.get("message"))
    causes = ", ".join(f"hc/{one}" for one in _list(status.get("suppressedBy")))
    if causes and state != "Healthy":
        return Level.ATTENTION, state, f"because of {causes}: {why}"
    if state == "Unhealthy" and spec.get("criticality") == "Low":
        return Level.ATTENTION, state, why
    return _CHECKS.get(state, Level.UNKNOWN), state, "" if state == "Healthy" else why


def _objective(_: str, spec: Body, status: Body) -> Said:
    state = _word(status.get("state"), "Unknown")
    alerts = [one for one in _list(status.get("alerts")) if isinstance(one, Mapping)]
    unexpected = [one for one in alerts if not one.get("expectedBy")]
    pages = any(one.get("severity") == "Page" for one in unexpected)
    level = worst(
        (
            _OBJECTIVES.get(state, Level.UNKNOWN),
            Level.WRONG if pages else Level.ATTENTION if unexpected else Level.NOTE if alerts else Level.WELL,
        )
    )
    told = [_budget(spec, status), *map(_alert, alerts)]
    holds = " and ".join(_word(one).lower() for one in _list(status.get("holds")))
    if state == "Unknown":
        told.insert(0, _word(_condition(status, "DataPresent").get("message")))
    if holds:
        told.append(f"holds back {holds}")
        level = worst((level, Level.NOTE))
    return level, state, "; ".join(filter(None, told)) if level is not Level.WELL else ""


def _budget(spec: Body, status: Body) -> str:
    budget = _map(status.get("budget"))
    if not budget:
        return ""
    told = f"{status.get('sli')}% of {spec.get('objective')}%, {budget.get('remaining')}% of the budget left"
    rate = burn_of(status)
    burns = f", burns {rate}x (1h)" if rate else ""
    ends = f", gone by {status['exhaustionAt']}" if status.get("exhaustionAt") else ""
    return told + burns + ends


def _alert(alert: Body) -> str:
    windows = "/".join(filter(None, (_word(alert.get("long")), _word(alert.get("short")))))
    group = f" of {alert['group']}" if alert.get("group") else ""
    expected = f", expected by chaos/{alert['expectedBy']}" if alert.get("expectedBy") else ""
    told = f"{_word(alert.get('severity'), 'alert').lower()} {_word(alert.get('type'), 'BurnRate')}"
    return f"{told}{f' {windows}' if windows else ''}{group} fires{expected}"


def _policy(called: str, spec: Body, status: Body) -> Said:
    phase = _word(status.get("phase"), "Idle")
    blocked, last = _map(status.get("blocked")), _word(status.get("lastOutcome"))
    level = _POLICIES.get(phase, Level.UNKNOWN)
    if blocked:
        reason = _word(blocked.get("reason"))
        level = Level.ATTENTION if reason in _WANTED_BLOCKS else worst((level, Level.ATTENTION))
        until = f", until {blocked['until']}" if blocked.get("until") else ""
        return level, phase, f"{reason}: {_word(blocked.get('message'))}{until}"
    if phase == "AwaitingApproval":
        plan = _map(status.get("plan"))
        does = ", ".join(map(_word, _list(plan.get("does"))))
        return level, phase, f"wants to {does or 'act'}: `homeostat approve {called} --plan {plan.get('hash')}`"
    if phase == "Escalated":
        escalated = _map(status.get("escalated"))
        return level, phase, f"{_word(escalated.get('reason'))}: {_word(escalated.get('summary'))}"
    if phase in {"Acting", "Verifying"}:
        attempt = _map(status.get("attempt"))
        return level, phase, f"step {_word(attempt.get('name'))} since {attempt.get('startedAt')}"
    if phase == "CoolingDown":
        level = Level.NOTE if last in {"", "Recovered"} else Level.ATTENTION
        return level, phase, f"last: {last or 'nothing'}; nothing new before {status.get('cooldownUntil')}"
    if spec.get("suspend"):
        return Level.NOTE, phase, "spec.suspend is set: it does nothing"
    permitted = _condition(status, "Permitted")
    if permitted.get("status") == "False" and spec.get("mode") in {"Auto", "Approve"}:
        return Level.ATTENTION, _word(permitted.get("reason"), phase), _word(permitted.get("message"))
    return level, phase, ""


def _drill(called: str, spec: Body, status: Body) -> Said:
    phase, verdict, reason = (_word(status.get(field)) for field in ("phase", "verdict", "reason"))
    message = _word(status.get("message"))
    why = ": ".join(filter(None, (reason, message)))
    if reason == "RecoveryFailed":
        return Level.WRONG, verdict or phase, f"{why}: `homeostat chaos sweep` finds what is left"
    if phase == "AwaitingApproval":
        plan = _word(_map(status.get("approval")).get("hash"))
        how = f"`homeostat approve {called} --plan {plan}`" if plan else ""
        return Level.ATTENTION, phase, ": ".join(filter(None, (why, how)))
    if phase == "Finished":
        level = _VERDICTS.get(verdict, Level.WELL)
        return level, verdict or phase, why if level is not Level.WELL else ""
    if phase not in _REST:
        return Level.NOTE, phase, why
    if spec.get("suspend"):
        return Level.NOTE, phase or "Pending", "spec.suspend is set: no run begins"
    is_idle = reason in _IDLE_REASONS
    return (Level.WELL, phase or "Pending", "") if is_idle else (Level.NOTE, phase, why)


_READERS: Mapping[str, Reader] = {
    "hc": _check,
    "slo": _objective,
    "rp": _policy,
    "chaos": _drill,
    "gd": _drill,
}


# --- whose it is, and what is measured ------------------------------------------------------------------


def _service(kind: str, spec: Body, name: str) -> str:
    if kind == "hc":
        return service_of(_word(spec.get("service")), name)
    return _word(spec.get("service"), name) if kind == "slo" else ""


def _about(kind: str, spec: Body) -> tuple[tuple[str, str], ...]:
    """Name what a policy or a drill refers to, what says most of its service first."""
    if kind == "gd":
        return tuple(("chaos", _word(_map(step).get("experiment"))) for step in _list(spec.get("steps")))
    references = [_map(one) for one in (*_list(spec.get("triggers")), *_list(spec.get("hypothesis")))]
    checks = [("hc", _word(_map(one.get("healthCheck")).get("name"))) for one in references]
    objectives = [("slo", _word(_map(one.get("slo")).get("name"))) for one in references]
    return tuple(one for one in (*checks, *objectives) if one[1])


def _figures(kind: str, spec: Body, status: Body) -> dict[str, object]:
    if kind == "hc":
        return _there({"score": status.get("score"), "passing": status.get("passing"), "trend": status.get("trend")})
    if kind == "slo":
        return _there(
            {
                "objective": spec.get("objective"),
                "sli": status.get("sli"),
                "budgetRemaining": _map(status.get("budget")).get("remaining"),
                "burnRate": burn_of(status),
                "exhaustionAt": status.get("exhaustionAt"),
                "alerts": len(_list(status.get("alerts"))),
                "holds": _list(status.get("holds")) or None,
            }
        )
    if kind == "rp":
        blocked = _map(status.get("blocked")).get("reason")
        return _there({"mode": spec.get("mode"), "blocked": blocked, "lastOutcome": status.get("lastOutcome")})
    return _there(
        {
            "verdict": status.get("verdict"),
            "run": status.get("runNumber"),
            "nextRunAt": status.get("nextRunAt"),
            "revertAt": status.get("revertAt") if _word(status.get("phase")) not in _REST else None,
        }
    )


def burn_of(status: Body) -> str:
    """Give the burn rate of the last hour, else that of the first window there is; "" while nothing is known."""
    rates = {_word(_map(one).get("window")): _word(_map(one).get("rate")) for one in _list(status.get("burnRates"))}
    return rates.get("1h") or next(iter(rates.values()), "")


def _since(kind: str, status: Body) -> str:
    member = {
        "hc": status.get("since"),
        "rp": _map(status.get("blocked")).get("since") or _map(status.get("escalated")).get("since"),
        "slo": min((_word(_map(one).get("since")) for one in _list(status.get("alerts"))), default=""),
    }
    return _word(member.get(kind, status.get("startedAt")))


def _condition(status: Body, kind: str) -> Body:
    found = (_map(one) for one in _list(status.get("conditions")))
    return next((one for one in found if one.get("type") == kind), {})


def _there(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None and value != ""}


def _map(value: object) -> Body:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _word(value: object, otherwise: str = "") -> str:
    return otherwise if value is None or value == "" else str(value)


def _time(text: str, otherwise: datetime) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return read if read.tzinfo else otherwise
