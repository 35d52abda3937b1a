"""What `homeostat doctor` knows in the operator's own Pod, whatever the API server lets it read.

There the settings are those of its environment, the program is the operator's own, the operator answers on loopback,
and Prometheus is asked over the same network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from homeostat.core.diagnosis.readings import Deployed, Unread
from homeostat.core.prometheus.answer import Failure
from homeostat.ports import Unavailable

PREFIX = "HOMEOSTAT_"
PATIENCE = aiohttp.ClientTimeout(total=5.0)
_ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - it is compared with, not listened on


@dataclass(frozen=True, slots=True)
class Inside:
    """The Pod, and its settings."""

    pod: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def deployed(self, version: str, account: str) -> Deployed:
        """Tell of the Deployment what can be known from within: all but how many replicas there are."""
        return Deployed(
            name=self.pod.rsplit("-", 2)[0],  # a Deployment's Pods are called after it, its ReplicaSet, and themselves
            version=version,
            wanted=None,
            ready=None,
            account=account,
            settings=self.settings,
            is_history_kept=None,
        )

    async def page(self, path: str) -> str:
        """Ask the operator beside us for a page, whatever its code. Raises Unavailable."""
        host, port = self.settings.get(f"{PREFIX}LISTEN", ""), self.settings.get(f"{PREFIX}PORT", "8080")
        url = f"http://{'127.0.0.1' if host in _ANYWHERE else host}:{port}{path}"
        try:
            async with aiohttp.ClientSession(timeout=PATIENCE, trust_env=False) as session, session.get(url) as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"the operator does not answer at {url}") from error


def inside_of(environ: Mapping[str, str], namespace: str, kubeconfig: str) -> Inside | None:
    """Give the Pod that we are in, if it is one of the operator that is asked about; None elsewhere.

    Who names a kubeconfig asks as somebody else, and perhaps another cluster.
    """
    pod, own = environ.get(f"{PREFIX}IDENTITY", ""), environ.get(f"{PREFIX}OPERATOR_NAMESPACE", "")
    is_elsewhere = kubeconfig or environ.get("KUBECONFIG") or not environ.get("KUBERNETES_SERVICE_HOST")
    if not pod or own != namespace or is_elsewhere:
        return None
    return Inside(pod, {name: value for name, value in environ.items() if name.startswith(PREFIX)})


async def prometheus_answers(now: float) -> str | Unread:
    """Ask the Prometheus of the settings of this environment; give "" when it answers, else why it does not."""
    from homeostat.wiring.outside import Queries  # noqa: PLC0415 - where none is set, nothing of it is needed
    from homeostat.wiring.settings import Settings  # noqa: PLC0415

    try:
        queries = Queries(Settings(), "")
    except (ValueError, OSError) as error:
        return Unread(" ".join(str(error).split()))
    try:
        answer = await queries.client.query("", "vector(1)", now)
    finally:
        queries.close()
    return answer.trouble.value if isinstance(answer, Failure) else ""
