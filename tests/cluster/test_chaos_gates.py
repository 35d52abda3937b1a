"""What keeps a fault from going on, and what takes it off before its time: on real pods, which then are untouched."""

import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import pytest

from cluster.experiments import (
    CHAOS,
    agents_of,
    booth,
    ended,
    experiment,
    in_turn,
    is_marked,
    may_break,
    open_booths,
    pods_of,
    specs_of,
    until_content,
    until_nothing_is_left,
)
from cluster.manifests import Manifest, health_check, policy
from cluster.operator_process import AGENT_IMAGE
from cluster.stage import APPLY, MERGE, Api, Stage
from cluster.waiting import until

pytestmark = pytest.mark.cluster

PASSED = ("Passed", "HypothesisHeld")
FAILS = {"http": {"port": 8080, "status": 503}}
LOSS = {"network": {"loss": "100%", "ports": [8080], "direction": "Ingress"}}
CLOSED = {"scale": {"to": 0}}
KILLED = {"podKill": {"gracePeriod": "0s"}}
LONG = {"duration": "10m"}


def annotate(stage: Stage, name: str, **values: str) -> None:
    stage.patch(CHAOS, {"metadata": {"annotations": {f"homeostat.dev/{key}": it for key, it in values.items()}}}, name)


def finished(stage: Stage, *names: str) -> dict[str, tuple[str | None, str | None]]:
    """Wait until experiments are over; give verdict and reason of each."""
    return {name: ended(stage.until_finished(name=name)) for name in names}


# --- where no fault goes on -----------------------------------------------------------------------------


@contextmanager
def elsewhere(api: Api, namespace: str, manifest: Manifest) -> Iterator[str]:
    """Have an experiment in another namespace for a while; gives its path."""
    path = f"/apis/homeostat.dev/v1alpha1/namespaces/{namespace}/chaosexperiments/{manifest['metadata']['name']}"
    code, answer = api("PATCH", f"{path}?fieldManager=story&force=true", manifest, content_type=APPLY)
    assert code < 300, answer
    try:
        yield path
    finally:
        api("DELETE", path)


@pytest.mark.parametrize("namespace", ["kube-system", "homeostat-system"])
def test_namespaces_of_the_cluster_and_our_own_are_protected(shop: Stage, namespace: str) -> None:
    """C10: whatever their labels."""
    with elsewhere(shop.api, namespace, experiment(shop.namespace, KILLED)) as path:
        status = until(lambda: (it := shop.api("GET", path)[1].get("status", {})).get("verdict") and it, "a verdict")

    assert ended(status) == ("Aborted", "NamespaceProtected")


def on_the_nodes_network(name: str) -> Manifest:
    """A Deployment whose pod has the network of its Node, where it listens on nothing that others know."""
    manifest, _ = booth(name, hostNetwork=True)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    del container["ports"], container["readinessProbe"]
    container["args"] = [f"-{door}=127.0.0.1:0" for door in ("http", "grpc", "control", "tls")]
    return manifest


def look_into(stage: Stage, name: str, *command: str) -> int:
    """Run a command in the network of a booth's pod, as an administrator may; give its exit code."""
    (pod,) = pods_of(stage, name).values()
    called = f"look-{len(pod['spec'].get('ephemeralContainers', []))}"
    security = {"runAsUser": 0, "runAsNonRoot": False, "capabilities": {"add": ["NET_ADMIN"]}}
    container = {"name": called, "image": AGENT_IMAGE, "imagePullPolicy": "IfNotPresent", "command": list(command)}
    body = {"spec": {"ephemeralContainers": [container | {"securityContext": security}]}}
    path = stage.path("Pod", pod["metadata"]["name"])
    code, answer = stage.api(
        "PATCH", f"{path}/ephemeralcontainers", body, content_type="application/strategic-merge-patch+json"
    )
    assert code < 300, answer

    def over() -> list[int]:
        statuses = stage.api("GET", path)[1]["status"].get("ephemeralContainerStatuses", [])
        return [
            one["state"]["terminated"]["exitCode"]
            for one in statuses
            if one["name"] == called and "terminated" in one["state"]
        ]

    return until(over, f"{command} is done")[0]


