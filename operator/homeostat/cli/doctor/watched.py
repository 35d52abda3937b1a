"""Where the operator looks, as its settings say. Pure."""

import json
from dataclasses import dataclass

from homeostat.core.diagnosis.readings import Deployed, Unread
from homeostat.core.rights import Scope


@dataclass(frozen=True, slots=True)
class Watched:
    """Where the operator looks: the namespaces, ("",) for all of them."""

    scope: Scope = Scope.CLUSTER
    namespaces: tuple[str, ...] = ("",)


def watched_by(deployed: Deployed | Unread | None, own: str) -> Watched:
    """Say where the operator looks, by its settings."""
    if not isinstance(deployed, Deployed) or deployed.setting("SCOPE") != Scope.NAMESPACED:
        return Watched()
    return Watched(Scope.NAMESPACED, names_in(deployed.setting("NAMESPACES")) or (own,))


def names_in(setting: str) -> tuple[str, ...]:
    """Read a list that a setting has as JSON; none where it is something else."""
    try:
        found = json.loads(setting or "[]")
    except ValueError:
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()
