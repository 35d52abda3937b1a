"""Who may write which RecoveryPolicies: the admission policies of dist/ about steps, on a real API server."""

import json
from typing import Any

import pytest
import yaml

from cluster.conftest import Kubectl
from cluster.installation import manifests
from cluster.manifests import Manifest, policy
from cluster.test_probe_admission import GETS_SECRETS, POLICIES, RUNS_JOBS, Writer
from cluster.waiting import until

pytestmark = pytest.mark.apiserver

WRITES_POLICIES = {"apiGroups": ["homeostat.dev"], "resources": ["recoverypolicies"], "verbs": ["*"]}
PATCHES_DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}
PATCHES_SERVICES = {"apiGroups": [""], "resources": ["services"], "verbs": ["patch"]}
NO_RIGHT_TO_RUN = "you must be allowed to create Jobs in the namespace"
NO_RIGHT_TO_GET = "whoever writes it is allowed to get, and you are not allowed to get the Secret"
EVICTS = {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}
RESIZES = {"apiGroups": [""], "resources": ["pods/resize"], "verbs": ["patch"]}
WRITES_STATUS = {"apiGroups": ["homeostat.dev"], "resources": ["recoverypolicies/status"], "verbs": ["*"]}
NO_RIGHT_TO_DO = "must be allowed to do what it does, and you are not allowed to"
NO_RIGHT_TO_REMEMBER = "it is the operator's memory"
NO_RIGHT_TO_PATCH = "must be allowed to patch, and you are not allowed to patch"


@pytest.fixture(scope="module")
def policies(kubectl: Kubectl, crds: None) -> None:  # noqa: ARG001 - they are about what the CRDs define
    """Install what dist/ says about who may write what."""
    documents = [one for one in manifests() if one["kind"] in POLICIES]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(documents))


@pytest.fixture
def writer(policies: None, kubectl: Kubectl, namespace: str) -> Writer:  # noqa: ARG001 - needs them in force
    """Somebody who may write RecoveryPolicies, and nothing else."""
    made = Writer(kubectl, namespace)
    made.allow(WRITES_POLICIES)
    refused = [with_steps(step) for step in (job_step("-h"), hook("one"), patch_step(), {"rolloutRestart": {}})]
    until(lambda: all(made.write(one, "--dry-run=server") for one in refused), "the policies are in force")
    return made


def with_steps(*steps: dict[str, Any], **spec: Any) -> Manifest:
    return policy("careful", steps=[{"webhook": {"url": "https://told.test/"}}, *steps], **spec)


def job_step(argument: str) -> dict[str, Any]:
    container = {"name": "clean", "image": "homeostat.dev/sample:dev", "args": [argument]}
    return {"job": {"template": {"spec": {"containers": [container]}}}}


def hook(name: str) -> dict[str, Any]:
    return {"webhook": {"url": "https://hooks.test/", "secretRef": {"name": name, "key": "key"}}}


def patch_step(*targets: dict[str, str]) -> dict[str, Any]:
    step: dict[str, Any] = {"patch": {"patch": {"spec": {"paused": False}}}}
    return step | {"targets": list(targets)} if targets else step


def test_who_may_not_create_jobs_cannot_have_the_operator_create_them(writer: Writer) -> None:
    """The right to write RecoveryPolicies is no right to run code; what others wrote may be edited beside it."""
    assert NO_RIGHT_TO_RUN in writer.write(with_steps(job_step("-h")))
    assert writer.write(with_steps()) == ""

    writer.have_written(with_steps(job_step("-h")))
    assert writer.write(with_steps(job_step("-h"), suspend=True)) == ""
    assert NO_RIGHT_TO_RUN in writer.write(with_steps(job_step("-x")))
    assert NO_RIGHT_TO_RUN in writer.write(with_steps(job_step("-h"), job_step("-h")))


def test_who_may_create_jobs_may_have_them_run(writer: Writer) -> None:
    writer.allow(WRITES_POLICIES, RUNS_JOBS)

    assert writer.write(with_steps(job_step("-h"))) == ""
    assert writer.write(with_steps(job_step("-x"))) == ""