@in_turn
def test_what_an_agent_must_not_touch_it_leaves_alone(shop: Stage) -> None:
    """C6, C10, C11: the Node's network, packet rules of others, and peers or containers that are nobody."""
    open_booths(shop, "ruled", "plain")
    shop.put(on_the_nodes_network("host"))
    until(lambda: shop.status("Deployment", "host").get("readyReplicas"), "it runs")
    before = specs_of(shop, "ruled", "plain", "host")
    assert look_into(shop, "ruled", "nft", "add", "table", "inet", "theirs") == 0
    nobody = {"network": {"loss": "100%", "peers": {"selector": {"matchLabels": {"app": "nobody"}}}}}
    plain = {"kind": "Pod", "selector": {"matchLabels": {"app": "plain"}}}
    shop.put(
        experiment("ruled", LOSS),
        experiment("host", LOSS, hypothesis=[may_break("plain")]),
        experiment("deaf", nobody, target=plain, hypothesis=[may_break("plain")]),
        experiment("typo", {"containerKill": {"container": "smaple"}}, target=plain, hypothesis=[may_break("plain")]),
    )

    assert finished(shop, "ruled", "host", "deaf", "typo") == {
        "ruled": ("Aborted", "AgentRefused"),
        "host": ("Aborted", "HostNetwork"),
        "deaf": ("Aborted", "NoPeers"),
        "typo": ("Aborted", "NoContainer"),
    }
    assert "ForeignRules" in shop.status(CHAOS, "ruled")["message"]
    assert look_into(shop, "ruled", "nft", "list", "table", "inet", "theirs") == 0
    assert agents_of(shop, "host") == agents_of(shop, "plain") == []
    until_nothing_is_left(shop, before)


def is_refused(stage: Stage, security: Manifest) -> bool:
    """Whether a pod whose container asks for this would be forbidden."""
    container = {"name": "loose", "image": "none", "securityContext": security}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": {"containers": [container]}}
    return stage.api("POST", f"{stage.path('Pod')}?dryRun=All", pod)[0] == 403


def test_where_pod_security_lets_no_agent_in_other_faults_still_work(shop: Stage) -> None:
    """C6: refused in the words of the API server, before anything was touched."""
    open_booths(shop, "agent", "api", "calm")
    before = specs_of(shop, "agent", "api")
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    assert shop.api("PATCH", f"/api/v1/namespaces/{shop.namespace}", level, content_type=MERGE)[0] == 200
    until(lambda: is_refused(shop, {"capabilities": {"add": ["NET_ADMIN"]}}), "admission knows the level")
    shop.put(experiment("agent", LOSS), experiment("api", KILLED))

    assert finished(shop, "agent", "api") == {"agent": ("Aborted", "AgentForbidden"), "api": PASSED}
    assert "violates PodSecurity" in shop.status(CHAOS, "agent")["message"]
    until_nothing_is_left(shop, before)


@in_turn
def test_an_image_that_cannot_be_pulled_keeps_faults_off_that_need_it(stage: Stage) -> None:
    """C2, C3: no agent, no guard: nothing was touched; what needs neither still works."""
    stage.start(agent_image="127.0.0.1:1/none:none")
    names = ("agent", "held", "plain")
    open_booths(stage, *names)
    before = specs_of(stage, *names)
    stage.put(experiment("agent", LOSS), experiment("held", CLOSED, "Deployment"), experiment("plain", KILLED))

    assert finished(stage, *names) == {
        "agent": ("Aborted", "AgentNotStarted"),
        "held": ("Aborted", "GuardNotReady"),
        "plain": PASSED,
    }
    assert stage.read("Deployment", "held")["metadata"]["generation"] == 1
    until_nothing_is_left(stage, before)


