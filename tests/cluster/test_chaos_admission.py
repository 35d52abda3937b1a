"""What the API server itself makes of experiments: bounded durations (C1), and the examples as they are."""

from pathlib import Path
from typing import Any

import pytest
import yaml

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
