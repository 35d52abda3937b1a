"""Objects with rules in the API server: written by server-side apply, and only where they are ours."""

from typing import Any

import pytest

from contract.kube_server import answers, client_of, refuses, serving
from homeostat.core.action import InstallRules, Outcome, RemoveRules, Verb
from homeostat.core.ref import Ref
from homeostat.core.rules.groups import emit
from homeostat.core.rules.holder import Holder, RuleSelector, manifest
from homeostat.kube.rules import ApiRules
from rule_cases import spec_of

REF = Ref("ServiceLevelObjective", "shop", "checkout", "uid-1")
BODY = manifest(Holder.PROMETHEUS_RULE, REF, emit(spec_of(), "shop", "checkout").groups, {"release": "kps"})
PATH = "/apis/monitoring.coreos.com/v1/namespaces/shop/prometheusrules/homeostat-slo-checkout"
NOT_FOUND = refuses(404, "NotFound")
INSTALL, REMOVE = InstallRules("1", REF, BODY), RemoveRules("2", REF, "PrometheusRule", "homeostat-slo-checkout")


def standing_of(owner: str | None) -> dict[str, Any]:
    owners = [
        {"apiVersion": "homeostat.dev/v1alpha1", "kind": "ServiceLevelObjective", "uid": owner, "controller": True}
    ]
    return {
        "metadata": {"name": "homeostat-slo-checkout", "uid": "object-1", "ownerReferences": owners if owner else []}
    }


async def test_rules_are_applied_under_a_field_manager_of_their_own() -> None:
    async with serving(NOT_FOUND, answers(201)) as api, client_of(api.url) as client:
        assert await ApiRules(client).perform(INSTALL) == Outcome(Verb.DONE)

    read, written = api.seen
    assert (read.method, read.path) == ("GET", PATH)
    assert (written.method, written.path) == ("PATCH", PATH)
    assert written.headers["Content-Type"] == "application/apply-patch+yaml"
    assert written.query == {"fieldManager": "homeostat-rules", "force": "true"}
    assert written.body == BODY


async def test_what_is_ours_is_written_as_it_should_be_again() -> None:
    async with serving(answers(200, standing_of("uid-1")), answers(200)) as api, client_of(api.url) as client:
        assert await ApiRules(client).perform(INSTALL) == Outcome(Verb.DONE)


def edited() -> dict[str, Any]:
    """The object as applying leaves it where somebody set a limit in a group of ours, and added a group."""
    ours = [group | {"limit": 1} for group in BODY["spec"]["groups"]]
    return {"metadata": {"resourceVersion": "7"}, "spec": {"groups": [*ours, {"name": "theirs", "rules": []}]}}


async def test_what_others_own_in_groups_of_ours_is_taken_away_and_their_own_groups_stay() -> None:
    """S13: else the object would be different from what is wanted, and written every few seconds, for ever."""
    repaired = {"metadata": {}, "spec": {"groups": [*BODY["spec"]["groups"], {"name": "theirs", "rules": []}]}}
    standing = answers(200, standing_of("uid-1"))
    async with (
        serving(standing, answers(200, edited()), answers(200, repaired)) as api,
        client_of(api.url) as client,
    ):
        assert await ApiRules(client).perform(INSTALL) == Outcome(Verb.DONE)

    last = api.seen[-1]
    assert (last.method, last.headers["Content-Type"]) == ("PATCH", "application/merge-patch+json")
    assert last.body == {"metadata": {"resourceVersion": "7"}, "spec": repaired["spec"]}


async def test_what_something_changes_as_it_is_written_is_refused_and_not_written_for_ever() -> None:
    """A webhook, such as one that sets defaults."""
    standing = answers(200, standing_of("uid-1"))
    async with serving(standing, answers(200, edited()), answers(200, edited())) as api, client_of(api.url) as client:
        outcome = await ApiRules(client).perform(INSTALL)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, "Invalid")
    assert len(api.seen) == 3


@pytest.mark.parametrize("action", [INSTALL, REMOVE], ids=["install", "remove"])
@pytest.mark.parametrize(("owner", "reason"), [(None, "NotOurs"), ("uid-0", "Conflict")])
async def test_what_is_not_ours_is_neither_written_nor_removed(
    action: InstallRules | RemoveRules, owner: str | None, reason: str
) -> None:
    """An object made by hand, and that of an objective of the same name which is not gone yet."""
    async with serving(answers(200, standing_of(owner))) as api, client_of(api.url) as client:
        outcome = await ApiRules(client).perform(action)

    assert (outcome.verb, outcome.reason) == (Verb.REFUSED, reason)
    assert [seen.method for seen in api.seen] == ["GET"]


async def test_removing_names_the_very_object() -> None:
    async with serving(answers(200, standing_of("uid-1")), answers(200)) as api, client_of(api.url) as client:
        assert await ApiRules(client).perform(REMOVE) == Outcome(Verb.DONE)

    assert api.seen[1].method == "DELETE"
    assert api.seen[1].body == {"preconditions": {"uid": "object-1"}}


async def test_what_is_gone_counts_as_removed() -> None:
    async with serving(NOT_FOUND) as api, client_of(api.url) as client:
        assert await ApiRules(client).perform(REMOVE) == Outcome(Verb.DONE)


@pytest.mark.parametrize(
    ("answer", "holder"),
    [
        (answers(200, {"resources": [{"name": "prometheusrules"}]}), Holder.PROMETHEUS_RULE),
        (answers(200, {"resources": [{"name": "servicemonitors"}]}), Holder.CONFIG_MAP),
        (NOT_FOUND, Holder.CONFIG_MAP),
    ],
    ids=["served", "another version", "not there"],
)
async def test_the_kind_that_holds_rules_is_what_the_cluster_serves(answer: Any, holder: Holder) -> None:
    async with serving(answer) as api, client_of(api.url) as client:
        assert await ApiRules(client).holder() is holder


async def test_only_ours_are_listed_and_only_their_metadata() -> None:
    body = {"metadata": {**BODY["metadata"], "resourceVersion": "7"}}
    async with serving(answers(200, {"items": [body]})) as api, client_of(api.url) as client:
        (found,) = [one async for one in ApiRules(client).look(Holder.PROMETHEUS_RULE, ("shop",))]

    assert (found.name, found.owner, found.version) == ("homeostat-slo-checkout", "uid-1", "7")
    assert found.digest == BODY["metadata"]["annotations"]["homeostat.dev/rules-digest"]
    assert api.seen[0].query["labelSelector"] == "app.kubernetes.io/managed-by=homeostat"
    assert "PartialObjectMetadataList" in api.seen[0].headers["Accept"]


async def test_which_rules_each_prometheus_selects_is_read_as_far_as_there_is_any() -> None:
    """S13."""
    specs: list[dict[str, Any]] = [
        {"ruleSelector": {"matchLabels": {"release": "kps"}}, "ruleNamespaceSelector": {}},
        {"ruleSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
        {},
    ]
    items = [{"metadata": {"namespace": "m", "name": f"p{at}"}, "spec": spec} for at, spec in enumerate(specs)]
    async with serving(answers(200, {"items": items}), NOT_FOUND) as api, client_of(api.url) as client:
        found = await ApiRules(client).selectors()
        none = await ApiRules(client).selectors()

    assert found == (
        RuleSelector("m/p0", {"release": "kps"}),
        RuleSelector("m/p1", {}, has_expressions=True, selects_namespaces=True),
        RuleSelector("m/p2", None, selects_namespaces=True),
    )
    assert none == ()
