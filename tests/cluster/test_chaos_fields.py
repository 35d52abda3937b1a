"""Held fields on a real API server: set and set back on each kind to the byte, never over somebody else's value."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster.hands import client, hand
from homeostat.api.chaos import MARKER
from homeostat.core.action import HoldFields, Outcome, Verb
from homeostat.core.guarding.held import Held, Mark, Restorable, restore, restore_by_mark
from homeostat.core.ref import Ref
from homeostat.kube.actions.actuator import ApiActuator
from homeostat.kube.apiserver.client import STRATEGIC_PATCH, ApiClient
from homeostat.kube.apiserver.resources import NODE, POD, WORKLOADS
from homeostat.kube.faults.fields import HOLDABLE, ApiFields
from homeostat.kube.faults.markers import Markers

pytestmark = pytest.mark.apiserver
__all__ = ["client", "hand"]

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
DONE = Outcome(Verb.DONE)
CONFLICT = "Conflict"
IN_TEMPLATE = {
    "image/web": "broken",
    "env/web/FIRST": "broken",
    "env/web/NEW": "broken",
    "limits/web/cpu": "150m",
    "limits/web/memory": "0.5Gi",
    "requests/web/memory": "32Mi",
}
FAULTS = {
    "Deployment": {"replicas": "0", **IN_TEMPLATE},
    "StatefulSet": {"replicas": "7", **IN_TEMPLATE},
    "DaemonSet": IN_TEMPLATE,
    "Node": {"unschedulable": "true"},
    "Pod": {"limits/web/cpu": "50m", "requests/web/cpu": "20m"},
}


def pod_spec() -> dict[str, Any]:
    variables = [{"name": name, "value": name.lower()} for name in ("FIRST", "SECOND", "THIRD")]
    sizes = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m"}}
    web = {"name": "web", "image": "homeostat.dev/sample:dev", "env": variables, "resources": sizes}
    return {"containers": [{"name": "side", "image": "homeostat.dev/sample:dev"}, web]}


def manifest(kind: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "annotations": {"theirs": "stays"}}
    body: dict[str, Any] = {"apiVersion": HOLDABLE[kind].api_version, "kind": kind, "metadata": metadata}
    if kind == "Node":
        return body
    if kind == "Pod":
        return body | {"spec": pod_spec() | {"nodeName": f"nowhere-{name}"}}
    labels = {"app": "shop"}
    more = {} if kind == "DaemonSet" else {"replicas": 3}
    more |= {"serviceName": "shop"} if kind == "StatefulSet" else {}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    return body | {"spec": {"selector": {"matchLabels": labels}, "template": template, **more}}


@pytest.fixture
async def target(request: pytest.FixtureRequest, client: ApiClient, namespace: str) -> AsyncIterator[Ref]:
    """Make an object of the kind that is asked for."""
    kind, name = request.param, f"shop-{uuid.uuid4().hex[:8]}"
    inside = "" if kind == "Node" else namespace
    raw = await client.request("POST", HOLDABLE[kind].path(inside), body=manifest(kind, name))
    yield Ref(kind, inside, name, raw["metadata"]["uid"])
    if kind == "Node":
        await client.request("DELETE", NODE.path(name=name))
    if kind == "Pod":  # no kubelet is there to let it go
        await client.request("DELETE", POD.path(inside, name), body={"gracePeriodSeconds": 0})


async def read(client: ApiClient, target: Ref) -> Held:
    held = await ApiFields(client).read(target)
    assert held is not None
    return held


async def spec_of(client: ApiClient, target: Ref) -> dict[str, Any]:
    """Everything that is somebody's intent: not the counters that controllers keep as annotations."""
    raw = await client.request("GET", HOLDABLE[target.kind].path(target.namespace, target.name))
    raw["spec"].pop("taints", None)  # a Node's are its controllers' answer to what it is like
    said = raw["metadata"]["annotations"]
    kept = {key: said[key] for key in said.keys() & {"theirs", MARKER}}
    return {"spec": raw["spec"], "annotations": kept}


def fault(held: Held, to: Mapping[str, str]) -> HoldFields:
    return HoldFields("on", held.ref, held.resource_version, to, {MARKER: marker(held, to)})


async def inject(client: ApiClient, hand: ApiActuator, target: Ref) -> Held:
    """Put the fault of its kind on, as an operator does: look again while others write too. Gives what was before."""
    while True:
        before = await read(client, target)
        outcome = await hand.act(fault(before, FAULTS[target.kind]), NOW)
        if outcome == DONE:
            return before
        assert outcome.reason == CONFLICT, outcome


def marker(held: Held, to: Mapping[str, str]) -> str:
    original = {name: held.fields[name] for name in to if name in held.fields}
    return json.dumps(asdict(Mark("uid-of-experiment", 1, original, dict(to))), sort_keys=True)


def record(held: Held, to: Mapping[str, str]) -> Restorable:
    original = {name: held.fields[name] for name in to if name in held.fields}
    ref = held.ref
    return Restorable(ref.kind, ref.namespace, ref.name, ref.uid, original, dict(to), marker(held, to))


