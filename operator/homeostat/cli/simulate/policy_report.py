"""What the replay of a policy came to, as text and as data. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from homeostat.api.meta import format_time
from homeostat.api.recovery import RecoveryPolicySpec
from homeostat.cli.simulate.coverage import Reaching, coarse, coverage, span
from homeostat.cli.simulate.report import MOST_SHOWN, Told, how_often
from homeostat.core.simulation import policy

_OF_POLICIES = (
    "what an action would have changed is not known: after each the trigger goes on as it did in the past",
    "the target is taken to be there, with three pods of which one fails while a trigger fires",
    "locks, freezes, storms, dependencies and rights of that time are not known, and taken not to refuse",
    f"a check is taken for Unhealthy in a bucket in which at least {policy.UNHEALTHY_SHARE:.0%} of its runs failed",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """By index of trigger: what is known of it, why nothing is, and what else should be said of it."""

    reach: Mapping[int, Reaching]
    silent: Mapping[int, str]
    remarks: Mapping[int, tuple[str, ...]]


def of_policy(
    namespace: str, name: str, spec: RecoveryPolicySpec, came: policy.Outcomes, during: tuple[datetime, datetime],
    seen: Seen,
) -> Told:  # fmt: skip
    """Tell of a changed policy."""
    since, until = during
    silent = tuple(_notes(spec, seen, since, until))
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
        "notReplayed": [
            {"trigger": index, "name": spec.triggers[index].name, "why": why} for index, why in seen.silent.items()
        ],
        "notes": [*silent, *_OF_POLICIES],
    }  # fmt: skip
    lines = [
        f"rp/{name} in {namespace}, replayed from {format_time(since)} to {format_time(until)}, in mode Observe",
        "",
        ", ".join(
            f"{what} {how_often(len(ones))}"
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


def _notes(spec: RecoveryPolicySpec, seen: Seen, since: datetime, until: datetime) -> Iterator[str]:
    """Say which triggers are not replayed, and of the others, of which part of the time nothing is known."""
    for index, trigger in enumerate(spec.triggers):
        called = f"trigger {index} ({trigger.name})"
        if index in seen.silent:
            yield f"{called} is NOT replayed: {seen.silent[index]}"
            continue
        past = seen.reach[index]
        found = (coverage(past, since, until, None).note(), *coarse(past, since), *seen.remarks.get(index, ()))
        yield from (f"{called}: {note}" for note in found if note)


def _fires(spec: RecoveryPolicySpec, one: policy.Episode, end: datetime) -> str:
    return f"trigger {one.trigger} ({spec.triggers[one.trigger].name}) fires for {span((one.until or end) - one.since)}"


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
        yield f"  {reason}: {how_often(len(times))}, {span(whole)} in all"
