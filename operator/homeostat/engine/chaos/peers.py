"""Whom a network fault is about: the addresses of the pods that its selectors name, as they are now."""

import structlog

from homeostat.api.chaos import ChaosExperimentSpec
from homeostat.core.chaos.faults.settings import addresses_of, peer_selectors
from homeostat.core.cluster import Service
from homeostat.ports import Cluster, Forbidden

log = structlog.get_logger("homeostat.chaos")


async def peers_of(cluster: Cluster, spec: ChaosExperimentSpec, namespace: str) -> dict[str, tuple[str, ...]]:
    """Read them, by selector. Raises Unavailable, Forbidden or Rejected."""
    selectors = peer_selectors(spec)
    if not selectors:
        return {}
    everybody, services = await cluster.pods(namespace, ""), await _services(cluster, namespace)
    return {
        selector: addresses_of(await cluster.pods(namespace, selector), everybody, services) for selector in selectors
    }


async def _services(cluster: Cluster, namespace: str) -> tuple[Service, ...]:
    """Read Services where we may: without them a fault meets what goes to pods directly."""
    try:
        return await cluster.services(namespace)
    except Forbidden:
        log.warning("services not read", reason="Forbidden", effect="faults do not meet what goes through Services")
        return ()
