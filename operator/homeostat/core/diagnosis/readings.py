"""What is read of an installation, what a check says of it, and the words that checks share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from homeostat.core.served import Outdated

MOST_NAMED = 5


class Verdict(StrEnum):
    """What a check comes to."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It could not be looked at: neither well nor not."""
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line: what was looked at, what it comes to, what was found, and what to do, "" where nothing is."""

    check: str
    verdict: Verdict
    says: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read, why, and by which command somebody with more rights sees it ("" for none)."""

    why: str = "it was not looked for"
    do: str = ""


UNREAD = Unread()


@dataclass(frozen=True, slots=True)
class Deployed:
    """The Deployment of the operator. `version`: what its labels or its image say, "" when they do not.

    Who looks from within its Pod, and may not read it, knows all but how many replicas there are, and what its volumes
    are: None.
    """

    name: str
    version: str
    wanted: int | None
    ready: int | None
    account: str
    settings: Mapping[str, str] = field(default_factory=dict)
    is_history_kept: bool | None = True

    def setting(self, name: str, otherwise: str = "") -> str:
        """Give a setting of its environment."""
        return self.settings.get(f"HOMEOSTAT_{name}", otherwise)


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """The Lease of the leader; `age` is how many seconds ago it was renewed, by the API server's clock."""

    holder: str
    age: float
    seconds: int


@dataclass(frozen=True, slots=True)
class Ability:
    """One right: what it is for, whether it is held. `feature` is "" for what is always needed."""

    feature: str
    role: str
    words: str
    is_held: bool


@dataclass(frozen=True, slots=True)
class Abilities:
    """All rights. `wanted`: the features that the installation says are on; None when it does not say.

    `unasked`: the other ServiceAccounts whose rights are meant and could not be asked for.
    """

    rights: tuple[Ability, ...]
    wanted: frozenset[str] | None = None
    unasked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicySeen:
    """A ValidatingAdmissionPolicy, and whether a binding denies what it refuses; None where that may not be read."""

    name: str
    is_bound: bool | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A condition of one of our objects that is as it should not be."""

    what: str
    condition: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ObjectsSeen:
    """What was found of our own objects. `not_listed` are the kinds that may not be listed."""

    troubles: tuple[Trouble, ...] = ()
    asks_prometheus: bool = False
    emits_rules: bool = False
    agents: tuple[tuple[str, str, str], ...] = ()
    """(namespace, experiment, fault) of experiments whose agent needs capabilities."""
    count: int = 0
    not_listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readings:
    """All that was read of an installation."""

    program: str
    operator_namespace: str
    server: str | Unread = UNREAD
    skew: float | Unread = UNREAD
    outdated: tuple[Outdated, ...] | Unread = UNREAD
    deployed: Deployed | Unread | None = UNREAD
    lease: LeaseSeen | Unread | None = UNREAD
    readiness: str | Unread = UNREAD
    metrics: Mapping[str, float] | Unread = UNREAD
    """Sums by name, and by `name{outcome}` where there is such a label."""
    abilities: Abilities | Unread = UNREAD
    policies: tuple[PolicySeen, ...] | Unread = UNREAD
    objects: ObjectsSeen | Unread = UNREAD
    levels: Mapping[str, str] | Unread = UNREAD
    """The Pod Security level that each namespace enforces, "" for none; those that may not be read are not in it."""
    leftovers: tuple[str, ...] | Unread = UNREAD
    guards: Unread | None = None
    """Why guards are not among the leftovers that were looked for; None when they are."""
    reach: str | Unread | None = None
    """Asked from where the operator is, Prometheus answers (""), or what is wrong; None when it was not asked."""

    @property
    def is_led(self) -> bool | None:
        """Whether an operator leads, so that what stands on objects is of now; None where that is not known."""
        if isinstance(self.lease, Unread):
            return None
        return self.lease is not None and bool(self.lease.holder) and self.lease.age <= self.lease.seconds

    @property
    def logs(self) -> str:
        """How to read what the operator says."""
        return f"kubectl -n {self.operator_namespace} logs {self.workload}"

    @property
    def workload(self) -> str:
        """What kubectl calls the operator's Deployment."""
        return f"deploy/{self.deployed.name if isinstance(self.deployed, Deployed) else 'homeostat'}"


Found = Iterator[Diagnosis]


def ok(check: str, says: str) -> Diagnosis:
    """Make a line for what is well."""
    return Diagnosis(check, Verdict.OK, says)


def unread(check: str, value: Unread, do: str = "") -> Diagnosis:
    """Make a line for what could not be looked at, and how somebody with more rights does."""
    return Diagnosis(check, Verdict.UNKNOWN, f"not known: {value.why}", do or value.do)


def some(names: Sequence[str]) -> str:
    """Name the first of several things."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
