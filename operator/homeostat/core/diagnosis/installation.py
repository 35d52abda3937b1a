"""Whether the operator is there, leads, and may do what it is to do."""

import re
from collections.abc import Sequence

from homeostat.core.diagnosis.readings import (
    MOST_NAMED,
    Abilities,
    Deployed,
    Diagnosis,
    Found,
    Readings,
    Unread,
    Verdict,
    ok,
    some,
    unread,
)
from homeostat.core.served import REMEDY

OLDEST_SERVER = (1, 30)
"""The first release whose admission policies and rules of definitions are all we use."""
MOST_SKEW = 5.0
"""Seconds: beyond it, what is new looks old or from the future. Leases of 15 s bear it."""
INSTALL = "kubectl apply --server-side -f dist/install.yaml (of this release), or helm upgrade with its chart"
POLICIES = (
    "homeostat-chaos-authors",
    "homeostat-consent",
    "homeostat-gameday-authors",
    "homeostat-job-probes",
    "homeostat-job-steps",
    "homeostat-memory",
    "homeostat-patch-steps",
    "homeostat-recovery-authors",
    "homeostat-secret-probes",
    "homeostat-secret-webhooks",
)
"""The ValidatingAdmissionPolicies that the default installation has."""
LIST_POLICIES = "kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings"


# --- the API server -------------------------------------------------------------------------------------


def server(readings: Readings) -> Found:
    """Say whether it answers, and is new enough."""
    version = readings.server
    if isinstance(version, Unread):
        yield Diagnosis("API server", Verdict.FAIL, version.why, "kubectl version (with the same --context)")
        return
    read = re.match(r"v?(\d+)\.(\d+)", version)
    if read is None:
        yield Diagnosis("API server", Verdict.WARN, f"it answers, and its version cannot be read: {version}")
    elif (int(read[1]), int(read[2])) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        yield Diagnosis(
            "API server", Verdict.FAIL, f"{version} is older than {oldest}", f"upgrade the cluster to {oldest} or newer"
        )
    else:
        yield ok("API server", version)


def clock(readings: Readings) -> Found:
    """Say whether its clock is ours: times that are read are compared with it."""
    skew = readings.skew
    if isinstance(skew, Unread):
        yield unread("clock", skew)
    elif abs(skew) > MOST_SKEW:
        says = f"the API server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        yield Diagnosis("clock", Verdict.WARN, says, "timedatectl status (here, and on the control plane)")
    else:
        yield ok("clock", f"within {MOST_SKEW:.0f} s of the API server's")


def definitions(readings: Readings) -> Found:
    """Say whether the kinds are installed as this program knows them."""
    outdated = readings.outdated
    if isinstance(outdated, Unread):
        yield unread("CRDs", outdated)
    elif not outdated:
        yield ok("CRDs", "installed, and none is older than this program")
    else:
        is_absent = all(not one.missing for one in outdated)
        says = "; ".join(one.words for one in outdated[:MOST_NAMED])
        yield Diagnosis("CRDs", Verdict.FAIL, f"{'absent' if is_absent else 'older than this program'}: {says}", REMEDY)


# --- the operator ---------------------------------------------------------------------------------------


def deployment(readings: Readings) -> Found:
    """Say whether the operator is there and ready, and of this release."""
    found, namespace = readings.deployed, readings.operator_namespace
    if isinstance(found, Unread):
        yield unread("operator", found)
        return
    if found is None:
        yield Diagnosis(
            "operator", Verdict.FAIL, f"there is no Deployment of it in {namespace}",
            f"{INSTALL}; is it elsewhere: homeostat doctor -n NAMESPACE",
        )  # fmt: skip
        return
    says = f"Deployment {found.name}: {found.ready} of {found.wanted} replicas ready"
    if found.wanted is None or found.ready is None:
        says = f"this Pod is one of Deployment {found.name}; you may not read how many of them are ready"
        yield Diagnosis("operator", Verdict.UNKNOWN, says, f"kubectl -n {namespace} get deployment {found.name}")
    elif not found.wanted:
        do = f"kubectl -n {namespace} scale deployment {found.name} --replicas=1"
        yield Diagnosis("operator", Verdict.FAIL, f"Deployment {found.name} is scaled to 0", do)
    elif found.ready < found.wanted:
        do = f"kubectl -n {namespace} describe deployment {found.name}; kubectl -n {namespace} logs deploy/{found.name}"
        yield Diagnosis("operator", Verdict.WARN if found.ready else Verdict.FAIL, says, do)
    else:
        yield ok("operator", says)
    yield _version(found, readings.program)


def _version(found: Deployed, program: str) -> Diagnosis:
    if not found.version:
        return Diagnosis("version", Verdict.OK, f"the operator does not say its own; this program is {program}")
    if found.version != program:
        return Diagnosis(
            "version", Verdict.WARN, f"the operator is {found.version}, this program is {program}",
            "use the command line of the operator's release: what is newer in either, the other does not know",
        )  # fmt: skip
    return ok("version", f"the operator's and this program's are both {program}")


def leader(readings: Readings) -> Found:
    """Say who leads."""
    lease, where = readings.lease, f"kubectl -n {readings.operator_namespace} get lease homeostat-leader -o yaml"
    if isinstance(lease, Unread):
        yield unread("leader", lease)
    elif lease is None or not lease.holder:
        yield Diagnosis("leader", Verdict.FAIL, "no replica leads: nothing is decided", where)
    elif lease.age > lease.seconds:
        says = f"{lease.holder} has not renewed its Lease for {lease.age:.0f} s: nothing is decided"
        yield Diagnosis("leader", Verdict.FAIL, says, where)
    else:
        yield ok("leader", f"{lease.holder}, renewed {max(lease.age, 0):.0f} s ago")


