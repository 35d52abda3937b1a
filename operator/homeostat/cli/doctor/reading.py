"""Reads what `homeostat doctor` looks at, each thing on its own: what cannot be read is on record as such."""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from homeostat.cli.chaos.sweep_report import found_in
from homeostat.cli.doctor.inside import Inside, prometheus_answers
from homeostat.cli.doctor.objects import read_objects
from homeostat.cli.doctor.rights import own_account, read_abilities, read_policies
from homeostat.cli.doctor.trying import TROUBLES, tried
from homeostat.cli.doctor.watched import Watched, watched_by
from homeostat.core.diagnosis.installation import LIST_POLICIES, list_rights
from homeostat.core.diagnosis.readings import Abilities, Deployed, LeaseSeen, Readings, Unread
from homeostat.core.served import Outdated, outdated
from homeostat.interchange.schema import our_schemas
from homeostat.kube.apiserver.client import ApiClient, Request
from homeostat.kube.apiserver.clock import clock_skew
from homeostat.kube.apiserver.resources import NAMESPACE, POD, WORKLOADS
from homeostat.kube.apiserver.served import served_schemas
from homeostat.kube.faults.remains import read_remains
from homeostat.kube.leases.election import NAME as LEADER
from homeostat.kube.leases.lease import Leases
from homeostat.ports import Clock, Forbidden, Gone, Unavailable

NAME_LABEL, VERSION_LABEL = "app.kubernetes.io/name", "app.kubernetes.io/version"
LEVEL_LABEL = "pod-security.kubernetes.io/enforce"
SWEEP = "homeostat chaos sweep --dry-run"
_VERSION = re.compile(r"v?\d+\.\d+.*")


async def read(client: ApiClient, own: str, clock: Clock, inside: Inside | None = None) -> Readings:
    """Read all of it, of the operator in the namespace `own`. Nothing raises.

    `inside`: the operator's own Pod, when we are in it. It knows what we may not read.
    """
    server = await _server(client)
    first = Readings(program=version("homeostat"), operator_namespace=own, server=server)
    if isinstance(server, Unread):
        return first
    get = f"kubectl -n {own} get"
    skew = await tried(clock_skew(client.credentials, clock.now), "")
    deployed = await tried(_deployed(client, own), "get deployments there", f"{get} deployments")
    if isinstance(deployed, Unread) and inside is not None:
        deployed = inside.deployed(first.program, await own_account(client))
    watched = watched_by(deployed, own)
    async with asyncio.TaskGroup() as tasks:
        lease = tasks.create_task(
            tried(_lease(client, own, clock.now, skew), f"get the Lease {LEADER} there", f"{get} lease {LEADER}")
        )
        policies = tasks.create_task(
            tried(read_policies(client), "list validatingadmissionpolicies and their bindings", LIST_POLICIES)
        )
        schemas = tasks.create_task(
            tried(_outdated(client), "read the API server's OpenAPI document", "homeostat doctor")
        )
        objects = tasks.create_task(tried(read_objects(client, watched), "list objects of homeostat"))
        levels = tasks.create_task(
            tried(_levels(client, own, watched), "list namespaces", f"kubectl get namespaces -L {LEVEL_LABEL}")
        )
        leftovers = tasks.create_task(_leftovers(client, own, watched, clock.now()))
        abilities = tasks.create_task(_abilities(client, own, deployed, is_own=inside is not None))
        reach = tasks.create_task(_reach(deployed, inside, clock))
    metrics, readiness = await _of_the_leader(client, own, deployed, lease.result(), inside)
    left, guards = leftovers.result()
    return replace(
        first, skew=skew, deployed=deployed, lease=lease.result(), policies=policies.result(),
        outdated=schemas.result(), objects=objects.result(), levels=levels.result(), leftovers=left, guards=guards,
        abilities=abilities.result(), metrics=metrics, readiness=readiness, reach=reach.result(),
    )  # fmt: skip


