"""The CRDs on a real API server: accepted, complete in `kubectl explain`, and every CEL rule does what it says."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.api.kinds import KINDS
from homeostat.api.meta import API_VERSION, GROUP, VERSION, Kind

ROOT = Path(__file__).resolve().parents[2]
GROUP_PATH = f"/apis/{GROUP}/{VERSION}"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
KIND_IDS = [kind.kind for kind in KINDS]

needs_api_server = pytest.mark.apiserver


def examples(kind: Kind) -> list[dict[str, Any]]:
    """Read the CEL examples of a kind."""
    path = Path(__file__).parent / "cel" / f"{kind.plural}.yaml"
    return yaml.safe_load(path.read_text()) if path.exists() else []


def definition(kind: Kind) -> dict[str, Any]:
    """Read the CRD of a kind as the repository has it."""
    return yaml.safe_load((ROOT / "crds" / f"{GROUP}_{kind.plural}.yaml").read_text())


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk a schema: every node with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{path}[]")


def declared_rules(kind: Kind) -> set[str]:
    """Collect the messages of all CEL rules of a kind."""
    root = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {rule["message"] for _, node in nodes(root) for rule in node.get("x-kubernetes-validations", ())}


def collection(kind: Kind, namespace: str) -> str:
    """Give the API path of all objects of a kind in a namespace."""
    return f"{GROUP_PATH}/namespaces/{namespace}/{kind.plural}" if kind.is_namespaced else f"{GROUP_PATH}/{kind.plural}"


# --- without a cluster ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_every_cel_rule_has_an_example_and_every_example_a_rule(kind: Kind) -> None:
    assert {example["rule"] for example in examples(kind)} == declared_rules(kind)


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_what_a_rule_accepts_is_also_understood_by_the_models(kind: Kind) -> None:
    for example in examples(kind):
        kind.spec.model_validate(example["accept"]["spec"])


# --- on an API server -----------------------------------------------------------------------------------


@needs_api_server
@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
@pytest.mark.usefixtures("crds")
def test_a_definition_is_established_under_its_names(kind: Kind, api: Any) -> None:
    _, found = api("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{GROUP}")
    conditions = {entry["type"]: entry["status"] for entry in found["status"]["conditions"]}

    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    assert conditions.get("NonStructuralSchema", "False") == "False"


@needs_api_server
@pytest.mark.usefixtures("crds")
def test_explain_has_something_to_say_about_every_field(api: Any) -> None:
    _, document = api("GET", f"/openapi/v3{GROUP_PATH}")
    schemas = document["components"]["schemas"]
    ours = {kind.kind: schemas[f"dev.homeostat.{VERSION}.{kind.kind}"] for kind in KINDS}
    silent = [
        f"{name}{path}"
        for name, root in ours.items()
        for path, node in nodes(root)
        if not path.endswith("[]") and not node.get("description") and not path.startswith(".metadata")
    ]

    assert silent == []


@needs_api_server
@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
@pytest.mark.usefixtures("crds")
def test_kubectl_explains_a_kind(kind: Kind, kubectl: Any) -> None:
    said = kubectl("explain", f"{kind.plural}.spec", f"--api-version={API_VERSION}").stdout

    assert " ".join(said.split()).count("<no description>") == 0
    assert all(f"{name}\t<" in said for name in definition_of_spec(kind))


def definition_of_spec(kind: Kind) -> dict[str, Any]:
    """Give the properties of a kind's spec."""
    root = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root["properties"]["spec"]["properties"]


@needs_api_server
@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
@pytest.mark.usefixtures("crds")
def test_a_kind_is_found_by_its_short_names_and_categories(kind: Kind, api: Any, kubectl: Any) -> None:
    _, known = api("GET", GROUP_PATH)
    resource = next(entry for entry in known["resources"] if entry["name"] == kind.plural)

    assert resource.get("shortNames", []) == list(kind.short_names)
    assert resource["categories"] == list(kind.categories)
    for name in (*kind.short_names, *kind.categories):
        kubectl("get", name, "--all-namespaces", "--chunk-size=1")


@needs_api_server
@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_a_kind_is_listed_with_its_columns(kind: Kind, namespace: str, api: Any) -> None:
    _, table = api("GET", collection(kind, namespace), accept=TABLE)
    shown = [(column["name"], column["type"], column["priority"]) for column in table["columnDefinitions"]]

    assert shown[0][0] == "Name"
    assert shown[1:] == [(column.name, column.type, column.priority) for column in kind.columns]


@needs_api_server
@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_every_cel_rule_accepts_and_refuses_its_examples_with_exactly_its_message(
    kind: Kind, namespace: str, api: Any
) -> None:
    path = f"{collection(kind, namespace)}?dryRun=All&fieldValidation=Strict"

    def problem(example: dict[str, Any]) -> str:
        accepted, answer = api("POST", path, example["accept"])
        refused, refusal = api("POST", path, example["refuse"])
        causes = [cause["message"] for cause in refusal.get("details", {}).get("causes", [])]
        if accepted != 201:
            return f"{example['rule']}: not accepted: {answer['message']}"
        if refused != 422 or len(causes) != 1 or not causes[0].endswith(f": {example['rule']}"):
            return f"{example['rule']}: refused ({refused}) with {causes or refusal.get('message')}"
        return ""

    with ThreadPoolExecutor(max_workers=8) as pool:
        problems = [text for text in pool.map(problem, examples(kind)) if text]

    assert problems == []


@needs_api_server
def test_an_object_that_nobody_evaluated_yet_says_so(namespace: str, kubectl: Any) -> None:
    """S16 and the like: GitOps tools must not take an unseen object for a current one."""
    name = f"unseen-{namespace}"
    manifest = f"""
apiVersion: {API_VERSION}
kind: Freeze
metadata: {{name: {name}}}
spec: {{stops: [Chaos], reason: test, namespaces: [{namespace}]}}
"""
    made = yaml.safe_load(kubectl("create", "-f", "-", "-o", "yaml", stdin=manifest).stdout)
    kubectl("delete", "freeze", name)

    assert made["status"]["observedGeneration"] == -1


@needs_api_server
@pytest.mark.usefixtures("crds")
def test_a_refusal_reads_well_in_kubectl(kubectl: Any) -> None:
    example = examples(KINDS[-1])[0]
    refusal = kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(example["refuse"]), check=False)

    assert refusal.returncode != 0
    assert re.search(rf"is invalid: spec\S*: .*{re.escape(example['rule'])}\s*$", refusal.stderr)
