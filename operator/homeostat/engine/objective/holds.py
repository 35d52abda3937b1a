"""Which objective's budget policy holds something up in a namespace.

What was held stays held until the objective itself says otherwise in its status: one that is not Ready any more, was
not looked at for long, or whose status a later release wrote, lets nothing go (R12). The statuses are our own writes,
so there is nothing to ask the API server for.
"""

import json

from homeostat.api.objective import KIND
from homeostat.api.objective_status import Hold
from homeostat.engine.objects import Entry, ObjectStore


def budget_held_by(store: ObjectStore, namespace: str, what: Hold) -> str:
    """Name the objective that holds `what` in a namespace: of several the first by name, "" for none."""
    holding = (entry.ref.name for entry in store.holding(namespace) if _holds(entry, what))
    return min(holding, default="")


def _holds(entry: Entry, what: Hold) -> bool:
    if entry.ref.kind != KIND.kind:
        return False
    holds = json.loads(entry.status_json).get("holds")
    return isinstance(holds, list) and what.value in holds


def named_holds(entry: Entry) -> tuple[Hold, ...]:
    """Give what the budget policy of an objective can hold; read at each scrape, so the spec is not parsed whole."""
    if b'"budgetPolicy"' not in entry.spec_json:
        return ()
    rules = json.loads(entry.spec_json).get("budgetPolicy") or ()
    named = {word for rule in rules for word in rule.get("hold") or ()}
    return tuple(hold for hold in Hold if hold.value in named)
