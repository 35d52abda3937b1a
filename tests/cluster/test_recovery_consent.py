"""R13: nobody approves, rejects, runs or pauses in another's name, as a real API server has it by dist/."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import Kubectl
from cluster.installation import manifests
from cluster.manifests import Manifest, policy
from cluster.operator_process import kubeconfig_for
from cluster.test_access import SYSTEM, TokenOf, client_as, token_of
from cluster.test_probe_admission import POLICIES, Writer
from cluster.waiting import until
from homeostat.api.recovery import APPROVE, BY, PAUSE, REJECT, RUN
from homeostat.cli.consent.command import main
from homeostat.core.rights import CONSENT_POLICY
from homeostat.kube.authorization.admission import ApiAdmission

pytestmark = pytest.mark.apiserver
__all__ = ["token_of"]

WRITES = {"apiGroups": ["homeostat.dev"], "resources": ["recoverypolicies"], "verbs": ["*"]}
PATCHES_NODES = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}
HASH, OTHER = "0123456789abcdef", "fedcba9876543210"
NOT_YOURS = "nobody approves, rejects, runs or pauses in another's name"
TAKEN_FOR_YOURS = "what somebody else asked for would be taken for yours"


class Human:
    """A user who may write the RecoveryPolicies of one namespace."""

    def __init__(self, kubectl: Kubectl, namespace: str, name: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self.name = name

    def annotate(self, *flags: str, **annotations: str | None) -> str:
        """Write annotations (`by`, `approve`, …; None removes one); give the API server's words if it refuses."""
        said = {f"homeostat.dev/{key}": value for key, value in annotations.items()}
        patch = json.dumps({"metadata": {"annotations": said}})
        command = (f"--as={self.name}", "-n", self._namespace, "patch", "rp", "careful", "--type=merge", "-p", patch)
        done = self._kubectl(*command, *flags, check=False)
        return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def policies(kubectl: Kubectl, crds: None) -> None:  # noqa: ARG001 - they are about what the CRDs define
    """Install what dist/ says about who may write what, and the operator's rights."""
    wanted = [one for one in manifests("recovery", "chaos") if one["kind"] != "Deployment"]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(wanted))
    assert {one["kind"] for one in wanted} >= set(POLICIES)


@pytest.fixture
def humans(policies: None, kubectl: Kubectl, namespace: str) -> tuple[Human, Human]:  # noqa: ARG001
    """Two users, and a policy of which they may ask something."""
    rule = ("--verb=*", "--resource=recoverypolicies.homeostat.dev")
    kubectl("-n", namespace, "create", "role", "humans", *rule)
    kubectl("-n", namespace, "create", "rolebinding", "humans", "--role=humans", "--user=alice", "--user=bob",
            f"--serviceaccount={namespace}:default")  # fmt: skip
    apply(kubectl, namespace, policy("careful"))
    alice, bob = Human(kubectl, namespace, "alice"), Human(kubectl, namespace, "bob")
    for one in (alice, bob):
        until(lambda one=one: one.annotate("--dry-run=server", by=one.name, pause="x") == "", "the right is in force")
    until(lambda: NOT_YOURS in bob.annotate("--dry-run=server", by="alice", pause="x"), "the policy is in force")
    return alice, bob


