"""What the chart may be told: every key is described, typos are refused by name, what cannot work is said at once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

import chart_values
from chart.rendering import CHART, PLACE, documents, helm, refused, rendered, with_values
from homeostat.wiring.settings import Settings

pytestmark = pytest.mark.helm
VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
THERE = {one.name for one in chart_values.entries(VALUES) if one.is_value}
NAMESPACED = {"scope": "Namespaced"}


def environment(**values: Any) -> dict[str, Any]:
    """Give the environment of the operator."""
    [deployment] = [one for one in with_values(**values) if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"replicaas": 2}, "replicaas"),
        ({"recovery": {"enable": True}}, "enable"),
        ({"recovery": {"steps": {"restartPod": True}}}, "restartPod"),
        ({"chaos": {"faults": {"netwrok": True}}}, "netwrok"),
        ({"settings": {"actionBugdet": 3}}, "actionBugdet"),
        ({"metrics": {"serviceMonitor": {"label": {}}}}, "label"),
        ({"history": {"store": "MySQL"}}, "store"),
        ({"scope": "namespaced"}, "scope"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"settings": {"actionBudget": -1}}, "actionBudget"),
        ({"replicas": "two"}, "replicas"),
        ({"fullnameOverride": "My_Homeostat"}, "fullnameOverride"),
        ({"nameOverride": "my homeostat"}, "nameOverride"),
        ({"resources": {"limts": {"memory": "1Gi"}}}, "limts"),
        ({"tolerations": [{"kye": "dedicated"}]}, "kye"),
        ({"affinity": {"nodeAffinty": {}}}, "nodeAffinty"),
        ({"affinity": {"podAffinity": {"preferred": []}}}, "preferred"),
        ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKy": "zone"}]}, "topologyKy"),
        ({"networkPolicy": {"egress": {"apiServer": [{"ipBlok": {}}]}}}, "ipBlok"),
        ({"networkPolicy": {"egress": {"rules": [{"port": []}]}}}, "port"),
        ({"networkPolicy": {"egress": {"dnsPorts": []}}}, "dnsPorts"),
        ({"metrics": {"podMonitor": {"relabelings": [{"targetLable": "team"}]}}}, "targetLable"),
        ({"extraEnv": [{"name": "A", "vaule": "b"}]}, "vaule"),
        ({"extraVolumeMounts": [{"name": "a", "mountPath": "/a", "readonly": True}]}, "readonly"),
        ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
    ],
)
def test_a_typo_or_a_wrong_value_is_refused_with_its_key(values: dict[str, Any], key: str) -> None:
    assert key in refused(**values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"watchNamespaces": ["shop"]}, "watchNamespaces: only scope Namespaced has some"),
        (NAMESPACED | {"recovery": {"enabled": True, "steps": {"drain": True}}}, "Nodes belong to no namespace"),
        (NAMESPACED | {"chaos": {"enabled": True, "faults": {"cordon": True}}}, "chaos.faults"),
        (NAMESPACED | {"chaos": {"enabled": True}}, "operators is the only one that is watched"),
        ({"history": {"store": "PostgreSQL"}}, "history.postgresql.urlSecret.name"),
        ({"replicas": 2, "history": {"sqlite": {"persistence": {"enabled": True}}}}, "replicas: an SQLite file"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_a_reason(values: dict[str, Any], told: str) -> None:
    assert told in refused(**values)


def test_no_namespace_to_watch_means_that_of_the_release() -> None:
    told = environment(**NAMESPACED)

    assert json.loads(told["HOMEOSTAT_NAMESPACES"]) == ["$(POD_NAMESPACE)"]
    assert told["HOMEOSTAT_SCOPE"] == "Namespaced"


def test_a_service_could_not_be_called_after_a_release_that_begins_with_a_digit() -> None:
    done = helm("template", "4you", str(CHART))

    assert done.returncode != 0
    assert "fullnameOverride: a Service cannot be called 4you-homeostat" in done.stderr
    assert helm("template", "4you", str(CHART), "--set", "fullnameOverride=homeostat").returncode == 0


def test_whatever_the_release_is_called_no_name_is_longer_than_kubernetes_takes() -> None:
    """Names of Jobs and of Services become labels: 63 characters. Helm's own releases have 53 at most."""
    found = documents(helm("template", "a" * 53, str(CHART), *PLACE, "--set", "networkPolicy.enabled=true").stdout)

    names = [one["metadata"]["name"] for one in found if one["kind"] in {"Job", "Service", "Deployment"}]
    assert list(map(len, names)) == [63, 63, 63]
    assert [one for one in labels(found) if len(one) > 63] == []


def test_the_sweep_of_each_watched_namespace_has_a_container_of_its_own() -> None:
    places = [f"{'team-' * 12}{letter}" for letter in "ab"] + ["shop"]
    [job] = [one for one in with_values(**NAMESPACED, watchNamespaces=places) if one["kind"] == "Job"]
    pod = job["spec"]["template"]["spec"]
    names = [one["name"] for one in [*pod["initContainers"], *pod["containers"]]]

    assert len(set(names)) == len(places)
    assert names[-1] == "sweep-shop"
    assert all(len(name) <= 63 for name in names)


def labels(found: list[dict[str, Any]]) -> Iterator[str]:
    """Give the values of all labels of objects and of Pods."""
    for one in found:
        yield from one["metadata"]["labels"].values()
        yield from one.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {}).values()


