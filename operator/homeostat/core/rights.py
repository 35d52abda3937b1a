"""Every right that homeostat can use, and what for: what roles, `homeostat doctor`, docs and tests are held against.

One `Grant` is one rule of RBAC of one feature. Several may be for the same thing: a role holds the united rules of the
features that are on. What every authenticated user may do anyway (SelfSubjectAccessReview, discovery, OpenAPI)
is not here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from homeostat.api.kinds import KINDS
from homeostat.api.meta import GROUP
from homeostat.core.cluster import Right

REMEDY = (
    "Recovery and chaos are off by default (recovery.enabled and chaos.enabled of the chart, or dist/rights): "
    "docs/rights.md has each right."
)
"""What to do about rights that are missing: whoever forgot to ask for them reads it where an object says so."""
CONSENT_POLICY = "homeostat-consent"
"""The ValidatingAdmissionPolicy that vouches for names of who approves, and its binding."""
_APPS, _LEASES = "apps", "coordination.k8s.io"
_MONITORING, _ADMISSION = "monitoring.coreos.com", "admissionregistration.k8s.io"


class Place(StrEnum):
    """Where a right is held."""

    CLUSTER = "Cluster"
    """The whole cluster: there is no such right in scope Namespaced."""
    WATCHED = "Watched"
    """The watched namespaces, which is the whole cluster in scope Cluster."""
    OWN = "Own"
    """The operator's own namespace."""


class Scope(StrEnum):
    """How far the operator's rights go."""

    CLUSTER = "Cluster"
    NAMESPACED = "Namespaced"


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule of RBAC, and what it is for."""

    role: str
    group: str
    resource: str
    """With its subresource: `pods/eviction`."""
    verbs: tuple[str, ...]
    place: Place
    needed_for: str
    """In plain words."""
    feature: str = ""
    """"" for what is always needed, else where it is in the chart's values: `recovery.steps.resize`."""
    names: tuple[str, ...] = ()
    """The names that it is restricted to; none means all."""

    @property
    def account(self) -> str:
        """Whose right it is: the operator's own, or that of the Pods that undo a fault without it."""
        return UNDO if self.role in {UNDO, UNDO_NODES} else OPERATOR


OPERATOR, UNDO, UNDO_NODES = "homeostat", "homeostat-undo", "homeostat-undo-nodes"
_CORE, _CLUSTER, _OWN = "homeostat-core", "homeostat-cluster", "homeostat-own"
_RECOVERY, _RECOVERY_JOBS, _RECOVERY_NODES = "homeostat-recovery", "homeostat-recovery-jobs", "homeostat-recovery-nodes"
_CHAOS, _CHAOS_NODES, _CHAOS_GUARDS = "homeostat-chaos", "homeostat-chaos-nodes", "homeostat-chaos-guards"
_WATCHED = Place.WATCHED
_LOCK_VERBS = ("get", "create", "patch", "delete")

RECOVERY, CHAOS = "recovery.enabled", "chaos.enabled"
AGENT_FAULTS = ("containerKill", "network", "dns", "http", "cpu", "memory", "processPause", "processKill")
"""The faults that an agent holds, in an ephemeral container."""


# --- measure and tell ---------------------------------------------------------------------------------------


def _own_kinds() -> Iterator[Grant]:
    """Give the rights to our own kinds; those without a namespace cannot be granted in one."""
    for kind in KINDS:
        role, place = (_CORE, _WATCHED) if kind.is_namespaced else (_CLUSTER, Place.CLUSTER)
        yield Grant(role, GROUP, kind.plural, ("get", "list", "watch"), place, f"to heed every {kind.kind}")
        yield Grant(role, GROUP, f"{kind.plural}/status", ("patch",), place, f"to say how each {kind.kind} stands")