def test_who_may_not_get_a_secret_cannot_have_it_sign(writer: Writer) -> None:
    """Of a webhook step and of an escalation alike; the refusal names the Secret."""
    told = {"escalate": {"webhook": hook("two")["webhook"]}}
    assert f"{NO_RIGHT_TO_GET} one" in writer.write(with_steps(hook("one")))
    assert f"{NO_RIGHT_TO_GET} two" in writer.write(with_steps(told))
    assert writer.write(with_steps({"webhook": {"url": "https://hooks.test/"}})) == ""

    writer.allow(WRITES_POLICIES, GETS_SECRETS | {"resourceNames": ["one"]})
    assert writer.write(with_steps(hook("one"))) == ""
    assert f"{NO_RIGHT_TO_GET} two" in writer.write(with_steps(hook("one"), told))
    writer.allow(WRITES_POLICIES, GETS_SECRETS | {"resourceNames": ["one", "two"]})
    assert writer.write(with_steps(hook("one"), told)) == ""


def test_who_names_many_secrets_takes_the_right_to_get_all(writer: Writer) -> None:
    names = ["one", "two", "three", "four", "five"]
    writer.allow(WRITES_POLICIES, GETS_SECRETS | {"resourceNames": names})
    assert "more than four Secrets" in writer.write(with_steps(*map(hook, names)))

    writer.allow(WRITES_POLICIES, GETS_SECRETS)
    assert writer.write(with_steps(*map(hook, names))) == ""


def test_who_may_not_patch_workloads_cannot_have_the_operator_patch_them(writer: Writer) -> None:
    """A patch can change the image: the right to write RecoveryPolicies must not be the right to run code."""
    service = {"kind": "Service", "name": "shop"}
    assert f"{NO_RIGHT_TO_PATCH} deployments" in writer.write(with_steps(patch_step()))
    assert f"{NO_RIGHT_TO_PATCH} services" in writer.write(with_steps(patch_step(service)))

    writer.allow(WRITES_POLICIES, PATCHES_DEPLOYMENTS)
    assert writer.write(with_steps(patch_step())) == ""
    both = patch_step({"kind": "Deployment", "name": "shop"}, service)
    assert f"{NO_RIGHT_TO_PATCH} services" in writer.write(with_steps(both))
    writer.allow(WRITES_POLICIES, PATCHES_DEPLOYMENTS, PATCHES_SERVICES)
    assert writer.write(with_steps(both)) == ""


def test_an_edit_beside_a_patch_takes_no_right_to_patch(writer: Writer) -> None:
    writer.have_written(with_steps(patch_step()))

    assert writer.write(with_steps(patch_step(), suspend=True)) == ""
    assert NO_RIGHT_TO_PATCH in writer.write(with_steps(patch_step(), target={"kind": "Deployment", "name": "other"}))


def test_who_may_not_do_what_a_step_does_cannot_have_the_operator_do_it(writer: Writer) -> None:
    """The right to write RecoveryPolicies is no right to restart, scale or evict what one may not touch oneself."""
    evicts, resizes = [{"restartPods": {}}, {"evict": {}}], [{"resize": {"memory": "+50%"}}]
    patches = [{"rolloutRestart": {}}, {"rolloutUndo": {}}, {"scale": {"by": "+1", "max": 5}}]
    for step, right in [(one, "create pods/eviction") for one in evicts] + [
        (one, "patch pods/resize") for one in resizes
    ]:
        assert f"{NO_RIGHT_TO_DO} {right}" in writer.write(with_steps(step)), step
    for step in patches:
        assert f"{NO_RIGHT_TO_DO} patch deployments" in writer.write(with_steps(step)), step
    elsewhere = {"rolloutRestart": {}, "targets": [{"kind": "StatefulSet", "name": "db"}]}
    assert f"{NO_RIGHT_TO_DO} patch statefulsets" in writer.write(with_steps(elsewhere))

    writer.allow(WRITES_POLICIES, EVICTS)
    assert [writer.write(with_steps(one)) for one in evicts] == ["", ""]
    assert NO_RIGHT_TO_DO in writer.write(with_steps(*patches))
    writer.allow(WRITES_POLICIES, PATCHES_DEPLOYMENTS)
    assert [writer.write(with_steps(one)) for one in patches] == ["", "", ""]
    assert NO_RIGHT_TO_DO in writer.write(with_steps(elsewhere))
    writer.allow(WRITES_POLICIES, RESIZES)
    assert writer.write(with_steps(*resizes)) == ""


