"""`homeostat explain`: the chain of a policy as it stands, from what the operator wrote and what one may read."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cli.test_score_command import kubeconfig
from contract.kube_server import Behaviour, refuses, resets, serving_handler
from homeostat.api.meta import format_precise_time
from homeostat.cli import desk
from homeostat.cli.reasons.explain import main
from homeostat.cli.reasons.operators_own import OPERATORS_OWN
from homeostat.core.recovery.gates.chain import TO_ACT, TO_TELL, name_of
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import Patience
from scenarios.recovery.world import SPEC

OURS = "/apis/homeostat.dev/v1alpha1/namespaces/shop"
POLICY = f"{OURS}/recoverypolicies/heal"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/checkout"
PODS = "/api/v1/namespaces/shop/pods"
NAMESPACE = "/api/v1/namespaces/shop"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
FREEZES = "/apis/homeostat.dev/v1alpha1/freezes"
LONG_AGO = "2026-01-01T00:00:00.000000Z"
ACT = {
    "id": "a1", "at": LONG_AGO, "trigger": 0, "step": 0, "name": "restartPods", "target": "Deployment/checkout",
    "verdict": "Act", "does": "EvictPod checkout-1",
}  # fmt: skip

Bodies = dict[str, Any]


def firing(**more: Any) -> Bodies:
    """A status in which the trigger has fired for long."""
    signal = {"trigger": 0, "state": "Firing", "since": LONG_AGO}
    return {"observedGeneration": 3, "phase": "Pending", "signals": [signal], "decision": ACT} | more


def policy(status: Bodies | None = None, **spec: Any) -> Bodies:
    return {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "RecoveryPolicy",
        "metadata": {
            "name": "heal", "namespace": "shop", "uid": "policy-1", "resourceVersion": "7", "generation": 3,
        },
        "spec": SPEC | spec,
        "status": firing() if status is None else status,
    }  # fmt: skip


def pod(name: str, *, ready: bool = True) -> Bodies:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-5d", "uid": "rs-1", "controller": True}
    return {
        "metadata": {
            "name": name, "namespace": "shop", "uid": f"{name}-uid", "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "checkout"}, "ownerReferences": [owner],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "shop:1"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1",
                   "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }  # fmt: skip


def deployment(**spec: Any) -> Bodies:
    return {
        "metadata": {
            "name": "checkout", "namespace": "shop", "uid": "checkout-uid", "resourceVersion": "9", "generation": 1,
        },
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "checkout"}},
                 "template": {"spec": {"containers": [{"name": "main", "image": "shop:1"}]}}} | spec,
        "status": {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4,
                   "availableReplicas": 4},
    }  # fmt: skip


def check(name: str, state: str, **more: Any) -> Bodies:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"{name}-1", "resourceVersion": "3", "generation": 1},
        "spec": {"probe": {"http": {"url": "http://checkout.shop/"}}} | more.pop("spec", {}),
        "status": {"observedGeneration": 1, "state": state} | more,
    }


def listing(*items: Bodies) -> Bodies:
    return {"kind": "List", "metadata": {"resourceVersion": "9"}, "items": list(items)}


def shop(**changes: Any) -> Bodies:
    """A namespace in which checkout-1 fails and nothing stands against healing it; `changes` by path."""
    failing = [{"name": "checkout-1", "reason": "Timeout"}]
    replica_set = {
        "metadata": {
            "name": "checkout-5d", "namespace": "shop", "uid": "rs-1", "resourceVersion": "4",
            "ownerReferences": [{"kind": "Deployment", "name": "checkout", "uid": "checkout-uid", "controller": True}],
        }
    }  # fmt: skip
    return {
        POLICY: policy(),
        DEPLOYMENT: deployment(),
        PODS: listing(*(pod(f"checkout-{number}", ready=number != 1) for number in range(4))),
        "/apis/apps/v1/namespaces/shop/replicasets": listing(replica_set),
        "/apis/apps/v1/namespaces/shop/replicasets/checkout-5d": replica_set,
        NAMESPACE: {"metadata": {"name": "shop"}, "status": {"phase": "Active"}},
        f"{OURS}/healthchecks": listing(check("checkout", "Unhealthy", failing=failing)),
        f"{OURS}/servicelevelobjectives": listing(),
        f"{OURS}/chaosexperiments": listing(),
        FREEZES: listing(),
    } | changes


def api_of(bodies: Bodies, forbidden: tuple[str, ...] = (), methods: set[str] | None = None) -> Behaviour:
    """Answer with what is there, 403 under what is forbidden, and 404 for the rest."""

    async def behave(request: web.Request) -> web.StreamResponse:
        if methods is not None:
            methods.add(request.method)
        if request.path.startswith(forbidden):
            return await refuses(403, "Forbidden")(request)
        if request.path not in bodies:
            return await refuses(404, "NotFound")(request)
        return web.json_response(bodies[request.path])

    return behave


async def run(folder: Path, behaviour: Behaviour, *arguments: str) -> int:
    """Run the command as a shell would, beside a server."""
    async with serving_handler(behaviour) as url:
        return await asyncio.to_thread(main, ["--kubeconfig", kubeconfig(folder, url), *arguments])


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for nothing, and finds no kubeconfig but the test's."""
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def says(text: str, gate: str) -> str:
    """Give the line of a gate, without its name."""
    return next(line for line in text.splitlines() if line.startswith(f"{gate} ")).removeprefix(gate).strip()


