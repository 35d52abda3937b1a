"""When to heal, how, and whether it helped: the decisions of a RecoveryPolicy.

    trigger fires ─ for ─▶ gates ─▶ intent on record ─▶ lock, token, act ─▶ settle ─▶ stabilise ─▶ quiet for holdFor?
    (signals.py)         (gates/)    (attempt/, steps/)      (attempt/)                 (attempt/verification.py)

One attempt at a time, of one step; the next step when the one before did not help; a human at the end.
"""

from homeostat.core.recovery.policy import decide, significance
from homeostat.core.recovery.seen import DependencySeen, RecoverySeen, SignalSeen

__all__ = ["DependencySeen", "RecoverySeen", "SignalSeen", "decide", "significance"]
