"""What is heard before anything else is looked at: a no, a yes that comes to nothing, a run by hand."""

from typing import Any

from homeostat.core.recovery.consent.asking import refuse_approval, reject
from homeostat.core.recovery.consent.by_hand import run_by_hand
from homeostat.core.recovery.seen import Case, Move

NOTHING_ASKED: dict[str, Any] = {"plan": None, "rejected": ""}
"""The memory of a policy that has asked nothing of a human since its trigger began to fire."""


def hear(case: Case) -> Move | None:
    """Answer one thing that humans ask for; None once all is answered. A no goes before a yes."""
    return reject(case) or refuse_approval(case) or run_by_hand(case)
