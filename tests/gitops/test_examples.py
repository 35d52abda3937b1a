"""The example repository: every object of ours in it is valid, and what it names is there."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.cli.files import validate as validate_command

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "gitops"
FILES = sorted(EXAMPLE.rglob("*.yaml"))


def bodies(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(path.read_text())


def kustomizations() -> list[Path]:
    return [path for path in FILES if path.name == "kustomization.yaml"]


def test_the_objects_of_a_team_are_valid_and_refer_to_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    base = [path for path in (EXAMPLE / "teams/shop/base").glob("*.yaml") if path.name != "kustomization.yaml"]

    assert validate_command.main([str(path) for path in sorted(base)]) == 0
    told = capsys.readouterr()
    assert "warning" not in told.out + told.err


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLE)))
def test_every_manifest_is_an_object(path: Path) -> None:
    for body in bodies(path):
        assert body["apiVersion"]
        assert body["kind"]
        assert body["kind"] in {"Kustomization", "Component"} or body["metadata"]["name"]


@pytest.mark.parametrize("path", kustomizations(), ids=lambda path: str(path.parent.relative_to(EXAMPLE)))
def test_what_a_kustomization_names_is_there(path: Path) -> None:
    (body,) = bodies(path)
    named = [*body.get("resources", ()), *body.get("components", ())]
    named += [patch["path"] for patch in body.get("patches", ()) if "path" in patch]

    assert [name for name in named if "://" not in name and not (path.parent / name).exists()] == []


def test_the_patches_of_an_overlay_are_about_objects_of_the_base() -> None:
    base = {
        (body["kind"], body["metadata"]["name"])
        for path in (EXAMPLE / "teams/shop/base").glob("*.yaml")
        for body in bodies(path)
        if body["kind"] != "Kustomization"
    }
    for path in (EXAMPLE / "teams/shop/overlays").rglob("kustomization.yaml"):
        (body,) = bodies(path)
        patches = [yaml.safe_load(patch["patch"]) for patch in body["patches"]]

        assert {(patch["kind"], patch["metadata"]["name"]) for patch in patches} <= base


def test_the_health_rules_of_flux_are_for_the_kustomization_of_the_team() -> None:
    (patch,) = bodies(REPOSITORY / "gitops/flux/health-check-exprs.yaml")
    (team,) = bodies(EXAMPLE / "flux/clusters/production/teams.yaml")

    assert (patch["apiVersion"], patch["kind"], patch["metadata"]) == (
        team["apiVersion"], team["kind"], team["metadata"]
    )  # fmt: skip


def test_differences_are_ignored_by_the_field_manager_that_acts() -> None:
    (application,) = bodies(EXAMPLE / "argo-cd/apps/shop-workloads.yaml")

    (rule,) = application["spec"]["ignoreDifferences"]
    assert rule["managedFieldsManagers"] == ["homeostat-actions"]


# --- by kustomize itself ---------------------------------------------------------------------------------


def built(folder: Path) -> list[dict[str, Any]]:
    tools = subprocess.run(
        ["hack/tools", "kustomize"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()
    done = subprocess.run([f"{tools}/kustomize", "build", str(folder)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.helm
@pytest.mark.parametrize(
    ("overlay", "mode", "kinds"),
    [
        ("production", "Auto", {"HealthCheck", "ServiceLevelObjective", "RecoveryPolicy"}),
        ("staging", "Observe", {"HealthCheck", "ServiceLevelObjective", "RecoveryPolicy", "ChaosExperiment"}),
    ],
)
def test_an_overlay_builds_into_valid_objects(overlay: str, mode: str, kinds: set[str], tmp_path: Path) -> None:
    objects = built(EXAMPLE / "teams/shop/overlays" / overlay)
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(objects))

    assert validate_command.main([str(tmp_path / "all.yaml")]) == 0
    assert {body["kind"] for body in objects} == kinds
    assert [body["spec"]["mode"] for body in objects if body["kind"] == "RecoveryPolicy"] == [mode]


@pytest.mark.helm
def test_the_kustomization_of_the_team_gets_the_health_rules() -> None:
    objects = built(EXAMPLE / "flux/clusters/production")

    team = next(body for body in objects if body["metadata"]["name"] == "homeostat-objects")
    assert len(team["spec"]["healthCheckExprs"]) == 6
    assert team["spec"]["dependsOn"] == [{"name": "infrastructure"}]


@pytest.mark.helm
def test_the_component_adds_its_keys_to_argocd_cm_and_leaves_those_that_are_there(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "gitops" / "argo-cd", tmp_path / "argo-cd")
    config = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "argocd-cm"},
        "data": {"url": "https://a.b"},
    }
    (tmp_path / "argocd-cm.yaml").write_text(yaml.safe_dump(config))
    rules = {"namespace": "argocd", "resources": ["argocd-cm.yaml"], "components": ["argo-cd"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(rules))

    (config,) = built(tmp_path)

    patch = yaml.safe_load((REPOSITORY / "gitops/argo-cd/argocd-cm.yaml").read_text())
    assert config["data"] == {"url": "https://a.b"} | patch["data"]
