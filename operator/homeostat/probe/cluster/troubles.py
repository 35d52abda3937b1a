"""What is wrong with the pods of a workload, their volumes and their nodes. Pure: what was read → reasons."""

from collections.abc import Collection, Iterable

from homeostat.core.cluster import Claim, Node, Pod
from homeostat.core.probing.result import Reason

_MOST_TELLING = (
    Reason.NODE_NOT_READY,  # explains all that its pods show
    Reason.VOLUME_NOT_BOUND,
    Reason.IMAGE_PULL_BACK_OFF,
    Reason.OOM_KILLED,  # such a pod also crashes
    Reason.CRASH_LOOP_BACK_OFF,
    Reason.NODE_PRESSURE,  # may or may not be why
)
_OF_PODS = {
    reason.value: reason for reason in (Reason.IMAGE_PULL_BACK_OFF, Reason.OOM_KILLED, Reason.CRASH_LOOP_BACK_OFF)
}
_OF_NODES = frozenset({Reason.NODE_NOT_READY, Reason.NODE_PRESSURE})
_ENDED = frozenset({"Succeeded", "Failed"})


def living(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """Give the pods that are meant to serve: those on their way out, or evicted, are already being replaced."""
    return tuple(pod for pod in pods if not pod.is_terminating and pod.phase not in _ENDED)


def of_pods(pods: Iterable[Pod]) -> set[Reason]:
    """Give what the pods themselves show."""
    return {_OF_PODS[word] for pod in pods for word in pod.reasons if word in _OF_PODS}


def claims_to_read(pods: Iterable[Pod], asked: Collection[Reason], *, is_short: bool) -> frozenset[str]:
    """Name the claims worth a look: all when it is asked for, else those that a pod may be waiting for."""
    is_asked = Reason.VOLUME_NOT_BOUND in asked
    return frozenset(
        claim for pod in pods if is_asked or (is_short and "Pending" in pod.reasons) for claim in pod.claims
    )


def nodes_to_read(pods: Iterable[Pod], asked: Collection[Reason], *, is_short: bool) -> frozenset[str]:
    """Name the nodes worth a look: all when it is asked for, else those of pods that do not show why they fail."""
    is_asked = not _OF_NODES.isdisjoint(asked)
    return frozenset(
        pod.node for pod in pods if pod.node and (is_asked or (is_short and not pod.is_ready and not of_pods((pod,))))
    )


def of_claims(names: Iterable[str], claims: Iterable[Claim]) -> set[Reason]:
    """Compare the claims that are mounted with those that have a volume; one that is not there has none."""
    bound = {claim.name for claim in claims if claim.is_bound}
    return set() if bound.issuperset(names) else {Reason.VOLUME_NOT_BOUND}


def of_nodes(names: Iterable[str], nodes: Iterable[Node]) -> set[Reason]:
    """Say what is wrong with the nodes; one that is not there is not ready."""
    known = {node.name: node for node in nodes}
    seen = [known.get(name) for name in names]
    found = {Reason.NODE_NOT_READY for node in seen if node is None or not node.is_ready}
    return found | {Reason.NODE_PRESSURE for node in seen if node is not None and node.is_under_pressure}


def most_telling(found: Collection[Reason]) -> Reason | None:
    """Give the one that explains most; always the same one of the same troubles."""
    return next((reason for reason in _MOST_TELLING if reason in found), None)
