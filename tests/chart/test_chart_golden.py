"""The chart renders what it is known to render, for a matrix of values, and Helm and the API's schemas take it."""

import subprocess
from pathlib import Path

import pytest

from chart.rendering import CASES, CHART, GOLDEN, HERE, ROOT, documents, golden, helm, program, rendered
from chart.schemas import built_in, our_own

pytestmark = pytest.mark.helm
FOREIGN = "ServiceMonitor,PodMonitor,PrometheusRule,GrafanaDashboard"
"""Kinds of others, whose schemas are not here."""


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON schemas of Kubernetes and of our own kinds, in which no unknown field is taken."""
    folder = tmp_path_factory.mktemp("schemas")
    built_in(folder)
    our_own(folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_it_renders_what_it_is_known_to_render(case: str) -> None:
    """A change that is meant: PYTHONPATH=operator:tests .venv/bin/python -m chart.rendering."""
    assert golden(case) == (GOLDEN / f"{case}.yaml").read_text()


def test_there_is_no_golden_file_without_values() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == CASES


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_complain_of(case: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(HERE / "values" / f"{case}.yaml"))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_one_that_kubernetes_takes(case: str, schemas: Path) -> None:
    assert conforms(schemas, rendered(case)) == ""


@pytest.mark.parametrize("path", ["dist/install.yaml", *(f"dist/rights/{one}.yaml" for one in ("chaos", "recovery"))])
def test_every_plain_manifest_is_one_that_kubernetes_takes(path: str, schemas: Path) -> None:
    assert conforms(schemas, (ROOT / path).read_text()) == ""


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_one_that_kubernetes_takes(path: Path, schemas: Path) -> None:
    assert conforms(schemas, path.read_text()) == ""


def test_a_field_that_does_not_exist_would_be_seen(schemas: Path) -> None:
    """Else the tests above could not fail."""
    assert "replicaas" in conforms(schemas, rendered("defaults").replace("  replicas: 1", "  replicaas: 1"))


@pytest.mark.parametrize("case", CASES)
def test_no_object_is_rendered_twice(case: str) -> None:
    names = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in documents(rendered(case))
    ]

    assert sorted(map(str, names)) == sorted(map(str, set(names)))


def conforms(schemas: Path, text: str) -> str:
    """Give what kubeconform complains of; "" for nothing."""
    location = str(schemas / "{{ .Group }}" / "{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json")
    command = [program("kubeconform"), "-strict", "-skip", FOREIGN, "-schema-location", location, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr if done.returncode else ""
