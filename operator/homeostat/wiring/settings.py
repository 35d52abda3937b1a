"""The settings of the operator: environment `HOMEOSTAT_*` and flags of `homeostat run`, one model for both."""

import re
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from homeostat.core.history.records import Retention
from homeostat.core.rights import GRANTS, Scope

DAY = 86_400
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]


class Settings(BaseSettings):
    """Everything that can be set. Print it with `homeostat settings`."""

    model_config = SettingsConfigDict(
        env_prefix="HOMEOSTAT_", use_attribute_docstrings=True, frozen=True, extra="ignore", cli_kebab_case=True
    )

    scope: Scope = Scope.CLUSTER
    """How far the operator's rights go: Cluster, or Namespaced, which needs no right in the whole cluster."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; none means the whole cluster, in scope Namespaced the operator's own namespace."""
    features: tuple[str, ...] = ()
    """Features whose rights the operator should have, named as in the chart's values, such as recovery.steps.scale.
    A right of these that is missing is told; what measuring needs is always looked for."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty means the Pod's ServiceAccount, else $KUBECONFIG."""
    operator_namespace: str = "homeostat-system"
    """Namespace of the operator's own Leases; no fault is ever injected there."""
    identity: str = ""
    """Name of this replica in leader election and events, such as its Pod's: no two processes may have it at once.
    A process that restarts under its name takes its lead up again at once; without a name it waits for the old
    Lease to end."""
    store_url: str = "sqlite+aiosqlite:///homeostat.db"
    """Where history is kept: sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE."""
    keep_results_seconds: Annotated[int, Field(ge=60, le=7 * DAY)] = 7200
    """How long every single run is kept."""
    keep_minutes_seconds: Annotated[int, Field(ge=7 * 3600, le=30 * DAY)] = 43_200
    """How long minutes are kept; windows of up to six hours are counted from them."""
    keep_hours_seconds: Annotated[int, Field(ge=91 * DAY, le=1830 * DAY)] = 8_121_600
    """How long hours and their latencies are kept; windows of up to 90 days and of a quarter are counted from them."""
    history_max_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 536_870_912
    """How large history may grow on disk; beyond it the oldest of the finest is given up."""
    listen: str = "0.0.0.0"  # noqa: S104 - Prometheus and the kubelet come from outside the Pod
    """Address that /metrics, /livez and /readyz listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port that /metrics, /livez and /readyz listen on; 0 picks a free one."""
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that probes may reach although they are refused by default, such as 127.0.0.0/8 for tests."""
    deny_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that probes may not reach, beside those refused by default, such as that of the nodes."""
    prometheus_url: str = ""
    """Prometheus for promql probes, such as http://prometheus.monitoring:9090; empty means there is none."""
    prometheus_token_file: str = ""
    """File with a bearer token for Prometheus."""
    prometheus_concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Queries of objectives that may be on their way to Prometheus at the same time."""
    alertmanager_url: str = ""
    """Alertmanager that alerts are posted to, such as http://alertmanager.monitoring:9093; empty means none."""
    alertmanager_token_file: str = ""
    """File with a bearer token for Alertmanager."""
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8081
    """Port of the API (/api/v1); 0 picks a free one."""
    api_tls_cert_file: str = ""
    """File with the certificate chain of the API (PEM); without one it speaks plain HTTP."""
    api_tls_key_file: str = ""
    """File with the private key to it."""
    keep_deliveries_seconds: Annotated[int, Field(ge=3600, le=30 * DAY)] = 86_400
    """How long an idempotency key of pushed events is remembered."""
    probe_processes: Annotated[int, Field(ge=0, le=64)] = 0
    """Processes that send probes, for more than one core; 0 means the operator's own."""
    action_budget: Annotated[int, Field(ge=0, le=10_000)] = 30
    """Recovery actions allowed in the whole cluster per action_budget_seconds."""
    action_budget_seconds: PositiveSeconds = 3600
    """Length of the period that action_budget is for."""
    storm_policies: Annotated[int, Field(ge=1, le=10_000)] = 5
    """RecoveryPolicies that may want to act at the same time; when more do, none of them begins."""
    storm_hold_seconds: PositiveSeconds = 300
    """How long none begins after the last time that more wanted to act."""
    node_namespaces: tuple[str, ...] = ()
    """Namespaces whose RecoveryPolicies may touch Nodes; none means the operator's own alone."""
    agent_image: str = ""
    """Image of fault agents and of what undoes a fault without us: the operator's own. Without one only pods can be
    deleted and evicted."""
    guards: Literal["Required", "Off"] = "Required"
    """Whether a Pod must stand by that undoes a fault when we cannot; Off only where no Pod can run, as in tests."""
    chaos_node_namespaces: tuple[str, ...] = ()
    """Namespaces whose ChaosExperiments may touch Nodes; none means the operator's own alone."""
    probe_concurrency: Annotated[int, Field(ge=1, le=20_000)] = 512
    """Checks that may run at the same time."""
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """Objects that may be evaluated at the same time."""
    writes_per_second: Annotated[float, Field(gt=0, le=10_000)] = 200
    """Writes to the API server, at most."""
    refreshes_per_second: Annotated[float, Field(gt=0, le=1000)] = 2
    """Of those, writes that only refresh figures."""
    resync_seconds: PositiveSeconds = 600
    """How often all objects are listed, in case the watch missed something."""
    tracing_endpoint: str = ""
    """Collector of OpenTelemetry that traces are sent to (OTLP over HTTP), such as http://otel-collector.monitoring:4318;
    empty means none. Needs the packages of homeostat[tracing]."""
    tracing_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the traces of evaluations and probes that are kept; attempts and runs as a whole are always told."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for a terminal."""

    @field_validator("store_url")
    @classmethod
    def _is_a_store(cls, url: str) -> str:
        try:
            driver = make_url(url).drivername
        except ArgumentError as error:
            raise ValueError("not a database URL") from error
        if driver not in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
            raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://")
        return url

    @field_validator("prometheus_url", "alertmanager_url", "tracing_endpoint")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", url):
            raise ValueError("must be http://HOST[:PORT][/PATH] or https://…, without user and password")
        return url.rstrip("/")

    @field_validator("tracing_endpoint")
    @classmethod
    def _can_trace(cls, url: str) -> str:
        if url and not all(map(_is_installed, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.common"))):
            raise ValueError("traces need packages that are not installed: pip install 'homeostat[tracing]'")
        return url

    @field_validator("features")
    @classmethod
    def _are_features(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        known = {grant.feature for grant in GRANTS} - {""}
        unknown = sorted(set(features) - known)
        if unknown:
            raise ValueError(f"no such feature: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return features

    @field_validator("port", "api_port", mode="before")
    @classmethod
    def _is_no_service_link(cls, port: object) -> object:
        if isinstance(port, str) and port.startswith("tcp://"):
            raise ValueError("this is a Service's link by Kubernetes: set enableServiceLinks: false in the Pod's spec")
        return port

    @model_validator(mode="after")
    def _has_both_files(self) -> Self:
        if bool(self.api_tls_cert_file) is not bool(self.api_tls_key_file):
            raise ValueError("api_tls_cert_file and api_tls_key_file go together")
        return self

    @model_validator(mode="after")
    def _has_nodes_only_in_a_cluster(self) -> Self:
        if self.scope is Scope.NAMESPACED and (self.node_namespaces or self.chaos_node_namespaces):
            raise ValueError("node_namespaces and chaos_node_namespaces are for scope Cluster: Nodes have no namespace")
        return self

    def watched(self) -> tuple[str, ...]:
        """Give the namespaces that are watched; none means the whole cluster."""
        if self.scope is Scope.NAMESPACED:
            return self.namespaces or (self.operator_namespace,)
        return self.namespaces

    def namespaces_of_nodes(self) -> frozenset[str]:
        """Give the namespaces whose policies may touch Nodes."""
        if self.scope is Scope.NAMESPACED:
            return frozenset()
        return frozenset(self.node_namespaces or (self.operator_namespace,))

    def namespaces_of_node_chaos(self) -> frozenset[str]:
        """Give the namespaces whose experiments may touch Nodes."""
        if self.scope is Scope.NAMESPACED:
            return frozenset()
        return frozenset(self.chaos_node_namespaces or (self.operator_namespace,))

    def retention(self) -> Retention:
        """Give how long history is kept, and how large it may grow."""
        return Retention(
            self.keep_results_seconds,
            self.keep_minutes_seconds,
            self.keep_hours_seconds,
            self.history_max_bytes,
            self.keep_deliveries_seconds,
        )

    def shown(self) -> dict[str, object]:
        """Give the settings for printing, without the password of the store."""
        plain = self.model_dump(mode="json")
        return plain | {"store_url": make_url(self.store_url).render_as_string(hide_password=True)}


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # one that it is part of is not there
        return False
