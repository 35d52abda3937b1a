"""What GitOps may rely on: which objects the operator writes, what of users' objects, and what its own objects carry.

Two nets: a table of every module that writes to the API server, held against the source, and the bodies that are sent.
"""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitops.statuses import KINDS
from homeostat.api.chaos import ABORT, RUN
from homeostat.core.action import AskExperiment, KeepGuard, RunJob
from homeostat.core.ref import Ref
from homeostat.core.rules.holder import Holder
from homeostat.core.rules.holder import manifest as rules_manifest
from homeostat.engine.objects import KIND_BY_NAME
from homeostat.kube import jobs
from homeostat.kube.actions import errands
from homeostat.kube.actions.experiments import ApiExperiments
from homeostat.kube.apiserver.resources import resource_of
from homeostat.kube.guards import lease as guard_lease
from homeostat.kube.guards import pod as guard_pod
from homeostat.kube.leases import locks
from homeostat.kube.objects import FINALIZER, ApiObjects

OPERATOR = Path(__file__).resolve().parents[2] / "operator" / "homeostat"
WRITES = {
    "kube/objects.py": "our kinds: status, and our finalizer",
    "kube/actions/experiments.py": "ChaosExperiments: the annotations of a game day's wish",
    "kube/rules.py": "PrometheusRules and ConfigMaps of our own",
    "kube/jobs.py": "Jobs of our own, and reviews",
    "kube/guards/keeping.py": "Leases and Pods of our own",
    "kube/guards/post.py": "Leases of our own",
    "kube/leases/lease.py": "Leases of our own",
    "kube/recorder.py": "Events",
    "kube/authorization/access.py": "reviews, which store nothing",
    "kube/authorization/rights.py": "reviews, which store nothing",
    "kube/actions/revisions.py": "workloads: dry runs alone",
    "kube/actions/actuator.py": "targets of recovery and chaos",
    "kube/actions/changes.py": "targets of recovery",
    "kube/faults/fields.py": "targets of chaos",
    "kube/faults/ephemeral.py": "targets of chaos",
}
"""Each module of the operator that sends a request that writes, and what it writes. Commands write as who runs them."""
MANAGERS = {
    "homeostat", "homeostat-actions", "homeostat-gameday", "homeostat-guards", "homeostat-leases", "homeostat-probes",
    "homeostat-rules", "homeostat-undo",
}  # fmt: skip
TRACKING = ("app.kubernetes.io/instance", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/",
            "helm.toolkit.fluxcd.io/", "kubectl.kubernetes.io/last-applied-configuration")  # fmt: skip
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OBJECTIVE = Ref("ServiceLevelObjective", "shop", "checkout", "slo-uid")
EXPERIMENT = Ref("ChaosExperiment", "shop", "kill", "chaos-uid")
POLICY = Ref("RecoveryPolicy", "shop", "restart", "policy-uid")


# --- who writes -----------------------------------------------------------------------------------------


def writing_modules() -> Iterator[str]:
    """Name every module that the operator runs with a request whose method writes."""
    for path in sorted((OPERATOR / part for part in ("kube", "engine", "telemetry", "notify")), key=str):
        for module in sorted(path.rglob("*.py")):
            calls = (node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call))
            if any(_writes(call) for call in calls):
                yield str(module.relative_to(OPERATOR))


def _writes(call: ast.Call) -> bool:
    method = next((one.value for one in call.args if isinstance(one, ast.Constant)), None)
    is_request = isinstance(call.func, ast.Attribute) and call.func.attr in {"request", "_remove"}
    return is_request and method in {"POST", "PUT", "PATCH", "DELETE"}


def test_every_module_that_writes_to_the_api_server_is_known() -> None:
    """One that is new must be thought of here, and in docs/gitops.md."""
    new = set(writing_modules()) - set(WRITES)
    gone = {name for name in WRITES if not (OPERATOR / name).exists()}

    assert (new, gone) == (set(), set())
    assert {"kube/objects.py", "kube/rules.py", "kube/faults/fields.py", "kube/actions/changes.py"} <= set(
        writing_modules()
    )