# --- the chain ------------------------------------------------------------------------------------------


async def test_a_policy_that_nothing_stands_against_passes_every_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await run(tmp_path, api_of(shop()), "rp/heal")
    told = capsys.readouterr().out

    lines = told.splitlines()
    assert lines[0] == "RecoveryPolicy shop/heal: Pending, mode Auto, for Deployment/checkout"
    assert lines[1].startswith("trigger 0: healthCheck checkout is Firing since 2026-01-01T00:00:00Z (")
    gates = [line.split()[0] for line in lines[lines.index("") + 2 :][: len(TO_ACT) + 1]]
    assert gates == ["triggered", *(name_of(gate) for gate in TO_ACT)]
    assert all(says(told, gate) == "passed" for gate in gates)
    assert "All gates let it pass." in lines
    assert "next:      step 0 (restartPods): EvictPod checkout-1" in lines
    assert any(
        line.startswith("decided:   Act, EvictPod checkout-1; trigger 0, step 0 (restartPods)") for line in lines
    )
    assert code == 0


async def test_every_refusal_is_printed_and_the_first_one_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    freeze = {
        "metadata": {"name": "outage", "uid": "f-1", "resourceVersion": "1"},
        "spec": {"stops": ["Recovery"], "reason": "provider outage", "until": "2099-01-01T00:00:00Z"},
    }
    world = shop(**{FREEZES: listing(freeze), DEPLOYMENT: deployment(paused=True)})

    code = await run(tmp_path, api_of(world), "recoverypolicy/heal", "-n", "shop")
    told = capsys.readouterr().out

    assert says(told, "frozen").startswith(
        "REFUSED    Frozen: Freeze outage: provider outage (until 2099-01-01T00:00:00Z, in "
    )
    assert says(told, "target_paused") == "REFUSED    TargetPaused: The target is paused."
    assert says(told, "suspended") == "passed"
    assert "Refused by frozen: Frozen. After that by target_paused." in told
    assert code == 1


async def test_a_quiet_policy_is_explained_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = {"trigger": 0, "state": "Quiet", "since": LONG_AGO}
    world = shop(**{POLICY: policy({"observedGeneration": 3, "signals": [quiet]})})

    code = await run(tmp_path, api_of(world), "rp/heal")
    told = capsys.readouterr().out

    assert says(told, "triggered") == "REFUSED    NotFiring: No trigger fires."
    assert "Nothing is to be done now." in told
    assert says(told, "stale_view").startswith("not known  only the operator knows")
    assert code == 1


