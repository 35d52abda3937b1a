"""Chaos Mesh read: what comes over, what is told, and that nothing comes out which our own rules refuse."""

from typing import Any

import pytest

from homeostat.interchange.chaos.experiment import Wishes
from homeostat.interchange.chaos.mesh.objects import convert
from homeostat.interchange.importing import Outcome, outcome
from homeostat.interchange.reading import Foreign
from homeostat.interchange.validation import check

NAMED = Wishes(("checkout",))
SELECTOR = {"namespaces": ["shop"], "labelSelectors": {"app": "web"}}


def read(*bodies: dict[str, Any], wishes: Wishes = NAMED) -> Outcome:
    came = outcome(convert([Foreign("a.yaml", "1", body) for body in bodies], wishes), "")
    assert not any(check(manifest).problems for manifest in came.manifests)
    return came


def mesh(kind: str, **spec: Any) -> dict[str, Any]:
    base = {"mode": "one", "selector": SELECTOR, "duration": "30s"}
    whole = {name: value for name, value in (base | spec).items() if value is not None}
    metadata = {"name": "x", "namespace": "shop"}
    return {"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": metadata, "spec": whole}


def specs(*bodies: dict[str, Any], wishes: Wishes = NAMED) -> list[dict[str, Any]]:
    came = read(*bodies, wishes=wishes)
    assert came.is_whole, came.lines
    return [manifest["spec"] for manifest in came.manifests]


def fault_of(body: dict[str, Any]) -> dict[str, Any]:
    (spec,) = specs(body)
    return spec["fault"]


def told(came: Outcome, text: str) -> bool:
    return any(text in line for line in came.lines)


def test_an_experiment_comes_over_with_all_that_it_says() -> None:
    came = read(mesh("PodChaos", action="pod-kill", gracePeriod=5))

    assert (came.manifests, came.lines, came.is_whole) == (
        (
            {
                "apiVersion": "homeostat.dev/v1alpha1",
                "kind": "ChaosExperiment",
                "metadata": {"name": "x", "namespace": "shop"},
                "spec": {
                    "description": "Imported from Chaos Mesh PodChaos/x",
                    "fault": {"podKill": {"gracePeriod": "5s"}},
                    "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "web"}}, "count": 1},
                    "duration": "30s",
                    "hypothesis": [{"healthCheck": {"name": "checkout"}, "duringFault": "MayBreak"}],
                },
            },
        ),
        (),
        True,
    )


def test_without_a_known_steady_state_it_is_suspended_and_that_is_told() -> None:
    """C7: nothing is broken before somebody has said what must hold."""
    came = read(mesh("PodChaos", action="pod-kill"), wishes=Wishes())

    assert came.is_whole
    assert came.manifests[0]["spec"]["suspend"] is True
    assert came.manifests[0]["spec"]["hypothesis"] == [
        {"healthCheck": {"name": "steady-state"}, "duringFault": "MayBreak"}
    ]
    assert told(came, "PodChaos/x: spec.hypothesis: what must hold is not known here")


