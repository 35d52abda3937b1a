"""Which answers show that we have a network, and which failures may only show that we have none (H8)."""

from homeostat.core.probing.request import (
    DnsRequest,
    IcmpRequest,
    JobRequest,
    PromqlRequest,
    Request,
    StepsRequest,
    WorkloadRequest,
)
from homeostat.core.probing.result import Reason, Result, Verdict

_NO_NETWORK = frozenset({Reason.TIMEOUT, Reason.UNREACHABLE, Reason.NAME_NOT_RESOLVED})
"""How a probe ends when nothing can be reached, whatever the target does."""
_HOSTS_OF_OURS = frozenset({"localhost", "::1"})


def is_doubtful(request: Request, result: Result) -> bool:
    """Say whether a failure may be ours: nothing came back, and something had to come over the network."""
    return (
        result.verdict is Verdict.FAIL
        and result.reason in _NO_NETWORK
        and not _was_connected(result)
        and _is_remote(request)
    )


def is_sign_of_life(request: Request, result: Result) -> bool:
    """Say whether something came back over the network: a refusal or a wrong answer is an answer too."""
    if result.verdict is not Verdict.PASS and result.verdict is not Verdict.FAIL:
        return False
    return (result.reason not in _NO_NETWORK or _was_connected(result)) and _is_remote(request)


def _was_connected(result: Result) -> bool:
    return result.phases is not None and result.phases.connect > 0


def _is_remote(request: Request) -> bool:
    """Say whether a network lies between us and the target. What others ask for us is not our network's business."""
    if isinstance(request, WorkloadRequest | JobRequest | PromqlRequest):
        return False
    if isinstance(request, StepsRequest):
        return any(_is_remote(step.request) for step in request.steps)
    if isinstance(request, DnsRequest):
        return not _is_ours(request.server)
    return not _is_ours(request.host if isinstance(request, IcmpRequest) else request.address or request.host)


def _is_ours(host: str) -> bool:
    return host.startswith("127.") or host in _HOSTS_OF_OURS
