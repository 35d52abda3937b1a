"""Which experiments are run, how long their faults last here, and what is put into the cluster for them.

All of it is what the examples have. Only waiting is made shorter: how long a fault lasts, what steady means, the rests
and verification of the runbooks, the windows of the alert. And the check of the shop has more patience: on a busy
machine a pod that is merely slow must not be taken for what the fault did.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bench.faults.shop import NAME, runbook
from bench.subject import ROOT
from cluster.manifests import Manifest

EXAMPLES = ROOT / "examples"
HURRIED = {"steadyFor": "3s", "recoveryTimeout": "90s"}
SHOP = NAME
ALERT = {"budget": "0.1%", "long": "5m", "short": "1m", "severity": "Page"}
"""A page that ends a minute after what set it off; that of the example takes five."""
PATIENT = {"timeout": "900ms", "degraded": None}
"""Of the check that asks each pod; slow-responses takes a second."""
AMPLE = {"budget": {"actions": 100, "per": "1h"}, "ineffective": {"count": 20, "window": "5m"}}
"""Limits that the many runs in one namespace do not come to."""


@dataclass(frozen=True, slots=True)
class Drill:
    """One shipped experiment.

    `duration`: how long the fault lasts, "" for as long as it says itself. `policy`: the runbook that it proves;
    `with_alert`: whether it proves the alert of the objective.
    """

    name: str
    duration: str = ""
    policy: str = ""
    with_alert: bool = False
    is_default: bool = True


DRILLS = (
    Drill("pod-loss", "6s"),
    Drill("container-crash", "10s"),
    Drill("hung-process", "45s"),
    Drill("bad-deploy", "40s", "bad-image"),
    Drill("scale-down", "25s", "too-few-replicas"),
    Drill("error-burst", "25s", "hung-process"),
    Drill("slow-responses", "25s", "hung-process"),
    Drill("alert-drill", "20s", with_alert=True),
    Drill("latency-spike", "12s"),
    Drill("connection-resets", "12s"),
    *(
        Drill(name, is_default=False)
        for name in ("pod-eviction", "cpu-starvation", "packet-loss", "narrow-network", "dependency-down",
                     "dns-outage", "slow-dns", "cpu-burn", "memory-starvation")
    ),
)  # fmt: skip


def experiment(drill: Drill) -> Manifest:
    """Read the shipped experiment, which runs when it is asked to and ends soon."""
    body = _example(f"experiments/{drill.name}.yaml")[0]
    return _at_home(body, HURRIED | {"start": "OnRequest"} | ({"duration": drill.duration} if drill.duration else {}))


def surroundings(drill: Drill, namespace: str) -> list[Manifest]:
    """Give what the experiment is about: the shop first, then checks and objective, then the runbook."""
    shop = [_at_home(one) for one in _example("shop.yaml") if one["kind"] != "Namespace"]
    checks = [_at_home(one, PATIENT if one["metadata"]["name"] == SHOP else {}) for one in _example("healthcheck.yaml")]
    alerting = {"alerting": {"burnRates": [ALERT]}} if drill.with_alert else {}
    objectives = [_at_home(one, alerting) for one in _example("servicelevelobjective.yaml")]
    return [*shop, *checks, *objectives, *([_runbook(drill.policy, namespace)] if drill.policy else [])]


def _example(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def _at_home(manifest: Manifest, changes: Mapping[str, Any] | None = None) -> Manifest:
    """Give a manifest without a namespace, which is then that of the run."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "namespace"}
    spec = {name: value for name, value in (manifest["spec"] | dict(changes or {})).items() if value is not None}
    return manifest | {"metadata": metadata, "spec": spec}


def _runbook(name: str, namespace: str) -> Manifest:
    found = runbook(name)
    found["spec"]["limits"] |= AMPLE
    found["spec"]["verify"]["deadline"] = "1m"  # a query is asked four times a minute
    for trigger in found["spec"]["triggers"]:
        if "promql" in trigger:
            trigger["promql"]["query"] = trigger["promql"]["query"].replace('"shop"', f'"{namespace}"')
    return found