@in_turn
def test_no_second_fault_goes_on_where_one_is(shop: Stage) -> None:
    """C12: on a pod as on a workload; and the first goes on as if nothing had been asked."""
    open_booths(shop, "pod", "field", "calm")
    before = specs_of(shop, "pod", "field")
    shop.put(experiment("field", CLOSED, "Deployment", **LONG))
    shop.until_phase("Running", "field")
    shop.put(experiment("pod", FAILS, **LONG))  # last, for a machine that stops for 3 s takes it off
    shop.until_phase("Running", "pod")
    more = {
        "second": experiment("pod", LOSS, hypothesis=[may_break("calm")]),
        "third": experiment("field", {"scale": {"to": 3}}, "Deployment", hypothesis=[may_break("calm")]),
    }
    shop.put(*(one | {"metadata": {"name": name}} for name, one in more.items()))

    assert set(finished(shop, *more).values()) == {("Aborted", "TargetFaulted")}
    assert {shop.status(CHAOS, name)["phase"] for name in ("pod", "field")} == {"Running"}
    for name in ("pod", "field"):
        annotate(shop, name, abort="enough")
    assert set(finished(shop, "pod", "field").values()) == {("Aborted", "AbortRequested")}
    until_nothing_is_left(shop, before)


# --- what takes it off ----------------------------------------------------------------------------------


@in_turn
def test_a_call_for_a_human_stops_all_and_keeps_others_from_starting(shop: Stage) -> None:
    """C8, C13: an escalation that no experiment expects is an incident."""
    open_booths(shop, "agent", "held", "sick")
    before = specs_of(shop, "agent", "held")
    shop.put(experiment("held", CLOSED, "Deployment", **LONG))
    shop.until_phase("Running", "held")
    shop.put(experiment("agent", FAILS, **LONG))  # last, for a machine that stops for 3 s takes it off
    shop.until_phase("Running", "agent")
    http = {"http": {"service": {"name": "sick", "port": "http", "path": "/no-such-page"}}}
    call = {"escalate": {"severity": "High", "summary": "somebody must look"}}
    cause = {"target": {"kind": "Deployment", "name": "sick"}, "triggers": [{"healthCheck": {"name": "pain"}}]}
    shop.put(health_check("pain", probe=http), policy("help", steps=[call], **cause))

    assert set(finished(shop, "agent", "held").values()) == {("Aborted", "UnexpectedAlert")}
    shop.put(experiment("sick", KILLED))
    assert finished(shop, "sick") == {"sick": ("Aborted", "IncidentOpen")}
    until_nothing_is_left(shop, before)


class FakePrometheus:
    """Answers each query with 1, and those that are troubled as the query is called: error, timeout or empty."""

    def __init__(self, host: str) -> None:
        self.is_troubled = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                code, body = fake.answer(form.get("query", [""])[0])
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST  # noqa: N815 - http.server's own name

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}"

    def answer(self, query: str) -> tuple[int, str]:
        if self.is_troubled and query != "empty":
            type_ = "timeout" if query == "timeout" else "internal"
            return 503, f'{{"status": "error", "errorType": "{type_}", "error": "made up"}}'
        values = "" if self.is_troubled else '{"metric": {}, "value": [0, "1"]}'
        return 200, f'{{"status": "success", "data": {{"resultType": "vector", "result": [{values}]}}}}'

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@in_turn
def test_no_data_has_three_reasons_and_each_takes_the_fault_off(stage: Stage) -> None:
    """C7, C15: an error, a timeout and an empty answer of Prometheus; and data that says no is none of them."""
    reasons = {"error": "SignalError", "timeout": "SignalTimeout", "empty": "SignalEmpty"}
    with FakePrometheus(stage.host) as prometheus:
        stage.start("--prometheus-url", prometheus.url)
        open_booths(stage, *reasons)
        before = specs_of(stage, *reasons)
        for name in reasons:
            asked = {"promql": {"query": name, "condition": "== 1"}, "duringFault": "MayBreak"}
            # Prometheus never is well again: that is waited for to the end
            stage.put(experiment(name, FAILS, **LONG, hypothesis=[asked], recoveryTimeout="1m"))
        for name in reasons:
            stage.until_phase("Running", name)
        prometheus.is_troubled = True

        assert finished(stage, *reasons) == {name: ("Aborted", reason) for name, reason in reasons.items()}
        until_nothing_is_left(stage, before)


# --- by hand and by the clock ---------------------------------------------------------------------------