@pytest.mark.parametrize(
    ("kind", "spec", "fault"),
    [
        ("PodChaos", {"action": "container-kill", "containerNames": ["app"]}, {"containerKill": {"container": "app"}}),
        ("PodChaos", {"action": "pod-failure"}, {"network": {"loss": "100%", "direction": "Both"}}),
        (
            "NetworkChaos", {"action": "delay", "delay": {"latency": "1.5s", "jitter": "20ms", "correlation": "0"}},
            {"network": {"delay": "1s500ms", "jitter": "20ms", "direction": "Egress"}},
        ),
        (
            "NetworkChaos", {"action": "loss", "loss": {"loss": "12.5"}, "direction": "from"},
            {"network": {"loss": "12.5%", "direction": "Ingress"}},
        ),
        (
            "NetworkChaos", {"action": "bandwidth", "bandwidth": {"rate": "1mbps"}, "direction": "both"},
            {"network": {"bandwidth": "8Mbit", "direction": "Both"}},
        ),
        (
            "NetworkChaos", {"action": "netem", "rate": {"rate": "1500kbit"}},
            {"network": {"bandwidth": "1500Kbit", "direction": "Egress"}},
        ),
        (
            "NetworkChaos",
            {
                "action": "partition", "direction": "to",
                "target": {"mode": "all", "selector": {"labelSelectors": {"app": "db"}}},
            },
            {"network": {"partition": {"to": {"selector": {"matchLabels": {"app": "db"}}}}}},
        ),
        (
            "NetworkChaos", {"action": "partition", "direction": "from", "externalTargets": ["10.0.0.0/8", "a.b"]},
            {"network": {"partition": {"from": {"cidrs": ["10.0.0.0/8"], "hosts": ["a.b"]}}}},
        ),
        (
            "NetworkChaos", {"action": "partition", "direction": "both", "externalTargets": ["10.0.0.1"]},
            {"network": {"loss": "100%", "direction": "Both", "peers": {"cidrs": ["10.0.0.1/32"]}}},
        ),
        (
            "NetworkChaos", {"action": "loss", "loss": {"loss": 5}, "externalTargets": ["a.example:443"]},
            {"network": {"loss": "5%", "direction": "Egress", "ports": [443], "peers": {"hosts": ["a.example"]}}},
        ),
        ("StressChaos", {"stressors": {"cpu": {"workers": 1, "load": 40}}}, {"cpu": {"load": "40%"}}),
        ("StressChaos", {"stressors": {"memory": {"workers": 1, "size": "256MB"}}}, {"memory": {"bytes": "256M"}}),
        (
            "HTTPChaos", {"target": "Request", "port": 80, "delay": "2s", "path": "*"},
            {"http": {"port": 80, "delay": "2s"}},
        ),
        (
            "HTTPChaos", {"target": "Response", "port": 80, "replace": {"code": 503}},
            {"http": {"port": 80, "status": 503}},
        ),
        (
            "HTTPChaos", {"target": "Request", "port": 80, "abort": True},
            {"network": {"reset": "100%", "ports": [80], "direction": "Ingress"}},
        ),
        ("DNSChaos", {"action": "error", "patterns": ["db.*"]}, {"dns": {"fail": ["db.*"]}}),
        ("DNSChaos", {"action": "error"}, {"dns": {"fail": ["*"]}}),
    ],
)  # fmt: skip
def test_a_fault_that_has_a_counterpart_comes_over(kind: str, spec: dict[str, Any], fault: dict[str, Any]) -> None:
    assert fault_of(mesh(kind, **spec)) == fault


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("NetworkChaos", {"action": "duplicate", "duplicate": {"duplicate": "5"}}, "spec.duplicate"),
        ("NetworkChaos", {"action": "corrupt", "corrupt": {"corrupt": "5"}}, "spec.corrupt"),
        ("NetworkChaos", {"action": "delay", "delay": {"latency": "1s", "reorder": {"gap": 1}}}, "spec.delay.reorder"),
        ("NetworkChaos", {"action": "netem", "delay": {"latency": "1s"}, "loss": {"loss": "5"}}, "spec"),
        ("NetworkChaos", {"action": "loss", "loss": {"loss": "200"}}, "spec.loss.loss"),
        ("NetworkChaos", {"action": "delay", "delay": {"latency": "soon"}}, "spec.delay.latency"),
        ("NetworkChaos", {"action": "partition", "direction": "up"}, "spec.direction"),
        ("NetworkChaos", {"action": "partition", "externalTargets": ["1.1.1.1:80", "1.1.1.2"]}, "spec.externalTargets"),
        ("NetworkChaos", {"action": "partition", "externalTargets": "1.1.1.1"}, "spec.externalTargets"),
        (
            "NetworkChaos",
            {"action": "partition", "target": {"selector": {"namespaces": ["b"], "labelSelectors": {"a": "b"}}}},
            "spec.target.selector.namespaces",
        ),
        ("PodChaos", {"action": "container-kill"}, "spec.containerNames"),
        ("PodChaos", {"action": "pod-kill", "remoteCluster": "b"}, "spec.remoteCluster"),
        ("PodChaos", {"action": "pod-failure", "duration": None}, "spec.duration"),
        ("PodChaos", {"action": "pod-kill", "duration": "100h"}, "x: spec.duration"),
        ("StressChaos", {"stressngStressors": "--io 1"}, "spec.stressngStressors"),
        ("StressChaos", {"stressors": {"memory": {"size": "50%"}}}, "spec.stressors.memory.size"),
        ("HTTPChaos", {"port": 80, "path": "/pay", "abort": True}, "spec.path"),
        ("HTTPChaos", {"port": 80, "patch": {"body": {}}}, "spec.patch"),
        ("HTTPChaos", {"port": 80, "replace": {"body": "x"}}, "spec.replace.body"),
        ("DNSChaos", {"action": "random"}, "spec.action"),
        ("DNSChaos", {"action": "error", "patterns": ["a?.example"]}, "spec.patterns"),
        ("DNSChaos", {"action": "error", "patterns": "a.example"}, "spec.patterns"),
        ("IOChaos", {"action": "latency"}, "kind"),
        ("TimeChaos", {"timeOffset": "-5m"}, "kind"),
        ("KernelChaos", {}, "kind"),
        ("JVMChaos", {"action": "gc"}, "kind"),
        ("Nonsense", {}, "kind"),
    ],
)
def test_what_has_no_counterpart_is_an_error_that_names_the_field(kind: str, spec: dict[str, Any], path: str) -> None:
    came = read(mesh(kind, **spec))

    assert (came.manifests, came.is_whole) == ((), False)
    assert told(came, f"{kind}/x: {path}: error: ")


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ({"namespaces": ["shop"]}, "labelSelectors"),
        ({"labelSelectors": {"app": 1}}, "labelSelectors"),
        ({"labelSelectors": {"app": "web"}, "fieldSelectors": {"metadata.name": "a"}}, "fieldSelectors"),
        ({"labelSelectors": {"app": "web"}, "annotationSelectors": {"a": "b"}}, "annotationSelectors"),
        ({"labelSelectors": {"app": "web"}, "nodes": ["a"]}, "nodes"),
        ({"labelSelectors": {"app": "web"}, "nodeSelectors": {"a": "b"}}, "nodeSelectors"),
        ({"pods": {"shop": ["a"]}}, "pods"),
        ({"labelSelectors": {"app": "web"}, "podPhaseSelectors": ["Pending"]}, "podPhaseSelectors"),
        ({"labelSelectors": {"app": "web"}, "namespaces": "shop"}, "namespaces"),
        (
            {
                "labelSelectors": {"app": "web"},
                "expressionSelectors": [{"key": "a", "operator": "NotIn", "values": ["b"]}],
            },
            "expressionSelectors[0]",
        ),
    ],
)
def test_a_selector_that_would_be_wider_here_is_an_error(selector: dict[str, Any], path: str) -> None:
    """C10: what narrows the choice is never left out."""
    came = read(mesh("PodChaos", action="pod-kill", selector=selector))

    assert (came.manifests, came.is_whole) == ((), False)
    assert told(came, f"spec.selector.{path}: error: ")


