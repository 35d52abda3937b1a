"""What `homeostat doctor` makes of what was read: each fault is named, with what to do; what is not known is said."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeostat.core.diagnosis import diagnose
from homeostat.core.diagnosis.installation import POLICIES
from homeostat.core.diagnosis.readings import (
    Abilities,
    Ability,
    Deployed,
    Diagnosis,
    LeaseSeen,
    ObjectsSeen,
    PolicySeen,
    Readings,
    Trouble,
    Unread,
    Verdict,
)
from homeostat.core.served import Outdated

OWN = "homeostat-system"
DEPLOYED = Deployed("homeostat", "1.2.3", wanted=1, ready=1, account="homeostat", settings={})
GOOD = Readings(
    program="1.2.3",
    operator_namespace=OWN,
    server="v1.34.4",
    skew=0.4,
    outdated=(),
    deployed=DEPLOYED,
    lease=LeaseSeen("homeostat-1", 2.0, 15),
    readiness="",
    metrics={"homeostat_history_bytes": 1e6},
    abilities=Abilities((Ability("", "homeostat-core", "list pods", is_held=True),)),
    policies=tuple(PolicySeen(name, is_bound=True) for name in POLICIES),
    objects=ObjectsSeen(count=3),
    levels={OWN: "restricted", "shop": "restricted"},
    leftovers=(),
)


def bad(readings: Readings) -> list[Diagnosis]:
    return [one for one in diagnose(readings) if one.verdict is not Verdict.OK]


def test_of_a_good_installation_nothing_is_said_but_that_it_is_good() -> None:
    assert bad(GOOD) == []


@pytest.mark.parametrize(
    ("change", "check", "verdict", "says", "do"),
    [
        ({"server": "v1.29.9"}, "API server", "fail", "older than 1.30", "upgrade the cluster"),
        ({"server": "1.9.0"}, "API server", "fail", "older than 1.30", "upgrade the cluster"),
        ({"server": "who knows"}, "API server", "warn", "cannot be read", ""),
        ({"skew": -61.0}, "clock", "warn", "61 s behind", "timedatectl"),
        ({"skew": 61.0}, "clock", "warn", "61 s ahead of", "timedatectl"),
        ({"outdated": (Outdated("Freeze"),)}, "CRDs", "fail", "absent: Freeze", "kubectl apply --server-side -f crds/"),
        (
            {"outdated": (Outdated("Freeze", ("spec.until",), 1),)},
            "CRDs", "fail", "older than this program: Freeze: without spec.until", "--server-side -f crds/",
        ),
        ({"deployed": None}, "operator", "fail", "no Deployment", "dist/install.yaml"),
        ({"deployed": replace(DEPLOYED, wanted=0, ready=0)}, "operator", "fail", "scaled to 0", "--replicas=1"),
        ({"deployed": replace(DEPLOYED, ready=0)}, "operator", "fail", "0 of 1", "describe deployment homeostat"),
        ({"deployed": replace(DEPLOYED, version="1.2.2")}, "version", "warn", "1.2.2, this program is 1.2", "release"),
        ({"lease": None}, "leader", "fail", "no replica leads", "get lease homeostat-leader"),
        ({"lease": LeaseSeen("x", 16.0, 15)}, "leader", "fail", "not renewed its Lease for 16 s", "get lease"),
        ({"readiness": "FAIL leads or stands by"}, "readiness", "fail", "leads or stands by", "logs deploy/homeostat"),
        (
            {"abilities": Abilities((Ability("", "homeostat-core", "watch freezes.homeostat.dev", is_held=False),))},
            "rights", "fail", "watch freezes.homeostat.dev (of homeostat-core)", "dist/install.yaml",
        ),
        ({"policies": ()}, "admission", "warn", "absent: homeostat-chaos-authors", "admissionPolicies.enabled"),
        (
            {"policies": (*GOOD.policies[1:], PolicySeen(POLICIES[0], is_bound=False))},  # type: ignore[index]
            "admission", "fail", f"without a binding that denies: {POLICIES[0]}", "dist/install.yaml",
        ),
        (
            {"objects": ObjectsSeen((Trouble("shop/slo/a", "Prometheus", "PrometheusTimeout", "It took too long."),))},
            "Prometheus", "fail", "It took too long. (shop/slo/a)", "grep prometheus",
        ),
        ({"objects": ObjectsSeen(asks_prometheus=True)}, "Prometheus", "warn", "prometheusUrl is", "prometheus.url"),
        (
            {"objects": ObjectsSeen((Trouble("shop/slo/a", "RulesReady", "NotLoaded", "Not yet."),))},
            "rules", "warn", "NotLoaded: Not yet. (shop/slo/a)", "homeostat explain slo/a -n shop",
        ),
        (
            {
                "deployed": replace(DEPLOYED, settings={"HOMEOSTAT_ALERTMANAGER_URL": "http://am:9093"}),
                "metrics": {"homeostat_alertmanager_posts_total{Unavailable}": 3.0},
            },
            "Alertmanager", "warn", "3 posts did not arrive", "curl -s http://am:9093/-/ready",
        ),
        ({"metrics": {"homeostat_history_errors_total": 2.0}}, "history", "warn", "2 writes failed", "logs"),
        ({"metrics": {"homeostat_history_bytes": 5e8}}, "history", "warn", "500 MB of 537 MB", "historyMaxBytes"),
        (
            {"metrics": {"homeostat_evaluations_put_off_total{Forbidden}": 4.0}},
            "evaluation", "warn", "for want of a right", "forbidden",
        ),
        ({"metrics": {"homeostat_evaluations_put_off_total{Bug}": 1.0}}, "evaluation", "fail", "a bug of ours", "bug"),
        ({"levels": {OWN: ""}}, "Pod Security", "warn", "enforces no level", "enforce=restricted"),
        (
            {"objects": ObjectsSeen(agents=(("shop", "lag", "network"),)), "deployed": None},
            "Pod Security", "warn", "shop enforces 'restricted': the agents of chaos/lag (network)",
            "kubectl label namespace shop pod-security.kubernetes.io/enforce=privileged",
        ),
        ({"leftovers": ("marked Deployment/shop/a",)}, "leftovers", "fail", "marked Deployment/shop/a", "chaos sweep"),
        (
            {"objects": ObjectsSeen((Trouble("shop/slo/a", "Stalled", "Invalid", "No such query."),))},
            "objects", "fail", "shop/slo/a: Invalid: No such query.", "",
        ),
        (
            {"objects": ObjectsSeen((Trouble("shop/rp/a", "Permitted", "RightsMissing", "It may not evict."),))},
            "objects", "warn", "shop/rp/a: RightsMissing: It may not evict.", "",
        ),
        (
            {"objects": ObjectsSeen(not_listed=("freezes",))},
            "objects", "unknown", "you may not list freezes", "kubectl get homeostat -A",
        ),
        (
            {"deployed": replace(DEPLOYED, wanted=None, ready=None, is_history_kept=None)},
            "operator", "unknown", "you may not read how many", "get deployment homeostat",
        ),
        (
            {"abilities": replace(GOOD.abilities, unasked=("homeostat-undo",))},  # type: ignore[type-var]
            "rights", "unknown", "of ServiceAccount homeostat-undo", "kubectl auth can-i --list -n homeostat-system",
        ),
        ({"levels": {"shop": "restricted"}}, "Pod Security", "unknown", "no namespace homeo", "get namespace"),
        ({"guards": Unread("of guards", "look")}, "leftovers", "unknown", "of guards", "look"),
        ({"reach": "PrometheusTimeout"}, "Prometheus", "fail", "did not answer in time", "grep prometheus"),
        (
            {"policies": (PolicySeen(POLICIES[0], is_bound=True), *(PolicySeen(one, None) for one in POLICIES[1:]))},
            "admission", "unknown", f"{POLICIES[0]} is bound; you may not read the other 9", "kubectl get validating",
        ),
        (
            {"deployed": replace(DEPLOYED, wanted=2, ready=2)},
            "settings", "warn", "2 replicas, and history in a file", "history.store=PostgreSQL",
        ),
        (
            {"deployed": replace(DEPLOYED, settings={"HOMEOSTAT_GUARDS": "Off"})},
            "settings", "warn", "guards are Off", "HOMEOSTAT_GUARDS=Required",
        ),
        (
            {
                "deployed": replace(
                    DEPLOYED, settings={"HOMEOSTAT_SCOPE": "Namespaced", "HOMEOSTAT_NODE_NAMESPACES": '["ops"]'}
                )
            },
            "settings", "warn", "Nodes are not of a namespace", "scope=Cluster",
        ),
        (
            {"objects": ObjectsSeen(agents=(("lab", "lag", "network"),))},
            "settings", "warn", "agentImage is empty", "HOMEOSTAT_AGENT_IMAGE=IMAGE",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_what_to_do(change: dict[str, Any], check: str, verdict: str, says: str, do: str) -> None:
    found = [one for one in bad(replace(GOOD, **change)) if one.check == check]
    assert [one.verdict for one in found] == [verdict]
    assert says in found[0].says
    assert do in found[0].do
    assert bool(do) is bool(found[0].do)


def test_the_policies_that_are_looked_for_are_those_of_the_chart() -> None:
    """But the one that keeps a second operator out, which an installation without an operator does not have."""
    chart = Path(__file__).resolve().parents[2] / "charts" / "homeostat" / "templates" / "admission"
    names = re.findall(
        r"^  policyName: (homeostat-\S+)$", "".join(one.read_text() for one in chart.glob("*.yaml")), re.MULTILINE
    )
    assert sorted(set(names) - {"homeostat-one-operator"}) == sorted(POLICIES)


def test_what_could_not_be_read_is_said_and_is_no_failure() -> None:
    """Somebody who may read next to nothing learns what they may not, and is told of no fault that there is not."""
    nothing = Readings(program="1.2.3", operator_namespace=OWN, server="v1.34.4")
    told = bad(nothing)
    assert {one.verdict for one in told} == {Verdict.UNKNOWN}
    assert all(one.says == "not known: it was not looked for" for one in told)
    assert len({one.check for one in told}) >= 12


@pytest.mark.parametrize(
    "name",
    ["skew", "outdated", "deployed", "lease", "readiness", "metrics", "abilities", "policies", "objects", "levels",
     "leftovers"],
)  # fmt: skip
def test_one_thing_that_cannot_be_read_does_not_keep_the_others_from_being_checked(name: str) -> None:
    told = bad(replace(GOOD, **{name: Unread("you may not")}))  # type: ignore[arg-type]
    assert told
    assert all(one.verdict is Verdict.UNKNOWN and one.says == "not known: you may not" for one in told)
    assert len(diagnose(replace(GOOD, **{name: Unread("x")}))) >= len(diagnose(GOOD)) - 2  # type: ignore[arg-type]


def test_an_api_server_that_is_not_reached_fails() -> None:
    told = diagnose(replace(GOOD, server=Unread("no answer")))
    assert (told[0].check, told[0].verdict, told[0].says) == ("API server", Verdict.FAIL, "no answer")


RIGHTS = (
    Ability("", "homeostat-core", "list pods", is_held=True),
    Ability("recovery.steps.scale", "homeostat-recovery", "patch deployments.apps", is_held=False),
    Ability("chaos.faults.podKill", "homeostat-chaos", "delete pods", is_held=True),
)


def test_what_is_off_by_default_is_told_as_off_and_not_as_a_failure() -> None:
    told = diagnose(replace(GOOD, abilities=Abilities(RIGHTS)))
    (features,) = [one for one in told if one.check == "features"]
    assert features.verdict is Verdict.OK
    assert features.says == "on: chaos.faults.podKill; off: recovery.steps.scale"
    assert not bad(replace(GOOD, abilities=Abilities(RIGHTS)))


def test_a_feature_that_the_installation_says_is_on_fails_without_its_rights() -> None:
    wanted = frozenset({"recovery.steps.scale"})
    (told,) = bad(replace(GOOD, abilities=Abilities(RIGHTS, wanted)))
    assert (told.check, told.verdict) == ("rights", Verdict.FAIL)
    assert told.says == "recovery.steps.scale is on, and the operator may not patch deployments.apps"
    assert told.do == "helm upgrade with --set recovery.steps.scale=true, or dist/rights/"


@pytest.mark.parametrize("lease", [None, LeaseSeen("", 1.0, 15), LeaseSeen("homeostat-1", 3600.0, 15)])
def test_without_a_leader_what_objects_say_of_themselves_is_not_known(lease: LeaseSeen | None) -> None:
    deployed = replace(DEPLOYED, settings={"HOMEOSTAT_PROMETHEUS_URL": "http://prometheus:9090"})
    objects = ObjectsSeen(count=3, asks_prometheus=True, emits_rules=True)
    told = {one.check: one for one in diagnose(replace(GOOD, lease=lease, objects=objects, deployed=deployed))}
    assert {told[check].verdict for check in ("Prometheus", "rules", "objects")} == {Verdict.UNKNOWN}
    assert told["leader"].verdict is Verdict.FAIL


def test_of_experiments_that_may_not_be_listed_nothing_is_claimed() -> None:
    told = {one.check: one for one in diagnose(replace(GOOD, objects=ObjectsSeen(not_listed=("chaosexperiments",))))}
    assert "no experiment that you may list needs more" in told["Pod Security"].says


def test_of_an_operator_that_is_not_there_no_setting_is_claimed() -> None:
    told = {one.check: one for one in diagnose(replace(GOOD, deployed=None))}
    assert told["Alertmanager"].verdict is Verdict.UNKNOWN
    assert "settings" not in told