async def test_a_quiet_trigger_that_names_no_pods_is_no_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It will name them once it fires."""
    quiet = {"trigger": 0, "state": "Quiet", "since": LONG_AGO}
    body = policy({"observedGeneration": 3, "signals": [quiet]})
    world = shop(**{POLICY: body, f"{OURS}/healthchecks": listing(check("checkout", "Healthy"))})

    await run(tmp_path, api_of(world), "rp/heal")
    told = capsys.readouterr().out

    now = "The trigger names no pod of the target that could be restarted."
    assert says(told, "nothing_to_do") == f"not known  asked once a trigger fires; now: {now}"
    assert "Nothing is to be done now.\n" in told
    assert "next:      step 0 (restartPods), once a trigger fires\n" in told


async def test_a_lack_of_data_is_told_as_the_operator_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R12: it asked the source, and knows why there is nothing."""
    message = "There is no data of healthCheck checkout: nobody home."
    unknown = [{"trigger": 0, "state": "Unknown", "since": LONG_AGO}]
    blocked = {"reason": "SignalMissing", "since": LONG_AGO, "message": message}
    status = firing(phase="Blocked", signals=unknown, blocked=blocked)

    await run(tmp_path, api_of(shop(**{POLICY: policy(status)})), "rp/heal")

    assert says(capsys.readouterr().out, "signal_missing") == f"REFUSED    SignalMissing: {message}"


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        ("True", "The operator may do all steps.", "passed"),
        ("False", "The operator lacks rights: step 0 (restartPods): create pods/eviction in shop.",
         "not known  The operator lacks rights: step 0 (restartPods): create pods/eviction in shop"),
    ],
)  # fmt: skip
async def test_the_rights_of_a_policy_at_rest_are_those_of_its_condition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str, message: str, told: str
) -> None:
    known = {
        "type": "Permitted", "status": status, "reason": "Told", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3,
    }  # fmt: skip
    quiet = {"trigger": 0, "state": "Quiet", "since": LONG_AGO}
    world = shop(**{POLICY: policy({"observedGeneration": 3, "signals": [quiet], "conditions": [known]})})

    await run(tmp_path, api_of(world), "rp/heal")
    printed = capsys.readouterr().out

    assert says(printed, "not_permitted") == told
    assert says(printed, "nodes_not_allowed") == "passed"


async def test_a_policy_that_has_told_a_human_does_not_promise_to_tell_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R16: it is told once."""
    told = {
        "id": "incident-1", "reason": "StepsExhausted", "reasons": ["StepsExhausted"], "severity": "High",
        "since": LONG_AGO, "summary": "does not recover",
    }  # fmt: skip
    status = firing(phase="Escalated", escalated=told, nextStep=1, tried=[0])
    steps = [{"restartPods": {}}, {"escalate": {"severity": "High"}}]

    await run(tmp_path, api_of(shop(**{POLICY: policy(status, steps=steps)})), "rp/heal")
    lines = capsys.readouterr().out.splitlines()

    assert "next:      nothing until the trigger was quiet: a human was told" in lines


async def test_a_verification_under_way_is_not_called_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempt = {
        "id": "a1", "step": 0, "name": "restartPods", "trigger": 0, "phase": "Verifying", "detectedAt": LONG_AGO,
        "workload": {"kind": "Deployment", "name": "checkout", "uid": "checkout-uid"}, "startedAt": LONG_AGO,
        "actedAt": LONG_AGO, "verifyFrom": LONG_AGO, "deadline": "2099-01-01T00:00:00Z",
    }  # fmt: skip
    quiet = {"trigger": 0, "state": "Quiet", "since": LONG_AGO}
    status = {"observedGeneration": 3, "phase": "Verifying", "signals": [quiet], "attempt": attempt, "decision": ACT}

    await run(tmp_path, api_of(shop(**{POLICY: policy(status)})), "rp/heal")

    assert "Nothing more is to be done now: what was done is being verified." in capsys.readouterr().out


async def test_a_dependency_of_the_triggers_check_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R14."""
    checkout = check("checkout", "Unhealthy", spec={"dependsOn": [{"name": "database"}]})
    world = shop(**{f"{OURS}/healthchecks": listing(checkout, check("database", "Unhealthy"))})

    await run(tmp_path, api_of(world), "rp/heal")

    told = says(capsys.readouterr().out, "dependency")
    assert told.startswith("REFUSED    DependencyUnhealthy: HealthCheck database")


