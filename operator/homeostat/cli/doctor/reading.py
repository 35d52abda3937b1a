"""Reads what `homeostat doctor` looks at, each thing on its own: what cannot be read is on record as such."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from homeostat.cli.chaos.sweep_report import found_in
from homeostat.cli.doctor.objects import read_objects
from homeostat.core.cluster import Right
from homeostat.core.diagnosis.readings import Abilities, Ability, Deployed, LeaseSeen, PolicySeen, Readings, Unread
from homeostat.core.rights import OPERATOR, Grant, Scope, granted, lacking, rights_of
from homeostat.core.served import Outdated, outdated
from homeostat.interchange.schema import our_schemas
from homeostat.kube.admission import BINDING, POLICY
from homeostat.kube.client import ApiClient, Request
from homeostat.kube.lease import NAME as LEADER
from homeostat.kube.lease_object import Leases
from homeostat.kube.remains import read_remains
from homeostat.kube.resources import NAMESPACE, POD, SUBJECT_ACCESS_REVIEW, WORKLOADS
from homeostat.kube.rights import attributes_of
from homeostat.kube.served import served_schemas
from homeostat.kube.server_clock import clock_skew
from homeostat.ports import Clock, Conflict, Forbidden, Gone, Rejected, Unavailable

T = TypeVar("T")
TROUBLES = (Unavailable, Forbidden, Gone, Rejected, Conflict)
NAME_LABEL, VERSION_LABEL = "app.kubernetes.io/name", "app.kubernetes.io/version"
LEVEL_LABEL = "pod-security.kubernetes.io/enforce"
REVIEWS_AT_ONCE = 8
_VERSION = re.compile(r"v?\d+\.\d+.*")


async def read(client: ApiClient, operator_namespace: str, clock: Clock) -> Readings:
    """Read all of it. Nothing raises but what keeps the API server from being asked at all."""
    server = await _server(client)
    first = Readings(program=version("homeostat"), operator_namespace=operator_namespace, server=server)
    if isinstance(server, Unread):
        return first
    skew = await _tried(clock_skew(client.credentials, clock.now), "")
    deployed = await _tried(_deployed(client, operator_namespace), "get deployments there")
    async with asyncio.TaskGroup() as tasks:
        lease = tasks.create_task(
            _tried(_lease(client, operator_namespace, clock.now, skew), f"get the Lease {LEADER} there")
        )
        policies = tasks.create_task(_tried(_policies(client), "list validatingadmissionpolicies and their bindings"))
        schemas = tasks.create_task(_tried(_outdated(client), "read the API server's OpenAPI document"))
        objects = tasks.create_task(_tried(read_objects(client), "list objects of homeostat"))
        levels = tasks.create_task(_tried(_levels(client), "list namespaces"))
        leftovers = tasks.create_task(
            _tried(_leftovers(client, operator_namespace, clock.now()), "list what experiments touch, and Leases")
        )
        abilities = tasks.create_task(
            _tried(_abilities(client, operator_namespace, deployed), "create subjectaccessreviews")
        )
    metrics, readiness = await _of_the_leader(client, operator_namespace, deployed, lease.result())
    return replace(
        first, skew=skew, deployed=deployed, lease=lease.result(), policies=policies.result(),
        outdated=schemas.result(), objects=objects.result(), levels=levels.result(), leftovers=leftovers.result(),
        abilities=abilities.result(), metrics=metrics, readiness=readiness,
    )  # fmt: skip


async def _tried(work: Awaitable[T], right: str) -> T | Unread:
    """Read something; `right` says what one must be allowed for it."""
    try:
        return await work
    except Forbidden:
        return Unread(f"you may not {right}")
    except TROUBLES as error:
        return Unread(" ".join(str(error).split()))


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
    client: ApiClient, namespace: str, deployed: Deployed | Unread | None, lease: LeaseSeen | Unread | None
) -> tuple[Mapping[str, float] | Unread, str | Unread]:
    """Ask the leader itself, through the API server's proxy of its Pod: no network leads there from here."""
    if isinstance(lease, Unread) or lease is None or not lease.holder:
        is_unknown = isinstance(lease, Unread)
        why = Unread(f"{'it is not known who leads' if is_unknown else 'nobody leads'}, so nobody can be asked")
        return why, why
    port = deployed.setting("PORT", "8080") if isinstance(deployed, Deployed) else "8080"
    path = POD.path(namespace, f"{lease.holder}:{port}", "proxy")
    metrics = await _tried(_text(client, f"{path}/metrics"), "get pods/proxy there")
    ready = await _tried(_readiness(client, f"{path}/readyz"), "get pods/proxy there")
    return metrics if isinstance(metrics, Unread) else sums(metrics), ready


