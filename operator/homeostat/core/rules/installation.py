"""Whether an objective's rules are installed in Prometheus, and what is to be done so that they are (S13, S15).

The object with the rules is written when it is missing or not as it should be, and removed when nobody asks for it any
more. Installed means that Prometheus itself says that it has loaded these very rules.
"""

from dataclasses import dataclass
from enum import StrEnum

from homeostat.api.meta import ConditionStatus
from homeostat.api.objective import ServiceLevelObjectiveSpec
from homeostat.api.objective_status import RulesObject, ServiceLevelObjectiveStatus
from homeostat.core.action import Action, InstallRules, Outcome, Outcomes, RemoveRules, Verb
from homeostat.core.condition import condition
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import emit
from homeostat.core.rules.holder import Holder, manifest
from homeostat.core.rules.names import hashed, object_name
from homeostat.core.rules.queries import Inexpressible

CONDITION = "RulesInstalled"
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


class RulesReason(StrEnum):
    """Why the rules of an objective are installed in Prometheus, or not."""

    NOT_ASKED = "NotAsked"  # spec.rules.emit is not set
    NOT_APPLICABLE = "NotApplicable"  # the objective cannot be written as rules
    INSTALLED = "Installed"  # Prometheus has loaded them, and evaluates them without an error
    LOADING = "Loading"  # just written: Prometheus has some minutes to load them
    NOT_LOADED = "NotLoaded"  # Prometheus has not loaded them: mostly it does not select the object
    RULE_UNHEALTHY = "RuleUnhealthy"  # Prometheus has loaded them, and cannot evaluate one
    PROMETHEUS_UNREACHABLE = "PrometheusUnreachable"  # the object is there; whether it is loaded is not known
    WRITING = "Writing"  # the object is about to be written or removed
    NOT_LOOKED_YET = "NotLookedYet"  # the operator just began
    NOT_OURS = "NotOurs"  # another's object has that name
    FORBIDDEN = "Forbidden"  # the operator may not read or write such objects
    REJECTED = "Rejected"  # the API server does not take the object


class Found(StrEnum):
    """How the object with the rules was found."""

    UNKNOWN = "Unknown"  # nobody has looked since it was written, or since the operator began
    ABSENT = "Absent"
    AS_WANTED = "AsWanted"
    DIFFERENT = "Different"  # another version, or edited
    FOREIGN = "Foreign"  # another objective's
    FORBIDDEN = "Forbidden"  # the operator may not look


class Loaded(StrEnum):
    """What Prometheus says of the rules."""

    UNKNOWN = "Unknown"  # it does not answer
    WAITING = "Waiting"  # not there, and it has had little time
    LOADED = "Loaded"
    UNHEALTHY = "Unhealthy"
    MISSING = "Missing"


@dataclass(frozen=True, slots=True)
class RulesSeen:
    """What is known of an objective's rules in the cluster and in Prometheus.

    `holder`: the kind that holds rules here; None until somebody looked. `hint` says why Prometheus may not select
    the object. `problem`: why there can be no rules, "" if there can.
    """

    holder: Holder | None = None
    found: Found = Found.UNKNOWN
    loaded: Loaded = Loaded.WAITING
    hint: str = ""
    problem: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesDecision:
    """What to do, what the condition RulesInstalled says, and which object holds the rules."""

    actions: tuple[Action, ...]
    status: ConditionStatus
    reason: str
    message: str
    object: RulesObject | None


def decide_rules(
    spec: ServiceLevelObjectiveSpec,
    status: ServiceLevelObjectiveStatus,
    seen: RulesSeen | None,
    ref: Ref,
    outcomes: Outcomes,
) -> RulesDecision:
    """Decide what becomes of the rules of an objective. The object is in the decision before it is written."""
    if spec.rules_ is None or not spec.rules_.emit:
        return _without(status, ref, outcomes, (FALSE, RulesReason.NOT_ASKED, "spec.rules.emit is not set."))
    if seen is None:
        return _waiting(status)
    if seen.problem:
        return _without(status, ref, outcomes, (FALSE, RulesReason.NOT_APPLICABLE, seen.problem))
    if seen.holder is None:
        return (
            _waiting(status) if seen.found is not Found.FORBIDDEN else _verdict(_forbidden(None), status.rules_object)
        )
    known = status.rules_object
    if known is not None and known.kind != seen.holder:
        moved = (UNKNOWN, RulesReason.WRITING, f"Rules are held by a {seen.holder.value} now.")
        return _without(status, ref, outcomes, moved)
    tried = next((outcome for id_, outcome in outcomes.items() if id_.startswith(_INSTALL)), None)
    if tried is not None:
        return _after(tried, status, _held(seen.holder, ref))
    return _with(spec, status, seen, seen.holder, ref)


def _with(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, seen: RulesSeen, holder: Holder, ref: Ref
) -> RulesDecision:
    """See to it that the object is there."""
    held = _held(holder, ref)
    match seen.found:
        case Found.UNKNOWN:
            return _waiting(status)
        case Found.FORBIDDEN:
            return _verdict(_forbidden(holder), status.rules_object)
        case Found.FOREIGN:
            return _verdict(_not_ours(held), None)
        case Found.AS_WANTED:
            return _verdict(_loading(seen, held), held)
        case Found.ABSENT | Found.DIFFERENT:
            return _install(spec, status, holder, ref)