_MEASURING = (
    Grant(_CORE, "events.k8s.io", "events", ("get", "create", "patch"), _WATCHED, "events, and counting repeated ones"),
    Grant(_CORE, "discovery.k8s.io", "endpointslices", ("list", "watch"), _WATCHED, "probes of the pods of a Service"),
    Grant(_CORE, "", "namespaces", ("get",), _WATCHED, "the opt-in to experiments; whether a namespace is ending"),
    Grant(_CORE, "", "pods", ("get", "list"), _WATCHED, "workload probes, targets, blast radius"),
    Grant(_CORE, "", "persistentvolumeclaims", ("list",), _WATCHED, "saying that a volume keeps a workload from ready"),
    *(
        Grant(_CORE, _APPS, kind, ("get", "list"), _WATCHED, "workload probes, targets")
        for kind in ("deployments", "statefulsets", "daemonsets")
    ),
    Grant(_CORE, _APPS, "replicasets", ("get", "list"), _WATCHED, "whose a pod is; revisions of a Deployment"),
    Grant(_CORE, "policy", "poddisruptionbudgets", ("list",), _WATCHED, "heeding disruption budgets before acting"),
    Grant(_CORE, _LEASES, "leases", ("get",), _WATCHED, "saying who holds a target"),
    Grant(_CLUSTER, "", "nodes", ("get", "list"), Place.CLUSTER, "Nodes as targets; what a Node does to its pods"),
    Grant(_CLUSTER, "authentication.k8s.io", "tokenreviews", ("create",), Place.CLUSTER, "the API: who asks"),
    Grant(_CLUSTER, "authorization.k8s.io", "subjectaccessreviews", ("create",), Place.CLUSTER, "the API: who may"),
    *(
        Grant(
            _CLUSTER, _ADMISSION, resource, ("get",), Place.CLUSTER,
            "whether the name of who approves can be believed", names=(CONSENT_POLICY,),
        )
        for resource in ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    ),
    Grant(_OWN, _LEASES, "leases", _LOCK_VERBS, Place.OWN, "leader election, the action budget, locks on Nodes"),
    Grant("homeostat-secrets", "", "secrets", ("get",), _WATCHED, "Secrets of probes and webhooks", "probes.secrets"),
    Grant(
        "homeostat-probe-jobs", "batch", "jobs", ("get", "create", "delete"), _WATCHED, "probes that run Jobs",
        "probes.jobs",
    ),
    Grant(
        "homeostat-rules", _MONITORING, "prometheusrules", ("get", "list", "create", "patch", "delete"), _WATCHED,
        "rules of objectives, as PrometheusRules", "rules.prometheusRules",
    ),
    Grant(
        "homeostat-rules", _MONITORING, "prometheuses", ("list",), Place.CLUSTER,
        "saying which label a Prometheus selects rules by", "rules.prometheusRules",
    ),
    Grant(
        "homeostat-rules-configmaps", "", "configmaps", ("get", "list", "create", "patch", "delete"), _WATCHED,
        "rules of objectives, as ConfigMaps", "rules.configMaps",
    ),
)  # fmt: skip


# --- recovery -----------------------------------------------------------------------------------------------


def _step(
    step: str, group: str, resource: str, verbs: Sequence[str], role: str = _RECOVERY, place: Place = _WATCHED
) -> Grant:
    return Grant(role, group, resource, tuple(verbs), place, f"step {step}", f"recovery.steps.{step}")


_PATCHED = ("deployments", "statefulsets", "daemonsets")
_SCALED = _PATCHED[:2]

_HEALING = (
    Grant(_RECOVERY, _LEASES, "leases", _LOCK_VERBS, _WATCHED, "locks: one writer of a target at a time", RECOVERY),
    _step("restartPods", "", "pods/eviction", ["create"]),
    _step("evict", "", "pods/eviction", ["create"]),
    *(_step("rolloutRestart", _APPS, kind, ["patch"]) for kind in _PATCHED),
    *(_step("rolloutUndo", _APPS, kind, ["patch"]) for kind in _PATCHED),
    _step("rolloutUndo", _APPS, "controllerrevisions", ["get", "list"]),
    *(_step("scale", _APPS, kind, ["patch"]) for kind in _SCALED),
    _step("resize", "", "pods/resize", ["patch"]),
    *(_step("patch", _APPS, kind, ["patch"]) for kind in _PATCHED),
    _step("patchServices", "", "services", ["get", "patch"]),
    _step("job", "batch", "jobs", ["get", "create"], _RECOVERY_JOBS),
    _step("cordon", "", "nodes", ["patch"], _RECOVERY_NODES, Place.CLUSTER),
    _step("drain", "", "nodes", ["patch"], _RECOVERY_NODES, Place.CLUSTER),
    _step("drain", "", "pods/eviction", ["create"], _RECOVERY_NODES, Place.CLUSTER),
)


# --- chaos --------------------------------------------------------------------------------------------------


def _fault(
    fault: str, group: str, resource: str, verbs: Sequence[str], role: str = _CHAOS, place: Place = _WATCHED
) -> Grant:
    what = f"fault {fault}" if role in {_CHAOS, _CHAOS_NODES} else f"undoing fault {fault} without the operator"
    return Grant(role, group, resource, tuple(verbs), place, what, f"chaos.faults.{fault}")


def _agent(fault: str) -> Iterator[Grant]:
    """Give what it takes to put an agent into a pod and to speak with it: that begins with a GET, but is a create."""
    yield _fault(fault, "", "pods/ephemeralcontainers", ["patch"])
    yield _fault(fault, "", "pods/attach", ["get", "create"])
    yield _fault(fault, "", "pods/log", ["get"])


def _held(fault: str, kinds: Sequence[str]) -> Iterator[Grant]:
    """Give what it takes to hold fields of workloads, and to put them back without the operator."""
    for kind in kinds:
        yield _fault(fault, _APPS, kind, ["patch"])
        yield _fault(fault, _APPS, kind, ["get", "patch"], UNDO)