async def _abilities(
    client: ApiClient, own: str, deployed: Deployed | Unread | None, *, is_own: bool
) -> Abilities | Unread:
    asked = read_abilities(client, own, deployed, is_own=is_own)
    do = list_rights(own, deployed.account) if isinstance(deployed, Deployed) else ""
    return await tried(asked, "create subjectaccessreviews", do)


async def _server(client: ApiClient) -> str | Unread:
    try:
        told = await client.request("GET", "/version")
    except Forbidden:
        return Unread("the API server answers, and does not know you, or does not let you ask its version")
    except TROUBLES as error:
        return Unread(f"{client.credentials.server}: {' '.join(str(error).split())}")
    return str(told.get("gitVersion") or "")


async def _outdated(client: ApiClient) -> tuple[Outdated, ...]:
    return outdated(await served_schemas(client), our_schemas())


# --- the operator ---------------------------------------------------------------------------------------


async def _deployed(client: ApiClient, namespace: str) -> Deployed | None:
    """Find the operator's Deployment: by the label that charts give, else by what its container is called."""
    bodies = await client.collect(WORKLOADS["Deployment"].path(namespace))
    return next((_deployment(body) for body in bodies if _is_operator(body)), None)


def _is_operator(body: Mapping[str, Any]) -> bool:
    labels = body["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/part-of") == "homeostat" and any(
        one.get("name") == "operator" for one in _pod_spec(body).get("containers") or ()
    )


