"""A refusal, on record: status.blocked (R15)."""

from homeostat.api.recovery_status import Blocked, RecoveryPolicyStatus
from homeostat.core.recovery.reasons import Block
from homeostat.core.recovery.seen import Case

LONGEST_MESSAGE = 1024


def blocked(case: Case, block: Block) -> RecoveryPolicyStatus:
    """Put a refusal on record; the time since when it holds stays while its reason does."""
    known = case.status.blocked
    since = known.since if known and known.reason == block.reason else case.now
    message = block.message[:LONGEST_MESSAGE]
    entry = Blocked(reason=block.reason, since=since, until=block.until, message=message)
    return case.status.model_copy(update={"blocked": entry})
