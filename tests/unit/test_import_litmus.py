"""Litmus read: what comes over, what is told, and that nothing comes out which our own rules refuse."""

from typing import Any

import pytest

from homeostat.interchange.chaos.experiment import Wishes
from homeostat.interchange.chaos.litmus.objects import convert, is_known
from homeostat.interchange.importing import Outcome, outcome
from homeostat.interchange.reading import Foreign
from homeostat.interchange.validation import check

NAMED = Wishes(("checkout",))
API = "litmuschaos.io/v1alpha1"
NODE = {"TARGET_NODE": "a"}


def read(*bodies: dict[str, Any], wishes: Wishes = NAMED) -> Outcome:
    came = outcome(convert([Foreign("a.yaml", "1", body) for body in bodies], wishes), "")
    assert not any(check(manifest).problems for manifest in came.manifests)
    return came


def experiment(name: str, probes: list[dict[str, Any]] | None = None, **env: str) -> dict[str, Any]:
    entries = [{"name": key, "value": value} for key, value in ({"TOTAL_CHAOS_DURATION": "30"} | env).items()]
    return {"name": name, "spec": {"components": {"env": entries}, "probe": probes or []}}


def engine(*experiments: dict[str, Any], **spec: Any) -> dict[str, Any]:
    info = {"appns": "shop", "applabel": "app=web", "appkind": "deployment"}
    whole = {"appinfo": info, "engineState": "active", "experiments": list(experiments)} | spec
    return {"apiVersion": API, "kind": "ChaosEngine", "metadata": {"name": "x", "namespace": "litmus"}, "spec": whole}


def specs(*bodies: dict[str, Any], wishes: Wishes = NAMED) -> list[dict[str, Any]]:
    came = read(*bodies, wishes=wishes)
    assert came.is_whole, came.lines
    return [manifest["spec"] for manifest in came.manifests]


def told(came: Outcome, text: str) -> bool:
    return any(text in line for line in came.lines)


def test_an_engine_comes_over_to_the_namespace_of_its_targets() -> None:
    came = read(engine(experiment("pod-delete", FORCE="true", PODS_AFFECTED_PERC="")))

    assert (came.manifests, came.lines, came.is_whole) == (
        (
            {
                "apiVersion": "homeostat.dev/v1alpha1",
                "kind": "ChaosExperiment",
                "metadata": {"name": "x", "namespace": "shop"},
                "spec": {
                    "description": "Imported from Litmus ChaosEngine/x",
                    "fault": {"podKill": {"gracePeriod": "0s"}},
                    "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "web"}}, "count": 1},
                    "duration": "30s",
                    "hypothesis": [{"healthCheck": {"name": "checkout"}, "duringFault": "MayBreak"}],
                },
            },
        ),
        (),
        True,
    )


@pytest.mark.parametrize(
    ("name", "env", "fault"),
    [
        ("container-kill", {"TARGET_CONTAINER": "app"}, {"containerKill": {"container": "app"}}),
        ("pod-network-loss", {"NETWORK_PACKET_LOSS_PERCENTAGE": "80"}, {"network": {"loss": "80%"}}),
        (
            "pod-network-latency",
            {"NETWORK_LATENCY": "2000", "JITTER": "50", "DESTINATION_IPS": "10.1.2.3", "DESTINATION_HOSTS": "a.b, c.d"},
            {"network": {
                "delay": "2s", "jitter": "50ms", "peers": {"cidrs": ["10.1.2.3/32"], "hosts": ["a.b", "c.d"]},
            }},
        ),
        ("pod-network-rate-limit", {"NETWORK_BANDWIDTH": "1mbit"}, {"network": {"bandwidth": "1Mbit"}}),
        ("pod-network-partition", {"POLICY_TYPES": "all"}, {"network": {"loss": "100%", "direction": "Both"}}),
        ("pod-cpu-hog", {"CPU_LOAD": "70"}, {"cpu": {"load": "70%"}}),
        ("pod-cpu-hog-exec", {}, {"cpu": {"load": "100%"}}),
        ("pod-memory-hog", {"MEMORY_CONSUMPTION": "500", "NUMBER_OF_WORKERS": "2"}, {"memory": {"bytes": "1000M"}}),
        ("pod-dns-error", {"TARGET_HOSTNAMES": '["a.b"]'}, {"dns": {"fail": ["a.b"]}}),
        ("pod-dns-error", {"TARGET_HOSTNAMES": '["a"]', "MATCH_SCHEME": "substring"}, {"dns": {"fail": ["*a*"]}}),
        (
            "pod-http-status-code", {"STATUS_CODE": "500", "TARGET_SERVICE_PORT": "8080", "TOXICITY": "50"},
            {"http": {"port": 8080, "status": 500, "percent": "50%"}},
        ),
        ("pod-http-latency", {"LATENCY": "2500", "TOXICITY": "100"}, {"http": {"port": 80, "delay": "2s500ms"}}),
        (
            "pod-http-reset-peer", {"TARGET_SERVICE_PORT": "80", "TOXICITY": "10"},
            {"network": {"reset": "10%", "ports": [80], "direction": "Ingress"}},
        ),
    ],
)  # fmt: skip
def test_an_experiment_that_has_a_counterpart_comes_over(name: str, env: dict[str, str], fault: dict[str, Any]) -> None:
    (spec,) = specs(engine(experiment(name, **env)))

    assert (spec["fault"], spec["target"]["kind"]) == (fault, "Pod")


