"""`homeostat doctor`: what it reads of an installation, how it reads on when half of it may not be read."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cli.routed import GROUP, Answers, items, run
from homeostat.cli import desk
from homeostat.cli.doctor.command import main
from homeostat.cli.doctor.reading import sums
from homeostat.cli.doctor.watched import names_in
from homeostat.cli.parsers.doctor import OPERATOR_NAMESPACE
from homeostat.core.diagnosis.installation import POLICIES
from homeostat.interchange.schema import root_schema
from homeostat.kube.apiserver.client import Patience
from homeostat.wiring.settings import Settings

OWN = "/namespaces/homeostat-system"
ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmission"
LEASE = f"/apis/coordination.k8s.io/v1{OWN}/leases"
REVIEWS = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews"
POD = f"/api/v1{OWN}/pods/leader:8080/proxy"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", Patience(timeout=5.0, total=0.0))
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def deployment(**env: str) -> dict[str, Any]:
    container = {
        "name": "operator",
        "image": "here/homeostat:0.1.0",
        "env": [{"name": f"HOMEOSTAT_{name}", "value": value} for name, value in env.items()],
    }
    pod = {"serviceAccountName": "ours", "containers": [container], "volumes": [{"name": "history", "emptyDir": {}}]}
    return {
        "metadata": {"name": "homeostat", "namespace": "homeostat-system",
                     "labels": {"app.kubernetes.io/part-of": "homeostat"}},
        "spec": {"replicas": 1, "template": {"spec": pod}},
        "status": {"readyReplicas": 1},
    }  # fmt: skip


def lease(age: float = 1.0) -> dict[str, Any]:
    renewed = datetime.now(tz=UTC) - timedelta(seconds=age)
    return {
        "metadata": {"name": "homeostat-leader", "namespace": "homeostat-system", "uid": "1", "resourceVersion": "1"},
        "spec": {"holderIdentity": "leader", "leaseDurationSeconds": 15, "renewTime": renewed.isoformat()},
    }


def review(allowed: bool) -> Any:  # noqa: FBT001
    return lambda _: {"status": {"allowed": allowed}}


@cache
def schemas() -> dict[str, Any]:
    from homeostat.api.kinds import KINDS  # noqa: PLC0415

    found = {
        kind.kind: root_schema(kind) | {"x-kubernetes-group-version-kind": [{"kind": kind.kind}]} for kind in KINDS
    }
    return {"components": {"schemas": found}}


def installation() -> Answers:
    """Answer as a cluster with a good installation does, and nothing of homeostat's kinds in it."""
    kinds = ("servicelevelobjectives", "healthchecks", "recoverypolicies", "chaosexperiments", "gamedays", "freezes")
    named = [{"metadata": {"name": name}, "spec": {}} for name in POLICIES]
    bindings = [
        {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}} for name in POLICIES
    ]
    levels = {"pod-security.kubernetes.io/enforce": "restricted"}
    touched = ("deployments", "statefulsets", "daemonsets")
    return {
        "/version": {"gitVersion": "v1.34.4"},
        "/openapi/v3/apis/homeostat.dev/v1alpha1": schemas(),
        f"/apis/apps/v1{OWN}/deployments": items(deployment()),
        f"{LEASE}/homeostat-leader": lease(),
        f"{POD}/metrics": "homeostat_history_bytes 1000000\n",
        f"{POD}/readyz": "ok   leads or stands by\n",
        REVIEWS: review(allowed=True),
        f"{ADMISSION}policies": items(*named),
        f"{ADMISSION}policybindings": items(*bindings),
        "/api/v1/namespaces": items({"metadata": {"name": "homeostat-system", "labels": levels}}),
        **{f"{GROUP}/{kind}": items() for kind in kinds},
        **{f"/apis/apps/v1/{kind}": items() for kind in touched},
        "/api/v1/pods": items(),
        "/api/v1/nodes": items(),
        LEASE: items(),
        f"/api/v1{OWN}/pods": items(),
    }


async def checks(folder: Path, capsys: pytest.CaptureFixture[str], table: Answers) -> tuple[int, dict[str, Any]]:
    code, _ = await run(main, folder, table, "-o", "json")
    told = json.loads(capsys.readouterr().out)
    found: dict[str, Any] = {}
    for one in told["checks"]:
        found.setdefault(one["check"], []).append(one)
    return code, found


async def test_of_a_good_installation_every_line_is_ok_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, api = await run(main, tmp_path, installation())
    lines = capsys.readouterr().out.splitlines()
    verdicts = {line.split()[0] for line in lines[:-2] if not line.startswith(" ")}
    assert (code, verdicts) == (0, {"ok"})
    assert lines[-1].endswith(" ok")
    assert {path for _, path, _ in api.writes} == {REVIEWS.removeprefix("POST ")}


async def test_rights_are_asked_for_the_operators_own_account(tmp_path: Path) -> None:
    _, api = await run(main, tmp_path, installation())
    users = {body["spec"]["user"] for _, _, body in api.writes}
    assert users == {f"system:serviceaccount:homeostat-system:{name}" for name in ("ours", "homeostat-undo")}


