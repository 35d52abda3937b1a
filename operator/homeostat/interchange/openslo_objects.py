"""The objects of OpenSLO files, whatever their version: found by name, and read alike.

v1alpha has its metrics in objectives, v1 in `indicator`, v2alpha in `sli`; what one calls `service` the other calls
`serviceRef`. The differences end here, and in `openslo_import`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.interchange.reading import Foreign, Source, Unusable

VERSIONS: Final = ("openslo/v1", "openslo/v1alpha", "openslo.com/v2alpha")
INDEXED: Final = ("SLI", "DataSource", "AlertPolicy", "AlertCondition")
EXPORTED: Final = "homeostat.dev/exported"
"""The annotation on what `homeostat export` wrote: queries are ours, to the letter."""


def is_known(body: object) -> bool:
    """Whether it is an object of OpenSLO."""
    return isinstance(body, dict) and str(body.get("apiVersion", "")).partition("/")[0] in {"openslo", "openslo.com"}


@dataclass(slots=True)
class Library:
    """What objectives refer to, by kind and name."""

    bodies: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, objects: Sequence[Foreign]) -> "Library":
        """Collect what can be referred to."""
        library = cls()
        for one in objects:
            if one.body.get("kind") in INDEXED:
                library.bodies.setdefault((one.body["kind"], name_of(one.body)), one.body)
        return library

    def find(self, kind: str, field: str, asker: Source) -> Source:
        """Give the object that a field of another names. Raises Unusable."""
        name = asker.text(field)
        body = self.bodies.get((kind, name))
        if body is None:
            raise Unusable(asker.at(field), f'there is no {kind} "{name}" in what was given')
        self.used.add((kind, name))
        found = asker.adopt(Source(body, f"{kind}/{name}", asker.notes))
        for known in ("apiVersion", "kind", "metadata"):
            found.raw(known)
        return found


def name_of(body: dict[str, Any]) -> str:
    """Give the name of an object; "" when it has none."""
    metadata = body.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


# --- metrics --------------------------------------------------------------------------------------------

_PROMETHEUS: Final = frozenset({"prometheus", "thanos", "mimir", "cortex", "victoriametrics", "amazonprometheus"})
_OURS: Final = "homeostat"
_QUERIES: Final = ("query", "promql", "expr")
_ADDRESSES: Final = ("url", "address", "prometheusAddress", "endpoint")


@dataclass(frozen=True, slots=True)
class Metric:
    """A query, where it is asked, and what else of ours is said beside it."""

    path: str
    query: str
    url: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] | None = None
    """The whole indicator, of what only homeostat measures."""


def metric(source: Source, library: Library) -> Metric:
    """Read a metric of any version. Raises Unusable for one that is not of Prometheus."""
    if "metricSource" in source:  # v1
        source = source.part("metricSource")
    if "source" in source:  # v1alpha
        source.raw("queryType")
        kind = source.text("source")
        return Metric(source.at("query"), _query(source, kind, source.at("source")))
    field = "metricSourceRef" if "metricSourceRef" in source else "dataSourceRef"
    reference, kind, url = source.text(field), source.text("type"), ""
    if reference and ("DataSource", reference) not in library.bodies:
        message = f'there is no DataSource "{reference}" in what was given: that of the operator is asked'
        source.notes.warn(source.at(field), message)
    elif reference:
        kind, url = _data_source(library.find("DataSource", field, source).part("spec"), kind)
    elif "dataSourceSpec" in source:
        kind, url = _data_source(source.part("dataSourceSpec"), kind)
    spec = source.part("spec")
    if kind.lower() == _OURS:
        return Metric(spec.path, "", ours=spec.map("indicator"))
    extra = {name: spec.raw(name) for name in ("resolution", "groupBy", "latency") if name in spec}
    return Metric(spec.path, _query(spec, kind, source.at("type")), url, extra)


def _query(source: Source, kind: str, path: str) -> str:
    if not kind:
        source.notes.warn(path, "no type: taken for Prometheus")
    elif kind.lower().replace("-", "").replace(" ", "") not in _PROMETHEUS:
        raise Unusable(path, f"{kind} cannot be asked, only Prometheus and what speaks its language")
    query = next(filter(None, map(source.text, _QUERIES)), "")
    if not query:
        raise Unusable(source.path, "there is no query")
    return query


def _data_source(spec: Source, kind: str) -> tuple[str, str]:
    """Give type and address of a data source; credentials in it are left out."""
    spec.lose("not taken over", "description")
    details = spec.parts("connectionDetails")
    url = ""
    for detail in details:
        url = url or next(filter(None, map(detail.text, _ADDRESSES)), "")
    return spec.text("type") or kind, url.rstrip("/")