async def undo(client: ApiClient, hand: ApiActuator, what: Restorable) -> None:
    """Take a fault off as operator and guard do: look, write, and look again while others write too."""
    while action := restore(what, await read(client, what.ref), "undo"):
        outcome = await hand.act(action, NOW)
        assert outcome == DONE or outcome.reason == CONFLICT


each_kind = pytest.mark.parametrize("target", list(FAULTS), indirect=True)
workloads = pytest.mark.parametrize("target", list(WORKLOADS), indirect=True)


@each_kind
async def test_what_a_fault_held_is_as_it_was_to_the_byte(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C6, C2: fields and marker go on and off together, and nothing else of the object changes."""
    whole, to = await spec_of(client, target), FAULTS[target.kind]

    before = await inject(client, hand, target)
    during = await read(client, target)
    assert during.annotations[MARKER] == marker(before, to)
    assert during.fields.keys() >= to.keys()
    assert during.fields != before.fields

    await undo(client, hand, record(before, to))
    assert (await read(client, target)).fields == before.fields
    assert await spec_of(client, target) == whole


@each_kind
async def test_a_fault_goes_off_by_its_marker_alone(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C3: no record is needed."""
    whole = await spec_of(client, target)
    await inject(client, hand, target)

    while action := restore_by_mark(await read(client, target), "sweep"):
        await hand.act(action, NOW)
    assert await spec_of(client, target) == whole


@each_kind
async def test_a_write_whose_answer_got_lost_is_done_once(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C2: the same action again finds its own work, at whatever version the object is by then."""
    before, to = await inject(client, hand, target), FAULTS[target.kind]
    during = await read(client, target)

    assert await hand.act(fault(before, to), NOW) == DONE
    assert (await read(client, target)).fields == during.fields


@each_kind
async def test_an_object_that_changed_since_the_decision_is_left_alone(
    client: ApiClient, hand: ApiActuator, target: Ref
) -> None:
    """C6: the original on record would no longer be the original."""
    before = await read(client, target)
    path = HOLDABLE[target.kind].path(target.namespace, target.name)
    touched = {"metadata": {"annotations": {"theirs": "newer"}}}
    await client.request("PATCH", path, body=touched, content_type=STRATEGIC_PATCH)

    outcome = await hand.act(fault(before, FAULTS[target.kind]), NOW)
    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, CONFLICT)
    after = await read(client, target)
    assert after.fields == before.fields
    assert MARKER not in after.annotations


@workloads
async def test_what_somebody_else_set_meanwhile_stays(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C5: each field for itself: the newer image stays, what still is the fault's goes back."""
    before, to = await inject(client, hand, target), FAULTS[target.kind]
    theirs = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "theirs"}]}}}}
    path = HOLDABLE[target.kind].path(target.namespace, target.name)
    await client.request("PATCH", path, body=theirs, content_type=STRATEGIC_PATCH)

    await undo(client, hand, record(before, to))
    after = await read(client, target)
    assert after.fields == {**before.fields, "image/web": "theirs"}
    assert MARKER not in after.annotations


@workloads
async def test_an_object_of_the_same_name_is_not_the_target(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C5: what was made anew meanwhile has nothing to restore, and is not touched."""
    before, to = await read(client, target), FAULTS[target.kind]
    other = HoldFields("on", Ref(target.kind, target.namespace, target.name, "another"), before.resource_version, to)

    assert (await hand.act(other, NOW)).verb is Verb.REFUSED
    assert restore(record(before, to), None, "undo") is None
    assert (await read(client, target)).fields == before.fields


@pytest.mark.parametrize("target", ["Pod"], indirect=True)
async def test_a_pod_that_got_only_its_marker_is_clean_afterwards(
    client: ApiClient, hand: ApiActuator, target: Ref
) -> None:
    """C2: killed between marker and sizes; and, on the way back, between sizes and marker."""
    before, to = await read(client, target), FAULTS["Pod"]
    half = HoldFields("on", target, before.resource_version, {}, {MARKER: marker(before, to)})
    assert await hand.act(half, NOW) == DONE

    await undo(client, hand, record(before, to))
    after = await read(client, target)
    assert (after.fields, after.annotations) == (before.fields, before.annotations)


@pytest.mark.parametrize("target", ["Pod"], indirect=True)
async def test_sizes_that_cannot_be_in_place_are_refused(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C16: the API server's own words, and no mark that nothing stands behind is beyond restoring."""
    before = await read(client, target)
    to = {"limits/web/memory": "1Mi"}  # less than it asks for

    outcome = await hand.act(fault(before, to), NOW)
    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Invalid")
    await undo(client, hand, record(before, to))
    assert (await read(client, target)).annotations == before.annotations


@each_kind
async def test_what_bears_the_marker_is_found(client: ApiClient, hand: ApiActuator, target: Ref) -> None:
    """C3: on every kind that a fault can leave something on."""
    before = await inject(client, hand, target)
    markers = Markers(client, [target.namespace] if target.namespace else [])

    found = {held.ref: held for held in await markers.find(MARKER)}
    assert found[target].fields == (await read(client, target)).fields
    await undo(client, hand, record(before, FAULTS[target.kind]))
    assert target not in {held.ref for held in await markers.find(MARKER)}