def apply(kubectl: Kubectl, namespace: str, manifest: Manifest) -> None:
    kubectl("-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))


def annotations(kubectl: Kubectl, namespace: str) -> dict[str, Any]:
    found = json.loads(kubectl("-n", namespace, "get", "rp", "careful", "-o", "json").stdout)
    return dict(found["metadata"].get("annotations") or {})


def test_everybody_asks_in_their_own_name(humans: tuple[Human, Human]) -> None:
    """R13: each of the annotations, alone or with the name of whoever writes it."""
    alice, bob = humans

    assert alice.annotate(approve=HASH, by="alice") == ""
    assert alice.annotate(pause="lunch") == ""
    assert bob.annotate(approve=OTHER, reject=None, by="bob") == ""
    assert bob.annotate(pause=None) == ""
    assert alice.annotate(approve=HASH, by=None) == ""


@pytest.mark.parametrize("what", ["approve", "reject", "run", "pause"])
def test_nobody_asks_in_the_name_of_another(humans: tuple[Human, Human], what: str) -> None:
    """R13: neither by writing the other's name nor by leaving it where it stands."""
    alice, bob = humans
    assert NOT_YOURS in bob.annotate(**{what: HASH, "by": "alice"})
    assert NOT_YOURS in bob.annotate(by="alice")

    assert alice.annotate(**{what: HASH, "by": "alice"}) == ""
    assert NOT_YOURS in bob.annotate(**{what: OTHER})
    assert NOT_YOURS in bob.annotate(**{what: None})
    assert "you are bob: use `homeostat approve`" in bob.annotate(**{what: OTHER})
    assert bob.annotate(**{what: OTHER, "by": "bob"}) == ""


@pytest.mark.parametrize("what", ["approve", "reject", "run"])
def test_what_another_asked_for_is_not_taken_over(humans: tuple[Human, Human], what: str) -> None:
    """R13: whoever puts their name there takes away what others wrote under theirs."""
    alice, bob = humans
    assert alice.annotate(**{what: HASH, "by": "alice"}) == ""

    assert TAKEN_FOR_YOURS in bob.annotate(by="bob")
    assert f"homeostat.dev/{what}" in bob.annotate(pause="lunch", by="bob")
    assert bob.annotate(by=None) == ""
    assert TAKEN_FOR_YOURS in bob.annotate(by="bob")
    assert bob.annotate(**{what: None, "by": "bob", "pause": "lunch"}) == ""


def test_whoever_edits_the_policy_need_not_be_who_approved(
    humans: tuple[Human, Human], kubectl: Kubectl, namespace: str
) -> None:
    """R13: only what is asked is guarded; a spec is still applied by whoever may."""
    alice, _ = humans
    assert alice.annotate(approve=HASH, by="alice") == ""

    apply(kubectl, namespace, policy("careful", mode="Approve"))

    assert annotations(kubectl, namespace) == {APPROVE: HASH, BY: "alice"}


async def test_the_operator_may_see_that_names_are_guarded_and_believes_them_only_then(
    humans: tuple[Human, Human], kubectl: Kubectl, token_of: TokenOf, kubeconfig: Path, tmp_path: Path  # noqa: ARG001
) -> None:  # fmt: skip
    """R13: with the rights of dist/ and no others; a binding that only warns guards nothing."""
    async with client_as(token_of(SYSTEM, "homeostat"), kubeconfig, tmp_path) as client:
        admission = ApiAdmission(client)
        async with asyncio.timeout(60):  # the right to look is in force a moment after it was granted
            while not await admission.is_in_force(CONSENT_POLICY):  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.2)

        binding = ("validatingadmissionpolicybinding", CONSENT_POLICY, "--type=merge", "-p")
        kubectl("patch", *binding, '{"spec": {"validationActions": ["Warn"]}}')
        try:
            assert not await admission.is_in_force(CONSENT_POLICY)
        finally:
            kubectl("patch", *binding, '{"spec": {"validationActions": ["Deny"]}}')


def test_the_commands_write_as_whoever_asks(
    humans: tuple[Human, Human], kubectl: Kubectl, namespace: str, token_of: TokenOf, kubeconfig: Path, tmp_path: Path
) -> None:  # fmt: skip
    """R13: the name is the API server's own, and what stands there of others goes; without an operator, code 3."""
    alice, _ = humans
    assert alice.annotate(approve=HASH, by="alice") == ""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    token = token_of(namespace, "default")
    config = kubeconfig_for(tmp_path, cluster["server"], token, cluster["certificate-authority-data"])
    common = ["rp/careful", "-n", namespace, "--kubeconfig", str(config), "--wait", "0"]

    assert main("pause", [*common, "--reason", "lunch"]) == 3
    me = f"system:serviceaccount:{namespace}:default"
    assert annotations(kubectl, namespace) == {PAUSE: "lunch", BY: me}

    run = [*common, "--step", "restartPods", "--reason", "drill", "--override", "cooling_down"]
    assert main("run", run) == 3
    wanted = json.loads(annotations(kubectl, namespace)[RUN])
    assert (wanted["step"], wanted["reason"], wanted["override"]) == ("restartPods", "drill", ["cooling_down"])

    assert main("resume", common) == 0
    assert annotations(kubectl, namespace) == {BY: me}
    assert main("approve", [*common, "--plan", HASH]) == 1
    assert APPROVE not in annotations(kubectl, namespace)
    assert REJECT not in annotations(kubectl, namespace)


def test_who_may_not_patch_nodes_has_none_cordoned(policies: None, kubectl: Kubectl, namespace: str) -> None:  # noqa: ARG001
    """R10: the right to write RecoveryPolicies is no right to take Nodes out of service."""
    writer = Writer(kubectl, namespace)
    writer.allow(WRITES)
    steps: tuple[dict[str, Any], ...] = ({"cordon": {}}, {"drain": {}})
    for step in steps:
        manifest = node_policy(step)
        until(lambda manifest=manifest: writer.write(manifest, "--dry-run=server"), "the policy is in force")
        assert "you are not allowed to patch nodes (cordon, drain)" in writer.write(manifest)

    writer.have_written(node_policy({"cordon": {}}))
    assert writer.write(node_policy({"cordon": {}}, suspend=True)) == ""
    assert "patch nodes" in writer.write(node_policy({"drain": {}}))
    role = f"nodes-of-{namespace}"
    rules = [PATCHES_NODES, {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}]
    whole = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role}}
    kubectl("create", "-f", "-", stdin=json.dumps(whole | {"rules": rules}))
    kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}", f"--user=writer-of-{namespace}")
    try:
        until(lambda: writer.write(node_policy({"drain": {}}), "--dry-run=server") == "", "the right is in force")
    finally:
        kubectl("delete", "clusterrole,clusterrolebinding", role)


def node_policy(step: dict[str, Any], **spec: Any) -> Manifest:
    target = {"kind": "Node", "selector": {"matchLabels": {"role": "worker"}}}
    triggers = [{"node": {"condition": "NotReady"}}]
    return policy("nodes", step=step, target=target, triggers=triggers, **spec)
