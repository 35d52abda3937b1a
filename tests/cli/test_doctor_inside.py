"""`homeostat doctor` in the operator's own Pod, which may read little of the API server: what it knows all the same."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from cli.routed import GROUP, Answers, items, routed
from cli.test_doctor_command import ADMISSION, LEASE, OWN, installation
from contract.kube_server import Behaviour, credentials, serving_handler
from homeostat.cli.doctor.inside import Inside, inside_of
from homeostat.cli.doctor.reading import read
from homeostat.core.diagnosis import diagnose
from homeostat.core.diagnosis.installation import POLICIES
from homeostat.core.diagnosis.readings import Diagnosis, Verdict
from homeostat.engine.clock import SystemClock
from homeostat.kube.apiserver.client import ApiClient, Patience

SYSTEM = "homeostat-system"
SELF_REVIEWS = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO_AM_I = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"
ENVIRONMENT = {
    "HOMEOSTAT_IDENTITY": "leader",
    "HOMEOSTAT_OPERATOR_NAMESPACE": SYSTEM,
    "HOMEOSTAT_SCOPE": "Namespaced",
    "HOMEOSTAT_NAMESPACES": '["shop"]',
    "HOMEOSTAT_FEATURES": '["recovery.enabled"]',
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
}
PAGES = {"/metrics": (200, "homeostat_history_bytes 2000000\n"), "/readyz": (200, "ok   leads or stands by\n")}


def namespaced() -> Answers:
    """Answer as to the operator of a release for the namespace shop: its Roles there, and its own Leases."""
    good = installation()
    shop = f"{GROUP}/namespaces/shop"
    kinds = ("servicelevelobjectives", "healthchecks", "recoverypolicies", "chaosexperiments", "gamedays")
    level = {"metadata": {"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    return {
        **dict.fromkeys(good, 403),
        **{path: good[path] for path in ("/version", "/openapi/v3/apis/homeostat.dev/v1alpha1")},
        f"{LEASE}/homeostat-leader": good[f"{LEASE}/homeostat-leader"],
        SELF_REVIEWS: {"status": {"allowed": True}},
        WHO_AM_I: {"status": {"userInfo": {"username": f"system:serviceaccount:{SYSTEM}:ours"}}},
        "/api/v1/namespaces/shop": level,
        **{f"{shop}/{kind}": items() for kind in kinds},
        **{f"/apis/apps/v1/namespaces/shop/{kind}": items() for kind in ("deployments", "statefulsets", "daemonsets")},
        "/api/v1/namespaces/shop/pods": items(),
        **{f"{ADMISSION}{what}/{name}": 403 for name in POLICIES for what in ("policies", "policybindings")},
    }


def serves(pages: Mapping[str, tuple[int, str]]) -> Behaviour:
    async def behave(request: web.Request) -> web.Response:
        code, text = pages[request.path]
        return web.Response(status=code, text=text)

    return behave


@asynccontextmanager
async def beside(pages: Mapping[str, tuple[int, str]], **more: str) -> AsyncIterator[Inside]:
    """Run what an operator serves to its own Pod, and give the Pod."""
    async with serving_handler(serves(pages)) as url:
        settings = ENVIRONMENT | {"HOMEOSTAT_PORT": str(urlsplit(url).port)} | more
        inside = inside_of(settings, SYSTEM, "")
        assert inside is not None
        yield inside


async def examined(table: Answers, inside: Inside | None) -> dict[str, list[Diagnosis]]:
    """Have the doctor look, and give its lines by what they are about."""
    async with routed(table) as api, ApiClient(credentials(api.url), patience=Patience(total=0.0)) as client:
        readings = await read(client, SYSTEM, SystemClock(), inside)
    found: dict[str, list[Diagnosis]] = {}
    for one in diagnose(readings):
        found.setdefault(one.check, []).append(one)
    return found


async def test_what_the_pod_knows_by_itself_is_told_although_its_rights_are_few() -> None:
    async with beside(PAGES) as inside:
        found = await examined(namespaced(), inside)

    known = ("CRDs", "version", "leader", "readiness", "features", "history", "evaluation", "objects", "settings")
    assert {check: [one.verdict for one in found[check]] for check in known} == {check: [Verdict.OK] for check in known}
    assert found["rights"][0].verdict is Verdict.OK
    assert "2.0 MB" in found["history"][0].says
    assert found["features"][0].says.startswith("on: recovery.enabled; off: ")


async def test_what_cannot_be_known_there_says_why_and_the_command_of_somebody_who_may() -> None:
    async with beside(PAGES) as inside:
        found = await examined(namespaced(), inside)

    unknown = {check: one.do for check, lines in found.items() for one in lines if one.verdict is Verdict.UNKNOWN}
    assert unknown == {
        "operator": f"kubectl -n {SYSTEM} get deployment leader",
        "admission": "kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings",
        "Pod Security": f"kubectl get namespace {SYSTEM} -L pod-security.kubernetes.io/enforce",
        "leftovers": "homeostat chaos sweep --dry-run",
    }


async def test_nothing_of_it_is_asked_beyond_the_watched_namespaces() -> None:
    """What is elsewhere is another operator's."""
    async with (
        beside(PAGES) as inside,
        routed(namespaced()) as api,
        ApiClient(credentials(api.url), patience=Patience(total=0.0)) as client,
    ):
        await read(client, SYSTEM, SystemClock(), inside)
    ours = {path for _, path, _ in api.seen if path.startswith(GROUP)}
    assert ours
    assert [path for path in ours if not path.startswith(f"{GROUP}/namespaces/shop/")] == []