def readiness(readings: Readings) -> Found:
    """Say what the leader says of itself."""
    told = readings.readiness
    if isinstance(told, Unread):
        yield unread("readiness", told)
    elif told:
        yield Diagnosis("readiness", Verdict.FAIL, told, readings.logs)
    else:
        yield ok("readiness", "/readyz of the leader says that it is ready")


def errors(readings: Readings) -> Found:
    """Say what evaluations came to nothing."""
    metrics = readings.metrics
    if isinstance(metrics, Unread):
        yield unread("metrics", metrics)
        return
    forbidden = metrics.get("homeostat_evaluations_put_off_total{Forbidden}", 0)
    bugs = metrics.get("homeostat_evaluations_put_off_total{Bug}", 0)
    logs = f"{readings.logs} | grep -i"
    if bugs:
        yield Diagnosis("evaluation", Verdict.FAIL, f"{bugs:.0f} evaluations ended in a bug of ours", f"{logs} bug")
    if forbidden:
        says = f"{forbidden:.0f} evaluations were put off for want of a right, since the operator started"
        yield Diagnosis("evaluation", Verdict.WARN, says, f"{logs} forbidden")
    if not bugs and not forbidden:
        yield ok("evaluation", "no evaluation was put off for want of a right, and none ended in a bug")


# --- rights and policies --------------------------------------------------------------------------------


def abilities(readings: Readings) -> Found:
    """Say what the operator may not do that it should."""
    abilities = readings.abilities
    if isinstance(abilities, Unread):
        yield unread("rights", abilities)
        return
    missing = [one for one in abilities.rights if not one.feature and not one.is_held]
    if missing:
        roles = ", ".join(dict.fromkeys(one.role for one in missing))
        says = f"the operator may not: {some([one.words for one in missing])} (of {roles})"
        yield Diagnosis("rights", Verdict.FAIL, says, INSTALL)
    else:
        yield ok("rights", f"all {sum(not one.feature for one in abilities.rights)} that are always needed")
    for account in abilities.unasked:
        says = f"of ServiceAccount {account}: you may not create subjectaccessreviews"
        yield unread("rights", Unread(says, list_rights(readings.operator_namespace, account)))
    yield from _features(abilities)


def list_rights(namespace: str, account: str) -> str:
    """Give the command that lists what a ServiceAccount may do."""
    return f"kubectl auth can-i --list -n {namespace} --as=system:serviceaccount:{namespace}:{account}"


def _features(abilities: Abilities) -> Found:
    """Say of each feature whether it is on: rights that nobody gave are no fault, as recovery and chaos begin off."""
    lacking: dict[str, list[str]] = {}
    for one in abilities.rights:
        if one.feature:
            lacking.setdefault(one.feature, []).extend(() if one.is_held else (one.words,))
    wanted = abilities.wanted
    if wanted is not None:
        for feature in sorted(wanted & lacking.keys()):
            if lacking[feature]:
                says = f"{feature} is on, and the operator may not {some(lacking[feature])}"
                yield Diagnosis(
                    "rights", Verdict.FAIL, says, f"helm upgrade with --set {feature}=true, or dist/rights/"
                )
    is_on = (lambda name: not lacking[name]) if wanted is None else wanted.__contains__
    on = [name for name in sorted(lacking) if is_on(name)]
    off = [name for name in sorted(lacking) if name not in on]
    told = f"on: {_grouped(on) or 'none'}" + (f"; off: {_grouped(off)}" if off else "")
    yield ok("features", told)


def _grouped(features: Sequence[str]) -> str:
    """Name features by what they belong to: `chaos.faults (cpu, dns), probes.secrets`."""
    groups: dict[str, list[str]] = {}
    for feature in features:
        group, _, name = feature.rpartition(".")
        groups.setdefault(group, []).append(name)
    return ", ".join(
        f"{group}.{names[0]}" if len(names) == 1 else f"{group} ({', '.join(names)})" for group, names in groups.items()
    )


def policies(readings: Readings) -> Found:
    """Say whether the admission policies are there and in force."""
    found = readings.policies
    if isinstance(found, Unread):
        yield unread("admission", found)
        return
    bound = {one.name for one in found if one.is_bound}
    loose = sorted(one.name for one in found if one.is_bound is False)
    hidden = [one.name for one in found if one.is_bound is None]
    absent = [name for name in POLICIES if name not in {*bound, *loose, *hidden}]
    if loose:
        says = f"without a binding that denies: {some(loose)}: what they refuse is let through"
        yield Diagnosis("admission", Verdict.FAIL, says, INSTALL)
    if absent:
        says = f"absent: {some(absent)}: whoever may write our objects may do with them what they may not do themselves"
        yield Diagnosis("admission", Verdict.WARN, says, f"{INSTALL} (admissionPolicies.enabled)")
    if hidden:
        known = f"{some(sorted(bound))} is bound; " if bound else ""
        says = f"{known}you may not read the other {len(hidden)} policies and their bindings"
        yield Diagnosis("admission", Verdict.UNKNOWN, says, LIST_POLICIES)
    elif not loose and not absent:
        yield ok("admission", f"{len(bound)} policies, all bound")