async def test_blindness_asks_what_stands_before_a_human_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R12."""
    status = firing(signals=[{"trigger": 0, "state": "Stale", "since": LONG_AGO}])

    code = await run(tmp_path, api_of(shop(**{POLICY: policy(status)})), "rp/heal", "-o", "json")
    told = json.loads(capsys.readouterr().out)

    assert [gate["name"] for gate in told["gates"]] == ["triggered", *(name_of(gate) for gate in TO_TELL)]
    assert told["refusedBy"] == "signal_stale"
    assert code == 1


async def test_what_only_the_operator_knows_is_what_it_has_on_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = ACT | {"verdict": "Refuse", "gate": "cluster_budget_spent", "reason": "ClusterBudgetSpent"}
    blocked = {"reason": "ClusterBudgetSpent", "since": LONG_AGO, "message": "All 30 actions are spent."}
    status = firing(phase="Blocked", decision=refusal, blocked=blocked)

    code = await run(tmp_path, api_of(shop(**{POLICY: policy(status)})), "rp/heal")
    told = capsys.readouterr().out

    assert says(told, "cluster_budget_spent") == "REFUSED    ClusterBudgetSpent: All 30 actions are spent."
    assert says(told, "stale_view") == "passed"
    assert "decided:   Refuse by cluster_budget_spent: ClusterBudgetSpent" in told
    assert code == 1


async def test_what_the_operator_did_not_ask_is_not_taken_for_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stopped at a freeze that is lifted meanwhile: what stands behind it, nobody knows."""
    refusal = ACT | {"verdict": "Refuse", "gate": "frozen", "reason": "Frozen"}
    status = firing(phase="Blocked", decision=refusal, blocked={"reason": "Frozen", "since": LONG_AGO})

    code = await run(tmp_path, api_of(shop(**{POLICY: policy(status)})), "rp/heal")
    told = capsys.readouterr().out

    assert says(told, "stale_view") == "not known  only the operator knows, and it asked no further than frozen"
    assert "Nothing that is known refuses; not known: " in told
    assert code == 3


def test_every_gate_that_only_the_operator_can_answer_is_one_of_the_chain() -> None:
    assert OPERATORS_OWN.keys() <= {name_of(gate) for gate in TO_ACT}


# --- rights and faults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forbidden", "gates", "why"),
    [
        ((LEASES,), ["locked"], "you may not get leases, which locks are"),
        ((FREEZES,), ["frozen"], "you may not list freezes"),
        ((f"{OURS}/healthchecks",), ["dependency"], "you may not list healthchecks"),
        ((PODS,), ["target_not_found", "locked", "nothing_to_do"],
         "you may not read Deployment checkout and its pods"),
    ],
    ids=["leases", "freezes", "checks", "pods"],
)  # fmt: skip
async def test_what_one_may_not_read_is_not_known_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], forbidden: tuple[str, ...], gates: list[str], why: str
) -> None:
    await run(tmp_path, api_of(shop(), forbidden), "rp/heal")
    told = capsys.readouterr().out

    assert [says(told, gate) for gate in gates] == [f"not known  {why}"] * len(gates)
    assert "The target is not there." not in told