async def _text(client: ApiClient, path: str) -> str:
    try:
        return str((await client.send(Request("GET", path, is_text=True)))["text"])
    except Gone:
        raise Unavailable("the leader is no Pod of this namespace: does it run outside of the cluster?") from None


async def _readiness(client: ApiClient, path: str) -> str:
    """Give "" when it is ready, else why not."""
    told = await _text(client, path)
    return "; ".join(line for line in told.splitlines() if line.startswith("FAIL"))


def sums(page: str) -> dict[str, float]:
    """Sum up a page of metrics by name, and by `name{outcome}` or `name{reason}` where there is such a label."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            label = sample.labels.get("outcome") or sample.labels.get("reason")
            for name in (sample.name, f"{sample.name}{{{label}}}") if label else (sample.name,):
                found[name] = found.get(name, 0.0) + sample.value
    return found


# --- rights and policies --------------------------------------------------------------------------------


async def _abilities(client: ApiClient, own: str, deployed: Deployed | Unread | None) -> Abilities:
    """Ask of every right whether the operator's ServiceAccount, or that of its undo Pods, has it."""
    if not isinstance(deployed, Deployed):
        raise Unavailable("without its Deployment it is not known as which ServiceAccount it runs")
    scope = Scope.NAMESPACED if deployed.setting("SCOPE") == Scope.NAMESPACED else Scope.CLUSTER
    watched = names_in(deployed.setting("NAMESPACES")) or (own,)
    grants = granted(lambda _: True, scope)
    asked = [(grant, rights_of(grant, scope, watched, own)) for grant in grants]
    places = asyncio.Semaphore(REVIEWS_AT_ONCE)
    distinct = dict.fromkeys(
        (_account(grant, deployed), replace(right, why="")) for grant, rights in asked for right in rights
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            answers = {one: tasks.create_task(_may(client, places, own, *one)) for one in distinct}
    except ExceptionGroup as group:  # what is raised in `except*` comes in a group of its own before Python 3.11.4
        raise (group.split(TROUBLES)[1] or group.exceptions[0]) from None
    held = {one: answer.result() for one, answer in answers.items()}
    return Abilities(
        tuple(_told(asked, deployed, held)),
        frozenset(names_in(deployed.settings["HOMEOSTAT_FEATURES"])) if _says_features(deployed) else None,
    )


def _says_features(deployed: Deployed) -> bool:
    return "HOMEOSTAT_FEATURES" in deployed.settings


def _account(grant: Grant, deployed: Deployed) -> str:
    return deployed.account if grant.account == OPERATOR else grant.account


def _told(
    asked: Sequence[tuple[Grant, Sequence[Right]]], deployed: Deployed, held: Mapping[tuple[str, Right], bool]
) -> Iterator[Ability]:
    for grant, rights in asked:
        for one in lacking([(grant, rights)], rights):
            is_held = held[_account(grant, deployed), replace(one.right, why="")]
            yield Ability(grant.feature, grant.role, one.words, is_held)


async def _may(client: ApiClient, places: asyncio.Semaphore, own: str, account: str, right: Right) -> bool:
    body = {
        "apiVersion": SUBJECT_ACCESS_REVIEW.api_version,
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{own}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{own}", "system:authenticated"],
            "resourceAttributes": attributes_of(right),
        },
    }
    async with places:
        answer = await client.request("POST", SUBJECT_ACCESS_REVIEW.path(), body=body)
    status = answer.get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True


def names_in(setting: str) -> tuple[str, ...]:
    """Read a list that a setting has as JSON; none where it is something else."""
    try:
        found = json.loads(setting or "[]")
    except ValueError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


async def _policies(client: ApiClient) -> tuple[PolicySeen, ...]:
    policies, bindings = await client.collect(POLICY.path()), await client.collect(BINDING.path())
    denying = {
        one["spec"].get("policyName") for one in bindings if "Deny" in (one["spec"].get("validationActions") or ())
    }
    names = (one["metadata"]["name"] for one in policies)
    return tuple(PolicySeen(name, name in denying) for name in names if name.startswith("homeostat-"))


async def _levels(client: ApiClient) -> Mapping[str, str]:
    return {
        one["metadata"]["name"]: (one["metadata"].get("labels") or {}).get(LEVEL_LABEL, "")
        for one in await client.collect(NAMESPACE.path())
    }


async def _leftovers(client: ApiClient, own: str, now: datetime) -> tuple[str, ...]:
    found = found_in(await read_remains(client, "", own, now), is_all=False)
    return tuple(f"{one.kind} {one.what}" for one in found if one.is_left)
