"""The faults that an agent holds in the target pod: what refuses them, their records and their plan."""

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.api.meta import Model
from homeostat.core.chaos.faults.draft import Draft, Line, draft, pod_record, title
from homeostat.core.chaos.faults.objects import short_hash
from homeostat.core.chaos.faults.pods import Victims, chosen
from homeostat.core.chaos.faults.settings import container_of, fault_word, peer_selectors
from homeostat.core.chaos.limits.gates import Refusal, agents_refusal
from homeostat.core.chaos.limits.locks import run_id
from homeostat.core.chaos.reasons import ChaosReason
from homeostat.core.chaos.seen import Case
from homeostat.core.cluster import Pod, Workload
from homeostat.core.orders import PREFIX, needs_of

BLOWS = frozenset({"containerKill", "processKill"})
"""Faults by an agent that are over at once."""


def plan_agent(case: Case, _fault: Model) -> Draft | Refusal:
    """Put an agent into pods. All of them count as lost: the fault may make each of them unready."""
    victims = chosen(case)
    if isinstance(victims, Refusal):
        return victims
    refusal = agents_refusal(case, (pod for pod, _ in victims)) or _container_refusal(case, victims) or _deaf(case)
    return refusal or draft(tuple(_line(case, pod, owner) for pod, owner in victims))


def is_blow(case: Case) -> bool:
    """Whether the fault is dealt once, and nothing of it stays on."""
    return fault_word(case.spec) in BLOWS


def agent_name(case: Case) -> str:
    """Name the agents of a run: a container's name is never used twice in a pod."""
    return f"{PREFIX}{short_hash(run_id(case))}"


def _line(case: Case, pod: Pod, owner: Workload) -> Line:
    word = fault_word(case.spec)
    seen = container_of(case, pod)
    where = f"container {seen} of {title(pod)}" if seen else title(pod)
    settings = case.spec.fault.wire()[word]
    what, capabilities = ", ".join(_flat(settings)), needs_of(word, settings)
    needs = f", which needs {' and '.join(capabilities)}" if capabilities else ""
    undo = f"none: container {seen} starts again" if is_blow(case) else "the agent's end, at the latest when beats stop"
    return Line(
        pod_record(case, pod, owner).model_copy(update={"agent": agent_name(case)}),
        f"{word} ({what}) in {where}, by an ephemeral container {PREFIX}…{needs}",
        f"{undo}; the ephemeral container stays listed in the pod",
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Write settings for humans, one by one: `delay 100ms`, `peers.cidrs 10.0.0.0/8`."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield from (f"{prefix}{key} {one}" for one in value)
        else:
            yield f"{prefix}{key} {value}"


def _container_refusal(case: Case, victims: Victims) -> Refusal | None:
    for pod, _ in victims:
        wanted = container_of(case, pod)
        if wanted and wanted not in {one.name for one in pod.containers}:
            return Refusal(ChaosReason.NO_CONTAINER, f"{title(pod)} has no container {wanted}")
    return None


def _deaf(case: Case) -> Refusal | None:
    """C11: refuse peers that are nobody."""
    empty = next((text for text in peer_selectors(case.spec) if not case.seen.peers.get(text)), None)
    return None if empty is None else Refusal(ChaosReason.NO_PEERS, f"no pod matches the peers {empty}")
