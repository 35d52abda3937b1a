"""What is generated from the chart is up to date, and kustomize builds it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import gen_manifests
from chart.rendering import ROOT, program

pytestmark = pytest.mark.helm


def built(folder: Path) -> list[dict[str, Any]]:
    """Build a folder with kustomize."""
    done = subprocess.run(
        [program("kustomize"), "build", folder], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def names(found: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in found}


def overlay(folder: Path, **parts: Any) -> Path:
    """Write a kustomization of a user, next to a link to config/: bases have to be relative."""
    folder.mkdir(exist_ok=True)
    link = folder.parent / "config"
    if not link.exists():
        link.symlink_to(ROOT / "config")
    body = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **parts}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(body))
    return folder


def test_what_is_generated_is_up_to_date() -> None:
    """hack/gen_manifests.py writes it anew."""
    assert gen_manifests.generated().stale() == []


def test_the_default_base_is_what_install_yaml_has() -> None:
    plain = [one for one in yaml.safe_load_all((ROOT / "dist" / "install.yaml").read_text()) if one]

    assert names(built(ROOT / "config" / "default")) == names(plain)


@pytest.mark.parametrize("name", sorted(gen_manifests.RIGHTS))
def test_a_component_adds_what_the_file_of_rights_has(name: str, tmp_path: Path) -> None:
    path = overlay(tmp_path / "mine", resources=["../config/default"], components=[f"../config/components/{name}"])
    plain = [one for one in yaml.safe_load_all((ROOT / "dist" / "rights" / f"{name}.yaml").read_text()) if one]

    assert names(plain) <= names(built(path))


def test_another_namespace_is_another_everywhere(tmp_path: Path) -> None:
    components = ["../config/components/recovery", "../config/components/chaos"]
    path = overlay(tmp_path / "mine", namespace="elsewhere", resources=["../config/default"], components=components)

    assert "homeostat-system" not in yaml.safe_dump(
        [one for one in built(path) if one["kind"] not in {"CustomResourceDefinition", "ValidatingAdmissionPolicy"}]
    )


def test_a_namespaced_base_has_no_cluster_role_and_follows_its_namespace(tmp_path: Path) -> None:
    found = built(overlay(tmp_path / "mine", namespace="team", resources=["../config/namespaced"]))

    assert not {one["kind"] for one in found} & {"ClusterRole", "ClusterRoleBinding"}
    assert {one["metadata"]["namespace"] for one in found} == {"team"}
    assert {account["namespace"] for one in found for account in one.get("subjects", ())} == {"team"}
