"""Experiments of Litmus by their names, each as a fault of ours.

Each function reads the environment of an experiment, as it stands after the defaults, and gives the fault; it raises
Unusable for what has no counterpart.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.chaos.network import ALL, Ends, cut_off
from homeostat.interchange.reading import Source, Unusable

Fault = dict[str, Any]
_GRACE: Final = "30s"  # what Kubernetes gives to pods that say nothing
_POLICIES: Final = {"": "Both", "all": "Both", "egress": "Egress", "ingress": "Ingress"}


@dataclass(frozen=True, slots=True)
class Known:
    """An experiment that has a counterpart: its fault, the kind of its targets, and how many seconds it lasts."""

    fault: Callable[[Source], Fault]
    kind: str = "Pod"
    seconds: int = 60


# --- pods -----------------------------------------------------------------------------------------------


def _pod_delete(env: Source) -> Fault:
    if env.text("FORCE").lower() == "false":
        env.notes.warn(env.at("FORCE"), f"the pod has {_GRACE} to end, whatever it says itself")
        return {"podKill": {"gracePeriod": _GRACE}}
    return {"podKill": {"gracePeriod": "0s"}}


def _container_kill(env: Source) -> Fault:
    container = env.text("TARGET_CONTAINER")
    if not container:
        raise Unusable(env.at("TARGET_CONTAINER"), "the name of the container is needed")
    if env.text("SIGNAL") not in {"", "SIGKILL", "KILL", "9"}:
        env.notes.warn(env.at("SIGNAL"), "the container is killed by SIGKILL")
    return {"containerKill": {"container": container}}


def _autoscaler(env: Source) -> Fault:
    return {"scale": {"to": strict.figure(env, "REPLICA_COUNT", strict.whole(0, 1000))}}


def _cpu(env: Source) -> Fault:
    env.lose("the load is of each core that the pod may use, however many", "CPU_CORES")
    return {"cpu": {"load": strict.figure(env, "CPU_LOAD", units.percent) if "CPU_LOAD" in env else ALL}}


def _memory(env: Source) -> Fault:
    megabytes = strict.figure(env, "MEMORY_CONSUMPTION", strict.whole(1, 10**6))
    workers = strict.figure(env, "NUMBER_OF_WORKERS", strict.whole(1, 1000)) if "NUMBER_OF_WORKERS" in env else 1
    return {"memory": {"bytes": f"{megabytes * workers}M"}}


# --- network --------------------------------------------------------------------------------------------


def _ends(env: Source) -> Ends:
    ends = Ends()
    for name in ("DESTINATION_IPS", "DESTINATION_HOSTS"):
        for text in (part.strip() for part in env.text(name).split(",")):
            if "|" in text:
                raise Unusable(env.at(name), "the port of an address has no counterpart")
            if text:
                ends.add(text)
    return ends


def _of_network(read: Callable[[Source], Fault], env: Source) -> Fault:
    peers = _ends(env).peers()
    return {"network": read(env) | ({"peers": peers} if peers else {})}


def _loss(env: Source) -> Fault:
    return {"loss": strict.figure(env, "NETWORK_PACKET_LOSS_PERCENTAGE", units.percent)}


def _latency(env: Source) -> Fault:
    jitter = _milliseconds(env, "JITTER") if "JITTER" in env else "0s"
    return {"delay": _milliseconds(env, "NETWORK_LATENCY")} | ({"jitter": jitter} if jitter != "0s" else {})


def _milliseconds(env: Source, name: str) -> str:
    return strict.figure(env, name, partial(units.seconds, unit="ms"))


def _bandwidth(env: Source) -> Fault:
    env.lose("queues and bursts are not set here", "BURST", "LIMIT", "MIN_BURST", "PEAK_RATE")
    return {"bandwidth": strict.read(env, "NETWORK_BANDWIDTH", units.rate)}


def _partition(env: Source) -> Fault:
    for name in ("PORTS", "POD_SELECTOR", "NAMESPACE_SELECTOR"):
        if name in env:
            raise Unusable(env.at(name), "has no counterpart: the other ends are addresses and hosts")
    direction = _POLICIES.get(env.text("POLICY_TYPES").lower())
    if direction is None:
        raise Unusable(env.at("POLICY_TYPES"), "all, egress or ingress is needed")
    return cut_off(_ends(env), direction)


# --- names and HTTP -------------------------------------------------------------------------------------


def _dns(env: Source) -> Fault:
    names = strict.read(env, "TARGET_HOSTNAMES", _names) if "TARGET_HOSTNAMES" in env else []
    if env.text("MATCH_SCHEME").lower() == "substring":
        names = [f"*{name}*" for name in names]
    return {"dns": {"fail": names or ["*"]}}


def _names(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError('not a list of names such as ["db.shop.svc"]')
    return found


def _of_http(read: Callable[[Source], Fault], env: Source) -> Fault:
    port, share = _port(env), _toxicity(env)
    return {"http": {"port": port} | read(env) | ({"percent": share} if share != ALL else {})}


def _port(env: Source) -> int:
    return strict.figure(env, "TARGET_SERVICE_PORT", strict.whole(1, 65535)) if "TARGET_SERVICE_PORT" in env else 80


def _toxicity(env: Source) -> str:
    return strict.figure(env, "TOXICITY", units.percent) if "TOXICITY" in env else ALL


def _status(env: Source) -> Fault:
    env.lose("only the status is replaced", "RESPONSE_BODY", "CONTENT_ENCODING", "CONTENT_TYPE")
    env.raw("MODIFY_RESPONSE_BODY")
    return {"status": strict.figure(env, "STATUS_CODE", strict.whole(100, 599))}


def _http_latency(env: Source) -> Fault:
    return {"delay": _milliseconds(env, "LATENCY")}


def _reset(env: Source) -> Fault:
    if (env.number("RESET_TIMEOUT") or Decimal(0)) != 0:
        env.notes.warn(env.at("RESET_TIMEOUT"), "connections are reset at once")
    return {"network": {"reset": _toxicity(env), "ports": [_port(env)], "direction": "Ingress"}}


KNOWN: Final[Mapping[str, Known]] = {
    "pod-delete": Known(_pod_delete, seconds=15),
    "container-kill": Known(_container_kill, seconds=20),
    "pod-autoscaler": Known(_autoscaler, kind="Workload"),
    "pod-cpu-hog": Known(_cpu),
    "pod-cpu-hog-exec": Known(_cpu),
    "pod-memory-hog": Known(_memory),
    "pod-memory-hog-exec": Known(_memory),
    "pod-network-loss": Known(partial(_of_network, _loss)),
    "pod-network-latency": Known(partial(_of_network, _latency)),
    "pod-network-rate-limit": Known(partial(_of_network, _bandwidth)),
    "pod-network-partition": Known(_partition),
    "pod-dns-error": Known(_dns),
    "pod-http-status-code": Known(partial(_of_http, _status)),
    "pod-http-latency": Known(partial(_of_http, _http_latency)),
    "pod-http-reset-peer": Known(_reset),
    "node-drain": Known(lambda _: {"drain": {}}, kind="Node"),
}
"""Experiments of Litmus that have a counterpart; the defaults of time are its own."""
WHY_NOT: Final[Mapping[str, str]] = {
    "pod-network-corruption": "packets can be lost, late or few, not changed",
    "pod-network-duplication": "packets can be lost, late or few, not doubled",
    "pod-dns-spoof": "names can fail or be late, not lead elsewhere",
    "pod-http-modify-body": "answers can have another status or be late, not another body",
    "pod-http-modify-header": "answers can have another status or be late, not other headers",
    "pod-io-stress": "disks cannot be kept busy",
    "disk-fill": "disks cannot be filled",
    "node-taint": "Nodes can be cordoned or drained, not tainted",
    "node-cpu-hog": "loads are of pods, not of Nodes",
    "node-memory-hog": "loads are of pods, not of Nodes",
    "node-io-stress": "disks cannot be kept busy",
    "node-poweroff": "machines are not touched",
    "node-restart": "machines are not touched",
    "kubelet-service-kill": "what runs on a Node beside pods is not touched",
    "docker-service-kill": "what runs on a Node beside pods is not touched",
}
"""Why the others have none."""
