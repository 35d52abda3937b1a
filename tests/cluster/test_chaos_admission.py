"""What the API server itself makes of experiments: bounded durations (C1), the examples, and who may write which."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import Kubectl
from cluster.installation import manifests
from cluster.test_probe_admission import POLICIES, Writer
from cluster.waiting import until
from homeostat.api.chaos import KIND
from homeostat.api.meta import GROUP, VERSION

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.apiserver


def experiment(**spec: Any) -> dict[str, Any]:
    body = {
        "fault": {"podKill": {}},
        "target": {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}},
        "hypothesis": [{"healthCheck": {"name": "checkout"}}],
    }
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND.kind,
        "metadata": {"name": "example"},
        "spec": body | spec,
    }


def path_in(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{KIND.plural}?dryRun=All&fieldValidation=Strict"


@pytest.mark.parametrize("duration", ["abc", "0", "0s", "-1s", "100h", "24h1s", "", "1d", "999999999h", 10, None])
def test_a_duration_that_is_no_bounded_time_is_refused(duration: Any, namespace: str, api: Any) -> None:
    """C1: never "no limit"."""
    code, answer = api("POST", path_in(namespace), experiment(duration=duration))

    assert code == 422, answer
    assert any(cause["field"].startswith("spec.duration") for cause in answer["details"]["causes"])


@pytest.mark.parametrize("duration", ["1s", "90s", "1h30m", "24h"])
def test_a_bounded_duration_is_accepted(duration: str, namespace: str, api: Any) -> None:
    """C1: one second to one day."""
    code, answer = api("POST", path_in(namespace), experiment(duration=duration))

    assert code == 201, answer


def test_an_experiment_without_a_duration_is_refused(namespace: str, api: Any) -> None:
    """C1: the duration is mandatory."""
    code, _ = api("POST", path_in(namespace), experiment())

    assert code == 422


@pytest.mark.parametrize("count", [0, -1, 101, "0%", "00", "101%", "x", "1.5%"])
def test_a_count_that_is_no_target_or_no_share_is_refused(count: Any, namespace: str, api: Any) -> None:
    """C10: nothing is not a number of targets."""
    target = {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}, "count": count}

    code, answer = api("POST", path_in(namespace), experiment(duration="10s", target=target))

    assert code == 422, answer


def test_the_examples_are_accepted(namespace: str, api: Any) -> None:
    for example in yaml.safe_load_all((ROOT / "examples" / "chaosexperiment.yaml").read_text()):
        example["metadata"]["namespace"] = namespace
        code, answer = api("POST", path_in(namespace), example)

        assert code == 201, answer


# --- who may write which --------------------------------------------------------------------------------

WRITES_EXPERIMENTS = {"apiGroups": ["homeostat.dev"], "resources": ["chaosexperiments"], "verbs": ["*"]}
NO_RIGHT = "must be allowed to do what it does, and you are not allowed to"
NOT_IN_ANOTHERS_NAME = "in another's name"
NO_RIGHT_TO_REMEMBER = "it is the operator's memory"
POD = {"kind": "Pod", "selector": {"matchLabels": {"app": "checkout"}}}
BROKEN = {"image": "homeostat.dev/none:none"}
SQUEEZED = {"memory": "16Mi"}
FAULTS: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    ({"podKill": {}}, "Pod", "delete pods", {"resources": ["pods"], "verbs": ["delete"]}),
    ({"podEvict": {}}, "Pod", "create pods/eviction", {"resources": ["pods/eviction"], "verbs": ["create"]}),
    (
        {"network": {"loss": "10%"}},
        "Pod",
        "patch pods/ephemeralcontainers",
        {"resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]},
    ),
    ({"resourceSqueeze": SQUEEZED}, "Pod", "patch pods/resize", {"resources": ["pods/resize"], "verbs": ["patch"]}),
    *(
        (fault, kind, f"patch {kind.lower()}s", {"apiGroups": ["apps"], "resources": [what], "verbs": ["patch"]})
        for fault, kind, what in (
            ({"scale": {"to": 0}}, "Deployment", "deployments/scale"),
            ({"scale": {"to": 0}}, "StatefulSet", "statefulsets"),
            ({"rolloutBreak": BROKEN}, "Deployment", "deployments"),
            ({"rolloutBreak": BROKEN}, "DaemonSet", "daemonsets"),
            ({"resourceSqueeze": SQUEEZED}, "StatefulSet", "statefulsets"),
        )
    ),
]
AGENT_FAULTS: list[dict[str, Any]] = [
    {"containerKill": {"container": "web"}},
    {"dns": {"fail": ["example.test"]}},
    {"http": {"port": 8080, "status": 500}},
    {"cpu": {"load": "50%"}},
    {"memory": {"bytes": "8Mi"}},
    {"processPause": {"name": "web"}},
    {"processKill": {"name": "web"}},
]


def acting(**spec: Any) -> dict[str, Any]:
    return experiment(**{"duration": "10s"} | spec)


def on(fault: dict[str, Any], kind: str = "Pod", **spec: Any) -> dict[str, Any]:
    target = {"kind": kind, "selector": {"matchLabels": {"app": "checkout"}}}
    return acting(fault=fault, target=target, **spec)


def asking(**annotations: str) -> dict[str, Any]:
    """One that does nothing by itself, on which somebody asks something."""
    body = acting(suspend=True)
    body["metadata"]["annotations"] = {f"homeostat.dev/{key}": value for key, value in annotations.items()}
    return body


@pytest.fixture(scope="module")
def policies(kubectl: Kubectl, crds: None) -> None:  # noqa: ARG001 - they are about what the CRDs define
    """Install what dist/ says about who may write what."""
    ours = [one for one in manifests() if one["kind"] in POLICIES]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(ours))


@pytest.fixture
def writer(policies: None, kubectl: Kubectl, namespace: str) -> Writer:  # noqa: ARG001 - needs them in force
    """Somebody who may write ChaosExperiments, and nothing else."""
    made = Writer(kubectl, namespace)
    made.allow(WRITES_EXPERIMENTS)
    until(lambda: NO_RIGHT in made.write(acting(), "--dry-run=server"), "the policy for authors is in force")
    until(lambda: made.write(asking(by="another"), "--dry-run=server"), "the policy for consent is in force")
    return made


@pytest.mark.parametrize(("fault", "kind", "right", "rule"), FAULTS)
def test_who_may_not_do_what_a_fault_does_cannot_have_the_operator_do_it(
    fault: dict[str, Any], kind: str, right: str, rule: dict[str, Any], writer: Writer
) -> None:
    """The right to write experiments is no right to break what one may not touch oneself."""
    assert f"{NO_RIGHT} {right}" in writer.write(on(fault, kind), "--dry-run=server")

    writer.allow(WRITES_EXPERIMENTS, {"apiGroups": [""]} | rule)
    assert writer.write(on(fault, kind), "--dry-run=server") == ""


@pytest.mark.parametrize("fault", AGENT_FAULTS, ids=lambda fault: next(iter(fault)))
def test_whatever_an_agent_does_takes_the_right_to_start_one(fault: dict[str, Any], writer: Writer) -> None:
    assert f"{NO_RIGHT} patch pods/ephemeralcontainers" in writer.write(on(fault))


@pytest.mark.parametrize("fault", [{"cordon": {}}, {"drain": {}}], ids=["cordon", "drain"])
def test_nodes_take_a_right_that_no_namespace_can_give(fault: dict[str, Any], writer: Writer) -> None:
    evicts = {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}
    writer.allow(WRITES_EXPERIMENTS, evicts)

    assert f"{NO_RIGHT} patch nodes" in writer.write(on(fault, "Node"))


def test_what_does_nothing_takes_no_right_until_it_is_to_act(writer: Writer) -> None:
    """C14: anybody may plan; whoever lifts dryRun or suspend is asked what the author was not."""
    for idle in ({"dryRun": True}, {"suspend": True}):
        assert writer.write(acting(**idle)) == ""
        assert f"{NO_RIGHT} delete pods" in writer.write(acting())


def test_an_edit_beside_the_fault_takes_no_right(writer: Writer) -> None:
    writer.have_written(acting(approval="Required"))

    assert writer.write(acting(approval="Required", description="why")) == ""
    assert writer.write(acting(approval="Required", steadyFor="20s")) == ""
    for more in (
        {"duration": "20s"},
        {"target": POD | {"count": 2}},
        {"blastRadius": {"minAvailable": 0}},
        {"stopConditions": [{"budget": {"slo": "checkout", "remainingBelow": "10%"}}]},
        {"hypothesis": [{"healthCheck": {"name": "other"}}]},
        {"fault": {"podKill": {"gracePeriod": "1s"}}},
    ):
        assert f"{NO_RIGHT} delete pods" in writer.write(acting(approval="Required", **more)), more
    assert f"{NO_RIGHT} delete pods" in writer.write(acting(approval="NotRequired"))
    assert writer.write(acting(approval="Required", suspend=True)) == ""


@pytest.mark.parametrize("what", ["approve", "reject", "run", "abort"])
def test_nobody_asks_in_anothers_name(what: str, writer: Writer, namespace: str) -> None:
    """C14: the name beside an approval is that of who wrote it, or is not there."""
    assert NOT_IN_ANOTHERS_NAME in writer.write(asking(**{what: "x"}, by="another"))
    assert writer.write(asking(**{what: "x"}, by=f"writer-of-{namespace}")) == ""


def test_nobody_writes_the_operators_memory(writer: Writer) -> None:
    """C2: an original that stands in the status is put back, so nobody may write one there."""
    status = {"apiGroups": ["homeostat.dev"], "resources": ["chaosexperiments/status"], "verbs": ["*"]}
    writer.have_written(acting())
    writer.allow(WRITES_EXPERIMENTS, status)

    refusal = writer.write(acting() | {"status": {"phase": "Running"}}, "--subresource=status")
    assert NO_RIGHT_TO_REMEMBER in refusal
