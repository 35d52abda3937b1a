"""Which addresses are behind which Service, kept from the EndpointSlices the watch shows.

Held as small tuples, not as objects: a slice of 100 endpoints takes about 20 KiB. A Service that has no slice
at all is unknown until the first listing is complete, so that a restart never reports "no endpoints".
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import structlog

from homeostat.core.cluster import Endpoint
from homeostat.core.ref import Ref

log = structlog.get_logger("homeostat.directory")

SERVICE_LABEL = "kubernetes.io/service-name"

Row = tuple[str, bool, Ref | None]  # address, is ready, pod
Slice = tuple[tuple[tuple[str, int], ...], tuple[Row, ...]]  # ports by name, rows


class Directory:
    """EndpointSlices by Service."""

    def __init__(self) -> None:
        self._services: defaultdict[tuple[str, str], dict[str, Slice]] = defaultdict(dict)
        self._shown_meanwhile: set[tuple[str, str]] = set()
        self.is_complete = False

    def put(self, body: dict[str, Any]) -> tuple[str, str] | None:
        """Take a version of a slice; give (namespace, service) it belongs to."""
        self._shown_meanwhile.add(_name_of(body))
        return self._put(body)

    def _put_if_sound(self, body: dict[str, Any]) -> None:
        """Anybody may write a slice; one that makes no sense must not keep us from the others."""
        try:
            self._put(body)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            namespace, name = _name_of(body)
            log.warning("slice not understood", namespace=namespace, name=name, error=type(error).__name__)

    def _put(self, body: dict[str, Any]) -> tuple[str, str] | None:
        service = _service_of(body)
        if service is not None:
            self._services[service][body["metadata"]["name"]] = _slice(body)
        return service

    def remove(self, body: dict[str, Any]) -> tuple[str, str] | None:
        """Drop a slice; give (namespace, service) it belonged to."""
        self._shown_meanwhile.add(_name_of(body))
        service = _service_of(body)
        slices = self._services.get(service) if service else None
        if service is None or slices is None:
            return None
        slices.pop(body["metadata"]["name"], None)
        if not slices:
            del self._services[service]
        return service

    def begin_listing(self) -> None:
        """Say that a listing is asked for now: what the watch shows from here on is newer than it."""
        self._shown_meanwhile.clear()

    def replace_all(self, bodies: Iterable[dict[str, Any]]) -> None:
        """Take a complete listing: what is not in it is gone, but for what the watch showed since it was begun."""
        newer = self._shown_meanwhile
        for service, slices in list(self._services.items()):
            left = {name: known for name, known in slices.items() if (service[0], name) in newer}
            if left:
                self._services[service] = left
            else:
                del self._services[service]
        for body in bodies:
            if _name_of(body) not in newer:
                self._put_if_sound(body)
        self.is_complete = True

    def endpoints(self, namespace: str, service: str, port: str | int) -> tuple[Endpoint, ...] | None:
        """Give the ready endpoints of a Service for a port, each address once; None when it has no such port.

        Endpoints that are not ready are left out: the Service sends them no traffic either.
        """
        slices = self._services.get((namespace, service), {}).values()
        found: dict[str, Endpoint] = {}
        has_port = not slices
        for ports, rows in slices:
            number = _number(ports, port)
            has_port = has_port or number is not None or not ports
            if number is None:
                continue
            for address, is_ready, pod in rows:
                if is_ready:  # one that moves between slices stands in both for a moment
                    found.setdefault(address, Endpoint(address, number, is_ready, pod))
        return tuple(found.values()) if has_port else None


def _name_of(body: dict[str, Any]) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _service_of(body: dict[str, Any]) -> tuple[str, str] | None:
    meta = body["metadata"]
    name = meta.get("labels", {}).get(SERVICE_LABEL)
    return (meta["namespace"], name) if name else None


def _slice(body: dict[str, Any]) -> Slice:
    namespace = body["metadata"]["namespace"]
    ports = tuple((port.get("name") or "", port["port"]) for port in body.get("ports") or () if port.get("port"))
    rows = tuple(
        (address, endpoint.get("conditions", {}).get("ready", True) is not False, _pod(endpoint, namespace))
        for endpoint in body.get("endpoints") or ()
        for address in endpoint["addresses"][:1]  # by definition all addresses of an endpoint are the same one
    )
    return ports, rows


def _pod(endpoint: dict[str, Any], namespace: str) -> Ref | None:
    target = endpoint.get("targetRef") or {}
    if target.get("kind") != "Pod":
        return None
    return Ref("Pod", target.get("namespace") or namespace, target.get("name") or "", target.get("uid") or "")


def _number(ports: tuple[tuple[str, int], ...], port: str | int) -> int | None:
    """Find the pods' number of a Service's port, which slices know by the port's name.

    A number is the Service's own only by chance the pods' too; where a Service has one port it can mean no other.
    """
    for name, number in ports:
        if port in {name, number}:
            return number
    return ports[0][1] if len(ports) == 1 and isinstance(port, int) else None
