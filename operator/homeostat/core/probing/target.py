"""What a probe is called: its type and its target, in short, without query, fragment or credentials (H9)."""

import re

from homeostat.api.http_probe import HttpProbe
from homeostat.api.probe import PortOfService, Probe

_MOST = 512  # characters


def probe_type(probe: Probe) -> str:
    """Give the name of the member that is set, such as `http`; "" when none is."""
    return next((name for name in type(probe).model_fields if getattr(probe, name) is not None), "")


def target(probe: Probe) -> str:
    """Describe in short what is probed."""
    return _target(probe)[:_MOST]


def _target(probe: Probe) -> str:
    if probe.http:
        return _of_http(probe.http)
    if probe.steps:
        return " → ".join(step.name for step in probe.steps)
    if probe.dns:
        return f"{probe.dns.name} {probe.dns.type.value}"
    if probe.icmp:
        return probe.icmp.host
    if probe.workload:
        return f"{probe.workload.kind.value}/{probe.workload.name}"
    if probe.promql:
        return f"promql {probe.promql.condition}"
    if probe.job:
        return "job"
    return _of_socket(probe)


def _of_socket(probe: Probe) -> str:
    one = probe.tcp or probe.grpc or probe.tls
    if one is None:
        return ""
    return _of_service(one.service) if one.service else one.address or ""


def _of_http(probe: HttpProbe) -> str:
    service = probe.service
    text = f"service/{service.name}:{service.port}{service.path}" if service else probe.url or ""
    return re.split(r"[?#]", text, maxsplit=1)[0][:_MOST]


def _of_service(service: PortOfService) -> str:
    return f"service/{service.name}:{service.port}"