def test_the_field_managers_are_those_of_the_docs() -> None:
    named = set()
    for module in (OPERATOR / "kube").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and "MANAGER" in ast.dump(node):
                named |= {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
    found = {str(one) for one in named if str(one).startswith("homeostat")}

    assert found == MANAGERS
    docs = (OPERATOR.parents[1] / "docs" / "gitops.md").read_text()
    assert all(f"`{name}`" in docs for name in MANAGERS)


# --- what is written on what users own ------------------------------------------------------------------


class Recorder:
    """Stands where the API server is: remembers what was sent, and has one object."""

    def __init__(self, kind: str, **metadata: Any) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.body = {"kind": kind, "metadata": {"name": "checkout", "uid": "u", "resourceVersion": "7", **metadata}}

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> dict[str, Any]:
        if method != "GET":
            self.sent.append((method, path, body))
        return self.body | {"status": {}}


@pytest.mark.parametrize("name", KINDS)
async def test_of_an_object_of_ours_only_the_status_is_applied(name: str) -> None:
    kind, api = KIND_BY_NAME[name], Recorder(name)
    namespace = "shop" if kind.is_namespaced else ""
    ref = Ref(name, namespace, "checkout", "u")

    await ApiObjects(api).apply_status(kind, ref, {"observedGeneration": 3})  # type: ignore[arg-type]

    ((method, path, body),) = api.sent
    assert (method, path) == ("PATCH", resource_of(kind).path(namespace, "checkout", "status"))
    assert set(body) == {"apiVersion", "kind", "metadata", "status"}
    assert set(body["metadata"]) <= {"name", "namespace", "uid", "resourceVersion"}


@pytest.mark.parametrize(("present", "before"), [(True, []), (True, ["a/b"]), (False, ["a/b", FINALIZER])])
async def test_a_finalizer_is_written_and_nothing_beside_it(present: bool, before: list[str]) -> None:  # noqa: FBT001
    kind, api = KIND_BY_NAME["ChaosExperiment"], Recorder("ChaosExperiment", finalizers=before)

    await ApiObjects(api).set_finalizer(kind, Ref(kind.kind, "shop", "checkout", "u"), "7", present=present)  # type: ignore[arg-type]

    ((method, _, patch),) = api.sent
    assert method == "PATCH"
    touched = {"/".join(step["path"].split("/")[:3]) for step in patch}
    assert touched == {"/metadata/resourceVersion", "/metadata/finalizers"}


async def test_a_game_day_writes_the_annotations_of_its_wish_and_nothing_else() -> None:
    api = Recorder("ChaosExperiment")
    wish = {RUN: "friday-1", ABORT: None}

    await ApiExperiments(api).perform(AskExperiment("a", EXPERIMENT, "7", wish))  # type: ignore[arg-type]

    ((_, _, body),) = api.sent
    assert body == {"metadata": {"uid": EXPERIMENT.uid, "resourceVersion": "7", "annotations": wish}}


# --- what our own objects carry -------------------------------------------------------------------------


def children() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give each object that the operator creates, and the uid of its owner."""
    for holder in Holder:
        yield holder.value, rules_manifest(holder, OBJECTIVE, [], {"team": "shop"}), OBJECTIVE.uid
    pod = {"spec": {"containers": [{"name": "main", "image": "curl"}]}}
    request = jobs.JobRequest("shop", "checkout", "check-uid", "{}")
    yield "Job of a check", jobs._manifest(request, 5.0), "check-uid"
    run = RunJob("a-0", POLICY, "restart-0", pod, {}, 60, 60)
    yield "Job of a step", errands._manifest(run), POLICY.uid
    guard = KeepGuard("g", "homeostat-undo-1", EXPERIMENT, 1, "[]", NOON, 3)
    yield "guard Pod", guard_pod.manifest(guard, "homeostat-system", "homeostat:1", "lease-uid", NOON), "lease-uid"
    target = Ref("Deployment", "shop", "checkout", "target-uid")
    yield "lock of a target", {"metadata": locks._belonging_to(target)}, target.uid


each_child = pytest.mark.parametrize(
    ("what", "body", "owner"), tuple(children()), ids=[what for what, _, _ in children()]
)


@each_child
def test_what_the_operator_creates_belongs_to_what_it_was_created_for(
    what: str, body: dict[str, Any], owner: str
) -> None:
    owners = [one["uid"] for one in body["metadata"]["ownerReferences"]]

    assert owners == [owner], what


@each_child
def test_what_the_operator_creates_carries_no_mark_of_a_gitops_tool(
    what: str, body: dict[str, Any], owner: str
) -> None:
    """With such a mark the tool would take it for its own, and prune it."""
    metadata = body["metadata"]
    marks = [*metadata.get("labels", {}), *metadata.get("annotations", {})]

    assert [mark for mark in marks if mark.startswith(TRACKING)] == [], (what, owner)


def test_the_lease_of_a_guard_has_labels_that_find_it_for_it_cannot_have_an_owner() -> None:
    """It is in the operator's namespace, the experiment in another: an owner must be in the same."""
    guard = KeepGuard("g", "homeostat-undo-1", EXPERIMENT, 1, "[]", NOON, 3)
    labels = guard_lease.labels_of(guard)

    assert EXPERIMENT.uid in labels.values()
    assert not [mark for mark in labels if mark.startswith(TRACKING)]