def test_a_drain_comes_over_for_each_node() -> None:
    first, second = specs(engine(experiment("node-drain", TARGET_NODE="a,b"), appinfo={}))

    assert [first["target"], second["target"]] == [{"kind": "Node", "name": "a"}, {"kind": "Node", "name": "b"}]
    assert first["fault"] == {"drain": {}}


def test_an_autoscaler_scales_the_workload() -> None:
    (spec,) = specs(engine(experiment("pod-autoscaler", REPLICA_COUNT="5")))

    assert spec["fault"] == {"scale": {"to": 5}}
    assert spec["target"] == {"kind": "Deployment", "selector": {"matchLabels": {"app": "web"}}}


@pytest.mark.parametrize(
    ("name", "env", "path"),
    [
        ("pod-network-corruption", {}, "spec.experiments[0].name"),
        ("pod-network-duplication", {}, "spec.experiments[0].name"),
        ("node-taint", NODE, "spec.experiments[0].name"),
        ("kubelet-service-kill", NODE, "spec.experiments[0].name"),
        ("disk-fill", {}, "spec.experiments[0].name"),
        ("something-else", {}, "spec.experiments[0].name"),
        ("pod-delete", {"TARGET_PODS": "a"}, "env.TARGET_PODS"),
        ("pod-delete", {"NODE_LABEL": "a=b"}, "env.NODE_LABEL"),
        ("pod-delete", {"TOTAL_CHAOS_DURATION": "soon"}, "env.TOTAL_CHAOS_DURATION"),
        ("container-kill", {}, "env.TARGET_CONTAINER"),
        ("node-drain", {}, "env.TARGET_NODE"),
        ("pod-dns-error", {"TARGET_HOSTNAMES": "a.b"}, "env.TARGET_HOSTNAMES"),
        ("pod-http-status-code", {}, "env.STATUS_CODE"),
        (
            "pod-network-loss",
            {"NETWORK_PACKET_LOSS_PERCENTAGE": "5", "DESTINATION_IPS": "1.1.1.1|80"},
            "DESTINATION_IPS",
        ),
        ("pod-network-partition", {"PORTS": "tcp: [80]"}, "env.PORTS"),
    ],
)
def test_what_has_no_counterpart_is_an_error_that_names_the_field(name: str, env: dict[str, str], path: str) -> None:
    came = read(engine(experiment(name, **env)))

    assert (came.manifests, came.is_whole) == ((), False)
    assert told(came, f"{path}: error: ")


def test_the_other_experiments_of_an_engine_come_over_beside_one_that_cannot() -> None:
    came = read(engine(experiment("pod-delete", FORCE="true"), experiment("disk-fill"), experiment("pod-cpu-hog")))

    assert [one["metadata"]["name"] for one in came.manifests] == ["x-pod-delete", "x-pod-cpu-hog"]
    assert [one["spec"]["start"] for one in came.manifests] == ["OnRequest", "OnRequest"]
    assert told(came, "spec.experiments: 3 experiments on the same targets: they begin on request")
    assert not came.is_whole


@pytest.mark.parametrize(
    ("label", "labels"), [("a=b,c=d", {"a": "b", "c": "d"}), ("a==b", {"a": "b"}), ("a!=b", None), ("a in (b)", None)]
)
def test_only_labels_with_one_value_are_taken_for_targets(label: str, labels: dict[str, str] | None) -> None:
    """C10: what cannot be said here is never left out."""
    came = read(engine(experiment("pod-delete", FORCE="true"), appinfo={"applabel": label}))

    assert [one["spec"]["target"]["selector"]["matchLabels"] for one in came.manifests] == ([labels] if labels else [])
    assert came.is_whole == bool(labels)


def test_workloads_by_label_are_targets_and_those_by_name_are_an_error() -> None:
    by_label = {"workloads": [{"kind": "deployment", "namespace": "a", "labels": "app=b"}]}
    by_name = {"workloads": [{"kind": "deployment", "namespace": "a", "names": "b"}]}
    one = experiment("pod-delete", FORCE="true")

    assert read(engine(one, appinfo=None, selectors=by_label)).manifests[0]["metadata"]["namespace"] == "a"
    assert told(read(engine(one, appinfo=None, selectors=by_name)), "spec.selectors.workloads[0].names: error: ")


