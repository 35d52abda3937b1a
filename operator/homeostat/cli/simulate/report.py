"""What a replay came to, as text and as data. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from homeostat.api.meta import format_decimal, format_duration, format_time
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.core.simulation import objective, policy
from homeostat.core.simulation.recorded import Recorded
from homeostat.core.window import MINUTE

MOST_SHOWN = 40
_COARSE = (
    "before {when} history keeps {what} alone: alerts that fired for less are missing, and times are of the end of each"
)
_GAP = timedelta(minutes=5)
"""Of the ends of a history: less is the minute under way, and what a store keeps last."""
_OF_POLICIES = (
    "what an action would have changed is not known: after each the trigger goes on as it did in the past",
    "the target is taken to be there, with three pods of which one fails while a trigger fires",
    "locks, freezes, storms, dependencies and rights of that time are not known, and taken not to refuse",
    f"a check is taken for Unhealthy in a bucket in which at least {policy.UNHEALTHY_SHARE:.0%} of its runs failed",
)


@dataclass(frozen=True, slots=True)
class Told:
    """The same thing twice."""

    data: dict[str, Any]
    lines: tuple[str, ...]


# --- objectives -----------------------------------------------------------------------------------------


def of_objective(
    namespace: str, name: str, series: Recorded, since: datetime, after: objective.Outcome,
    before: objective.Outcome | None,
) -> Told:  # fmt: skip
    """Tell of a changed objective, beside the present one where that is known."""
    notes = tuple(_notes(series, since))
    first, last = max(since, series.begin), series.end
    data = {
        "kind": "ServiceLevelObjective",
        "namespace": namespace,
        "name": name,
        "since": format_time(first),
        "until": format_time(last),
        "changed": _outcome_data(after, last),
        "present": _outcome_data(before, last) if before else None,
        "notes": list(notes),
    }
    lines = [f"slo/{name} in {namespace}, replayed from {format_time(first)} to {format_time(last)}", ""]
    lines += _outcome_lines("changed", after, last)
    if before:
        lines += ["", *_outcome_lines("present", before, last)]
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    return Told(data, tuple(lines))


def _outcome_lines(called: str, came: objective.Outcome, end: datetime) -> Iterator[str]:
    left = "unknown" if came.remaining is None else f"{format_decimal(came.remaining)} %"
    lowest = f", lowest {format_decimal(came.lowest[0])} % at {format_time(came.lowest[1])}" if came.lowest else ""
    gone = f", exhausted at {format_time(came.exhausted_at)}" if came.exhausted_at else ""
    yield f"{called}: {_count(len(came.fired), 'alert')}, budget left {left}{lowest}{gone}"
    for one in came.fired[:MOST_SHOWN]:
        until = f"for {_span((one.until or end) - one.since)}" + ("" if one.until else ", and fires still")
        yield f"  {format_time(one.since)}  {one.alert.severity.value:6}  {_alert(one)}  {until}"
    if len(came.fired) > MOST_SHOWN:
        yield f"  and {len(came.fired) - MOST_SHOWN} more; -o json lists all"


def _alert(one: objective.Fired) -> str:
    pair = f" {one.alert.pair}" if one.alert.long else ""
    return f"{one.alert.type.value}{pair}{f' of {one.alert.group}' if one.alert.group else ''}"


def _outcome_data(came: objective.Outcome, end: datetime) -> dict[str, Any]:
    return {
        "alerts": [
            {
                "type": one.alert.type.value,
                "severity": one.alert.severity.value,
                "windows": one.alert.pair if one.alert.long else "",
                "group": one.alert.group,
                "since": format_time(one.since),
                "until": format_time(one.until) if one.until else None,
                "seconds": int(((one.until or end) - one.since).total_seconds()),
            }
            for one in came.fired
        ],
        "state": came.end.state.value,
        "budgetRemaining": None if came.remaining is None else format_decimal(came.remaining),
        "lowestRemaining": format_decimal(came.lowest[0]) if came.lowest else None,
        "lowestAt": format_time(came.lowest[1]) if came.lowest else None,
        "exhaustedAt": format_time(came.exhausted_at) if came.exhausted_at else None,
    }


def _notes(series: Recorded, since: datetime) -> Iterator[str]:
    if series.begin > since:
        yield f"history begins at {format_time(series.begin)}: windows that reach further back are counted from there"
    for seconds, until in series.resolutions():
        if seconds > MINUTE and until > since:
            yield _COARSE.format(when=format_time(until), what=f"buckets of {_span(timedelta(seconds=seconds))}")


# --- policies -------------------------------------------------------------------------------------------


def of_policy(  # noqa: PLR0913 - what was replayed, from when to when, and what came of it
    namespace: str, name: str, spec: RecoveryPolicySpec, came: policy.Outcomes, since: datetime, until: datetime,
    *, reach: Mapping[int, Recorded],
) -> Told:  # fmt: skip
    """Tell of a changed policy; `reach`: by index of trigger, what history holds of it."""
    silent = tuple(
        f"trigger {index} ({spec.triggers[index].name}): history keeps nothing of it" for index in came.silent
    ) + tuple(note for index, series in reach.items() for note in _reach_of(spec, index, series, since, until))
    if spec.suspend:
        silent += ("spec.suspend is true: as it stands the policy does nothing; it is replayed as if it were not",)
    data = {
        "kind": "RecoveryPolicy",
        "namespace": namespace,
        "name": name,
        "since": format_time(since),
        "until": format_time(until),
        "triggered": [
            {
                "trigger": one.trigger,
                "name": spec.triggers[one.trigger].name,
                "since": format_time(one.since),
                "until": format_time(one.until) if one.until else None,
            }
            for one in came.triggered
        ],
        "acts": [
            {"at": format_time(one.at), "step": one.step, "does": one.does, "cause": one.cause} for one in came.acts
        ],
        "held": [
            {"reason": one.reason, "since": format_time(one.since), "until": format_time(one.until),
             "message": one.message}
            for one in came.held
        ],
        "escalated": [
            {"at": format_time(one.since), "reason": one.reason, "summary": one.summary} for one in came.escalated
        ],
        "notes": [*silent, *_OF_POLICIES],
    }  # fmt: skip
    lines = [
        f"rp/{name} in {namespace}, replayed from {format_time(since)} to {format_time(until)}, in mode Observe",
        "",
        ", ".join(
            f"{what} {_times(len(ones))}"
            for what, ones in (
                ("triggered", came.triggered),
                ("would have acted", came.acts),
                ("a human told", came.escalated),
            )
        ),
        *_policy_lines(spec, came, until),
        "",
        *(f"note: {note}" for note in (*silent, *_OF_POLICIES)),
    ]
    return Told(data, tuple(lines))


def _reach_of(
    spec: RecoveryPolicySpec, index: int, series: Recorded, since: datetime, until: datetime
) -> Iterator[str]:
    """Say of which part of the time nothing is known, or only coarsely."""
    called = f"trigger {index} ({spec.triggers[index].name})"
    if not len(series) or series.end <= since:
        yield f"{called}: history holds nothing of this time"
        return
    if series.begin > since + _GAP:
        yield f"{called}: history begins at {format_time(series.begin)}; before that nothing is known of it"
    if series.end < until - _GAP:
        yield f"{called}: history ends at {format_time(series.end)}; after that nothing is known of it"
    for seconds, last in series.resolutions():
        if seconds > MINUTE and last > since:
            told = f"before {format_time(last)} history keeps buckets of {_span(timedelta(seconds=seconds))} alone"
            yield f"{called}: {told}: times are as coarse as that"


def _fires(spec: RecoveryPolicySpec, one: policy.Episode, end: datetime) -> str:
    return (
        f"trigger {one.trigger} ({spec.triggers[one.trigger].name}) fires for {_span((one.until or end) - one.since)}"
    )


def _policy_lines(spec: RecoveryPolicySpec, came: policy.Outcomes, end: datetime) -> Iterator[str]:
    happened = [
        *((one.since, _fires(spec, one, end)) for one in came.triggered),
        *((one.at, f"would act: {one.step}: {one.does}") for one in came.acts),
        *((one.since, f"told a human: {one.reason}: {one.summary}") for one in came.escalated),
    ]  # fmt: skip
    for at, what in sorted(happened)[:MOST_SHOWN]:
        yield f"  {format_time(at)}  {what}"
    if len(happened) > MOST_SHOWN:
        yield f"  and {len(happened) - MOST_SHOWN} more; -o json lists all"
    if came.held:
        yield "held by:"
    by_reason = sorted(came.held, key=lambda one: one.reason)
    for reason, ones in groupby(by_reason, key=lambda one: one.reason):
        times = list(ones)
        whole = sum((one.until - one.since for one in times), timedelta(minutes=len(times)))
        yield f"  {reason}: {_times(len(times))}, {_span(whole)} in all"


# --- words ----------------------------------------------------------------------------------------------


def _span(time: timedelta) -> str:
    return format_duration(timedelta(seconds=round(time.total_seconds())))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
