"""What `homeostat doctor` reads of rights: the operator's own, those of its undo Pods, and the admission policies."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from homeostat.cli.desk import WHO_AM_I
from homeostat.cli.doctor.trying import TROUBLES
from homeostat.cli.doctor.watched import names_in, watched_by
from homeostat.core.cluster import Right
from homeostat.core.diagnosis.installation import POLICIES
from homeostat.core.diagnosis.readings import Abilities, Ability, Deployed, PolicySeen, Unread
from homeostat.core.rights import OPERATOR, Grant, granted, lacking, rights_of
from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.resources import ACCESS_REVIEW, SUBJECT_ACCESS_REVIEW, Resource
from homeostat.kube.authorization.admission import BINDING, POLICY
from homeostat.kube.authorization.rights import attributes_of
from homeostat.ports import Forbidden, Gone, Unavailable
from homeostat.side_by_side import side_by_side

REVIEWS_AT_ONCE = 8
Review = Callable[[str, Right], Awaitable[bool]]
"""Whether a ServiceAccount holds a right."""


async def own_account(client: ApiClient) -> str:
    """Give the name of the ServiceAccount that we are; "" when we are none, or the API server does not say."""
    try:
        answer = await client.request(
            "POST", WHO_AM_I.path(), body={"apiVersion": WHO_AM_I.api_version, "kind": "SelfSubjectReview"}
        )
    except TROUBLES:
        return ""
    user = (answer.get("status") or {}).get("userInfo") or {}
    kind, _, account = str(user.get("username", "")).rpartition(":")
    return account if kind.startswith("system:serviceaccount:") else ""


# --- rights ---------------------------------------------------------------------------------------------


async def read_abilities(
    client: ApiClient, own: str, deployed: Deployed | Unread | None, *, is_own: bool = False
) -> Abilities:
    """Ask of every right whether the operator's ServiceAccount, or that of its undo Pods, has it.

    `is_own`: we are the operator's account. Then it can ask for itself, to which everybody has the right, where it may
    not ask for others.
    """
    if not isinstance(deployed, Deployed):
        raise Unavailable("without its Deployment it is not known as which ServiceAccount it runs")
    wanted = frozenset(names_in(deployed.settings["HOMEOSTAT_FEATURES"])) if _says_features(deployed) else None
    place = watched_by(deployed, own)
    grants = granted(lambda _: True, place.scope)
    asked = [(grant, rights_of(grant, place.scope, place.namespaces, own)) for grant in grants]
    try:
        held = await _held(asked, deployed, _of_anybody(client, own))
    except Forbidden:
        if not is_own:
            raise
        mine = [one for one in asked if one[0].account == OPERATOR]
        held = await _held(mine, deployed, _of_ourselves(client))
        others = sorted({grant.account for grant, _ in asked} - {OPERATOR})
        is_meant = wanted is None or any(name.startswith("chaos.") for name in wanted)
        return Abilities(tuple(_told(mine, deployed, held)), wanted, tuple(others) if is_meant else ())
    return Abilities(tuple(_told(asked, deployed, held)), wanted)


Asked = Sequence[tuple[Grant, Sequence[Right]]]


async def _held(asked: Asked, deployed: Deployed, may: Review) -> Mapping[tuple[str, Right], bool]:
    """Ask for each right of each account once. Raises the first trouble as it is."""
    places = asyncio.Semaphore(REVIEWS_AT_ONCE)

    async def review(account: str, right: Right) -> bool:
        async with places:
            return await may(account, right)

    distinct = dict.fromkeys(
        (_account(grant, deployed), replace(right, why="")) for grant, rights in asked for right in rights
    )
    async with side_by_side() as reviews:
        answers = {one: reviews.start(review(*one)) for one in distinct}
    return {one: answer.result() for one, answer in answers.items()}


def _says_features(deployed: Deployed) -> bool:
    return "HOMEOSTAT_FEATURES" in deployed.settings


def _account(grant: Grant, deployed: Deployed) -> str:
    return deployed.account if grant.account == OPERATOR else grant.account


def _told(asked: Asked, deployed: Deployed, held: Mapping[tuple[str, Right], bool]) -> Iterator[Ability]:
    for grant, rights in asked:
        for one in lacking([(grant, rights)], rights):
            is_held = held[_account(grant, deployed), replace(one.right, why="")]
            yield Ability(grant.feature, grant.role, one.words, is_held)


def _of_anybody(client: ApiClient, own: str) -> Review:
    async def may(account: str, right: Right) -> bool:
        whose = {
            "user": f"system:serviceaccount:{own}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{own}", "system:authenticated"],
        }
        return await _review(client, SUBJECT_ACCESS_REVIEW, "SubjectAccessReview", right, whose)

    return may


def _of_ourselves(client: ApiClient) -> Review:
    async def may(_account: str, right: Right) -> bool:
        return await _review(client, ACCESS_REVIEW, "SelfSubjectAccessReview", right, {})

    return may


async def _review(client: ApiClient, resource: Resource, kind: str, right: Right, whose: Mapping[str, object]) -> bool:
    body = {
        "apiVersion": resource.api_version,
        "kind": kind,
        "spec": {**whose, "resourceAttributes": attributes_of(right)},
    }
    answer = await client.request("POST", resource.path(), body=body)
    status = answer.get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True


# --- admission policies ---------------------------------------------------------------------------------


async def read_policies(client: ApiClient) -> tuple[PolicySeen, ...]:
    """Read our policies and whether they are bound: all of them, or those that may be read by their names."""
    try:
        policies, bindings = await client.collect(POLICY.path()), await client.collect(BINDING.path())
    except Forbidden:
        found = tuple([one for name in POLICIES if (one := await _policy(client, name)) is not None])
        if all(one.is_bound is None for one in found):
            raise
        return found
    denying = {
        one["spec"].get("policyName") for one in bindings if "Deny" in (one["spec"].get("validationActions") or ())
    }
    names = (one["metadata"]["name"] for one in policies)
    return tuple(PolicySeen(name, name in denying) for name in names if name.startswith("homeostat-"))


async def _policy(client: ApiClient, name: str) -> PolicySeen | None:
    """Read one by its name, and the binding that is called as it is; None when there is no such policy."""
    try:
        await client.request("GET", POLICY.path(name=name))
    except Forbidden:
        return PolicySeen(name, None)
    except Gone:
        return None
    try:
        binding = await client.request("GET", BINDING.path(name=name))
    except Forbidden:
        return PolicySeen(name, None)
    except Gone:
        return PolicySeen(name, is_bound=False)
    return PolicySeen(name, "Deny" in (binding["spec"].get("validationActions") or ()))
