"""What traces say of evaluations and probes: names of the cluster and words from lists, and nothing that was sent."""

from typing import Any

from homeostat.core.decision import Decision
from homeostat.core.probing.result import Phases, Reason, Result
from homeostat.engine.objects import Key
from homeostat.ports import Facts, StoredAttempt, Tracer

_STORIES = {"RecoveryPolicy": "attempt", "ChaosExperiment": "run", "GameDay": "gameday"}


def facts_of(key: Key) -> Facts:
    """Name an object."""
    return {"homeostat.kind": key.kind, "homeostat.namespace": key.namespace, "homeostat.name": key.name}


def trace_decision(tracer: Tracer, uid: str, decision: Decision[Any]) -> None:
    """Say what was decided, and which attempt or run it is part of."""
    status = decision.status
    tracer.event("decided", {"homeostat.actions": ",".join(type(action).__name__ for action in decision.actions)})
    attempt, number = getattr(status, "attempt", None), getattr(status, "run_number", 0)
    if attempt is not None:
        tracer.link(f"{uid}/{attempt.id}")
    elif number and getattr(status, "started_at", None) and not getattr(status, "ended_at", None):
        tracer.link(f"{uid}/{number}")


def trace_story(tracer: Tracer, over: StoredAttempt) -> None:
    """Tell an attempt or a run as a whole; its id is the one that its parts are linked to."""
    facts = {
        "homeostat.kind": over.kind, "homeostat.namespace": over.namespace, "homeostat.name": over.name,
        "homeostat.outcome": over.outcome,
    }  # fmt: skip
    tracer.story(_STORIES.get(over.kind, over.kind), over.id, over.started_at, over.ended_at or over.started_at, facts)


def trace_result(tracer: Tracer, kind: str, result: Result) -> None:
    """Say how one endpoint answered: each phase at its end, then the result. Which endpoint it was is not said."""
    left = sum(result.phases) if result.phases is not None else 0.0
    for phase, seconds in zip(Phases._fields, result.phases or (), strict=False):
        left -= seconds
        if seconds:
            tracer.event(phase, {"homeostat.seconds": seconds}, ago=left)
    facts = {
        "homeostat.probe.type": kind, "homeostat.probe.result": result.verdict.value,
        "homeostat.probe.reason": Reason(result.reason).value, "homeostat.seconds": result.seconds,
    }  # fmt: skip
    tracer.event("probed", facts)
