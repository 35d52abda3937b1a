"""`homeostat chaos sweep` on a real API server: what was left behind is found and undone, and nothing else touched."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.hands import client
from homeostat.api.chaos import KIND, MARKER
from homeostat.api.meta import API_VERSION
from homeostat.cli.chaos import sweep as sweep_command
from homeostat.core.action import HoldFields, KeepGuard, Outcome, Verb
from homeostat.core.guarding.held import Mark, Restorable, write_records
from homeostat.core.ref import Ref
from homeostat.kube.apiserver.client import APPLY_PATCH, ApiClient
from homeostat.kube.apiserver.resources import LEASE, POD, WORKLOADS, resource_of
from homeostat.kube.faults.fields import ApiFields
from homeostat.kube.guards.keeping import ApiGuards
from homeostat.kube.leases.locks import Locks
from homeostat.kube.objects import FINALIZER
from homeostat.ports import Conflict, Gone

pytestmark = pytest.mark.apiserver
__all__ = ["client"]

EXPERIMENTS = resource_of(KIND)
DONE = Outcome(Verb.DONE)
Found = list[dict[str, Any]]
Sweep = Callable[..., Awaitable[tuple[int, Found]]]


@pytest.fixture
def sweep(kubeconfig: Path, namespace: str, capsys: pytest.CaptureFixture[str]) -> Sweep:
    """Sweep the namespace, which is also the operator's; gives the exit code and what was found."""

    async def run(*flags: str) -> tuple[int, Found]:
        where = ["-n", namespace, "--operator-namespace", namespace, "--kubeconfig", str(kubeconfig)]
        code = await asyncio.to_thread(sweep_command.main, [*flags, *where, "-o", "json"])
        told = capsys.readouterr()
        return code, json.loads(told.out)["found"] if told.out else []

    return run


async def broken(client: ApiClient, namespace: str, experiment: str) -> Ref:
    """Make a Deployment with a fault on it, and the guard of that fault."""
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "homeostat.dev/none"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod, "paused": True}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    raw = await client.request("POST", WORKLOADS["Deployment"].path(namespace), body=body)
    ref, fields = Ref("Deployment", namespace, "web", raw["metadata"]["uid"]), ApiFields(client)
    to, original = {"replicas": "0"}, {"replicas": "2"}
    marker = json.dumps(asdict(Mark(experiment, 1, original, to)))
    records = write_records([Restorable(ref.kind, namespace, ref.name, ref.uid, original, to, marker)])
    await guard(client, namespace, experiment, records)
    while True:
        held = await fields.read(ref)
        assert held is not None
        action = HoldFields("on", ref, held.resource_version, to, {MARKER: marker})
        try:
            assert await fields.perform(action) == DONE
        except Conflict:  # its controller writes too
            continue
        return ref


async def guard(client: ApiClient, namespace: str, experiment: str, records: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "homeostat-undo"}}
    await client.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", body=account)
    now = datetime.now(UTC)
    owner = Ref(KIND.kind, namespace, "example", experiment)
    action = KeepGuard("keep", "guard", owner, 1, records, now + timedelta(hours=1), 3600)
    assert await ApiGuards(client, namespace, "homeostat.dev/none:none").keep(action, now) == DONE


async def experiment(client: ApiClient, namespace: str, phase: str) -> str:
    """Make an experiment in its first run, which holds a fault; gives its uid."""
    spec = {
        "fault": {"scale": {"to": 0}},
        "target": {"kind": "Deployment", "name": "web"},
        "duration": "1h",
        "hypothesis": [{"healthCheck": {"name": "web"}}],
    }
    metadata = {"name": "example", "finalizers": [FINALIZER]}
    body = {"apiVersion": API_VERSION, "kind": KIND.kind, "metadata": metadata, "spec": spec}
    raw = await client.request("POST", EXPERIMENTS.path(namespace), body=body)
    await client.request(
        "PATCH",
        EXPERIMENTS.path(namespace, "example", "status"),
        query={"fieldManager": "homeostat-status"},
        body={"apiVersion": API_VERSION, "kind": KIND.kind, "status": {"phase": phase, "runNumber": 1}},
        content_type=APPLY_PATCH,
    )
    return str(raw["metadata"]["uid"])


async def is_clean(client: ApiClient, target: Ref) -> bool:
    held = await ApiFields(client).read(target)
    assert held is not None
    return MARKER not in held.annotations and held.fields["replicas"] == "2"


async def has_guard(client: ApiClient, namespace: str) -> bool:
    found = 0
    for path in (LEASE.path(namespace, "guard"), POD.path(namespace, "guard")):
        try:
            raw = await client.request("GET", path)
        except Gone:
            continue
        found += "deletionTimestamp" not in raw["metadata"]
    return found > 0


def kinds(found: Found) -> dict[str, str]:
    return {one["kind"]: one["result"] for one in found}