async def test_the_operator_asks_for_its_own_rights_where_it_may_not_ask_for_anybody() -> None:
    def no_eviction(body: Mapping[str, Any]) -> Any:
        return {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] != "endpointslices"}}

    async with beside(PAGES) as inside:
        found = await examined(namespaced() | {SELF_REVIEWS: no_eviction}, inside)

    assert [one.verdict for one in found["rights"]] == [Verdict.FAIL]
    assert "list endpointslices.discovery.k8s.io in shop" in found["rights"][0].says


async def test_with_chaos_on_the_rights_of_undo_pods_are_told_as_not_known() -> None:
    async with beside(PAGES, HOMEOSTAT_FEATURES='["chaos.enabled"]') as inside:
        found = await examined(namespaced(), inside)

    (told,) = [one for one in found["rights"] if one.verdict is Verdict.UNKNOWN]
    assert "homeostat-undo" in told.says
    assert told.do == f"kubectl auth can-i --list -n {SYSTEM} --as=system:serviceaccount:{SYSTEM}:homeostat-undo"


async def test_an_operator_beside_us_that_is_not_ready_says_what_it_lacks() -> None:
    async with beside(
        PAGES | {"/readyz": (503, "ok   leads or stands by\nFAIL sees the watched namespaces\n")}
    ) as inside:
        found = await examined(namespaced(), inside)

    assert [(one.verdict, one.says) for one in found["readiness"]] == [
        (Verdict.FAIL, "FAIL sees the watched namespaces")
    ]


async def test_a_standby_sends_to_the_pod_that_leads() -> None:
    async with beside(PAGES, HOMEOSTAT_IDENTITY="another") as inside:
        found = await examined(namespaced(), inside)

    assert found["readiness"][0].verdict is Verdict.UNKNOWN
    assert found["readiness"][0].do == f"kubectl -n {SYSTEM} exec leader -- homeostat doctor"


async def test_a_prometheus_that_does_not_answer_from_the_pod_fails_and_one_that_does_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = '{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}}'
    async with serving_handler(serves({"/api/v1/query": (200, answer)})) as good:
        monkeypatch.setenv("HOMEOSTAT_PROMETHEUS_URL", good)
        async with beside(PAGES, HOMEOSTAT_PROMETHEUS_URL=good) as inside:
            found = await examined(namespaced(), inside)
    async with beside(PAGES, HOMEOSTAT_PROMETHEUS_URL=good) as inside:  # nobody listens there any more
        lost = await examined(namespaced(), inside)

    assert [(one.verdict, one.says) for one in found["Prometheus"]] == [
        (Verdict.OK, f"{good}: answers; no object asks it")
    ]
    assert [one.verdict for one in lost["Prometheus"]] == [Verdict.FAIL]
    assert lost["Prometheus"][0].says == f"{good} cannot be reached from the operator's Pod"
    assert "homeostat settings | grep prometheus" in lost["Prometheus"][0].do


async def test_a_policy_that_may_be_read_by_its_name_is_told_when_all_of_them_may_not_be_listed() -> None:
    """As by the operator of a whole cluster, which looks whether it can believe who approves."""
    name = "homeostat-consent"
    bound = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    one = {f"{ADMISSION}policies/{name}": bound, f"{ADMISSION}policybindings/{name}": bound}
    loose = one | {f"{ADMISSION}policybindings/{name}": 404}
    async with beside(PAGES) as inside:
        found, failing = await examined(namespaced() | one, inside), await examined(namespaced() | loose, inside)

    assert [line.verdict for line in found["admission"]] == [Verdict.UNKNOWN]
    assert found["admission"][0].says.startswith(f"{name} is bound; you may not read the other {len(POLICIES) - 1} ")
    assert [line.verdict for line in failing["admission"]] == [Verdict.FAIL, Verdict.UNKNOWN]


async def test_from_outside_a_leader_that_is_not_ready_fails_and_is_not_unknown() -> None:
    """Its answer is 503, of which the API server's proxy gives us no more than the code."""
    ready = f"/api/v1{OWN}/pods/leader:8080/proxy/readyz"
    found = await examined(installation() | {ready: lambda _: web.Response(status=503, text="FAIL x\n")}, None)

    assert [one.verdict for one in found["readiness"]] == [Verdict.FAIL]
    assert f"kubectl -n {SYSTEM} exec leader -- homeostat doctor" in found["readiness"][0].says


@pytest.mark.parametrize(
    ("environment", "namespace", "kubeconfig"),
    [
        ({}, SYSTEM, ""),
        (ENVIRONMENT, "elsewhere", ""),
        (ENVIRONMENT, SYSTEM, "config"),
        (ENVIRONMENT | {"KUBECONFIG": "config"}, SYSTEM, ""),
        ({name: value for name, value in ENVIRONMENT.items() if not name.startswith("KUBERNETES")}, SYSTEM, ""),
    ],
)
def test_who_asks_about_another_operator_or_as_somebody_else_is_not_inside(
    environment: dict[str, str], namespace: str, kubeconfig: str
) -> None:
    assert inside_of(environment, namespace, kubeconfig) is None