async def test_nothing_is_written(tmp_path: Path) -> None:
    methods: set[str] = set()

    await run(tmp_path, api_of(shop(), methods=methods), "rp/heal")

    assert methods == {"GET"}


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"status": {}}, "note: it was never evaluated: does the operator run, and does it watch this namespace?"),
        ({"status": firing(observedGeneration=2)}, "note: its status is about an earlier spec: does the operator run?"),
    ],
)
async def test_a_policy_that_no_operator_looks_after_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: Bodies, note: str
) -> None:
    await run(tmp_path, api_of(shop(**{POLICY: policy() | changes})), "rp/heal")

    assert note in capsys.readouterr().out.splitlines()


async def test_a_policy_of_another_release_is_an_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = policy(signals=[]) | {"spec": {"mode": "Resplendent"}}

    code = await run(tmp_path, api_of(shop(**{POLICY: body})), "rp/heal")
    error = capsys.readouterr().err

    assert code == 2
    assert error.startswith("homeostat: RecoveryPolicy shop/heal: its spec cannot be read: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("behaviour", "arguments", "error"),
    [
        (
            api_of({}),
            ["rp/heal"],
            "is there such an object in this namespace, and are the CRDs of homeostat installed?",
        ),
        (api_of(shop(), (POLICY,)), ["rp/heal"], "is it the right namespace? Try -n NAMESPACE"),
        (resets, ["rp/heal"], "homeostat: the API server: "),
        (resets, ["pod/heal"], "'pod/heal' is not rp/NAME or slo/NAME"),
        (resets, ["rp/"], "'rp/' is not rp/NAME"),
        (resets, [], "explain: "),
    ],
)
async def test_what_goes_wrong_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], behaviour: Behaviour, arguments: list[str], error: str
) -> None:
    code = await run(tmp_path, behaviour, *arguments)
    told = capsys.readouterr()

    assert code == 2
    assert error in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


# --- what else is shown ---------------------------------------------------------------------------------


async def test_an_attempt_under_way_its_budget_and_a_plan_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = {"kind": "Deployment", "name": "checkout", "uid": "checkout-uid"}
    soon = format_precise_time(SystemClock().now() + timedelta(minutes=30))
    attempt = {
        "id": "a1", "step": 0, "name": "restartPods", "trigger": 0, "phase": "Acting", "workload": target,
        "detectedAt": LONG_AGO, "startedAt": LONG_AGO, "deadline": soon,
    }  # fmt: skip
    entry = {
        "id": "a1-0", "target": {"kind": "Pod", "name": "checkout-1", "uid": "checkout-1-uid"}, "step": 0,
        "action": "EvictPod", "startedAt": LONG_AGO, "deadline": "2099-01-01T00:00:00.000000Z", "phase": "Done",
    }  # fmt: skip
    plan = {
        "hash": "0123abcd", "step": 0, "name": "restartPods", "trigger": 0, "target": target,
        "does": ["EvictPod checkout-1"], "state": "AwaitingApproval", "createdAt": LONG_AGO,
        "expiresAt": "2099-01-01T00:00:00.000000Z",
    }  # fmt: skip
    budget = {"used": 2, "of": 5, "resetsAt": "2099-01-01T00:00:00.000000Z"}
    status = firing(attempt=attempt, inFlight=[entry], plan=plan, budget=budget)

    await run(tmp_path, api_of(shop(**{POLICY: policy(status)})), "rp/heal")
    lines = capsys.readouterr().out.splitlines()

    assert f"attempt:   a1, step 0 (restartPods), Acting, until {soon[:19]}Z at the latest" in lines
    assert "action:    a1-0: EvictPod checkout-1, Done" in lines
    assert any(line.startswith("budget:    2 of 5 actions used until ") for line in lines)
    assert "plan:      0123abcd, AwaitingApproval, until 2099-01-01T00:00:00Z: EvictPod checkout-1" in lines
    assert "next:      step 0 (restartPods) is under way" in lines
