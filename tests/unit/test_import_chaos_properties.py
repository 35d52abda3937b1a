"""Objects of Chaos Mesh and Litmus of any shape end in experiments that our own rules accept, or in reasons.

What is told is checked as well: an object of which nothing comes has an error, and no field goes without a word.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.interchange.chaos.experiment import Wishes
from homeostat.interchange.chaos.litmus import objects as litmus
from homeostat.interchange.chaos.litmus.faults import KNOWN, WHY_NOT
from homeostat.interchange.chaos.mesh import objects as mesh
from homeostat.interchange.importing import Import, Outcome, outcome
from homeostat.interchange.reading import Foreign
from homeostat.interchange.validation import check

Convert = Callable[[Sequence[Foreign], Wishes], list[Import]]
MESH, LITMUS = "chaos-mesh.org/v1alpha1", "litmuschaos.io/v1alpha1"

WORDS = st.sampled_from([
    "", "one", "all", "fixed", "fixed-percent", "pod-kill", "pod-failure", "container-kill", "delay", "loss", "netem",
    "bandwidth", "partition", "error", "to", "from", "both", "Serial", "PodChaos", "NetworkChaos", "Schedule", "30s",
    "1.5h", "90ms", "-1s", "1e999999", "50", "100", "0.0000001", "1mbps", "256MB", "1GiB", "10%", "@every 5m",
    "* * * * *", "app=web", "a=b,c", "10.0.0.1/8:80", "::1", "a.example:443", "stop", "Allow", "Continuous",
    "promProbe", "<=", "In",
])  # fmt: skip
FIELDS = st.sampled_from([
    "name", "namespace", "labels", "annotations", "mode", "value", "selector", "namespaces", "labelSelectors",
    "expressionSelectors", "key", "operator", "values", "pods", "action", "duration", "direction", "target",
    "externalTargets", "delay", "latency", "jitter", "correlation", "loss", "rate", "bandwidth", "stressors", "cpu",
    "memory", "size", "load", "port", "replace", "code", "abort", "patterns", "containerNames", "gracePeriod",
    "scheduler", "cron", "schedule", "type", "podChaos", "networkChaos", "templates", "templateType", "deadline",
    "experiments", "spec", "components", "env", "probe", "promProbe/inputs", "query", "comparator", "criteria",
    "appinfo", "applabel", "appns", "appkind", "selectors", "workloads", "engineTemplateSpec", "repeat", "properties",
    "minChaosInterval", "hour", "everyNthHour", "minute", "definition", "TOTAL_CHAOS_DURATION", "STATUS_CODE",
    "unknown",
])  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)
"""Whatever JSON can hold, with names and words that mean something here and there."""


def objects_of(version: str, kinds: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a group whose kind may be sound and whose rest may be anything."""
    fixed = {"apiVersion": st.just(version), "kind": st.sampled_from(kinds) | VALUES}
    return st.fixed_dictionaries(fixed, optional={"metadata": VALUES, "spec": VALUES, "status": VALUES})


def read(convert: Convert, bodies: Sequence[dict[str, Any]], wishes: Wishes = Wishes(("checkout",))) -> Outcome:  # noqa: B008
    return outcome(convert([Foreign("a.yaml", "1", body) for body in bodies], wishes), "shop")


def is_sound(came: Outcome) -> bool:
    """Whether all that came out is accepted as it is, and each object without any experiment has a reason."""
    return not any(check(manifest).problems for manifest in came.manifests)


MESH_KINDS = ["PodChaos", "NetworkChaos", "StressChaos", "HTTPChaos", "DNSChaos", "IOChaos", "Schedule", "Workflow"]


@given(st.lists(objects_of(MESH, MESH_KINDS), min_size=1, max_size=2))
def test_any_object_of_chaos_mesh_ends_in_experiments_or_reasons(bodies: list[dict[str, Any]]) -> None:
    came = read(mesh.convert, bodies)

    assert is_sound(came)
    assert came.manifests or not came.is_whole


NAMES = st.sampled_from(["", "a", "b", "c"])
POD_KILL = {"action": "pod-kill", "selector": {"labelSelectors": {"app": "web"}}}
TEMPLATES = st.fixed_dictionaries(
    {"name": NAMES, "templateType": st.sampled_from(["Serial", "Suspend", "PodChaos", "Parallel", "Schedule"])},
    optional={"children": st.lists(NAMES, max_size=3), "deadline": WORDS, "podChaos": st.just(POD_KILL) | VALUES},
)


