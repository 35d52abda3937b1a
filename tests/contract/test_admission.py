"""R13: whether an admission policy of ours is in force, as the API server tells it."""

from typing import Any

import pytest

from contract.kube_server import Behaviour, answers, client_of, refuses, resets, serving
from homeostat.kube.authorization.admission import ApiAdmission
from homeostat.ports import Forbidden, Unavailable

NAME = "homeostat-consent"
PATH = "/apis/admissionregistration.k8s.io/v1"
POLICY = answers(200, {"spec": {"failurePolicy": "Fail"}})
BOUND = {"policyName": NAME, "validationActions": ["Deny"]}


def binding(**more: Any) -> Behaviour:
    return answers(200, {"spec": BOUND | more})


async def test_a_policy_that_fails_closed_and_a_binding_that_denies_are_in_force() -> None:
    async with serving(POLICY, binding()) as api, client_of(api.url) as client:
        assert await ApiAdmission(client).is_in_force(NAME)

    assert [one.path for one in api.seen] == [
        f"{PATH}/validatingadmissionpolicies/{NAME}",
        f"{PATH}/validatingadmissionpolicybindings/{NAME}",
    ]


@pytest.mark.parametrize(
    "script",
    [
        [refuses(404, "NotFound")],
        [POLICY, refuses(404, "NotFound")],
        [answers(200, {"spec": {"failurePolicy": "Ignore"}}), binding()],
        [POLICY, binding(validationActions=["Warn", "Audit"])],
        [POLICY, binding(policyName="another")],
        [POLICY, binding(matchResources={"namespaceSelector": {"matchLabels": {"guarded": "yes"}}})],
        [POLICY, answers(200, {"spec": None})],
    ],
)
async def test_anything_less_guards_nothing(script: list[Behaviour]) -> None:
    """A policy that fails open, one that only warns, or one of some namespaces proves no name."""
    async with serving(*script) as api, client_of(api.url) as client:
        assert not await ApiAdmission(client).is_in_force(NAME)


@pytest.mark.parametrize(("behaviour", "error"), [(refuses(403, "Forbidden"), Forbidden), (resets, Unavailable)])
async def test_no_answer_is_no_answer(behaviour: Behaviour, error: type[Exception]) -> None:
    async with serving(behaviour) as api, client_of(api.url) as client:
        with pytest.raises(error):
            await ApiAdmission(client).is_in_force(NAME)
