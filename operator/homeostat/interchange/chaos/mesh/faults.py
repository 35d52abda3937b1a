"""Kinds of Chaos Mesh that break pods, loads, HTTP and names, each as one or more faults of ours.

Each function reads a spec and gives the faults with a suffix for the name where there are several; it raises Unusable,
or ValueError, for what has no counterpart.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.chaos.experiment import IN_TURN
from homeostat.interchange.chaos.mesh.network import network
from homeostat.interchange.chaos.mesh.selection import Selected
from homeostat.interchange.chaos.network import ALL, Ends, cut_off
from homeostat.interchange.reading import Source, Unusable

Faults = list[tuple[str, dict[str, Any]]]
"""Faults, each with a suffix for the name of its experiment, "" where there is one."""
_WHOLE_POD: Final = "the fault is of the whole pod, not of single containers"
_OUR_WAY: Final = "how it is done is not set here"


def _pod(spec: Source, _: Selected) -> Faults:
    action = spec.text("action")
    if action == "pod-kill":
        spec.lose("a pod is killed, whichever containers it has", "containerNames")
        grace = strict.figure(spec, "gracePeriod", units.seconds) if "gracePeriod" in spec else "0s"
        return [("", {"podKill": {"gracePeriod": grace}})]
    if action == "container-kill":
        names = strict.texts(spec, "containerNames")
        if not names:
            raise Unusable(spec.at("containerNames"), "container-kill needs the names of containers")
        return _each([(name, {"containerKill": {"container": name}}) for name in names], spec, "containerNames")
    if action == "pod-failure":
        spec.lose(_WHOLE_POD, "containerNames")
        spec.notes.warn(spec.at("action"), "pods cannot be reached meanwhile, but their processes go on")
        return [("", cut_off(Ends(), "Both"))]
    raise Unusable(spec.at("action"), f'there is no counterpart of "{action}"')


def _each(faults: Faults, spec: Source, name: str) -> Faults:
    """Name faults of one object, of which each becomes an experiment; one alone needs no suffix."""
    if len(faults) == 1:
        return [("", faults[0][1])]
    spec.notes.warn(spec.at(name), f"{len(faults)} {IN_TURN}")
    return faults


# --- loads ----------------------------------------------------------------------------------------------


def _stress(spec: Source, _: Selected) -> Faults:
    spec.lose(_WHOLE_POD, "containerNames")
    if spec.text("stressngStressors"):
        raise Unusable(spec.at("stressngStressors"), "other stressors than cpu and memory have no counterpart")
    stressors = spec.part("stressors")
    faults = [("cpu", _cpu(stressors.part("cpu")))] if "cpu" in stressors else []
    faults += [("memory", _memory(stressors.part("memory")))] if "memory" in stressors else []
    if not faults:
        raise Unusable(stressors.path, "cpu or memory is needed")
    return _each(faults, spec, "stressors")


def _cpu(cpu: Source) -> dict[str, Any]:
    cpu.lose("the load is of each core that the pod may use, however many workers", "workers")
    cpu.lose(_OUR_WAY, "options")
    return {"cpu": {"load": strict.figure(cpu, "load", units.percent) if "load" in cpu else ALL}}


def _memory(memory: Source) -> dict[str, Any]:
    size = memory.text("size")
    if not size or size.endswith("%"):
        raise Unusable(memory.at("size"), "a number of bytes is needed: a share of the memory has no counterpart")
    workers = memory.number("workers")
    if workers not in (None, 0, 1):
        memory.notes.warn(memory.at("workers"), "the size is taken for that of all workers together")
    memory.lose(_OUR_WAY, "options", "oomScoreAdj")
    return {"memory": {"bytes": strict.read(memory, "size", units.size)}}


# --- HTTP -----------------------------------------------------------------------------------------------

_NARROWER: Final = ("method", "code", "request_headers", "response_headers", "tls")
_CHANGES: Final = ("path", "method", "body", "queries", "headers")


def _http(spec: Source, _: Selected) -> Faults:
    for name in _NARROWER:
        if spec.raw(name) not in (None, "", {}, []):
            raise Unusable(spec.at(name), "all requests to a port are met, whatever they are")
    if spec.raw("path") not in (None, "", "*", "/*"):
        raise Unusable(spec.at("path"), "all requests to a port are met, whatever their path")
    spec.text("target")
    found = _http_actions(spec, strict.figure(spec, "port", strict.whole(1, 65535)))
    if len(found) != 1:
        raise Unusable(spec.path, "exactly one of abort, delay and replace.code has a counterpart")
    return [("", found[0])]


def _http_actions(spec: Source, port: int) -> list[dict[str, Any]]:
    if "patch" in spec:
        raise Unusable(spec.at("patch"), "requests and answers cannot be changed here")
    found: list[dict[str, Any]] = []
    if spec.flag("abort"):
        spec.notes.warn(spec.at("abort"), "connections to the port are reset, with all requests on them")
        found.append({"network": {"reset": ALL, "ports": [port], "direction": "Ingress"}})
    if "delay" in spec:
        found.append({"http": {"port": port, "delay": strict.read(spec, "delay", units.go)}})
    if "replace" in spec:
        found.append({"http": {"port": port, "status": _status(spec.part("replace"))}})
    return found


def _status(replace: Source) -> int:
    for name in _CHANGES:
        if name in replace:
            raise Unusable(replace.at(name), "only the status of answers can be replaced here")
    return strict.figure(replace, "code", strict.whole(100, 599))


# --- names ----------------------------------------------------------------------------------------------


def _dns(spec: Source, _: Selected) -> Faults:
    spec.lose(_WHOLE_POD, "containerNames")
    action = spec.text("action")
    if action != "error":
        raise Unusable(spec.at("action"), f'names can fail or be late, "{action}" has no counterpart')
    patterns = strict.texts(spec, "patterns")
    if any("?" in pattern for pattern in patterns):
        raise Unusable(spec.at("patterns"), "a ? has no counterpart: * stands for any part of a name")
    return [("", {"dns": {"fail": patterns or ["*"]}})]


def _network(spec: Source, chosen: Selected) -> Faults:
    return [("", network(spec, chosen))]


FAULTS: Final[Mapping[str, Callable[[Source, Selected], Faults]]] = {
    "PodChaos": _pod, "NetworkChaos": _network, "StressChaos": _stress, "HTTPChaos": _http, "DNSChaos": _dns,
}  # fmt: skip
"""How each kind that has a counterpart becomes faults."""
