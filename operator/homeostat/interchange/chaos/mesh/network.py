"""NetworkChaos: what of tc and iptables has a counterpart."""

from decimal import Decimal
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.chaos.mesh.selection import Selected, selected
from homeostat.interchange.chaos.network import Ends, cut_off
from homeostat.interchange.reading import Source, Unusable

_DIRECTIONS: Final = {"": "Egress", "to": "Egress", "from": "Ingress", "both": "Both"}
_NETEM: Final = frozenset({"netem", "delay", "loss", "duplicate", "corrupt"})
_PARTS: Final = ("delay", "loss", "duplicate", "corrupt", "rate")
_ALONE: Final = "packets are lost and late independently of each other"


def network(spec: Source, chosen: Selected) -> dict[str, Any]:
    """Give the fault of a NetworkChaos whose pods are chosen already."""
    action = spec.text("action")
    spec.lose("all interfaces of a pod are met", "device", "targetDevice")
    ends, ports = _ends(spec, chosen)
    direction = _DIRECTIONS.get(spec.text("direction"))
    if direction is None:
        raise Unusable(spec.at("direction"), "to, from or both is needed")
    if action == "partition":
        fault = cut_off(ends, direction)
        fault["network"] |= ports
        return fault
    if action in _NETEM:
        found = _netem(spec)
    elif action == "bandwidth":
        found = _bandwidth(spec.part("bandwidth"))
    else:
        raise Unusable(spec.at("action"), f'there is no action "{action}"')
    peers = ends.peers()
    return {"network": found | {"direction": direction} | ports | ({"peers": peers} if peers else {})}


# --- what is done to packets ----------------------------------------------------------------------------


def _netem(spec: Source) -> dict[str, Any]:
    """Read the parts that netem has; it joins those that are there, whatever the action is called."""
    there = [name for name in _PARTS if name in spec]
    for name in ("duplicate", "corrupt"):
        if name in there:
            raise Unusable(spec.at(name), "has no counterpart: packets can be lost, late or few")
    if len(there) != 1:
        found = " and ".join(spec.at(name) for name in there) or "none"
        raise Unusable(spec.path, f"one thing at a time is done to packets: delay, loss or rate; here: {found}")
    part = spec.part(there[0])
    return {"delay": _delay, "loss": _loss, "rate": _rate}[there[0]](part)


def _delay(delay: Source) -> dict[str, Any]:
    if "reorder" in delay:
        raise Unusable(delay.at("reorder"), "has no counterpart: the order of packets cannot be changed")
    _tell_correlation(delay)
    jitter = strict.read(delay, "jitter", units.go) if "jitter" in delay else "0s"
    return {"delay": strict.read(delay, "latency", units.go)} | ({"jitter": jitter} if jitter != "0s" else {})


def _loss(loss: Source) -> dict[str, Any]:
    _tell_correlation(loss)
    return {"loss": strict.figure(loss, "loss", units.percent)}


def _tell_correlation(part: Source) -> None:
    if (part.number("correlation") or Decimal(0)) != 0:
        part.notes.warn(part.at("correlation"), _ALONE)


def _rate(rate: Source) -> dict[str, Any]:
    return {"bandwidth": strict.read(rate, "rate", units.rate)}


def _bandwidth(bandwidth: Source) -> dict[str, Any]:
    bandwidth.lose("queues and bursts are not set here", "limit", "buffer", "peakrate", "minburst")
    return _rate(bandwidth)


# --- the other ends -------------------------------------------------------------------------------------


def _ends(spec: Source, chosen: Selected) -> tuple[Ends, dict[str, Any]]:
    """Read `target` and `externalTargets`; the ports of the latter, which must be those of all ends."""
    ends = Ends()
    ports: set[int | None] = set()
    for text in strict.texts(spec, "externalTargets"):
        address, port = _with_port(text)
        ends.add(address)
        ports.add(port)
    if "target" in spec:
        ends.labels = _of_pods(spec.part("target"), chosen)
        ports.add(None)
    if len(ports) > 1:
        raise Unusable(spec.at("externalTargets"), "ports are those of all other ends, or of none")
    port = next(iter(ports), None)
    return ends, {"ports": [port]} if port else {}


def _with_port(text: str) -> tuple[str, int | None]:
    """Part an address, a range or a name from its port; an IPv6 address has more colons than one."""
    address, colon, port = text.rpartition(":")
    if colon and ":" not in address and port.isascii() and port.isdigit() and len(port) <= 5:  # noqa: PLR2004
        return address, int(port)
    return text, None


def _of_pods(target: Source, chosen: Selected) -> dict[str, str]:
    """Give the labels of the pods at the other end, which are of the same namespace."""
    mode = target.text("mode")
    target.raw("value")
    if mode not in {"", "all"}:
        target.notes.warn(target.at("mode"), "the other ends are all pods with these labels")
    found = selected(target)
    if len(chosen.namespaces) != 1 or found.namespaces not in ((), chosen.namespaces):
        raise Unusable(target.at("selector.namespaces"), "the other ends are pods of the targets' own namespace")
    return found.labels
