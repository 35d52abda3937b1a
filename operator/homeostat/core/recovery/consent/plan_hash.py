"""What an approval names: a hash of all that would be done, to which incarnations, and of which asking it is (R13).

The resourceVersion does not count: it moves with every write of a status, and whoever approves means the object.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from homeostat.core.recovery.seen import Case
from homeostat.core.recovery.steps.plan import Plan

LENGTH = 16  # hexadecimal digits


def plan_hash(case: Case, step: int, plans: Sequence[Plan], created_at: datetime) -> str:
    """Name a plan. What is asked for anew later has another name: nothing can be approved beforehand, or twice."""
    named = {
        "policy": case.seen.ref.uid,
        "generation": case.seen.generation,
        "step": step,
        "created": created_at.isoformat(),
        "actions": [_named(plan) for plan in plans],
    }
    return sha256(json.dumps(named, sort_keys=True, default=str).encode()).hexdigest()[:LENGTH]


def _named(plan: Plan) -> list[Any]:
    return [plan.title, plan.workload.ref.uid, plan.target.uid, plan.original, plan.desired]
