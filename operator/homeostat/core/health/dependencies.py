"""What a check depends on: which of its dependencies are Unhealthy, and whether they lead back to itself (H5).

Only what a check declares itself matters: further links of a chain show in the state of the next one.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from homeostat.api.health_check import HealthState

Graph = Mapping[str, Sequence[str]]
"""Which names each name depends on, in one namespace; names without an entry depend on nothing."""

States = Mapping[str, HealthState]
"""The state of each declared dependency; Unknown when there is no such check, or it does not run."""

_FINE = frozenset({HealthState.HEALTHY, HealthState.DEGRADED})


def unhealthy(states: States) -> tuple[str, ...]:
    """Name the dependencies that are Unhealthy, in the order they are declared."""
    return tuple(name for name, state in states.items() if state is HealthState.UNHEALTHY)


def unclear(states: States) -> tuple[str, ...]:
    """Name the dependencies of which nothing is known: they are not there, suspended, or Unknown."""
    return tuple(name for name, state in states.items() if state is not HealthState.UNHEALTHY and state not in _FINE)


def find_cycle(graph: Graph, name: str) -> tuple[str, ...]:
    """Give the shortest way from `name` back to itself, both ends included; () when there is none."""
    came_from: dict[str, str] = {}
    waiting = deque([name])
    while waiting:
        here = waiting.popleft()
        for there in graph.get(here, ()):
            if there == name:
                return _way(came_from, name, here)
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    return ()


def companions(graph: Graph, name: str) -> frozenset[str]:
    """Give all that are on a cycle with `name`, itself included; empty when it is on none."""
    below = _reachable(graph, name)
    if name not in below:
        return frozenset()
    backwards: dict[str, list[str]] = {}
    for one in below:
        for other in graph.get(one, ()):
            backwards.setdefault(other, []).append(one)
    return frozenset(_reachable(backwards, name))


def _way(came_from: Mapping[str, str], start: str, last: str) -> tuple[str, ...]:
    way = [last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return (*reversed(way), start)


def _reachable(graph: Graph, name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = set(graph.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