def _pod_spec(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (body["spec"].get("template") or {}).get("spec") or {}
    return found


def _deployment(body: Mapping[str, Any]) -> Deployed:
    spec, pod = body["spec"], _pod_spec(body)
    container = next(one for one in pod["containers"] if one.get("name") == "operator")
    volumes = {one.get("name"): one for one in pod.get("volumes") or ()}
    tag = str(container.get("image") or "").rpartition(":")[2]
    told = ((body["metadata"].get("labels") or {}).get(VERSION_LABEL, ""), tag)
    return Deployed(
        name=body["metadata"]["name"],
        version=next((one.removeprefix("v") for one in told if _VERSION.fullmatch(one)), ""),
        wanted=spec.get("replicas", 1),
        ready=(body.get("status") or {}).get("readyReplicas") or 0,
        account=str(pod.get("serviceAccountName") or "default"),
        settings={
            one["name"]: str(one.get("value") or "").replace("$(POD_NAMESPACE)", body["metadata"]["namespace"])
            for one in container.get("env") or ()
            if one["name"].startswith("HOMEOSTAT_")
        },
        is_history_kept="emptyDir" not in volumes.get("history", {}),
    )


async def _lease(
    client: ApiClient, namespace: str, now: Callable[[], datetime], skew: float | Unread
) -> LeaseSeen | None:
    found = await Leases(client).read(namespace, LEADER)
    if found is None or found.renewed_at is None:
        return None
    age = (now() - found.renewed_at).total_seconds() + (0.0 if isinstance(skew, Unread) else skew)
    return LeaseSeen(found.holder, age, found.seconds)


async def _of_the_leader(
    client: ApiClient,
    namespace: str,
    deployed: Deployed | Unread | None,
    lease: LeaseSeen | Unread | None,
    inside: Inside | None,
) -> tuple[Mapping[str, float] | Unread, str | Unread]:
    """Ask the leader itself: beside us, or through the API server's proxy of its Pod, for no network leads there."""
    if isinstance(lease, Unread) or lease is None or not lease.holder:
        is_unknown = isinstance(lease, Unread)
        why = Unread(f"{'it is not known who leads' if is_unknown else 'nobody leads'}, so nobody can be asked")
        return why, why
    if inside is not None and inside.pod == lease.holder:
        page, ready = await tried(inside.page("/metrics"), ""), await tried(_ready_beside(inside), "")
    else:
        port = deployed.setting("PORT", "8080") if isinstance(deployed, Deployed) else "8080"
        path = POD.path(namespace, f"{lease.holder}:{port}", "proxy")
        there = f"kubectl -n {namespace} exec {lease.holder} -- homeostat doctor"
        page = await tried(_text(client, f"{path}/metrics"), "get pods/proxy there", there)
        ready = await tried(_ready_there(client, f"{path}/readyz", there), "get pods/proxy there", there)
    return page if isinstance(page, Unread) else sums(page), ready


async def _text(client: ApiClient, path: str) -> str:
    try:
        return str((await client.send(Request("GET", path, is_text=True)))["text"])
    except Gone:
        raise Unavailable("the leader is no Pod of this namespace: does it run outside of the cluster?") from None


async def _ready_there(client: ApiClient, path: str, there: str) -> str:
    """Give "" when it is ready, else why not. Of an answer that is no success the client gives nothing but the code."""
    try:
        return failures(await _text(client, path))
    except Unavailable as error:
        if not str(error).endswith(": 503"):  # that of the API server itself has a reason beside the code
            raise
        return f"/readyz of the leader answers 503; what fails is said by: {there}"


async def _ready_beside(inside: Inside) -> str:
    return failures(await inside.page("/readyz"))


def failures(page: str) -> str:
    """Name what /readyz says does not hold; "" when all does."""
    return "; ".join(line for line in page.splitlines() if line.startswith("FAIL"))


async def _reach(deployed: Deployed | Unread | None, inside: Inside | None, clock: Clock) -> str | Unread | None:
    """Ask the operator's Prometheus from where the operator is; None where we are not, or it has none."""
    if inside is None or not isinstance(deployed, Deployed) or not deployed.setting("PROMETHEUS_URL"):
        return None
    return await prometheus_answers(clock.now().timestamp())


def sums(page: str) -> dict[str, float]:
    """Sum up a page of metrics by name, and by `name{outcome}` or `name{reason}` where there is such a label."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            label = sample.labels.get("outcome") or sample.labels.get("reason")
            for name in (sample.name, f"{sample.name}{{{label}}}") if label else (sample.name,):
                found[name] = found.get(name, 0.0) + sample.value
    return found


# --- around it ------------------------------------------------------------------------------------------


async def _levels(client: ApiClient, own: str, watched: Watched) -> Mapping[str, str]:
    """Read the levels of all namespaces, or of those of the operator that may be read one by one."""
    try:
        return {one["metadata"]["name"]: _level(one) for one in await client.collect(NAMESPACE.path())}
    except Forbidden:
        found: dict[str, str] = {}
        for name in dict.fromkeys((own, *filter(None, watched.namespaces))):
            with suppress(Forbidden, Gone):
                found[name] = _level(await client.request("GET", NAMESPACE.path(name=name)))
        if not found:
            raise
        return found


def _level(namespace: Mapping[str, Any]) -> str:
    return str((namespace["metadata"].get("labels") or {}).get(LEVEL_LABEL, ""))


async def _leftovers(
    client: ApiClient, own: str, watched: Watched, now: datetime
) -> tuple[tuple[str, ...] | Unread, Unread | None]:
    """Find what experiments left behind where the operator looks, and say why guards are not among it, if so."""
    try:
        return await _left(client, own, watched, now, has_guards=True), None
    except Forbidden:
        right = "list what experiments touch, and Leases"
        found = await tried(_left(client, own, watched, now, has_guards=False), right, SWEEP)
        missed = Unread(f"of guards: you may not list Leases and Pods in {own}", SWEEP)
        return found, None if isinstance(found, Unread) else missed
    except TROUBLES as error:
        return Unread(" ".join(str(error).split()), SWEEP), None


async def _left(client: ApiClient, own: str, watched: Watched, now: datetime, *, has_guards: bool) -> tuple[str, ...]:
    remains = [await read_remains(client, one, own, now, has_guards=has_guards) for one in watched.namespaces]
    found = dict.fromkeys(one for each in remains for one in found_in(each, is_all=False) if one.is_left)
    return tuple(f"{one.kind} {one.what}" for one in found)