def type_commands(stage: Stage, commands: str) -> None:
    """Type what a status says, as an administrator with kubectl."""
    kubectl = f'kubectl() {{ {os.environ.get("KUBECTL", "command kubectl")} "$@"; }}\n'
    environment = os.environ | {"KUBECONFIG": str(stage.kubeconfig)}
    script = f"set -e\n{kubectl}{commands}"
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{shlex.quote(commands)}: {done.stdout}{done.stderr}"


def test_an_undo_that_fails_is_loud_and_its_commands_work(stage: Stage) -> None:
    """C16: the right is taken away; after three failures a human is told what to type, and no new fault goes on."""
    stage.start()
    open_booths(stage, "held", "calm")
    before = specs_of(stage, "held")
    stage.put(experiment("held", CLOSED, "Deployment", **LONG))
    stage.until_phase("Running", "held")
    for name in ("homeostat-chaos", "homeostat-recovery", "homeostat-undo", "homeostat-undo-nodes"):
        stage.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}-{stage.namespace}")
    annotate(stage, "held", abort="enough")
    status = stage.until_status(CHAOS, lambda it: it.get("reason") == "RecoveryFailed", "it is loud", "held")
    assert (status["verdict"], is_marked(stage, "held")) == ("Failed", True)
    until(lambda: stage.events("RecoveryFailed"), "an event tells of it")
    again = experiment("held", {"rolloutBreak": {"env": {"A": "b"}}}, "Deployment", hypothesis=[may_break("calm")])
    stage.put(again | {"metadata": {"name": "again"}})
    assert finished(stage, "again") == {"again": ("Aborted", "TargetFaulted")}

    type_commands(stage, status["message"].split("by hand: ", 1)[1])
    until_content(stage, "held")
    assert stage.until_finished(name="held")["verdict"] == "Failed"
    until_nothing_is_left(stage, before)


def test_a_plan_waits_for_a_human_and_is_the_one_that_runs(shop: Stage) -> None:
    """C14, R13: a yes to another plan does not count; the plan of the dry run is that of the run."""
    open_booths(shop, "held", "calm")
    before = specs_of(shop, "held")
    planned = experiment("held", CLOSED, "Deployment", duration="3s", approval="Required", dryRun=True)
    shop.put(planned)
    dry = shop.until_status(CHAOS, lambda it: it.get("reason") == "DryRun", "planned", "held")["plan"]
    shop.patch(CHAOS, {"spec": {"dryRun": False}}, "held")
    shop.until_phase("AwaitingApproval", "held")
    annotate(shop, "held", approve="0123456789abcdef")
    asked = shop.until_status(CHAOS, lambda it: it.get("approval", {}).get("refused"), "refused", "held")
    assert asked["phase"] == "AwaitingApproval"
    annotate(shop, "held", approve=asked["approval"]["hash"])
    status = shop.until_status(CHAOS, lambda it: it.get("verdict"), "run", "held")

    assert status["plan"] == dry
    assert status["approval"]["by"]
    assert finished_last(shop, "held") == PASSED
    until_nothing_is_left(shop, before)


def finished_last(stage: Stage, name: str) -> tuple[str | None, str | None]:
    """Wait until the run under way is over; give verdict and reason."""
    return ended(stage.until_status(CHAOS, lambda it: it.get("phase") == "Finished", "finished", name))


def test_a_schedule_runs_an_experiment_when_it_is_due(shop: Stage) -> None:
    """C9: not before, and not again before the next time."""
    open_booths(shop, "clock", "calm")
    shop.put(experiment("clock", KILLED, duration="1s", schedule={"cron": "* * * * *"}))
    waiting = shop.until_status(CHAOS, lambda it: it.get("nextRunAt"), "it knows when", "clock")
    status = shop.until_finished(name="clock")
    shop.patch(CHAOS, {"spec": {"suspend": True}}, "clock")

    assert ended(status) == PASSED
    assert (waiting["runNumber"], waiting["reason"]) == (0, "NotDue")
    assert status["startedAt"] >= waiting["nextRunAt"]
    assert status["nextRunAt"] > waiting["nextRunAt"]