async def test_what_no_experiment_answers_for_is_undone(client: ApiClient, namespace: str, sweep: Sweep) -> None:
    """C3: an experiment that is gone, its finalizer stripped: the marker is enough. A dry run only looks."""
    target = await broken(client, namespace, "uid-of-one-that-is-gone")

    code, found = await sweep("--dry-run")
    assert (code, kinds(found)) == (1, {"marked": "left behind", "guard": "left behind"})
    assert not await is_clean(client, target)

    code, found = await sweep()
    assert (code, kinds(found)) == (0, {"marked": "restored", "guard": "removed"})
    assert await is_clean(client, target)
    assert not await has_guard(client, namespace)
    assert await sweep() == (0, [])


async def test_what_an_experiment_holds_up_is_left_to_it(client: ApiClient, namespace: str, sweep: Sweep) -> None:
    """C3: unless everything is asked for; then its finalizer goes too, and it can be deleted without an operator."""
    uid = await experiment(client, namespace, "Running")
    target = await broken(client, namespace, uid)

    code, found = await sweep()
    assert (code, kinds(found)["marked"], kinds(found)["guard"]) == (1, "in use", "in use")
    assert not await is_clean(client, target)

    code, found = await sweep("--all")
    assert (code, kinds(found)) == (
        0,
        {"marked": "restored", "guard": "removed", "experiment": "finalizer removed"},
    )
    assert await is_clean(client, target)
    raw = await client.request("GET", EXPERIMENTS.path(namespace, "example"))
    assert "finalizers" not in raw["metadata"]


async def test_a_lock_that_an_operator_left_goes_at_the_end_of_an_installation(
    client: ApiClient, namespace: str, sweep: Sweep
) -> None:
    """C3: nothing is left behind. Leases of others stay, and before the end a lock is its holder's."""
    target, holder = Ref("Deployment", namespace, "web", ""), Ref(KIND.kind, namespace, "example", "uid")
    assert await Locks(client, namespace).take(target, holder, 60, datetime.now(UTC)) == DONE
    theirs = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": {"name": "theirs"}}
    await client.request("POST", LEASE.path(namespace), body=theirs)

    assert await sweep() == (0, [])
    code, found = await sweep("--all")
    assert (code, kinds(found), found[0]["whose"]) == (0, {"lock": "removed"}, f"ChaosExperiment/{namespace}/example")
    left = await client.collect(LEASE.path(namespace))
    assert [one["metadata"]["name"] for one in left] == ["theirs"]


async def test_a_run_that_is_over_holds_nothing_up(client: ApiClient, namespace: str, sweep: Sweep) -> None:
    """C3: by whatever its fault is still there."""
    target = await broken(client, namespace, await experiment(client, namespace, "Finished"))

    await sweep()
    assert await is_clean(client, target)


async def test_all_is_refused_while_an_operator_leads(client: ApiClient, namespace: str, sweep: Sweep) -> None:
    """C9: it would put on again what is taken off."""
    target = await broken(client, namespace, await experiment(client, namespace, "Running"))
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = {"holderIdentity": "operator", "leaseDurationSeconds": 600, "renewTime": now}
    lease = {"metadata": {"name": "homeostat-leader"}, "spec": spec}
    await client.request("POST", LEASE.path(namespace), body=lease)

    assert await sweep("--all") == (2, [])
    assert not await is_clean(client, target)


async def lead(client: ApiClient, namespace: str, seconds: int) -> None:
    """Have somebody lead the operators of the namespace for so long, and not say that they stop."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = {"holderIdentity": "operator", "leaseDurationSeconds": seconds, "renewTime": now}
    await client.request("POST", LEASE.path(namespace), body={"metadata": {"name": "homeostat-leader"}, "spec": spec})


async def test_the_operator_is_stopped_first_if_that_is_asked_for(
    client: ApiClient, namespace: str, sweep: Sweep
) -> None:
    """Its lead is waited for: until then it could put on again what is taken off."""
    target = await broken(client, namespace, await experiment(client, namespace, "Running"))
    pod = {
        "metadata": {"labels": {"app": "operator"}},
        "spec": {"containers": [{"name": "operator", "image": "none.test/x"}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "operator"}}, "template": pod}
    deployments = WORKLOADS["Deployment"]
    await client.request("POST", deployments.path(namespace), body={"metadata": {"name": "operator"}, "spec": spec})
    await lead(client, namespace, 3)

    assert (await sweep("--all", "--stop=operator", "--dry-run"))[0] == 1
    raw = await client.request("GET", deployments.path(namespace, "operator"))
    assert raw["spec"]["replicas"] == 2

    assert (await sweep("--all", "--stop=operator"))[0] == 0
    raw = await client.request("GET", deployments.path(namespace, "operator"))
    assert raw["spec"]["replicas"] == 0
    assert await is_clean(client, target)


async def test_an_operator_that_is_gone_already_needs_no_stop(client: ApiClient, namespace: str, sweep: Sweep) -> None:
    target = await broken(client, namespace, "uid-of-one-that-is-gone")

    assert (await sweep("--all", "--stop=operator"))[0] == 0
    assert await is_clean(client, target)
