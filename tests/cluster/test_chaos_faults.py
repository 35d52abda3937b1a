"""Each fault once, as a whole experiment on real pods: clients feel it, the verdict tells, and nothing of it stays."""

from collections.abc import Callable
from typing import Any

import pytest

from cluster.experiments import (
    Status,
    agents_of,
    booth,
    check_of,
    ended,
    experiment,
    in_turn,
    may_break,
    open_booths,
    pods_of,
    restarts_of,
    said,
    specs_of,
    until_content,
    until_judged,
    until_nothing_is_left,
)
from cluster.manifests import Manifest
from cluster.operator_process import AGENT_IMAGE
from cluster.stage import Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

PASSED = ("Passed", "HypothesisHeld")
TO_HTTP = {"ports": [8080], "direction": "Ingress"}
FELT: dict[str, tuple[Manifest, str]] = {
    "loss": ({"network": {"loss": "100%", **TO_HTTP}}, "Timeout"),
    "delay": ({"network": {"delay": "2s", **TO_HTTP}}, "Timeout"),
    "reset": ({"network": {"reset": "100%", **TO_HTTP}}, "Connection"),
    "status": ({"http": {"port": 8080, "status": 503}}, "UnexpectedStatus"),
    "late": ({"http": {"port": 8080, "delay": "2s"}}, "Timeout"),
    "pause": ({"processPause": {"name": "sample"}}, "Timeout"),
}
"""By booth: a fault that its clients feel, and how the reason begins that they give."""


def run_all(stage: Stage, *experiments: Manifest) -> dict[str, Status]:
    """Run experiments side by side, each on its own booth; give how they ended."""
    stage.put(*experiments)
    return until_judged(stage, *(one["metadata"]["name"] for one in experiments))


def not_passed(ends: dict[str, Status]) -> dict[str, str]:
    """Give what the others came to, and why."""
    others = {name: status for name, status in ends.items() if ended(status) != PASSED}
    return {name: f"{one['verdict']} ({one['reason']}): {one['message']}" for name, one in others.items()}


@in_turn
def test_faults_between_clients_and_pods_are_felt_and_gone(shop: Stage) -> None:
    """C5, C7, C15, C17, C18: of agents: nobody has a way to the Node, and the pods are the same as before."""
    open_booths(shop, *FELT)
    before, pods = specs_of(shop, *FELT), {name: set(pods_of(shop, name)) for name in FELT}
    ends = run_all(shop, *(experiment(name, fault) for name, (fault, _) in FELT.items()))

    assert not_passed(ends) == {}
    for name, (_, why) in FELT.items():
        (record,) = ends[name]["targets"]
        assert f"({why}" in said(ends[name]), name
        assert ends[name]["timings"]["detectedAfter"], name
        assert record["mechanism"], name
        assert sum(record["counters"].values()), name
    until_content(shop, *FELT)
    until_nothing_is_left(shop, before)
    assert {name: set(pods_of(shop, name)) for name in FELT} == pods
    assert {name: set(agents_of(shop, name)) for name in FELT} == {name: {"terminated"} for name in FELT}


@in_turn
def test_faults_inside_pods_take_what_is_theirs_and_end(shop: Stage) -> None:
    """C5, C18: processor and memory of the pod alone; a process that is killed takes its container along, once."""
    faults: dict[str, Manifest] = {
        "cpu": {"cpu": {"load": "50%"}},
        "memory": {"memory": {"bytes": "24Mi"}},
        "process": {"processKill": {"name": "sample"}},
        "container": {"containerKill": {"container": "sample"}},
    }
    killed = {"process", "container"}
    open_booths(shop, *faults)
    before = specs_of(shop, *faults)
    ends = run_all(shop, *(experiment(name, fault, duration="4s") for name, fault in faults.items()))

    assert not_passed(ends) == {}
    assert {name: restarts_of(shop, name) for name in faults} == {name: int(name in killed) for name in faults}
    assert all(sum(ends[name]["targets"][0]["counters"].values()) for name in faults.keys() - killed)
    until_content(shop, *faults)
    until_nothing_is_left(shop, before)


