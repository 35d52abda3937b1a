"""At the end of the stage: each right that the operator is given was used by some story, or it says here why not.

The API server's audit log tells (`hack/devcluster up --audit-log`); of the operator's own accounts, and only what was
allowed. The name of this file puts it after all stories.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat.core.rights import GRANTS, OPERATOR, UNDO, Grant

pytestmark = pytest.mark.cluster

Use = tuple[str, str, str, str]
"""Account, verb, group, resource with its subresource."""

UNUSED: dict[tuple[str, str, str], str] = {
    ("create", "", "pods/attach"): "asked for by API servers from 1.35 on, beside get",
    ("get", "homeostat.dev", "freezes"): "only when the status of a Freeze meets another's write",
    ("get", "events.k8s.io", "events"): "only when a restarted operator tells again what it told before",
    **{
        (verb, "monitoring.coreos.com", "prometheusrules"): "test_objective_rules.py, in stage apiserver"
        for verb in ("get", "list", "create", "patch", "delete")
    },
    ("list", "monitoring.coreos.com", "prometheuses"): "test_objective_rules.py, in stage apiserver",
    **{
        (verb, "", "configmaps"): "test_objective_rules.py, in stage apiserver"
        for verb in ("get", "list", "create", "patch", "delete")
    },
    **{
        (verb, "apps", kind): "as for Deployments: test_chaos_fields.py, test_recovery_changes.py (stage apiserver)"
        for verb in ("get", "patch")
        for kind in ("statefulsets", "daemonsets")
    },
    **{
        (verb, "apps", "controllerrevisions"): "revisions of the same: test_recovery_changes.py (stage apiserver)"
        for verb in ("get", "list")
    },
    ("get", "homeostat.dev", "servicelevelobjectives"): "only when its status meets another's write",
    ("create", "authentication.k8s.io", "tokenreviews"): "test_objective_events.py, in stage apiserver",
    ("create", "authorization.k8s.io", "subjectaccessreviews"): "test_objective_events.py, in stage apiserver",
}
"""(verb, group, resource) that no story of this stage need use, and why it is granted all the same."""


def used(log: Path) -> Iterator[Use]:
    """Read what the operator's accounts did, in whatever namespace they are."""
    with log.open() as lines:
        for line in lines:
            if "/selfsubjectaccessreviews" in line or f":{OPERATOR}" not in line:
                continue  # most lines by far, and dear to read as JSON
            event = json.loads(line)
            account = event["user"]["username"].rpartition(":")[2]
            what = event.get("objectRef") or {}
            if account not in {OPERATOR, UNDO} or event.get("responseStatus", {}).get("code") in {401, 403}:
                continue
            sub = f"/{what['subresource']}" if what.get("subresource") else ""
            yield account, event["verb"], what.get("apiGroup", ""), f"{what.get('resource', '')}{sub}"


def never_used(found: frozenset[Use]) -> list[tuple[Grant, str]]:
    """Give the rights of the table that nobody used and that have no reason."""
    return [
        (grant, verb)
        for grant in GRANTS
        for verb in grant.verbs
        if (grant.account, verb, grant.group, grant.resource) not in found
        and (verb, grant.group, grant.resource) not in UNUSED
    ]


def test_each_right_that_is_granted_was_used(kubeconfig: Path) -> None:
    logs = sorted(kubeconfig.parent.glob("audit*.log"))  # a full one is put aside under another name
    if not logs:
        pytest.skip("this cluster keeps no audit log: hack/devcluster up --audit-log")
    unused = never_used(frozenset(use for log in logs for use in used(log)))
    assert sorted({f"{grant.role}: {verb} {grant.resource}.{grant.group}" for grant, verb in unused}) == []


def test_each_reason_is_for_a_right_that_is_granted() -> None:
    granted = {(verb, grant.group, grant.resource) for grant in GRANTS for verb in grant.verbs}
    assert granted >= UNUSED.keys()