async def test_a_right_that_is_missing_fails_with_its_role(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def but_pods(body: dict[str, Any]) -> dict[str, Any]:
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": (asked["verb"], asked["resource"]) != ("list", "pods")}}

    code, found = await checks(tmp_path, capsys, installation() | {REVIEWS: but_pods})
    assert code == 1
    assert "list pods" in found["rights"][0]["says"]
    assert "homeostat-core" in found["rights"][0]["says"]


async def test_features_that_nobody_switched_on_are_off_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_patch_of_pods(body: dict[str, Any]) -> dict[str, Any]:
        return {"status": {"allowed": body["spec"]["resourceAttributes"].get("subresource") != "resize"}}

    code, found = await checks(tmp_path, capsys, installation() | {REVIEWS: no_patch_of_pods})
    assert code == 0
    assert "off: chaos.faults.resourceSqueeze, recovery.steps.resize" in found["features"][0]["says"]


async def test_a_feature_that_is_on_by_the_settings_must_have_its_rights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = installation() | {
        f"/apis/apps/v1{OWN}/deployments": items(deployment(FEATURES='["recovery.steps.resize"]')),
        REVIEWS: lambda body: {
            "status": {"allowed": body["spec"]["resourceAttributes"].get("subresource") != "resize"}
        },
    }
    code, found = await checks(tmp_path, capsys, table)
    assert code == 1
    assert [one["verdict"] for one in found["rights"]] == ["ok", "fail"]
    assert "recovery.steps.resize is on" in found["rights"][1]["says"]


async def test_definitions_that_are_older_are_named_by_what_they_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = json.loads(json.dumps(schemas()))
    del older["components"]["schemas"]["Freeze"]["properties"]["spec"]["properties"]["until"]
    code, found = await checks(tmp_path, capsys, installation() | {"/openapi/v3/apis/homeostat.dev/v1alpha1": older})
    assert code == 1
    assert found["CRDs"][0]["says"] == "older than this program: Freeze: without spec.until"
    assert "kubectl apply --server-side" in found["CRDs"][0]["do"]


async def test_a_lease_that_nobody_renews_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = await checks(tmp_path, capsys, installation() | {f"{LEASE}/homeostat-leader": lease(age=300)})
    assert (code, found["leader"][0]["verdict"]) == (1, "fail")


async def test_an_operator_that_is_not_ready_fails_with_its_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = await checks(tmp_path, capsys, installation() | {f"{POD}/readyz": "FAIL leads or stands by\n"})
    assert code == 1
    assert found["readiness"][0]["says"] == "FAIL leads or stands by"


async def test_objects_that_are_stalled_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "Invalid", "message": "No such query."}
    body = {
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {},
        "status": {"observedGeneration": 1, "conditions": [stalled, stalled | {"type": "Ready", "status": "False"}]},
    }
    code, found = await checks(tmp_path, capsys, installation() | {f"{GROUP}/servicelevelobjectives": items(body)})
    assert code == 1
    assert [one["says"] for one in found["objects"]] == ["shop/slo/a: Invalid: No such query."]


async def test_who_may_read_next_to_nothing_is_told_what_for_each_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table: Answers = {path: 403 for path in installation() if path != "/version"} | {
        "/version": {"gitVersion": "v1.34.4"}
    }
    code, found = await checks(tmp_path, capsys, table)
    assert code == 2, "what could not be looked at is not said to be well"
    assert found["operator"][0]["says"] == "not known: you may not get deployments there"
    assert found["admission"][0]["verdict"] == "unknown"
    assert {one["verdict"] for lines in found.values() for one in lines} == {"ok", "unknown"}


async def test_nothing_is_claimed_of_objects_that_may_not_be_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = await checks(tmp_path, capsys, installation() | {f"{GROUP}/servicelevelobjectives": 403})
    assert found["Prometheus"][0]["says"] == "no object that you may list asks it"


async def test_an_api_server_that_is_not_there_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = await checks(tmp_path, capsys, {"/version": 503})
    assert code == 2
    assert list(found) == ["API server"]


@pytest.mark.parametrize(
    ("label", "image", "verdict"),
    [
        ("0.0.1", "here/homeostat:0.1.0", "warn"),
        ("dev", "here/homeostat:dev", "ok"),
        ("", "here/homeostat:v0.1.0", "ok"),
    ],
)
async def test_an_operator_of_another_release_is_said(
    label: str, image: str, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = deployment()
    body["metadata"]["labels"]["app.kubernetes.io/version"] = label
    body["spec"]["template"]["spec"]["containers"][0]["image"] = image
    _, found = await checks(tmp_path, capsys, installation() | {f"/apis/apps/v1{OWN}/deployments": items(body)})
    assert found["version"][0]["verdict"] == verdict


async def test_watched_namespaces_are_asked_for_by_name_in_scope_namespaced(tmp_path: Path) -> None:
    scoped = deployment(SCOPE="Namespaced", NAMESPACES='["$(POD_NAMESPACE)","shop"]')
    _, api = await run(main, tmp_path, installation() | {f"/apis/apps/v1{OWN}/deployments": items(scoped)})
    asked = [body["spec"]["resourceAttributes"] for _, _, body in api.writes]
    assert {one.get("namespace") for one in asked} == {"homeostat-system", "shop"}


def test_metrics_are_summed_up_by_name_and_by_outcome() -> None:
    page = 'a_total{outcome="Taken"} 2\na_total{outcome="Refused"} 3\nb{kind="x"} 1\nb{kind="y"} 1\n'
    found = sums(page)
    assert (found["a_total"], found["a_total{Taken}"], found["a_total{Refused}"], found["b"]) == (5, 2, 3, 2)


@pytest.mark.parametrize(("setting", "names"), [("", ()), ('["a","b"]', ("a", "b")), ("a,b", ()), ("3", ())])
def test_a_setting_that_is_no_list_names_nothing(setting: str, names: tuple[str, ...]) -> None:
    assert names_in(setting) == names


def test_the_operator_is_looked_for_where_it_runs_by_default() -> None:
    assert Settings.model_fields["operator_namespace"].default == OPERATOR_NAMESPACE
