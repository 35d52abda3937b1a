"""Fields by name: how they are read off an object, and what patch sets them."""

from typing import Any

import pytest

from homeostat.kube.workloads.field_names import fields_of, references_of, spec_patch

WEB: dict[str, Any] = {
    "name": "web",
    "image": "web:1",
    "env": [{"name": "A", "value": "1"}, {"name": "EMPTY"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {}}}],
    "resources": {"limits": {"cpu": "1", "memory": "64Mi", "nvidia.com/gpu": "1"}, "requests": {"cpu": "500m"}},
}
TEMPLATE = {"spec": {"containers": [WEB, {"name": "side"}]}}
CONTENTS = {
    "image/web": "web:1",
    "env/web/A": "1",
    "env/web/EMPTY": "",
    "limits/web/cpu": "1",
    "limits/web/memory": "64Mi",
    "requests/web/cpu": "500m",
}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_workload_has_replicas_and_what_its_template_says(kind: str) -> None:
    """C6: what is not set is missing, and is taken away again."""
    assert fields_of({"spec": {"replicas": 3, "template": TEMPLATE}}, kind) == {"replicas": "3"} | CONTENTS


def test_a_daemon_set_has_no_replicas() -> None:
    assert fields_of({"spec": {"template": TEMPLATE}}, "DaemonSet") == CONTENTS


def test_a_node_is_unschedulable_or_not() -> None:
    assert fields_of({"spec": {"unschedulable": True}}, "Node") == {"unschedulable": "true"}
    assert fields_of({"spec": {}}, "Node") == {}


def test_a_pod_has_sizes_alone() -> None:
    sizes = {name: value for name, value in CONTENTS.items() if name.startswith(("limits", "requests"))}
    assert fields_of({"spec": TEMPLATE["spec"]}, "Pod") == sizes


def test_what_no_text_can_put_back_is_named() -> None:
    """C6: a reference to a Secret, and a variable that is there twice."""
    twice = WEB | {"env": [*WEB["env"], {"name": "A", "value": "2"}]}
    assert references_of({"spec": {"template": TEMPLATE}}) == {"env/web/KEY"}
    assert references_of({"spec": {"template": {"spec": {"containers": [twice]}}}}) == {"env/web/KEY", "env/web/A"}


def test_fields_become_one_patch_of_containers_by_name() -> None:
    """C2: all of them in one write."""
    patch = spec_patch(
        "Deployment",
        {"replicas": "0", "image/web": "x", "env/web/A": "2", "env/web/B": None, "limits/side/memory": None},
    )

    web = {"name": "web", "image": "x", "env": [{"name": "A", "value": "2"}, {"name": "B", "$patch": "delete"}]}
    side = {"name": "side", "resources": {"limits": {"memory": None}}}
    assert patch == {"replicas": 0, "template": {"spec": {"containers": [web, side]}}}


def test_a_node_is_made_schedulable_by_taking_the_field_away() -> None:
    assert spec_patch("Node", {"unschedulable": "true"}) == {"unschedulable": True}
    assert spec_patch("Node", {"unschedulable": None}) == {"unschedulable": None}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("DaemonSet", "replicas", "1"),
        ("Deployment", "replicas", "-1"),
        ("Deployment", "replicas", None),
        ("Deployment", "image/web", None),
        ("Deployment", "image", "x"),
        ("Deployment", "limits/web/nvidia.com", "1"),
        ("Deployment", "paused", "true"),
        ("Node", "replicas", "1"),
        ("Pod", "image/web", "x"),
        ("Service", "replicas", "1"),
    ],
)
def test_a_field_that_the_kind_has_not_is_refused(kind: str, name: str, value: str | None) -> None:
    with pytest.raises(ValueError, match=r"has no field|is a number|needs an image|no size"):
        spec_patch(kind, {name: value})
