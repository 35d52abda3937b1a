"""The kinds of fault that are tried, and what each is held by."""

from dataclasses import dataclass
from enum import StrEnum

from cluster.manifests import SHOP, Manifest

SERVICES = "198.18.0.0/15"
"""Addresses that a partition cuts off: those of a devcluster's pods and services."""


class Family(StrEnum):
    """What holds a fault up, and so who can be killed."""

    BLOW = "blow"
    FIELDS = "fields"
    AGENT = "agent"
    AGENT_BLOW = "blow by an agent"


class Aim(StrEnum):
    """What kind of object is the target."""

    POD = "Pod"
    DEPLOYMENT = "Deployment"
    NODE = "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of fault. `replaces`: pods of before need not be there afterwards."""

    name: str
    fault: Manifest
    family: Family = Family.AGENT
    aim: Aim = Aim.POD
    replaces: bool = False

    def target(self, node: str) -> Manifest:
        """Write spec.target."""
        if self.aim is Aim.POD:
            return {"kind": "Pod", "selector": {"matchLabels": {"app": SHOP}}, "count": 1}
        return {"kind": self.aim.value, "name": node if self.aim is Aim.NODE else SHOP}


KINDS = (
    Kind("network loss", {"network": {"loss": "30%"}}),
    Kind("network delay", {"network": {"delay": "100ms", "jitter": "20ms", "direction": "Both"}}),
    Kind("network bandwidth", {"network": {"bandwidth": "1Mbit"}}),
    Kind("network partition", {"network": {"partition": {"to": {"cidrs": [SERVICES]}}}}),
    Kind("network reset", {"network": {"reset": "30%", "direction": "Both"}}),
    Kind("dns fail", {"dns": {"fail": ["*"]}}),
    Kind("dns delay", {"dns": {"delay": "300ms"}}),
    Kind("http status", {"http": {"port": 8080, "status": 503, "percent": "50%"}}),
    Kind("http delay", {"http": {"port": 8080, "delay": "200ms"}}),
    Kind("cpu", {"cpu": {"load": "50%"}}),
    Kind("memory", {"memory": {"bytes": "16Mi"}}),
    Kind("processPause", {"processPause": {"name": "sample"}}),
    Kind("processKill", {"processKill": {"name": "sample"}}, Family.AGENT_BLOW),
    Kind("containerKill", {"containerKill": {"container": "sample"}}, Family.AGENT_BLOW),
    Kind("podKill", {"podKill": {"gracePeriod": "0s"}}, Family.BLOW, replaces=True),
    Kind("podEvict", {"podEvict": {"gracePeriod": "0s"}}, Family.BLOW, replaces=True),
    Kind("scale", {"scale": {"to": 0}}, Family.FIELDS, Aim.DEPLOYMENT, replaces=True),
    Kind(
        "rolloutBreak image", {"rolloutBreak": {"image": "homeostat.dev/none:none"}}, Family.FIELDS, Aim.DEPLOYMENT,
        replaces=True,
    ),
    Kind(
        "rolloutBreak env", {"rolloutBreak": {"env": {"BROKEN": "yes"}}}, Family.FIELDS, Aim.DEPLOYMENT, replaces=True
    ),
    Kind("resourceSqueeze Pod", {"resourceSqueeze": {"cpu": "50m"}}, Family.FIELDS),
    Kind(
        "resourceSqueeze Deployment", {"resourceSqueeze": {"cpu": "50m"}}, Family.FIELDS, Aim.DEPLOYMENT, replaces=True
    ),
    Kind("cordon", {"cordon": {}}, Family.FIELDS, Aim.NODE),
    Kind("drain", {"drain": {"gracePeriod": "0s"}}, Family.FIELDS, Aim.NODE, replaces=True),
)  # fmt: skip