def test_an_account_that_was_there_already_need_not_hand_out_its_token() -> None:
    [deployment] = [one for one in with_values() if one["kind"] == "Deployment"]

    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_each_of_our_pods_has_a_network_policy_that_lets_it_reach_the_api_server() -> None:
    """Also the Job of the uninstall: where others deny everything in the namespace, no release would ever go."""
    found = with_values(networkPolicy={"enabled": True}, chaos={"enabled": True})
    policies = [one["spec"] for one in found if one["kind"] == "NetworkPolicy"]
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in found if one["kind"] in {"Deployment", "Job"}]
    pods.append({"app.kubernetes.io/name": "homeostat-undo"})

    for pod in pods:
        [policy] = [one for one in policies if one["podSelector"]["matchLabels"].items() <= pod.items()]
        assert {"port": 6443, "protocol": "TCP"} in policy["egress"][0]["ports"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("egress", "ports"),
    [({}, [53]), ({"dnsPorts": [53, 5353]}, [53, 5353]), ({"dns": False, "dnsPorts": [5353]}, [])],
)
def test_every_one_of_our_pods_may_ask_dns_on_the_ports_that_its_pods_listen_on(
    egress: dict[str, Any], ports: list[int]
) -> None:
    """On OpenShift they listen on 5353, whatever the port of the Service."""
    found = with_values(networkPolicy={"enabled": True, "egress": {"rules": [], **egress}}, chaos={"enabled": True})
    policies = [one["spec"] for one in found if one["kind"] == "NetworkPolicy"]
    both = [{"port": port, "protocol": protocol} for port in ports for protocol in ("UDP", "TCP")]

    assert len(policies) == 3  # of the operator, undo Pods, and the Job of the uninstall
    assert [[one["ports"] for one in policy["egress"][1:]] for policy in policies] == [[both] if both else []] * 3


@pytest.mark.parametrize(
    ("values", "claim"),
    [
        ({"fullnameOverride": "reliability"}, "reliability-history"),
        ({"history": {"sqlite": {"persistence": {"enabled": True, "existingClaim": "disk-7"}}}}, "disk-7"),
    ],
)
def test_the_alert_of_a_volume_that_fills_up_is_about_the_claim_whatever_it_is_called(
    values: dict[str, Any], claim: str
) -> None:
    found = with_values(metrics={"prometheusRule": {"enabled": True}}, **values)
    [rules] = [one for one in found if one["kind"] == "PrometheusRule"]
    alerts = {rule["alert"]: rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]}

    assert alerts["HomeostatHistoryVolumeNearlyFull"].count(f'persistentvolumeclaim=~".*homeostat.*|{claim}"') == 2


def keys(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Give the places of all values that a schema knows, and not what is in those that are handed on as they are."""
    for name, one in schema.get("properties", {}).items():
        place = f"{path}.{name}".lstrip(".")
        if "properties" in one and place not in THERE:
            yield from keys(one, place)
        else:
            yield place


def test_the_schema_and_the_values_have_the_same_keys() -> None:
    assert set(keys(SCHEMA)) - {"enabled"} == THERE  # a chart that depends on this one may have that as its condition


def test_the_default_values_are_taken_as_they_stand() -> None:
    assert with_values(**yaml.safe_load(VALUES)) == with_values()


def open_objects(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Give the places that take any key although they name some."""
    if "properties" in schema and schema.get("additionalProperties") is not False:
        yield path
    for name, one in schema.get("properties", {}).items():
        yield from open_objects(one, f"{path}.{name}".lstrip("."))


def test_only_what_all_charts_of_a_release_share_takes_keys_that_are_not_known() -> None:
    assert list(open_objects(SCHEMA)) == ["global"]


def test_every_setting_of_the_operator_can_be_told() -> None:
    told = set(SCHEMA["properties"]["settings"]["properties"])

    assert {to_camel(name) for name in Settings.model_fields} == told | {to_camel(name) for name in chart_values.PLACES}


def test_settings_reach_the_operator_as_they_were_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "keepHoursSeconds": 31708800,
        "refreshesPerSecond": 0.5,
        "logLevel": "DEBUG",
        "denyNetworks": ["10.0.0.0/24"],
    }
    for name, value in environment(settings=settings, prometheus={"url": "http://prometheus:9090"}).items():
        if name.startswith("HOMEOSTAT_") and "$" not in value:
            monkeypatch.setenv(name, value)
    read = Settings()

    assert (read.keep_hours_seconds, read.refreshes_per_second, read.log_level) == (31708800, 0.5, "DEBUG")
    assert [str(one) for one in read.deny_networks] == ["10.0.0.0/24"]
    assert read.prometheus_url == "http://prometheus:9090"
    assert read.store_url == "sqlite+aiosqlite:////var/lib/homeostat/history.db"
    assert set(read.features) == {"probes.secrets", "rules.prometheusRules"}


def test_every_pod_is_restricted() -> None:
    """Pod Security: nothing that the profile `restricted` refuses."""
    pods = [
        one["spec"]["template"]["spec"]
        for one in with_values(uninstall={"sweep": True})
        if one["kind"] in {"Deployment", "Job"}
    ]

    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip


@pytest.mark.parametrize("case", ["defaults", "everything", "namespaced", "platform"])
def test_every_policy_of_the_api_server_stands_or_none(case: str) -> None:
    is_on = case != "namespaced"
    policies = rendered(case).count("\nkind: ValidatingAdmissionPolicy\n")

    assert policies == rendered(case).count("\nkind: ValidatingAdmissionPolicyBinding\n")
    assert (policies >= 10) is is_on