def test_an_expression_with_one_value_is_a_label() -> None:
    selector = {"labelSelectors": {"a": "b"}, "expressionSelectors": [{"key": "c", "operator": "In", "values": ["d"]}]}
    (spec,) = specs(mesh("PodChaos", action="pod-kill", selector=selector))

    assert spec["target"]["selector"] == {"matchLabels": {"a": "b", "c": "d"}}


@pytest.mark.parametrize(
    ("mode", "value", "count"),
    [
        ("one", None, 1),
        ("all", None, "100%"),
        ("fixed", "3", 3),
        ("fixed-percent", "40", "40%"),
        ("random-max-percent", "40", "40%"),
    ],
)
def test_a_mode_becomes_a_count(mode: str, value: str | None, count: int | str) -> None:
    (spec,) = specs(mesh("PodChaos", action="pod-kill", mode=mode, value=value))

    assert spec["target"]["count"] == count


@pytest.mark.parametrize(("mode", "value"), [("fixed", None), ("fixed", "0"), ("fixed-percent", "1.5"), ("some", "1")])
def test_a_mode_without_a_sound_value_is_an_error(mode: str, value: str | None) -> None:
    assert read(mesh("PodChaos", action="pod-kill", mode=mode, value=value)).manifests == ()


def test_each_namespace_and_each_container_becomes_an_experiment() -> None:
    selector = {"namespaces": ["a", "b"], "labelSelectors": {"app": "web"}}
    came = read(mesh("PodChaos", action="container-kill", containerNames=["c", "d"], selector=selector))

    assert [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in came.manifests] == [
        ("a", "x-a-c"), ("a", "x-a-d"), ("b", "x-b-c"), ("b", "x-b-d"),
    ]  # fmt: skip
    assert told(came, "spec.selector.namespaces: 2 experiments, one in each namespace")


def test_loads_of_two_kinds_become_two_experiments_that_begin_on_request() -> None:
    """C12: never two faults at once on a target."""
    cpu, memory = specs(
        mesh("StressChaos", stressors={"cpu": {"workers": 1}, "memory": {"workers": 1, "size": "1MiB"}})
    )

    assert [cpu["fault"], memory["fault"]] == [{"cpu": {"load": "100%"}}, {"memory": {"bytes": "1Mi"}}]
    assert cpu["start"] == memory["start"] == "OnRequest"


@pytest.mark.parametrize(
    ("line", "schedule"),
    [
        ("0 10 * * 1-5", {"cron": "0 10 * * 1-5"}),
        ("0 */5 * * * ?", {"cron": "*/5 * * * *"}),
        ("@every 30m", {"cron": "*/30 * * * *"}),
        ("@every 2h", {"cron": "0 */2 * * *"}),
        ("@daily", {"cron": "0 0 * * *"}),
        ("CRON_TZ=Europe/Paris 0 9 * * *", {"cron": "0 9 * * *", "timeZone": "Europe/Paris"}),
    ],
)
def test_a_schedule_comes_over(line: str, schedule: dict[str, str]) -> None:
    inner = mesh("PodChaos", action="pod-kill")["spec"]
    body = mesh("Schedule") | {"spec": {"schedule": line, "type": "PodChaos", "podChaos": inner}}
    (spec,) = specs(body)
    (old,) = specs(mesh("PodChaos", action="pod-kill", scheduler={"cron": line}))

    assert spec["schedule"] == old["schedule"] == schedule