@given(st.lists(TEMPLATES, max_size=5), NAMES)
def test_any_workflow_ends_in_experiments_and_a_game_day_or_reasons(
    templates: list[dict[str, Any]], entry: str
) -> None:
    spec = {"entry": entry, "templates": templates}
    came = read(mesh.convert, [{"apiVersion": MESH, "kind": "Workflow", "metadata": {"name": "x"}, "spec": spec}])
    kinds = [manifest["kind"] for manifest in came.manifests]

    assert is_sound(came)
    assert kinds.count("GameDay") == 1 or not came.is_whole


@given(st.lists(objects_of(LITMUS, ["ChaosEngine", "ChaosSchedule", "ChaosResult"]), min_size=1, max_size=2))
def test_any_object_of_litmus_ends_in_experiments_or_reasons(bodies: list[dict[str, Any]]) -> None:
    came = read(litmus.convert, bodies)

    assert is_sound(came)
    assert came.manifests or not came.is_whole


@given(st.sampled_from(MESH_KINDS[:5]), st.dictionaries(FIELDS, VALUES, max_size=4), st.booleans())
def test_a_sound_experiment_with_anything_beside_it_ends_in_experiments_or_reasons(
    kind: str,
    more: dict[str, Any],
    is_first: bool,  # noqa: FBT001
) -> None:
    """Deeper than any object of chance goes: what is added replaces fields that were right."""
    sound: dict[str, Any] = {
        "mode": "one", "duration": "30s", "action": {"NetworkChaos": "loss", "DNSChaos": "error"}.get(kind, "pod-kill"),
        "selector": {"labelSelectors": {"app": "web"}}, "loss": {"loss": "5"}, "port": 80, "delay": "1s",
        "stressors": {"cpu": {"workers": 1}},
    }  # fmt: skip
    spec = more | sound if is_first else sound | more
    came = read(mesh.convert, [{"apiVersion": MESH, "kind": kind, "metadata": {"name": "x"}, "spec": spec}])

    assert is_sound(came)
    assert came.manifests or not came.is_whole


@given(st.sampled_from([*KNOWN, *WHY_NOT]), st.dictionaries(st.sampled_from([
    "TOTAL_CHAOS_DURATION", "PODS_AFFECTED_PERC", "FORCE", "TARGET_CONTAINER", "TARGET_NODE", "NODE_LABEL", "CPU_LOAD",
    "MEMORY_CONSUMPTION", "NETWORK_LATENCY", "JITTER", "NETWORK_PACKET_LOSS_PERCENTAGE", "DESTINATION_IPS",
    "STATUS_CODE", "DESTINATION_HOSTS", "TARGET_HOSTNAMES", "TARGET_SERVICE_PORT", "TOXICITY", "RAMP_TIME",
    "REPLICA_COUNT", "LATENCY", "NETWORK_BANDWIDTH", "POLICY_TYPES", "SEQUENCE", "OTHER",
]), VALUES, max_size=8))  # fmt: skip
def test_any_environment_of_an_experiment_of_litmus_ends_in_experiments_or_reasons(
    name: str, env: dict[str, Any]
) -> None:
    entries = [{"name": key, "value": value} for key, value in env.items()]
    spec = {
        "appinfo": {"appns": "shop", "applabel": "app=web", "appkind": "deployment"},
        "experiments": [{"name": name, "spec": {"components": {"env": entries}}}],
    }
    came = read(
        litmus.convert, [{"apiVersion": LITMUS, "kind": "ChaosEngine", "metadata": {"name": "x"}, "spec": spec}]
    )

    assert is_sound(came)
    assert came.manifests or not came.is_whole


@pytest.mark.parametrize("field", ["colour", "Mode", "durations", "selectors"])
@given(value=VALUES.filter(lambda value: value is not None))
def test_a_field_that_nobody_knows_is_told(field: str, value: Any) -> None:
    spec = {"action": "pod-kill", "mode": "one", "duration": "30s", "selector": {"labelSelectors": {"app": "web"}}}
    body = {"apiVersion": MESH, "kind": "PodChaos", "metadata": {"name": "x"}, "spec": spec | {field: value}}
    came = read(mesh.convert, [body])

    assert came.is_whole
    assert any(f"spec.{field}: not known here" in line for line in came.lines)
