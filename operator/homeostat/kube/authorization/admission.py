"""Whether an admission policy of ours is in force on the cluster, so that what it guards can be believed."""

from typing import Any

from homeostat.kube.apiserver.client import ApiClient
from homeostat.kube.apiserver.gate import Urgency
from homeostat.kube.apiserver.resources import Resource
from homeostat.ports import Gone

_GROUP = "admissionregistration.k8s.io/v1"
POLICY = Resource(_GROUP, "validatingadmissionpolicies", is_namespaced=False)
BINDING = Resource(_GROUP, "validatingadmissionpolicybindings", is_namespaced=False)


class ApiAdmission:
    """`ports.Admission` on the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def is_in_force(self, name: str) -> bool:
        """Whether there is a policy of this name that fails closed, and a binding of its name that denies."""
        try:
            policy, binding = await self._spec(POLICY, name), await self._spec(BINDING, name)
        except Gone:
            return False
        is_bound = binding.get("policyName") == name and "Deny" in (binding.get("validationActions") or ())
        is_narrowed = bool(binding.get("matchResources"))
        return is_bound and not is_narrowed and policy.get("failurePolicy", "Fail") == "Fail"

    async def _spec(self, resource: Resource, name: str) -> dict[str, Any]:
        found = await self._client.request("GET", resource.path("", name), urgency=Urgency.ACTION)
        spec = found.get("spec")
        return spec if isinstance(spec, dict) else {}