def _install(
    spec: ServiceLevelObjectiveSpec, status: ServiceLevelObjectiveStatus, holder: Holder, ref: Ref
) -> RulesDecision:
    """Have the object written. What stood before stands until that is done."""
    try:
        body = manifest(holder, ref, emit(spec, ref.namespace, ref.name).groups, _labels(spec))
    except Inexpressible as error:
        return _verdict((FALSE, RulesReason.NOT_APPLICABLE, str(error)), status.rules_object)
    action = InstallRules(f"{_INSTALL}{hashed(body)}", ref, body)
    kept = _kept(status, (UNKNOWN, RulesReason.WRITING, "The rules are being written."))
    return RulesDecision((action,), *kept, _held(holder, ref))


def _without(status: ServiceLevelObjectiveStatus, ref: Ref, outcomes: Outcomes, final: "_Verdict") -> RulesDecision:
    """See to it that no object of ours is there."""
    known = status.rules_object
    if known is None:
        return _verdict(final, None)
    tried = next((outcome for id_, outcome in outcomes.items() if id_.startswith(_REMOVE)), None)
    if tried is None:
        action = RemoveRules(f"{_REMOVE}{known.kind}", ref, known.kind, known.name)
        return RulesDecision((action,), *_kept(status, final), known)
    if tried.verb is Verb.DONE or tried.reason == RulesReason.NOT_OURS:
        return _verdict(final, None)
    return _after(tried, status, known)


def _after(tried: Outcome, status: ServiceLevelObjectiveStatus, held: RulesObject) -> RulesDecision:
    """Say how a write ended."""
    if tried.verb is Verb.DONE:
        return _verdict(_LOADING, held)
    if tried.reason == RulesReason.NOT_OURS:
        return _verdict(_not_ours(held), None)
    if tried.reason == "Forbidden":
        return _verdict(_forbidden(_HOLDERS.get(held.kind)), status.rules_object)
    if tried.reason == "Invalid":
        return _verdict((FALSE, RulesReason.REJECTED, f"The API server does not take it: {tried.message}"), held)
    return RulesDecision(
        (), *_kept(status, (UNKNOWN, RulesReason.WRITING, "The API server did not take it yet.")), held
    )  # fmt: skip


def _loading(seen: RulesSeen, held: RulesObject) -> "_Verdict":
    """Say what Prometheus makes of the object, which is as it should be."""
    what = f"{held.kind} {held.name}"
    match seen.loaded:
        case Loaded.LOADED:
            told = " ".join((f"Prometheus has loaded {what}.", *seen.left_out))
            return TRUE, RulesReason.INSTALLED, told
        case Loaded.UNHEALTHY:
            return (
                FALSE,
                RulesReason.RULE_UNHEALTHY,
                f"Prometheus cannot evaluate a rule of {what}: its page /rules says why.",
            )
        case Loaded.MISSING:
            return FALSE, RulesReason.NOT_LOADED, f"Prometheus has not loaded {what}. {seen.hint}".rstrip()
        case Loaded.UNKNOWN:
            return (
                UNKNOWN,
                RulesReason.PROMETHEUS_UNREACHABLE,
                f"{what} is there; Prometheus does not say what it has loaded.",
            )
        case Loaded.WAITING:
            return _LOADING


def _waiting(status: ServiceLevelObjectiveStatus) -> RulesDecision:
    unknown = (UNKNOWN, RulesReason.NOT_LOOKED_YET, "Nobody has looked for the rules yet.")
    return RulesDecision((), *_kept(status, unknown), status.rules_object)


def _kept(status: ServiceLevelObjectiveStatus, otherwise: "_Verdict") -> "_Verdict":
    """Give the verdict that stands: it does not change because something is only under way."""
    known = condition(status.conditions, CONDITION)
    if known is None or known.reason in {RulesReason.NOT_ASKED, RulesReason.NOT_APPLICABLE}:
        return otherwise
    return known.status, known.reason, known.message


def _verdict(verdict: "_Verdict", held: RulesObject | None) -> RulesDecision:
    status, reason, message = verdict
    return RulesDecision((), status, str(reason), message, held)


def _not_ours(held: RulesObject) -> "_Verdict":
    return (
        FALSE,
        RulesReason.NOT_OURS,
        f"There is a {held.kind} {held.name} that is not this objective's: it is left alone.",
    )


def _forbidden(holder: Holder | None) -> "_Verdict":
    """Say which right is missing; None where nobody could find out what holds rules here."""
    what = _EITHER_RIGHT if holder is None else _MISSING_RIGHTS[holder]
    told = f"The operator may not read or write {what} (docs/rules.md has the command)."
    return FALSE, RulesReason.FORBIDDEN, told


def _held(holder: Holder, ref: Ref) -> RulesObject:
    return RulesObject(kind=holder.value, name=object_name(ref.name))


def _labels(spec: ServiceLevelObjectiveSpec) -> dict[str, str]:
    return dict(spec.rules_.labels) if spec.rules_ else {}


_Verdict = tuple[ConditionStatus, str, str]
_INSTALL, _REMOVE = "rules-install-", "rules-remove-"
_LOADING: _Verdict = (UNKNOWN, RulesReason.LOADING, "The rules are written; Prometheus has some minutes to load them.")
_HOLDERS = {holder.value: holder for holder in Holder}
_MISSING_RIGHTS = {
    Holder.PROMETHEUS_RULE: "PrometheusRules: its account needs the ClusterRole homeostat-rules",
    Holder.CONFIG_MAP: "ConfigMaps of this namespace: its account needs the ClusterRole homeostat-rules-configmaps, "
    "bound here",
}
_EITHER_RIGHT = (
    "the objects that hold rules: its account needs the ClusterRole homeostat-rules, or without PrometheusRules "
    "homeostat-rules-configmaps, bound here"
)