def prom_probe(mode: str = "Continuous", criteria: str = "<=", value: str = "0.05") -> dict[str, Any]:
    inputs = {
        "endpoint": "http://prometheus:9090", "query": "errors",
        "comparator": {"type": "float", "criteria": criteria, "value": value},
    }  # fmt: skip
    return {
        "name": "p", "type": "promProbe", "mode": mode, "promProbe/inputs": inputs,
        "runProperties": {"probeTimeout": "5s", "interval": "2s"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "during"), [("Continuous", "MustHold"), ("OnChaos", "MustHold"), ("Edge", "MayBreak"), ("EOT", "MayBreak")]
)
def test_a_query_of_prometheus_is_a_part_of_the_hypothesis(mode: str, during: str) -> None:
    """C7: with one of its own it needs no other, and is not suspended."""
    (spec,) = specs(engine(experiment("pod-delete", [prom_probe(mode)], FORCE="true")), wishes=Wishes())

    assert spec["hypothesis"] == [{"promql": {"query": "errors", "condition": "<= 0.05"}, "duringFault": during}]
    assert "suspend" not in spec


@pytest.mark.parametrize(
    "probe",
    [
        {"name": "p", "type": "httpProbe", "httpProbe/inputs": {"url": "http://a"}, "mode": "Continuous"},
        {"name": "p", "type": "cmdProbe", "cmdProbe/inputs": {"command": "true"}},
        {"name": "p", "type": "k8sProbe", "k8sProbe/inputs": {"resource": "pods"}},
        prom_probe(criteria="oneOf", value="[1,2]"),
    ],
)
def test_another_probe_is_told_to_be_lost(probe: dict[str, Any]) -> None:
    came = read(engine(experiment("pod-delete", [probe], FORCE="true")))

    assert came.is_whole
    assert told(came, f'spec.experiments[0].spec.probe[0]: {probe["type"]} "p" is lost')


def test_a_definition_gives_the_defaults_of_its_experiment() -> None:
    entries = [{"name": "NETWORK_PACKET_LOSS_PERCENTAGE", "value": "40"}]
    definition = {
        "apiVersion": API, "kind": "ChaosExperiment", "metadata": {"name": "pod-network-loss"},
        "spec": {"definition": {"env": entries}},
    }  # fmt: skip
    (spec,) = specs(engine(experiment("pod-network-loss")), definition)

    assert spec["fault"] == {"network": {"loss": "40%"}}


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ({"now": True}, None),
        ({"repeat": {"properties": {"minChaosInterval": {"minute": {"everyNthMinute": 15}}}}}, "*/15 * * * *"),
        ({"repeat": {"properties": {"minChaosInterval": "30m"}}}, "*/30 * * * *"),
        (
            {
                "repeat": {
                    "properties": {"minChaosInterval": {"hour": {"everyNthHour": 2, "minuteOfTheHour": 5}}},
                    "workHours": {"includedHours": "8-16"},
                    "workDays": {"includedDays": "Mon,Tue"},
                }
            },
            "5 8-16/2 * * Mon,Tue",
        ),
    ],
)
def test_a_schedule_comes_over(schedule: dict[str, Any], cron: str | None) -> None:
    template = engine(experiment("pod-delete", FORCE="true"))["spec"]
    body = engine() | {"kind": "ChaosSchedule", "spec": {"schedule": schedule, "engineTemplateSpec": template}}
    (spec,) = specs(body)

    assert spec.get("schedule") == ({"cron": cron} if cron else None)


@pytest.mark.parametrize(
    ("schedule", "path"),
    [
        ({"once": {"executionTime": "2026-01-01T00:00:00Z"}}, "spec.schedule.once"),
        (
            {"repeat": {"properties": {"minChaosInterval": {"minute": {"everyNthMinute": 7}}}}},
            "minChaosInterval.minute",
        ),
        ({"repeat": {}}, "everyNthMinute"),
    ],
)
def test_a_schedule_that_cron_cannot_say_is_an_error(schedule: dict[str, Any], path: str) -> None:
    template = engine(experiment("pod-delete", FORCE="true"))["spec"]
    body = engine() | {"kind": "ChaosSchedule", "spec": {"schedule": schedule, "engineTemplateSpec": template}}
    came = read(body)

    assert came.manifests == ()
    assert told(came, f"{path}: error: ")


def test_an_engine_that_is_stopped_is_suspended() -> None:
    assert specs(engine(experiment("pod-delete", FORCE="true"), engineState="stop"))[0]["suspend"] is True


def test_a_value_that_stands_elsewhere_is_an_error() -> None:
    one = experiment("pod-delete")
    one["spec"]["components"]["env"].append({"name": "FORCE", "valueFrom": {"configMapKeyRef": {}}})

    assert told(read(engine(one)), "spec.experiments[0].spec.components.env[1]: error: ")


@pytest.mark.parametrize("kind", ["Workflow", "CronWorkflow"])
def test_a_workflow_of_argo_is_an_error_that_says_what_to_do(kind: str) -> None:
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": {}}

    assert is_known(body)
    assert told(read(body), f"{kind}/x: kind: error: an Argo workflow: give the ChaosEngines inside it as files")