def test_what_reaches_beyond_a_namespace_takes_a_right_in_all(writer: Writer) -> None:
    """A Node's pods are of all namespaces: the right to evict those of one is not enough."""
    writer.allow(WRITES_POLICIES, EVICTS)
    node = {"kind": "Node", "name": "one"}

    assert "create pods/eviction in all namespaces" in writer.write(with_steps({"evict": {}}, target=node))
    assert "patch nodes" in writer.write(with_steps({"cordon": {}}, target=node))


def test_an_edit_that_lets_a_policy_do_no_more_takes_no_right(writer: Writer) -> None:
    """Whoever is on call may take the edge off another's policy, and may not put one on."""
    restart, careful = {"rolloutRestart": {}}, {"rolloutRestart": {}, "approval": "Required"}
    writer.have_written(with_steps(restart, patch_step(), mode="Approve"))

    assert writer.write(with_steps(restart, patch_step(), mode="Approve", suspend=True)) == ""
    assert NO_RIGHT_TO_PATCH in writer.write(with_steps(patch_step(), mode="Auto"))
    assert writer.write(with_steps(restart, patch_step(), mode="Observe")) == ""
    assert writer.write(with_steps(restart, mode="Observe")) == ""
    assert NO_RIGHT_TO_DO in writer.write(with_steps(restart, mode="Suggest"))
    assert NO_RIGHT_TO_DO in writer.write(
        with_steps(restart, mode="Observe", target={"kind": "Deployment", "name": "x"})
    )

    writer.have_written(with_steps(careful))
    assert NO_RIGHT_TO_DO in writer.write(with_steps(restart))


def test_the_owner_of_a_namespace_cannot_write_what_the_operator_remembers(
    writer: Writer, kubectl: Kubectl, namespace: str
) -> None:
    """R2: an action that stands in a status as begun is carried out, whatever the steps say."""
    writer.have_written(with_steps())
    writer.allow(WRITES_POLICIES, WRITES_STATUS)
    patch = ("-n", namespace, "patch", "rp", "careful", "--subresource=status", "--type=merge", "-p")
    asked = (*patch, json.dumps({"status": {"nextStep": 0, "cooldownUntil": "2026-11-21T08:00:00Z"}}))

    assert NO_RIGHT_TO_REMEMBER in kubectl(f"--as=writer-of-{namespace}", *asked, check=False).stderr
    kubectl(*asked)


def test_nobody_but_the_administrator_gives_the_operator_jobs_and_nodes() -> None:
    """Least privilege: what dist/install.yaml and the rights to recover bind lets nobody run code or touch a Node."""
    documents = manifests("recovery")
    bound = {one["roleRef"]["name"] for one in documents if one["kind"] == "ClusterRoleBinding"}
    roles = [one for one in documents if one["kind"] == "ClusterRole" and one["metadata"]["name"] in bound]
    granted = {
        (resource, verb) for role in roles for rule in role["rules"] for resource in rule["resources"]
        for verb in rule["verbs"]
    }  # fmt: skip

    assert not {one for one in granted if one[0] == "jobs" or (one[0] == "nodes" and one[1] not in {"get", "list"})}
    assert {("pods/eviction", "create"), ("pods/resize", "patch"), ("services", "patch")} <= granted
    assert json.dumps(sorted(granted)).count('"*"') == 0