_BREAKING = (
    *(
        Grant(_CHAOS, GROUP, kind, ("patch",), _WATCHED, what, CHAOS)
        for kind, what in (
            ("chaosexperiments", "the finalizer while a fault is on; what a GameDay asks of it"),
            ("gamedays", "the finalizer while its experiments run"),
        )
    ),
    Grant(_CHAOS, _LEASES, "leases", _LOCK_VERBS, _WATCHED, "locks: one writer of a target at a time", CHAOS),
    Grant(
        _CHAOS_GUARDS, "", "pods", ("get", "list", "create", "delete"), Place.OWN,
        "Pods that undo a fault without the operator", CHAOS,
    ),
    Grant(
        _CHAOS_GUARDS, _LEASES, "leases", ("get", "list", "create", "patch", "delete"), Place.OWN,
        "what those Pods undo, and when", CHAOS,
    ),
    Grant(UNDO, _LEASES, "leases", ("get", "patch"), Place.OWN, "what an undo Pod puts back, its answer", CHAOS),
    _fault("podKill", "", "pods", ["delete"]),
    _fault("podEvict", "", "pods/eviction", ["create"]),
    *_held("scale", _SCALED),
    *_held("rolloutBreak", _PATCHED),
    *_held("resourceSqueeze", _PATCHED),
    *(
        _fault("resourceSqueeze", "", resource, verbs, role)
        for resource, verbs, role in (
            ("pods", ["patch"], _CHAOS),
            ("pods/resize", ["patch"], _CHAOS),
            ("pods", ["get", "patch"], UNDO),
            ("pods/resize", ["patch"], UNDO),
        )
    ),
    *(grant for fault in AGENT_FAULTS for grant in _agent(fault)),
    _fault("network", "", "services", ["list"]),
    *(
        grant
        for fault in ("cordon", "drain")
        for grant in (
            _fault(fault, "", "nodes", ["patch"], _CHAOS_NODES, Place.CLUSTER),
            _fault(fault, "", "nodes", ["get", "patch"], UNDO_NODES, Place.CLUSTER),
        )
    ),
    _fault("drain", "", "pods/eviction", ["create"], _CHAOS_NODES, Place.CLUSTER),
)  # fmt: skip

GRANTS: tuple[Grant, ...] = (*_own_kinds(), *_MEASURING, *_HEALING, *_BREAKING)
"""All of them. Feature `probes.secrets` is also what webhooks of policies with a Secret need."""


# --- questions ----------------------------------------------------------------------------------------------


def granted(is_on: Callable[[str], bool], scope: Scope = Scope.CLUSTER) -> tuple[Grant, ...]:
    """Give what is granted where `is_on` says of each feature whether it is on, `recovery.enabled` before its steps."""
    return tuple(
        grant
        for grant in GRANTS
        if (scope is Scope.CLUSTER or grant.place is not Place.CLUSTER) and (not grant.feature or is_on(grant.feature))
    )


def rights_of(grant: Grant, scope: Scope, watched: Sequence[str], own: str) -> tuple[Right, ...]:
    """Give what to ask the API server for, to know whether a grant is held: one review each."""
    resource, _, subresource = grant.resource.partition("/")
    return tuple(
        Right(verb, grant.group, resource, subresource, namespace, grant.needed_for, name)
        for namespace in _namespaces(grant.place, scope, watched, own)
        for name in grant.names or ("",)
        for verb in grant.verbs
    )


def _namespaces(place: Place, scope: Scope, watched: Sequence[str], own: str) -> Sequence[str]:
    match place:
        case Place.OWN:
            return (own,)
        case Place.WATCHED if scope is Scope.NAMESPACED:
            return watched
        case Place.WATCHED:
            return ("",)
        case Place.CLUSTER:
            return ("",) if scope is Scope.CLUSTER else ()


# --- what is missing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Missing:
    """A right that is granted in a good installation and is not there."""

    grant: Grant
    right: Right

    @property
    def is_vital(self) -> bool:
        """Whether nothing at all can be done without it: neither lead nor know what there is to do."""
        return self.grant.role == _OWN or "watch" in self.grant.verbs

    @property
    def words(self) -> str:
        """Say which: `watch healthchecks.homeostat.dev`, `create pods/eviction in shop`."""
        one = self.right
        group = f".{one.group}" if one.group else ""
        sub = f"/{one.subresource}" if one.subresource else ""
        name = f" {one.name}" if one.name else ""
        return f"{one.verb} {one.resource}{group}{sub}{name}" + (f" in {one.namespace}" if one.namespace else "")


def lacking(wanted: Iterable[tuple[Grant, Sequence[Right]]], missing: Iterable[Right]) -> tuple[Missing, ...]:
    """Give the grants that are not held as a whole, right by right."""
    lost = frozenset(missing)
    return tuple(Missing(grant, right) for grant, rights in wanted for right in rights if right in lost)


def told_by_role(missing: Iterable[Missing]) -> dict[str, tuple[str, ...]]:
    """Say what is missing of each role, each right once."""
    roles: dict[str, dict[str, None]] = {}
    for one in missing:
        roles.setdefault(one.grant.role, {})[one.words] = None
    return {role: tuple(words) for role, words in roles.items()}