@in_turn
def test_faults_through_the_api_are_put_on_and_back(shop: Stage) -> None:
    """C2, C5, C6: each with the marker and a guard while it lasts, and with the very spec of before when it is over."""
    cases: dict[str, tuple[Manifest, str, Callable[[Status], Any]]] = {
        "image": ({"rolloutBreak": {"image": "homeostat.dev/none:none"}}, "Deployment", image_of),
        "env": ({"rolloutBreak": {"env": {"BROKEN": "yes"}}}, "Deployment", variables_of),
        "squeeze": ({"resourceSqueeze": {"memory": "32Mi"}}, "Deployment", limits_of),
        "inplace": ({"resourceSqueeze": {"cpu": "100m"}}, "Pod", limits_of),
        "evict": ({"podEvict": {}}, "Pod", lambda _: None),
        "scale": ({"scale": {"to": 0}}, "Deployment", lambda it: it["spec"]["replicas"]),
    }
    open_booths(shop, *cases)
    before, pods = specs_of(shop, *cases), {name: pods_of(shop, name) for name in cases}
    shop.put(*(experiment(name, *case[:2], duration="20s") for name, case in cases.items()))
    while_on = {name: seen_while_on(shop, name, *case[1:]) for name, case in cases.items() if name != "evict"}
    ends = {name: shop.until_finished(name=name) for name in cases}

    assert while_on == {
        "image": "homeostat.dev/none:none",
        "env": ["BROKEN"],
        "squeeze": {"cpu": "500m", "memory": "32Mi"},
        "inplace": {"cpu": "100m", "memory": "64Mi"},
        "scale": 0,
    }
    assert not_passed(ends) == {}
    until_content(shop, *cases)
    until_nothing_is_left(shop, before)
    assert not pods["evict"].keys() & pods_of(shop, "evict").keys()
    after = pods_of(shop, "inplace")
    assert after.keys() == pods["inplace"].keys()
    assert [limits_of(pod) for pod in after.values()] == [limits_of(pod) for pod in pods["inplace"].values()]
    assert restarts_of(shop, "inplace") == 0


def seen_while_on(shop: Stage, name: str, kind: str, look: Callable[[Status], Any]) -> Any:
    """Wait until a fault is on, and give what stands on the target then, by its marker and record."""
    status = shop.until_status(
        "ChaosExperiment", lambda it: any(one["phase"] == "Injected" for one in it.get("targets", [])), "on", name, 180
    )
    return look(shop.read(kind, status["targets"][0]["name"]))


def container_of(raw: Manifest) -> Manifest:
    """Give the one container of a Pod or of a template."""
    found: Manifest = raw["spec"].get("template", raw)["spec"]["containers"][0]
    return found


def image_of(raw: Manifest) -> str:
    return str(container_of(raw)["image"])


def variables_of(raw: Manifest) -> list[str]:
    return [one["name"] for one in container_of(raw).get("env", [])]


def limits_of(raw: Manifest) -> dict[str, str]:
    limits: dict[str, str] = container_of(raw)["resources"]["limits"]
    return limits


NAMES = """
import socket, sys

def answer(question):
    name_ends = question.index(0, 12) + 5
    is_a = question[name_ends - 4:name_ends - 2] == bytes([0, 1])
    head = question[:2] + bytes([0x81, 0x80, 0, 1, 0, int(is_a), 0, 0, 0, 0]) + question[12:name_ends]
    return head + bytes([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]) + socket.inet_aton(sys.argv[1]) if is_a else head

door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("", 53))
while True:
    question, client = door.recvfrom(512)
    door.sendto(answer(question), client)
"""
"""A name server for which every name is the same address."""


def name_server(address: str) -> Manifest:
    container = {
        "name": "names",
        "image": AGENT_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", NAMES, address],
        "securityContext": {"runAsUser": 0},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "names", "labels": {"app": "names"}}, "spec": spec}


def open_client(shop: Stage) -> None:
    """Open `front`, which finds `back` by its name and fails its users when it does not."""
    open_booths(shop, "back")
    shop.put(name_server(shop.read("Service", "back")["spec"]["clusterIP"]))
    server = until(lambda: shop.status("Pod", "names").get("podIP"), "the name server has an address")
    dns = {"dnsPolicy": "None", "dnsConfig": {"nameservers": [server]}}
    front, before_it = booth("front", **dns)
    front["spec"]["template"]["spec"]["containers"][0]["args"] = ["-upstream", "back.test:80"]
    shop.put(front, before_it, check_of("front"))
    until_content(shop, "front")


@in_turn
def test_between_pods_names_and_peers_can_be_cut_off(shop: Stage) -> None:
    """C5, C15, C18: what is named is met, and nothing else: other clients of the same pods notice nothing."""
    open_client(shop)
    before = specs_of(shop, "front", "back")
    lost = experiment("front", {"dns": {"fail": ["back.test"]}})
    cut = {"network": {"partition": {"from": {"selector": {"matchLabels": {"app": "front"}}}}}}
    apart = experiment("back", cut, hypothesis=[may_break("front"), {"healthCheck": {"name": "back"}}])
    for one in (lost, apart):
        name = one["metadata"]["name"]
        status = run_all(shop, one)[name]
        assert ended(status) == PASSED, name
        assert "HealthCheck front is Unhealthy" in said(status), name
        assert status["timings"]["detectedAfter"], name
        until_content(shop, "front", "back")
    until_nothing_is_left(shop, before)
