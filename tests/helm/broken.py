"""What is under way when somebody upgrades or uninstalls: faults that are on, and a recovery that is not over."""

from typing import Any

from cluster.experiments import CHAOS, booth, check_of, experiment, is_marked, specs_of, until_content
from cluster.manifests import SHOP, Manifest, health_check, policy
from cluster.waiting import until
from helm.scene import House

WIRE, FIELD, CALM = "wire", "field", "calm"
"""Booths: the calm one serves on, so that the field may go before the agent in the wire is ready."""
CUT = {"network": {"loss": "100%", "ports": [8080], "direction": "Ingress"}}
FAILS = {"http": {"port": 8080, "status": 503}}
CLOSED = {"scale": {"to": 0}}
REPLICAS = 2


def hold_faults(house: House, duration: str = "10m", wire: Manifest = FAILS) -> dict[str, Manifest]:
    """Have a fault held by an agent, and one by a guard; give the Deployments as they were."""
    for name in (WIRE, FIELD, CALM):
        house.put(*booth(name), check_of(name))
    until_content(house, WIRE, FIELD, CALM)
    before = specs_of(house, WIRE, FIELD)
    patient = {"duration": duration, "recoveryTimeout": "5m"}  # nothing here is about how fast pods start
    house.put(experiment(WIRE, wire, **patient), experiment(FIELD, CLOSED, "Deployment", **patient))
    for name in (WIRE, FIELD):
        house.until_phase("Running", name)
    until(lambda: is_marked(house, FIELD) and replicas_of(house) == 0, "the field is held")
    return before


def replicas_of(house: House, name: str = FIELD) -> int:
    return int(house.read("Deployment", name)["spec"]["replicas"])


def begin_recovery(house: House) -> dict[str, Any]:
    """Have a pod fail and a replica be added, which does not help; give the status with the attempt.

    It waits for its proof until `end_recovery`, however long that takes: nothing but a pod that is well again ends it.
    """
    patient = policy(step={"scale": {"by": "+1"}, "timeout": "5m"}, verify={"deadline": "15m"})
    pods = house.open_shop(patient, replicas=REPLICAS, check=health_check())
    house.until_state("Healthy")
    house.break_pod(min(pods), duration="1h")
    return house.until_status(
        "RecoveryPolicy", lambda it: it.get("attempt", {}).get("phase") == "Verifying", "an attempt waits for its proof"
    )


def end_recovery(house: House) -> dict[str, Any]:
    """Have the pod be well again, and give the record of the attempt: the only one, which acted once."""
    for name in house.pods():
        house.heal_pod(name)
    record = house.until_recovered()
    assert house.status("RecoveryPolicy")["stats"]["attempts"] == 1
    assert replicas_of(house, SHOP) == REPLICAS + 1
    return record


def is_under_way(house: House, attempt: str) -> bool:
    """Whether an attempt is not over."""
    return bool(house.status("RecoveryPolicy").get("attempt", {}).get("id") == attempt)


def finished(house: House, name: str) -> dict[str, Any]:
    """Wait until the run of an experiment is over, and give its status."""
    return house.until_status(CHAOS, lambda it: it.get("phase") == "Finished", "its run is over", name, seconds=400)


def finalizers(house: House, kind: str = CHAOS) -> list[str]:
    """Name the objects of a kind that have finalizers."""
    return [one["metadata"]["name"] for one in house.all_of(kind) if one["metadata"].get("finalizers")]
