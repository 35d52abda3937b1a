"""Which kills are tried: who dies, at which point of the operator, and who goes on afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.leftbehind.faults import Family, Kind


class Who(StrEnum):
    """Who is killed."""

    OPERATOR = "operator"
    KEEPER = "agent's keeper"
    HOLDER = "agent's holder"
    AGENT = "agent, both processes"
    TASK = "agent's container"
    UNDO = "undo Pod's process"
    OPERATOR_AND_AGENT = "operator and agent"
    OPERATOR_AND_UNDO = "operator and undo Pod's process"
    OPERATOR_AND_GUARD = "operator, undo Pod and its Lease"
    API = "API server"


class Then(StrEnum):
    """Who goes on."""

    LIVES = "the operator lives"
    RESTARTED = "the operator comes back"
    DEAD = "the operator stays dead"
    STRIPPED = "the operator stays dead, its experiment is deleted"
    SWEPT = "its experiment is deleted, the operator comes back"


@dataclass(frozen=True, slots=True)
class Kill:
    """One trial: without a `point` nothing is killed."""

    kind: Kind
    point: str = ""
    nth: int = 1
    who: Who = Who.OPERATOR
    then: Then = Then.RESTARTED

    @property
    def seconds(self) -> int:
        """How long the fault is to last: for ever, as far as those who stay dead are concerned."""
        return 5 if self.then in {Then.LIVES, Then.RESTARTED} else 120

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.who} at {self.point} {self.nth}, {self.then}"


REPEATED = ("HoldAgent", "KeepGuard")
BEGIN, END = ("result", "result", "intent", "TakeLock"), ("intent", "ReleaseLock", "result")
WAYS = {
    Family.AGENT: (
        *BEGIN, "StartAgent", "intent", "HoldAgent", "result", "HoldAgent", "HoldAgent", "intent", "StopAgent", *END
    ),
    Family.AGENT_BLOW: (*BEGIN, "StartAgent", "intent", "HoldAgent", "result", *END),
    Family.FIELDS: (
        *BEGIN, "KeepGuard", "KeepGuard", "KeepGuard", "intent", "HoldFields", "result", "intent", "HoldFields",
        "intent", "DropGuard", *END,
    ),
    Family.BLOW: (*BEGIN, "intent", "", "result", *END),
}  # fmt: skip
"""What an operator does in a run that nothing disturbs; the blow of BLOW has a name of its own."""
BLOWS = {"podKill": "DeletePod", "podEvict": "EvictPod"}
ON = {
    Family.AGENT: ("after HoldAgent", 3),
    Family.FIELDS: ("after HoldFields", 1),
    Family.BLOW: ("after intent", 2),
    Family.AGENT_BLOW: ("after HoldAgent", 1),
}
"""By when a fault is on, or about to be dealt."""
TURNS = (Then.RESTARTED, Then.DEAD, Then.STRIPPED)


def known(kind: Kind) -> list[str]:
    """Give the points of a run by what is known of its family, without running it."""
    acts = (act or BLOWS[kind.name] for act in WAYS[kind.family])
    return [f"{when} {act}" for act in acts for when in ("before", "after")]


def matrix(points: Mapping[Kind, Sequence[str]], limit: int) -> list[Kill]:
    """List the kills, of each kind as many as of any other, so that kinds alternate; `limit` of them, 0 for all."""
    share = -(-limit // len(points)) if limit and points else 0
    of_kinds = [_of_kind(kind, passed, share) for kind, passed in points.items()]
    longest = max((len(kills) for kills in of_kinds), default=0)
    return [kills[place] for place in range(longest) for kills in of_kinds if place < len(kills)]


def of_api(points: Mapping[Kind, Sequence[str]]) -> list[Kill]:
    """List the kills of the API server: while the fault is on, and around the act that puts it on."""
    on = [Kill(kind, *ON[kind.family], Who.API, Then.LIVES) for kind in points]
    acts = ("before StartAgent", "before HoldFields", "before DeletePod", "before EvictPod")
    before = [Kill(kind, point, 1, Who.API, Then.LIVES) for kind in points for point in acts if point in points[kind]]
    return [*on, *before[::2]]


def _of_kind(kind: Kind, passed: Sequence[str], share: int) -> list[Kill]:
    others, own = _others(kind), _operators(kind, passed)
    return [*others, *(spread(own, share - len(others)) if share else own)]


def _operators(kind: Kind, passed: Sequence[str]) -> list[Kill]:
    """Kill the operator at each point, with each sequel in turn."""
    places = []
    for point in dict.fromkeys(passed):
        wanted = (1, 3) if point.endswith(REPEATED) else (1, 2, 3)
        places += [(point, nth) for nth in wanted if nth <= passed.count(point)]
    return [Kill(kind, *place, Who.OPERATOR, TURNS[number % len(TURNS)]) for number, place in enumerate(places)]


def _others(kind: Kind) -> list[Kill]:
    on = ON[kind.family]
    if kind.family is Family.AGENT:
        alive = (Who.KEEPER, Who.HOLDER, Who.AGENT, Who.TASK)
        return [
            *(Kill(kind, *on, who, Then.LIVES) for who in alive),
            Kill(kind, "before StopAgent", 1, Who.KEEPER, Then.LIVES),
            Kill(kind, "before StopAgent", 1, Who.HOLDER, Then.LIVES),
            Kill(kind, "after StartAgent", 1, Who.TASK, Then.LIVES),
            Kill(kind, *on, Who.OPERATOR_AND_AGENT, Then.DEAD),
            Kill(kind, *on, Who.OPERATOR, Then.STRIPPED),
        ]
    if kind.family is Family.AGENT_BLOW:
        start = ("after StartAgent", 1)
        return [Kill(kind, *start, who, Then.LIVES) for who in (Who.KEEPER, Who.HOLDER, Who.TASK)]
    if kind.family is Family.FIELDS:
        return [
            Kill(kind, *on, Who.UNDO, Then.LIVES),
            Kill(kind, "before HoldFields", 2, Who.UNDO, Then.LIVES),
            Kill(kind, "after KeepGuard", 1, Who.UNDO, Then.LIVES),
            Kill(kind, *on, Who.OPERATOR_AND_UNDO, Then.DEAD),
            Kill(kind, *on, Who.OPERATOR_AND_GUARD, Then.SWEPT),
            Kill(kind, *on, Who.OPERATOR, Then.STRIPPED),
            Kill(kind, *on, Who.OPERATOR, Then.DEAD),
        ]
    return []


def spread(kills: Sequence[Kill], count: int) -> list[Kill]:
    """Pick so many at even distances."""
    if count >= len(kills):
        return list(kills)
    return [kills[place * len(kills) // count] for place in range(max(0, count))]