@pytest.mark.parametrize("line", ["@every 5s", "@every 7m", "30 * * * * *", "often", ""])
def test_a_schedule_that_cron_cannot_say_is_an_error(line: str) -> None:
    inner = mesh("PodChaos", action="pod-kill")["spec"]
    body = mesh("Schedule") | {"spec": {"schedule": line, "type": "PodChaos", "podChaos": inner}}

    assert told(read(body), "spec.schedule: error: ")


@pytest.mark.parametrize("line", ["99 * * * *", "0 0 30 2 *", "a b c d e"])
def test_a_schedule_that_is_never_due_is_an_error(line: str) -> None:
    came = read(mesh("PodChaos", action="pod-kill", scheduler={"cron": line}))

    assert (came.manifests, came.is_whole) == ((), False)
    assert told(came, "spec.schedule.cron: error: ")


def workflow(*templates: dict[str, Any]) -> dict[str, Any]:
    chaos = mesh("PodChaos", action="pod-kill", duration=None)["spec"]
    kill = {"name": "kill", "templateType": "PodChaos", "deadline": "20s", "podChaos": chaos}
    return mesh("Workflow") | {"spec": {"entry": "all", "templates": [kill, *templates]}}


SERIAL = {"name": "all", "templateType": "Serial", "children": ["kill", "pause", "kill"]}
PAUSE = {"name": "pause", "templateType": "Suspend", "deadline": "10s"}


def test_a_workflow_that_is_a_sequence_becomes_experiments_on_request_and_a_game_day() -> None:
    came = read(workflow(SERIAL, PAUSE))
    experiment, day = came.manifests

    assert came.is_whole, came.lines
    assert (experiment["metadata"]["name"], experiment["spec"]["duration"]) == ("x-kill", "20s")
    assert experiment["spec"]["start"] == "OnRequest"
    assert (day["kind"], day["metadata"]) == ("GameDay", {"name": "x", "namespace": "shop"})
    assert day["spec"]["steps"] == [
        {"experiment": "x-kill", "gate": {"verdict": "Any", "wait": "10s"}},
        {"name": "step-2", "experiment": "x-kill", "gate": {"verdict": "Any", "wait": "0s"}},
    ]


@pytest.mark.parametrize(
    "templates",
    [
        [SERIAL | {"templateType": "Parallel"}, PAUSE],
        [SERIAL | {"templateType": "Task"}],
        [SERIAL | {"children": ["kill", "away"]}],
        [SERIAL | {"children": ["kill", "all"]}],
        [SERIAL | {"children": []}],
        [],
    ],
)
def test_of_another_workflow_the_experiments_come_over_and_that_their_order_is_lost_is_an_error(
    templates: list[dict[str, Any]],
) -> None:
    came = read(workflow(*templates))

    assert [one["kind"] for one in came.manifests] == ["ChaosExperiment"]
    assert not came.is_whole
    assert told(came, ": no GameDay")


def test_a_game_day_follows_the_names_of_its_experiments() -> None:
    """Two workflows of one name, of which the second gets others."""
    came = read(workflow(SERIAL, PAUSE), workflow(SERIAL, PAUSE))

    assert [one["metadata"]["name"] for one in came.manifests] == ["x-kill", "x", "x-kill-2", "x-2"]
    assert {step["experiment"] for step in came.manifests[3]["spec"]["steps"]} == {"x-kill-2"}


def test_a_game_day_whose_experiment_is_refused_is_refused() -> None:
    body = workflow(SERIAL, PAUSE)
    body["spec"]["templates"][0]["podChaos"]["selector"] = {"labelSelectors": {"no label!": "a"}}

    assert read(body).manifests == ()


def test_a_duration_that_is_missing_is_the_one_that_was_wished() -> None:
    """C1: no fault lasts without an end."""
    (spec,) = specs(mesh("DNSChaos", action="error", duration=None), wishes=Wishes(("checkout",), "45s"))

    assert spec["duration"] == "45s"


def test_what_is_paused_there_is_suspended_here() -> None:
    body = mesh("PodChaos", action="pod-kill")
    body["metadata"]["annotations"] = {"experiment.chaos-mesh.org/pause": "true"}

    assert specs(body)[0]["suspend"] is True


def test_what_nobody_knows_is_told() -> None:
    came = read(mesh("PodChaos", action="pod-kill", colour="red"))

    assert came.is_whole
    assert told(came, "PodChaos/x: spec.colour: not known here: left out")
